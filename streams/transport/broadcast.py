"""Reads whole topics into a process: every partition, from the beginning, without a group, and on for ever.

For topics whose newest records make up a state that every process needs (items, weights, vectors). Decides nothing
about the records. Survives broker restarts, partitions that are added, and a log that was recreated (it then starts
again from the beginning: whoever applies the records must take the same record twice).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.registry import known
from streams.transport.backoff import Backoff
from streams.transport.connection import Connection
from streams.transport.merge import Source
from streams.transport.offsets import Chunk, Positions
from streams.transport.patience import slow_down

log = logging.getLogger(__name__)

OnChunk = Callable[[Chunk[Any]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class BroadcastConfig:
    """How whole topics are read.

    Attributes:
      chunk_records: at most so many records a call.
      fetch_max_wait_ms: how long the broker may sit on a fetch without data.
      poll_ms: how often :attr:`BroadcastReader.caught_up` is looked at while nothing comes.
      partitions_every_s: how often new partitions are looked for.
      pause_ms: rest between two fetches, for a reader that may be late: each has its price, however little it brings.
    """

    chunk_records: int = 1024
    fetch_max_wait_ms: int = 100
    poll_ms: int = 200
    partitions_every_s: float = 30.0
    pause_ms: int = 0


class BroadcastReader:
    """A reader of whole topics; ``run`` it as a task and await ``caught_up``.

    Args:
      topics: full names.
      connection: the broker.
      config: sizes and times.
      starts: next offset of partitions whose earlier records are known already; one that ends before is read whole.
    """

    def __init__(
        self,
        topics: Sequence[str],
        connection: Connection,
        config: BroadcastConfig | None = None,
        *,
        starts: Mapping[Source, int] | None = None,
    ) -> None:
        self._starts = dict(starts or {})
        self._topics = tuple(topics)
        self._connection = connection
        self._config = config or BroadcastConfig()
        self._positions = Positions()
        self.caught_up = asyncio.Event()
        """Set once everything that the topics held when reading began has been handled; never cleared."""

    @property
    def offsets(self) -> Mapping[Source, int]:
        """Next offset per partition: everything before it has been handled."""
        return self._positions.done_offsets()

    def lag(self) -> Mapping[Source, int]:
        """What is still missing before ``caught_up``, per partition."""
        return self._positions.lag()

    async def run(self, on_chunk: OnChunk) -> None:
        """Reads until cancelled.

        Args:
          on_chunk: gets each chunk, one at a time, in order within a partition; what it raises ends the reading.
        """
        consumer = await self._connect()
        try:
            await self._assign(consumer, self._starts)
            looked_at = asyncio.get_running_loop().time()
            while True:
                await self._read(consumer, on_chunk)
                if self._config.pause_ms:
                    await asyncio.sleep(self._config.pause_ms / 1000)
                now = asyncio.get_running_loop().time()
                if now - looked_at >= self._config.partitions_every_s:
                    looked_at = now
                    await self._look_for_partitions(consumer)
        finally:
            await consumer.stop()

    async def _connect(self) -> AIOKafkaConsumer:
        backoff = Backoff(first_s=0.2, most_s=5.0)
        while True:
            consumer = AIOKafkaConsumer(
                **self._connection.for_aiokafka(),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                fetch_max_wait_ms=self._config.fetch_max_wait_ms,
            )
            slow_down(consumer._client)
            try:
                await consumer.start()
            except KafkaError as error:
                await consumer.stop()
                wait_s = backoff.next_s()
                log.warning("no broker at %s for %s (%s); again in %.1f s", self._connection.bootstrap,
                            ", ".join(self._topics), type(error).__name__, wait_s)  # fmt: skip
                await asyncio.sleep(wait_s)
            else:
                return consumer

    async def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        await consumer._client.force_metadata_update()
        found = {topic: consumer.partitions_for_topic(topic) or set() for topic in self._topics}
        if missing := sorted(topic for topic, partitions in found.items() if not partitions):
            log.warning("waiting for topics %s; `marquee topics create` makes them", ", ".join(missing))
        return [TopicPartition(topic, partition) for topic in self._topics for partition in sorted(found[topic])]

    async def _assign(self, consumer: AIOKafkaConsumer, known: Mapping[Source, int]) -> None:
        """Takes all partitions: known ones where they stand, new ones from the beginning."""
        partitions = await self._partitions(consumer)
        while {tp.topic for tp in partitions} != set(self._topics):
            await asyncio.sleep(self._config.poll_ms / 1000)
            partitions = await self._partitions(consumer)
        consumer.assign(partitions)
        first = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = {(tp.topic, tp.partition): known.get((tp.topic, tp.partition), first[tp]) for tp in partitions}
        for tp in partitions:
            at = tp.topic, tp.partition
            if known is self._starts and starts[at] > ends[tp]:
                log.warning("%s/%d ends at %d, before %d, where it was known to; reading it whole", *at, ends[tp],
                            starts[at])  # fmt: skip
                starts[at] = first[tp]
        for tp in partitions:
            consumer.seek(tp, starts[tp.topic, tp.partition])
        self._positions.start(starts, {(tp.topic, tp.partition): end for tp, end in ends.items()})
        self._positions.refetched(starts)
        self._check_caught_up()

    async def _look_for_partitions(self, consumer: AIOKafkaConsumer) -> None:
        if {(tp.topic, tp.partition) for tp in await self._partitions(consumer)} > set(self._positions.sources):
            await self._assign(consumer, self._positions.done_offsets())

    async def _read(self, consumer: AIOKafkaConsumer, on_chunk: OnChunk) -> None:
        fetched = await consumer.getmany(timeout_ms=self._config.poll_ms)
        for tp, records in fetched.items():
            source = (tp.topic, tp.partition)
            if records and records[0].offset < self._positions.done_offsets()[source]:
                log.warning("%s/%d was recreated; reading it again from offset %d", *source, records[0].offset)
                await self._assign(consumer, self._positions.done_offsets() | {source: records[0].offset})
                return
            for chunk in self._positions.cut(source, records, chunk_records=self._config.chunk_records):
                if known.is_used():
                    await known.ensure([record.value for record in chunk.records])
                await on_chunk(chunk)
                self._positions.deliver(chunk)
                self._positions.done(source, chunk.next_offset)
        for tp in consumer.assignment():
            end = consumer.last_stable_offset(tp)
            if end is not None and end >= 0:
                self._positions.note_end((tp.topic, tp.partition), position=await consumer.position(tp), end=end)
        self._check_caught_up()

    def _check_caught_up(self) -> None:
        if self._positions.is_ready():
            self.caught_up.set()
