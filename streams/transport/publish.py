"""Performs what a core decided to publish: records as data in, acknowledged records out.

Decides only how many records may be unacknowledged at a time. No send is awaited on its own; :meth:`Publisher.flush` is
the barrier. A record that the broker refuses, or does not acknowledge in time, fails the publisher for good: what comes
after it must not appear without it, so the process ends and restarts from its own state.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from streams.errors import BrokerUnavailableError
from streams.transport.connection import Connection
from streams.transport.errors import PublishError
from streams.transport.patience import slow_down

FEW = 8
"""Fewer records than this are sent one by one."""


@functools.lru_cache(maxsize=65_536)
def _partition_of(key: bytes | None, partitions: tuple[int, ...]) -> int:
    """As Java's default for a key; one without any goes anywhere."""
    return cast(int, DefaultPartitioner()(key, list(partitions), list(partitions)))


class Out(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record to publish.

    Attributes:
      topic: full name, with prefix.
      key: decides the partition (murmur2, as Java's default); None only on topics without keys.
      value: None is a tombstone.
      headers: name and bytes.
      timestamp_ms: event time, UTC epoch; None: now.
      partition: None: by key.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None
    partition: int | None = None


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """How records are sent.

    Attributes:
      linger_ms: wait so long to fill a batch; 0 where a reply's latency counts, 5 where throughput does.
      max_batch_bytes: of one partition's batch.
      max_in_flight: unacknowledged records before :meth:`Publisher.perform` waits.
      timeout_ms: a record must be acknowledged within this; it covers a restart of the broker.
      compression: aiokafka's name ("zstd", "lz4", ...) or None.
    """

    linger_ms: int = 0
    max_batch_bytes: int = 131_072
    max_in_flight: int = 20_000
    timeout_ms: int = 60_000
    compression: str | None = None


class Publisher:
    """An aiokafka producer that takes lists of :class:`Out`; use it as an async context manager.

    Args:
      connection: the broker; the embedded one cannot do idempotence.
      config: sizes and times.
      on_failure: called once, with the PublishError, when a record fails; a worker passes ``reader.end_process``.
    """

    def __init__(
        self,
        connection: Connection,
        config: PublishConfig | None = None,
        *,
        on_failure: Callable[[PublishError], object] | None = None,
    ) -> None:
        self._config = config or PublishConfig()
        self._connection = connection
        self._on_failure = on_failure
        self._producer: AIOKafkaProducer | None = None
        self._failure: PublishError | None = None
        self._in_flight = 0
        self._room = asyncio.Event()
        self._room.set()
        self.acknowledged_count = 0
        self.reached: dict[tuple[str, int], int] = {}
        """Next offset behind the newest acknowledged record of ours, by topic and partition."""

    async def start(self) -> None:
        """Connects; raises aiokafka's KafkaConnectionError if no broker answers."""
        config = self._config
        producer = AIOKafkaProducer(
            **self._connection.for_aiokafka(),
            acks="all",
            enable_idempotence=not self._connection.is_embedded,
            linger_ms=config.linger_ms,
            max_batch_size=config.max_batch_bytes,
            request_timeout_ms=config.timeout_ms,
            compression_type=config.compression,
            max_request_size=4 * 1024 * 1024,
        )
        slow_down(producer.client)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()  # one that could not start still holds connections
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Waits for what is under way and disconnects."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def __aenter__(self) -> Publisher:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def perform(self, outs: Iterable[Out]) -> None:
        """Hands records to the producer, in order; returns before they are acknowledged.

        Raises:
          PublishError: this record or an earlier one failed.
        """
        producer = self._started()
        together = list(outs)
        if len(together) < FEW:
            for out in together:
                await self._send(producer, out)
            return
        for (topic, partition), group in (await self._by_place(producer, together)).items():
            await self._send_together(producer, topic, partition, group)

    async def send(self, out: Out) -> asyncio.Future[Any]:
        """Hands over one record; the future gives aiokafka's ``RecordMetadata`` once it is acknowledged.

        Raises:
          PublishError: this record or an earlier one failed.
        """
        return await self._send(self._started(), out)

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise PublishError("the publisher is not started, or already stopped; use it within `async with`")
        return self._producer

    async def _send(self, producer: AIOKafkaProducer, out: Out) -> asyncio.Future[Any]:
        await self._make_room()
        try:
            sent: asyncio.Future[Any] = await producer.send(
                out.topic,
                out.value,
                key=out.key,
                partition=out.partition,
                timestamp_ms=out.timestamp_ms,
                headers=list(out.headers),
            )
        except KafkaError as error:  # too large, unknown topic, timed out
            self._fail(out.topic, error)
            self._raise_failure()
            raise
        self._in_flight += 1
        sent.add_done_callback(lambda future: self._settle(future, out.topic))
        return sent

    async def _by_place(self, producer: AIOKafkaProducer, outs: Sequence[Out]) -> dict[tuple[str, int], list[Out]]:
        """The records by topic and partition, in order within each."""
        partitions: dict[str, tuple[int, ...]] = {}
        groups: dict[tuple[str, int], list[Out]] = {}
        for out in outs:
            if out.topic not in partitions:
                try:
                    partitions[out.topic] = tuple(sorted(await producer.partitions_for(out.topic)))
                except KafkaError as error:
                    self._fail(out.topic, error)
                    self._raise_failure()
                    raise
            place = out.partition
            if place is None:
                place = _partition_of(out.key, partitions[out.topic])
            groups.setdefault((out.topic, place), []).append(out)
        return groups

    async def _send_together(self, producer: AIOKafkaProducer, topic: str, partition: int, outs: Sequence[Out]) -> None:
        """One acknowledgement a batch in place of one a record: a tenth of the work."""
        batch, held = producer.create_batch(), 0
        for out in outs:
            added = batch.append(key=out.key, value=out.value, timestamp=out.timestamp_ms, headers=list(out.headers))
            if added is None:  # full
                await self._submit(producer, batch, held, topic, partition)
                batch, held = producer.create_batch(), 0
                added = batch.append(
                    key=out.key, value=out.value, timestamp=out.timestamp_ms, headers=list(out.headers)
                )
            if added is None:  # larger than a batch: alone
                await self._send(producer, msgspec.structs.replace(out, partition=partition))
            else:
                held += 1
        if held:
            await self._submit(producer, batch, held, topic, partition)

    async def _submit(self, producer: AIOKafkaProducer, batch: Any, held: int, topic: str, partition: int) -> None:
        if not held:
            return
        await self._make_room()
        try:
            sent = await producer.send_batch(batch, topic, partition=partition)
        except KafkaError as error:
            self._fail(topic, error)
            self._raise_failure()
            raise
        self._in_flight += held
        sent.add_done_callback(lambda future: self._settle(future, topic, held))

    async def _make_room(self) -> None:
        if self._in_flight >= self._config.max_in_flight:
            self._room.clear()
        if not self._room.is_set():
            await self._room.wait()
        self._raise_failure()

    async def flush(self) -> None:
        """Returns once everything handed over has been acknowledged.

        Raises:
          PublishError: something was not.
        """
        if self._producer is not None:
            await self._producer.flush()
            await asyncio.sleep(0)  # let the callbacks of what was just acknowledged run
        self._raise_failure()

    def _settle(self, sent: asyncio.Future[Any], topic: str, count: int = 1) -> None:
        self._in_flight -= count
        if self._in_flight <= self._config.max_in_flight // 2:
            self._room.set()
        if sent.cancelled():
            self._fail(topic, asyncio.CancelledError("the producer was stopped"))
        elif (error := sent.exception()) is not None:
            self._fail(topic, error)
        else:
            self.acknowledged_count += count
            placed = sent.result()  # of a batch: its first record
            at = (placed.topic, placed.partition)
            self.reached[at] = max(self.reached.get(at, 0), placed.offset + count)

    def _fail(self, topic: str, error: BaseException) -> None:
        self._room.set()
        if self._failure is None:
            self._failure = PublishError(
                f"a record for topic {topic} was not acknowledged ({error!r}); check the broker, the topic and"
                " the record's size, then start again"
            )
            self._failure.__cause__ = error
            if self._on_failure is not None:
                self._on_failure(self._failure)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


async def send_all(connection: Connection, outs: Iterable[Out]) -> None:
    """Publishes records and returns once all are acknowledged: for commands.

    Raises:
      BrokerUnavailableError: nobody answers.
      PublishError: one was not acknowledged.
    """
    publisher = Publisher(connection, PublishConfig(linger_ms=5))
    try:
        await publisher.start()
    except KafkaError as error:
        raise BrokerUnavailableError(
            f"no Kafka broker answers at {connection.bootstrap}: {error!r}; try again"
        ) from error
    try:
        await publisher.perform(outs)
        await publisher.flush()
    finally:
        await publisher.stop()
