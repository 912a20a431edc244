"""Reads ``erasures.v1``."""

from __future__ import annotations

from streams.contract import codec
from streams.contract.events import Erasure
from streams.durability.erasures import NONE, Erasures, Placed
from streams.errors import LedgerError
from streams.transport.connection import Connection
from streams.transport.whole import read_whole


def read_erasures(connection: Connection, topic: str) -> Erasures:
    """Everybody who was forgotten so far; nobody on the embedded broker, where nothing outlives the demo.

    Raises:
      BrokerUnavailableError: nobody answers. BrokerRefusedError: the broker does not let us in.
      BrokerError: the topic is not there.
      LedgerError: something else than an erasure is on it.
    """
    if connection.is_embedded:
        return NONE
    placed = []
    for message in read_whole(connection, topic):
        value, offset = message.value(), message.offset() or 0
        if value is None:
            continue
        event = codec.decode(Erasure, bytes(value), timestamp_ms=-1)
        if not isinstance(event, Erasure):
            raise LedgerError(
                f"expected an erasure at offset {offset} of {topic}, got {event!r}: something else writes there; see "
                "that only `marquee forget` may"
            )
        placed.append(Placed(offset, event))
    return Erasures(placed)
