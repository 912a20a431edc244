"""Bulk delivery for Faust: one agent event is a chunk of consecutive records of one partition.

Faust's own path costs 165-215 us of CPU an event; a chunk costs that once per 1,024 records. Normal agents, rebalances,
flow control, timers and signals stay Faust's. Decides nothing about events: values are raw bytes. Where reading starts
and what counts as delivered is decided in ``offsets.py``.

Private hooks of faust-streaming 0.15.3 and aiokafka 0.14.0 that this file reaches into, all pinned in pyproject.toml
and covered by tests/kafka/test_bulk.py:
  - ``Consumer._getmany`` (overridden), ``Consumer._commit``, ``Consumer._new_consumer_thread``;
  - ``AIOKafkaConsumerThread._create_worker_consumer`` and, on what it makes, ``_fetch_max_wait_ms`` (Faust fixes 1.5 s,
    in which a partition next to an idle one gets nothing), ``_isolation_level``, ``_max_poll_records`` and
    ``_partition_assignment_strategy`` (Faust's round robin would part topics that must stay together);
  - ``Worker._schedule_shutdown`` of mode, by which a signal is heard before the app stops;
  - ``_subscription`` of the aiokafka consumer, for the position after a fetch; its ``_client``, see ``patience.py``.

Why nothing is lost or repeated. Faust drops fetched records when a partition is paused, flow stops or the generation
changes between fetch and delivery, and restores the place from the group's commit. Here each chunk is linked to the
one before it (``offsets.Positions``); before each fetch, and only there, in the one task that fetches, every partition
whose chunks were not all delivered is sought back. And ``Reader.hold`` does not use Faust's ``pause_partitions``: it
leaves a partition out of the next fetches, and what the driver has prefetched waits there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.registry import known
from streams.transport.connection import Connection
from streams.transport.merge import Source
from streams.transport.offsets import Chunk, Start, plan_seeks
from streams.transport.patience import say_it_once, slow_down
from streams.transport.reader import BulkConfig, Reader, end_process

log = logging.getLogger(__name__)

BytesChunk = Chunk[Any]
"""A chunk of aiokafka ``ConsumerRecord`` with raw keys and values."""

Handler = Callable[[BytesChunk], Awaitable[None]]


def _no_offsets(_: frozenset[Source]) -> Mapping[Source, Start]:
    return {}


def _nothing(*_: object) -> None:
    return None


class BulkSchema(faust.Schema[Any, Any]):
    """Hands a chunk through as it is."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        """No key: each record of the chunk has its own."""
        del app, message, loads, serializer

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """The chunk."""
        del app, loads, serializer
        if not isinstance(message.value, Chunk):
            raise TypeError(
                f"topic {message.topic!r} has the bulk schema but gave {type(message.value).__name__};"
                " declare it with bulk_topic(app, name)"
            )
        return message.value


class BulkConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the aiokafka consumer with the settings that Faust does not offer."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        config = cast(BulkApp, self.app).reader.config
        consumer._fetch_max_wait_ms = config.fetch_max_wait_ms
        consumer._isolation_level = config.isolation
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)
        consumer._max_poll_records = cast(BulkApp, self.app).reader.max_poll_records
        slow_down(consumer._client)
        return consumer


class BulkConsumer(driver.Consumer):
    """Faust's consumer with chunks in place of records, for the reader's topics only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetching: asyncio.Task[Any] | None = None
        self.reader.attach(self._commit_sources)

    @property
    def reader(self) -> Reader:
        """The app's reader."""
        return cast(BulkApp, self.app).reader

    async def _commit_sources(self, offsets: Mapping[Source, int]) -> bool:
        return await self._commit({TP(*source): at for source, at in offsets.items()})

    def _new_consumer_thread(self) -> BulkConsumerThread:
        return BulkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Delivers only chunks that continue where the last one ended."""
        self._fetching = asyncio.current_task()
        async for tp, message in super().getmany(timeout):
            if not isinstance(message.value, Chunk) or self.reader.positions.deliver(message.value):
                yield tp, message

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        reader, positions = self.reader, self.reader.positions
        pause_s = reader.config.held_poll_ms / 1000
        assigned = self.assignment()
        wanted = {tp for tp in active_partitions or () if tp in assigned and tp not in reader.held}
        if not (self.flow_active and wanted and await self._seek_back(assigned)):
            await self.sleep(pause_s)
            return {}
        epoch = positions.epoch
        fetched = await super()._getmany(wanted, timeout if len(wanted) == len(assigned) else pause_s)
        chunks: dict[TP, list[Any]] = {}
        for tp, records in fetched.items():
            if tp.topic not in reader.topics:
                chunks[tp] = list(records)
            elif epoch != positions.epoch:  # reassigned meanwhile; which offsets these are is anyone's guess
                positions.distrust([(tp.topic, tp.partition)])
            else:
                cut = positions.cut((tp.topic, tp.partition), records, chunk_records=reader.config.chunk_records)
                chunks[tp] = [dataclasses.replace(c.records[-1], key=None, value=c) for c in cut]
        if epoch == positions.epoch:
            self._note_ends(assigned)
        return chunks

    async def _seek_back(self, assigned: set[TP]) -> bool:
        """Seeks to where delivery stands, wherever the driver may stand elsewhere; False: try again."""
        positions, epoch = self.reader.positions, self.reader.positions.epoch
        todo = {TP(*source): at for source, at in positions.to_refetch().items() if TP(*source) in assigned}
        if not todo:
            return True
        try:
            await self.seek_wait(todo)
        except (IllegalStateError, KafkaError, TimeoutError) as error:  # a rebalance or an outage under way
            log.info("seeking %s again later: %r", todo, error)
            return False
        if positions.epoch == epoch:
            positions.refetched((tp.topic, tp.partition) for tp in todo)
        return positions.epoch == epoch

    def _note_ends(self, assigned: Iterable[TP]) -> None:
        consumer = self._thread._ensure_consumer()
        assignment = consumer._subscription.subscription.assignment
        is_committed = self.reader.config.isolation == "read_committed"
        for tp in assigned:
            if tp.topic in self.reader.topics and assignment is not None and tp in assignment.tps:
                state = assignment.state_value(tp)
                end = state.lso if is_committed else state.highwater
                if end is not None and end >= 0 and state.has_valid_position:
                    self.reader.positions.note_end((tp.topic, tp.partition), position=state.position, end=end)
        self.reader.check_ready()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Every rebalance and every resume passes here; our own places win over the group's commit."""
        reader = self.reader
        is_fetching = asyncio.current_task() is self._fetching  # flow stopped while a fetch was under way
        try:
            places = dict(await super().seek_to_committed())
        finally:
            reader.positions.distrust(reader.assigned)
        if not is_fetching:
            try:
                await self._start_reading(places)
            except IllegalStateError:
                raise  # the next rebalance is under way; Faust comes here again
            except Exception as error:
                reader.fatal(error)
                raise
        # Faust drops what lies before these
        return places | {TP(*source): at for source, at in reader.positions.delivered_offsets().items()}

    async def _start_reading(self, committed: Mapping[TP, int | None]) -> None:
        reader = self.reader
        mine = frozenset(tp for tp in self.assignment() if tp.topic in reader.topics)
        if not mine:
            return
        ends, earliest = await self.highwaters(*mine), await self.earliest_offsets(*mine)
        # From here to `begin` nothing else may run: a role that takes a batch between would be given its records again.
        plan = plan_seeks(
            sorted(mine), reader.wanted(frozenset((tp.topic, tp.partition) for tp in mine)),
            committed=cast(Mapping[Source, int | None], committed), earliest=cast(Mapping[Source, int], earliest),
            ends=cast(Mapping[Source, int], ends),
        )  # fmt: skip
        reader.refuse_unless_reachable(plan.beyond)
        reader.refuse_expired(plan.expired)
        reader.begin({(t, p): at for (t, p), at in plan.starts.items()}, cast(Mapping[Source, int], ends))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's watch for stalled partitions, which takes a held one for stalled."""
        if tp.topic not in self.reader.topics:
            super().verify_event_path(now, tp)


class BulkTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BulkConsumer


class BulkApp(faust.App):
    """A Faust app with a :class:`Reader`; make one with :func:`bulk_app`."""

    reader: Reader


def bulk_app(
    name: str,
    connection: Connection,
    *,
    offsets: Callable[[frozenset[Source]], Mapping[Source, Start]] = _no_offsets,
    on_start: Callable[[Mapping[Source, int]], None] = _nothing,
    on_revoked: Callable[[frozenset[Source]], None] = _nothing,
    whole_topics: Collection[str] = (),
    config: BulkConfig | None = None,
    fatal: Callable[[BaseException], Any] = end_process,
) -> BulkApp:
    """A Faust app whose bulk topics are read in chunks.

    Args:
      name: the consumer group.
      connection: the broker.
      offsets: called with the assigned partitions at every (re)assignment: where to start each. A partition that it
        leaves out starts at the log's beginning. A role with state of its own puts that state back here: what it
        did since is about to be delivered again.
      on_start: called after that with source -> start offset, before the first chunk; empty without partitions. Reset
        the merger here.
      on_revoked: called with the partitions that are given up.
      whole_topics: none of their records may be missing behind the wanted offset.
      config: sizes and times.
      fatal: called with what an agent or a seek raised; the default ends the process.
    """
    config = config or BulkConfig()
    app = BulkApp(
        name,
        broker=connection.faust_url(),
        broker_credentials=connection.for_faust(),
        broker_session_timeout=config.session_timeout_s,
        broker_heartbeat_interval=config.heartbeat_s,
        broker_max_poll_interval=config.most_between_polls_s,
        consumer_group_instance_id=config.instance_id,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=config.buffer_chunks,
        topic_disable_leader=True,
        topic_allow_declare=False,
        store="memory://",
        datadir=os.path.join(tempfile.gettempdir(), f"marquee-faust-{os.getuid()}"),
        autodiscover=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.reader = Reader(
        config, offsets=offsets, on_start=on_start, on_revoked=on_revoked, fatal=fatal,
        checks_ends=not connection.is_embedded, whole_topics=whole_topics,
    )  # fmt: skip
    app.transport = BulkTransport(app.conf.broker_consumer, app)

    async def revoked(*_: Any, **__: Any) -> None:
        await app.reader.revoked()

    async def assigned(_: Any, *args: Any, **__: Any) -> None:
        if not any(tp.topic in app.reader.topics for tp in args[0]):
            app.reader.begin({}, {})

    async def commit_done(*_: Any, **__: Any) -> None:
        await app.reader.commit()

    app.on_partitions_revoked.connect(revoked, weak=False)
    cast(Any, app.on_partitions_assigned).connect(assigned, weak=False)
    if config.commit_every_s is not None:
        app.timer(config.commit_every_s)(commit_done)
        app.on_before_shutdown.connect(commit_done, weak=False)
    return app


def bulk_topic(app: BulkApp, name: str) -> Any:
    """A Faust topic whose events are chunks, and which Faust neither tracks nor commits."""
    app.reader.topics.add(name)
    return app.topic(name, schema=BulkSchema(), acks=False)


def bulk_agent(app: BulkApp, name: str, handle: Handler, *, marks_done: bool = True) -> None:
    """Reads a topic: calls ``handle`` with each chunk, one at a time, in order within a partition.

    An exception ends the process through the app's ``fatal``. ``handle`` should ask ``reader.is_current(chunk)`` after
    an await, before it changes state.

    Args:
      app: from :func:`bulk_app`.
      name: the topic.
      handle: what to do with a chunk.
      marks_done: a chunk is done when ``handle`` returns; False: the role calls ``reader.done`` itself.
    """

    async def consume(stream: Any) -> None:
        async for event in stream.events():
            chunk: BytesChunk = event.value
            if not app.reader.is_current(chunk):
                continue
            try:
                if known.is_used():
                    await known.ensure([record.value for record in chunk.records])
                    if not app.reader.is_current(chunk):
                        continue
                await handle(chunk)
            except Exception as error:
                app.reader.fatal(error)
                raise
            if marks_done and app.reader.is_current(chunk):
                app.reader.done(chunk.source, chunk.next_offset)

    app.agent(bulk_topic(app, name), name=f"bulk-{name}", concurrency=1)(consume)


class _Worker(faust.Worker):
    """Says that a signal came before anything is stopped because of it."""

    on_signal: Callable[[], None] = staticmethod(_nothing)

    def _schedule_shutdown(self, signal: Any) -> None:
        self.on_signal()
        super()._schedule_shutdown(signal)


def run_worker(app: BulkApp, *, level: str = "WARNING", on_signal: Callable[[], None] = _nothing) -> None:
    """Runs the app until SIGTERM or SIGINT, then leaves by SystemExit; installs Faust's logging at ``level``.

    ``on_signal`` is called on the event loop when one of them came, before the app begins to stop.
    """
    say_it_once(",".join(str(url.host) + f":{url.port}" for url in app.conf.broker))
    worker = _Worker(app, loglevel=level, quiet=True, redirect_stdouts=False)
    worker.on_signal = on_signal
    worker.spinner = None  # it would open the root logger for every debug line, made and thrown away a thousand times/s
    worker.execute_from_commandline()
