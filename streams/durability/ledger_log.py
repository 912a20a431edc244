"""Reads ``ledger.v1`` and appends to it, and notices a second writer.

The topic has one partition and one writer, so the offset of each record that is written is known before: another one
means that a second trainer is at work on the same topics.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.contract import codec
from streams.contract.events import LedgerRecord
from streams.durability.ledger import Place, Placed
from streams.errors import BrokerError, LedgerError, SecondTrainerError
from streams.transport.connection import Connection
from streams.transport.publish import Out, PublishConfig, Publisher

READ_MS: Final = 1_000
"""Longest wait for records that are known to be there; the embedded broker does not know where its log ends, and has
given all that it has when this passes."""


async def read_ledger(connection: Connection, topic: str, start: int) -> tuple[list[Placed], int]:
    """The ledger from offset ``start`` on, and the offset of the next record that will be written.

    Raises:
      LedgerError: the topic ends before ``start``, or holds something that is no ledger record.
      BrokerError: the topic is not there.
      KafkaError: the broker is not there.
    """
    consumer = AIOKafkaConsumer(
        **connection.for_aiokafka(), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
        isolation_level="read_committed", fetch_max_wait_ms=100,
    )  # fmt: skip
    try:
        await consumer.start()
        if not connection.is_embedded and topic not in await consumer.topics():
            raise BrokerError(
                f"expected the topic {topic}, got none that we may see; `marquee topics create` makes it, and "
                "docs/operations.md lists the rights that each role needs"
            )
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        first, end = await _edges(consumer, place)
        if start > end and not connection.is_embedded:
            raise LedgerError(
                f"expected {topic} to reach offset {start}, which the state knows of, got an end at {end}: the topic "
                "was made anew; restore it, or move the snapshots away and make ledger.v1 anew to learn the log from "
                "its beginning"
            )
        if first > start and not connection.is_embedded:
            raise LedgerError(
                f"expected {topic} from offset {start} on, got a beginning at {first}: retention or somebody removed "
                "steps that the state has not learned; start from a newer snapshot, and keep the topic for ever"
            )
        at = max(start, first)
        consumer.seek(place, at)
        placed: list[Placed] = []
        while at < end or connection.is_embedded:
            fetched = await consumer.getmany(place, timeout_ms=READ_MS)
            records = fetched.get(place, [])
            if not records and connection.is_embedded:
                break
            placed += [Placed(record.offset, _decoded(record)) for record in records]
            at = await consumer.position(place)
        return placed, max(at, end)
    finally:
        await consumer.stop()


async def _edges(consumer: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    first, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
    return first[place], ends[place]


def _decoded(record: Any) -> LedgerRecord:
    event = None if record.value is None else codec.decode(LedgerRecord, record.value, timestamp_ms=record.timestamp)
    if not isinstance(event, LedgerRecord):
        raise LedgerError(
            f"expected a ledger record at offset {record.offset} of {record.topic}, got {event!r}: something else "
            "writes there; see that only the trainer may"
        )
    return event


class LedgerWriter:
    """Appends to the ledger, in order; each record's future tells the place behind it.

    Args:
      topic: full name. end: where the ledger ends, and who wrote the step that it ends with.
      on_failure: called, once, with what went wrong: a record that was refused, or a second writer.
    """

    def __init__(
        self, connection: Connection, topic: str, end: Place, *, on_failure: Callable[[BaseException], object]
    ) -> None:
        self.writer = secrets.token_hex(8)
        """Names this run of the trainer in its records; no part of any state."""
        self._publisher = Publisher(connection, PublishConfig(linger_ms=0), on_failure=on_failure)
        self._topic = topic
        self._is_exact = not connection.is_embedded
        self._next, self._follows = end
        self._on_failure = on_failure

    async def start(self) -> None:
        """Connects."""
        await self._publisher.start()

    async def stop(self) -> None:
        """Waits for what is under way and disconnects."""
        await self._publisher.stop()

    async def append(self, record: LedgerRecord) -> asyncio.Future[Place]:
        """Hand one record over as this writer's; the future is done once it is acknowledged."""
        follows = self._follows if record.ranges else self.writer
        self._follows = self.writer if record.ranges else self._follows
        record = msgspec.structs.replace(record, writer=self.writer, follows=follows)
        wanted = self._next
        self._next += 1
        sent = await self._publisher.send(Out(topic=self._topic, key=None, value=codec.encode(record), partition=0))
        placed: asyncio.Future[Place] = asyncio.get_running_loop().create_future()

        def settle(done: asyncio.Future[Any]) -> None:
            if done.cancelled() or done.exception() is not None:
                placed.cancel()  # the publisher has told its failure
                return
            offset = done.result().offset
            if self._is_exact and offset != wanted:
                self._on_failure(
                    SecondTrainerError(
                        f"expected step {record.step} to stand at offset {wanted} of {self._topic}, got {offset}: a "
                        "second trainer writes to the same topics; stop one of them"
                    )
                )
                placed.cancel()
                return
            placed.set_result(Place(offset + 1, self.writer))

        sent.add_done_callback(settle)
        return placed
