"""Looks into topics for one user, item or letter: reads the end of one partition, in a thread, within a bound.

Kafka has no index by key: a record is found by reading the partition that its key belongs to, from some way before
its end.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
from aiokafka.partitioner import murmur2

from streams.contract.codec import Decode, Rejected, decoder
from streams.contract.events import Interaction, ItemState, Slate
from streams.transport.connection import Connection
from streams.transport.whole import edges_of, read_whole

WINDOWS: Final = (2_000, 20_000, 100_000)
"""Records before the end of a partition that are looked through, one window after the other while nothing is found."""
_INTERACTION, _SLATE, _STATE = decoder(Interaction), decoder(Slate), decoder(ItemState)


class Found(NamedTuple):
    """Records of one key, oldest first: (offset, timestamp, value); and how many were looked through."""

    records: list[tuple[int, int, bytes | None]]
    looked: int
    partition: int


def partition_of(key: bytes, partitions: int) -> int:
    """As Java's default partitioner, which the contract asks for."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def newest_of(connection: Connection, topic: str, key: str, *, keep: int, windows: tuple[int, ...] = WINDOWS) -> Found:
    """The last ``keep`` records of a key, as far as the largest window goes.

    Raises:
      BrokerError: the topic cannot be read.
    """
    edges = edges_of(connection, [topic])
    wanted = key.encode("utf-8", "surrogatepass")
    partition = partition_of(wanted, len(edges))
    first, end = edges[topic, partition]
    found: list[tuple[int, int, bytes | None]] = []
    looked = 0
    for window in windows:
        start = max(first, end - window)
        if end - start == looked:
            break
        looked = end - start
        found = [
            (message.offset() or 0, message.timestamp()[1], _bytes(message.value()))
            for message in read_whole(connection, topic, first={partition: start})
            if message.key() == wanted
        ]
        if found:
            break
    return Found(found[-keep:], looked, partition)


def newest_slate(connection: Connection, topic: str, user_id: str) -> tuple[Slate | None, int]:
    """A user's newest slate that can be read, and how many records were looked through."""
    found = newest_of(connection, topic, user_id, keep=1)
    slate = _SLATE(found.records[-1][2] or b"", -1) if found.records else None
    return None if isinstance(slate, Rejected) else slate, found.looked


def history_of(
    connection: Connection, topic: str, user_id: str, *, most: int, decode: Decode | None = None
) -> tuple[list[Interaction], int]:
    """A user's newest interactions, newest first, and how many records were looked through.

    ``decode``: of a topic of another shape, whose key may be anything: the end of each partition is looked through.
    """
    if decode is not None:
        return _mapped_history(connection, topic, user_id, most=most, decode=decode)
    found = newest_of(connection, topic, user_id, keep=most)
    events = [_INTERACTION(value, -1) for _, _, value in reversed(found.records) if value is not None]
    return [one for one in events if not isinstance(one, Rejected)], found.looked


def _mapped_history(
    connection: Connection, topic: str, user_id: str, *, most: int, decode: Decode
) -> tuple[list[Interaction], int]:
    edges = edges_of(connection, [topic])
    first = {partition: max(start, end - WINDOWS[0]) for (_, partition), (start, end) in edges.items()}
    events: list[Interaction] = []
    for message in read_whole(connection, topic, first=first):
        value, key, headers = _bytes(message.value()), _bytes(message.key()), message.headers()
        event = None if value is None else decode(value, message.timestamp()[1], key, headers)  # type: ignore[arg-type]
        if isinstance(event, Interaction) and event.user_id == user_id:
            events.append(event)
    events.sort(key=lambda one: one.occurred_at_ms, reverse=True)
    return events[:most], sum(end - first[partition] for (_, partition), (_, end) in edges.items())


def state_of(connection: Connection, topic: str, item_id: str) -> ItemState | None:
    """What the trainer last told of an item."""
    found = newest_of(connection, topic, item_id, keep=1)
    state = _STATE(found.records[-1][2] or b"", -1) if found.records else None
    return None if isinstance(state, Rejected) else state


def plain_history(events: list[Interaction], title: Any) -> list[dict[str, Any]]:
    """As JSON values, with titles."""
    return [{**msgspec.to_builtins(one), "title": title(one.item_id)} for one in events]


def plain_slate(slate: Slate, title: Any) -> dict[str, Any]:
    """As JSON values, with titles; every place has all of its parts, defaults too."""
    items = [
        {
            "rank": one.rank, "item_id": one.item_id, "title": title(one.item_id), "score": one.score,
            "source": one.source, "propensity": one.propensity, "explored": one.explored, "reasons": one.reasons,
            "asset_ids": one.asset_ids,
        }
        for one in slate.items
    ]  # fmt: skip
    return {**msgspec.to_builtins(slate), "error": slate.error, "items": items}


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
