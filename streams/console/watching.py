"""Reads the topics into what the console holds: bulk chunks, on the event loop, for as long as the console runs.

What is small or compacted is read whole; the hot topics from where they end now, and of each of their chunks a few
records at most are looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.console.board import Board
from streams.console.catalogue import Catalogue
from streams.console.content import Content
from streams.console.tail import A_CHUNK, Tail, text_of
from streams.contract import topics
from streams.contract.codec import Rejected, decoder
from streams.contract.events import AsOf, Item, LedgerRecord, Metric, ModelRef, SnapshotNotice
from streams.contract.topics import TOPICS, topic_name
from streams.errors import BrokerError
from streams.mapping.decoders import as_ours, decoders_of
from streams.mapping.shapes import Mappings
from streams.roles.letters import Desk
from streams.topic_settings import TopicSettings
from streams.transport.backoff import Backoff
from streams.transport.broadcast import BroadcastConfig, BroadcastReader
from streams.transport.connection import Connection
from streams.transport.offsets import Chunk
from streams.transport.patience import slow_down
from streams.transport.whole import edges_of

log = logging.getLogger(__name__)

HOT: Final = (topics.INTERACTIONS, topics.SLATES)
"""From where they end now; a few records of each chunk are looked at."""
BACK: Final[Mapping[str, int]] = {
    topics.METRICS.name: 50_000, topics.LEDGER.name: 500, topics.DEAD_LETTERS.name: 500,
}  # fmt: skip
"""Of these the newest records."""
CONTENT: Final = (topics.CONTENT_TASKS, topics.CONTENT_ASSETS)
WHOLE: Final = (topics.MODEL_SNAPSHOTS, *CONTENT)
WAIT_MS: Final = 250
"""How long the broker may sit on a fetch; one with news answers at once."""
EMBEDDED_WAIT_MS: Final = 50
"""The embedded broker does not: it would make freshness look worse than it is."""
PAUSE_MS: Final = 50
"""Between two fetches: what freshness may be late by, and what makes it cheap to watch a busy topic."""
EDGES_EVERY_S: Final = 1.0
EDGES_WAIT_S: Final = 5.0
PARTITIONS_EVERY_S: Final = 30.0
_METRIC, _LEDGER, _SNAPSHOT = decoder(Metric), decoder(LedgerRecord), decoder(SnapshotNotice)


class _Head(msgspec.Struct):
    """What of a slate is looked at."""

    as_of: AsOf
    model: ModelRef


_HEAD = msgspec.json.Decoder(_Head)


class Watching:
    """Everything that the console knows of the topics; `run` it as a task.

    Args:
      connection: the broker. prefix: of the topics. content_prefix: of those of content tasks, of assets and of the
        items that they are for, where it is another one; "": it is not.
      own, mapping: topics of others that are read in place, and the shape of their records.
    """

    def __init__(
        self, connection: Connection, *, prefix: str, content_prefix: str = "",
        own: TopicSettings = TopicSettings(), mapping: Mappings = Mappings(),  # noqa: B008 - immutable values
    ) -> None:  # fmt: skip
        self.connection = connection
        self.prefix = prefix
        self.own, self.mapping = own, mapping
        self.decoders = decoders_of(mapping)
        self.names = own.names(prefix)
        self.desk = Desk.of(prefix, own, mapping)
        self.item_names = [self.names[topics.ITEMS.name]]
        if content_prefix:
            self.names |= {spec.name: topic_name(content_prefix, spec.name) for spec in CONTENT}
            self.item_names.append(topic_name(content_prefix, topics.ITEMS.name))
        self.specs = {self.names[spec.name]: spec for spec in TOPICS}
        self.board = Board(self.names[topics.INTERACTIONS.name])
        self.catalogue = Catalogue()
        self.content = Content()
        self.tail = Tail()
        self._reached: dict[tuple[str, int], int] = {}
        self.is_caught_up = False
        """Whether everything that was there at the start has been read."""

    async def run(self) -> None:
        """Reads until cancelled; what a reader raises ends it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_edges())
            starts = await self._starts()
            wait_ms = EMBEDDED_WAIT_MS if self.connection.is_embedded else WAIT_MS
            hot = self._reader([self.names[spec.name] for spec in HOT], starts, wait_ms=wait_ms)
            told = self._reader([self.names[name] for name in (*BACK, *(spec.name for spec in WHOLE))], starts)
            items = self._reader(self.item_names, {})
            for reader, take in ((hot, self._take_hot), (told, self._take_told), (items, self._take_items)):
                group.create_task(reader.run(take))
            for reader in (told, items):
                await reader.caught_up.wait()
            self.is_caught_up = True

    def _reader(
        self, names: Sequence[str], starts: Mapping[tuple[str, int], int], wait_ms: int = WAIT_MS
    ) -> BroadcastReader:
        mine = {source: at for source, at in starts.items() if source[0] in names}
        return BroadcastReader(
            names, self.connection, BroadcastConfig(fetch_max_wait_ms=wait_ms, pause_ms=PAUSE_MS), starts=mine
        )

    async def _starts(self) -> dict[tuple[str, int], int]:
        """Where to begin with topics that are not read whole; waits for the broker and the topics."""
        if self.connection.is_embedded:  # its ends are not exact, and it began with us
            return {}
        back = {self.names[name]: count for name, count in BACK.items()} | {self.names[one.name]: 0 for one in HOT}
        backoff = Backoff(first_s=0.5, most_s=5.0)
        while True:
            try:
                edges = await asyncio.to_thread(edges_of, self.connection, back)
            except BrokerError as error:
                self.board.problem = str(error)
                await asyncio.sleep(backoff.next_s())
            else:
                return {source: max(first, end - back[source[0]]) for source, (first, end) in edges.items()}

    # --- edges -----------------------------------------------------------------------------------------------------

    async def _watch_edges(self) -> None:
        """First and next offsets of all topics, once a second, by one request to each broker."""
        backoff = Backoff(first_s=0.5, most_s=5.0)
        while True:
            consumer = AIOKafkaConsumer(**self.connection.for_aiokafka(), group_id=None, enable_auto_commit=False)
            slow_down(consumer._client)
            try:
                await consumer.start()
                places: list[TopicPartition] = []
                first: dict[TopicPartition, int] = {}
                looked_s = -PARTITIONS_EVERY_S
                while True:
                    async with asyncio.timeout(EDGES_WAIT_S):
                        if time.monotonic() - looked_s >= (PARTITIONS_EVERY_S if places else EDGES_EVERY_S):
                            places, looked_s = await self._partitions(consumer), time.monotonic()
                            first = await consumer.beginning_offsets(places) if places else {}
                        await self._look_at_ends(consumer, places, first)
                    backoff.reset()
                    await asyncio.sleep(EDGES_EVERY_S)
            except (KafkaError, TimeoutError) as error:
                self.board.problem = f"No Kafka broker answers at {self.connection.bootstrap} ({type(error).__name__})."
            finally:
                await consumer.stop()
            await asyncio.sleep(backoff.next_s())

    async def _partitions(self, consumer: Any) -> list[TopicPartition]:
        """Of all topics, once all are there; those that are missing are an alarm."""
        cluster = await consumer._client.fetch_all_metadata()
        found = {name: sorted(cluster.partitions_for_topic(name) or ()) for name in self.names.values()}
        missing = sorted(name for name, partitions in found.items() if not partitions)
        self.board.problem = (
            f"Topics are missing: {', '.join(missing)}; `marquee topics create` makes them." if missing else None
        )
        return [TopicPartition(name, one) for name, all_of in found.items() for one in all_of if not missing]

    async def _look_at_ends(
        self, consumer: Any, places: list[TopicPartition], first: dict[TopicPartition, int]
    ) -> None:
        if not places:
            return
        ends = await consumer.end_offsets(places)
        edges = {(place.topic, place.partition): (first[place], ends[place]) for place in places}
        if self.connection.is_embedded:  # its ends fall behind
            edges = {source: (one, max(end, self._reached.get(source, 0))) for source, (one, end) in edges.items()}
        self.board.take_edges(edges, time.monotonic())
        self.board.problem = None

    # --- records ---------------------------------------------------------------------------------------------------

    async def _take_hot(self, chunk: Chunk[Any]) -> None:
        at_s = time.monotonic()
        topic, partition = chunk.source
        self._reached[chunk.source] = chunk.next_offset
        last = chunk.records[-1]
        self.tail.take(topic, chunk.records)
        if topic == self.names[topics.INTERACTIONS.name]:
            self.board.fresh.arrived(partition, last.offset, at_s)
            for record in chunk.records[-A_CHUNK:]:
                if record.key is not None:
                    self.tail.take_user(text_of(record.key, most=2_048))
            return
        try:
            head = _HEAD.decode(last.value or b"")
        except msgspec.DecodeError:
            return
        self.board.take_slate(partition, head.as_of.offsets, head.model, at_s)

    async def _take_told(self, chunk: Chunk[Any]) -> None:
        topic = chunk.source[0]
        self._reached[chunk.source] = chunk.next_offset
        self.tail.take(topic, chunk.records)
        name = self.specs[topic].name
        for record in chunk.records:
            self._take_record(name, record, time.monotonic())

    def _take_record(self, name: str, record: Any, at_s: float) -> None:
        value: bytes | None = record.value
        if name == topics.CONTENT_TASKS.name:
            self.content.take_task(value, record.timestamp)
        elif name == topics.CONTENT_ASSETS.name:
            self.content.take_asset(value)
        elif name == topics.MODEL_SNAPSHOTS.name:
            notice = None if value is None else _SNAPSHOT(value, -1)
            if not isinstance(notice, Rejected):
                self.board.take_snapshot(text_of(record.key, most=200), notice, record.timestamp)
        elif name == topics.LEDGER.name and value is not None:
            step = _LEDGER(value, -1)
            if not isinstance(step, Rejected):
                self.board.take_ledger(step)
        elif name == topics.METRICS.name and value is not None:
            metric = _METRIC(value, -1)
            if not isinstance(metric, Rejected):
                self.board.take_metric(metric, at_s)

    async def _take_items(self, chunk: Chunk[Any]) -> None:
        self._reached[chunk.source] = chunk.next_offset
        self.tail.take(chunk.source[0], chunk.records)
        for record in chunk.records:
            if self.mapping.items is None:
                self.catalogue.take(record.key, record.value)
            else:
                key, value = as_ours(self.decoders[Item], record.key, record.value, record.timestamp, record.headers)
                self.catalogue.take(key, value)
        await asyncio.sleep(0)
