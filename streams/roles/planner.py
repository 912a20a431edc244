"""The planner: reads what happened in order of time, and publishes the content tasks that follow.

The event loop moves records; one thread owns the counts. Partitions are merged by record timestamp, as the trainer's
are, so a replayed log gives the same tasks. The state is the planner's own snapshot and the topics' tails: a restart
reads on from the offsets of the snapshot, ends the same windows again and publishes the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from streams.connect import connection_of
from streams.contract import access, codec, topics
from streams.contract.absent import Erased, Withdrawn
from streams.contract.arms import ItemArms
from streams.contract.codec import Headers, Rejected, Skipped, decoder
from streams.contract.events import ContentAsset, ContentTask, Interaction, Item, Record, User
from streams.cores.demand import DAY_MS
from streams.cores.plan import Entry, Filed, PlanConfig, Planner, Told, Unmade
from streams.cores.plan_state import PlanStateError, from_arrays, to_arrays
from streams.cores.wishes import WishRules
from streams.durability import snapshots
from streams.errors import SnapshotError, StoreError
from streams.mapping.decoders import PLAIN, Decoders, decoders_of
from streams.roles import studio_figures
from streams.roles.restoring import reached_of
from streams.roles.serial import Serial
from streams.settings import Settings
from streams.transport.bulk import BulkApp, BytesChunk, bulk_agent, bulk_app
from streams.transport.merge import Merger, Source, Stamped
from streams.transport.publish import Out, PublishConfig, Publisher
from streams.transport.reader import end_process, ending_on_error

READS: Final[dict[str, type[Record]]] = {
    topics.ITEMS.name: Item, topics.USERS.name: User, topics.CONTENT_ASSETS.name: ContentAsset,
    topics.INTERACTIONS.name: Interaction,
}  # fmt: skip
"""What the planner reads, in the order in which equal timestamps count."""
WAITING: Final = 20_000
"""Records that may wait per partition while another one is behind."""
TAKE: Final = 2_000
PAUSE_S: Final = 0.01

log = logging.getLogger(__name__)


def plan_config_of(settings: Settings) -> PlanConfig:
    """The core's configuration."""
    ours = settings.planner
    return PlanConfig(
        window_ms=ours.window_minutes * 60_000,
        half_life_ms=ours.half_life_days * DAY_MS,
        open_ms=ours.open_days * DAY_MS,
        day_budget=ours.day_budget,
        kind_budgets={
            "blurb": ours.blurb_budget, "image": ours.image_budget, "cut": ours.cut_budget, "dub": ours.dub_budget,
            "subtitles": ours.subtitles_budget,
        },
        long_s=ours.long_minutes * 60.0,
        max_cells=ours.max_cells,
        max_users=ours.max_users,
        rules=WishRules(confidence=ours.confidence, keeps=min(WishRules.keeps, ours.confidence)),
    )  # fmt: skip


def entry_of(
    kind: type[Record], key: bytes | None, value: bytes | None, timestamp_ms: int, *, headers: Headers = None,
    decoders: Decoders = PLAIN,
) -> Entry | Rejected | None:  # fmt: skip
    """One record as the core takes it; None where it means nothing to it."""
    if value is not None:
        decode = decoders.get(kind) or decoder(kind)
        entry = decode(value, timestamp_ms, key, headers)  # type: ignore[call-arg]
        return None if isinstance(entry, Skipped) else entry  # type: ignore[return-value]
    if key is None:
        return None
    name = key.decode("utf-8", "replace")
    if kind is Item:
        return Withdrawn(name)
    if kind is ContentAsset:
        return Unmade(name)
    return Erased(name) if kind is User else None


class PlannerRole:
    """One planner process; `app` is its Faust app."""

    def __init__(self, settings: Settings, *, is_embedded: bool = False) -> None:
        self.settings = settings
        connection = connection_of(settings, is_embedded=is_embedded)
        self.names = settings.topic_names
        self.decoders = decoders_of(settings.mapping)
        self.offsets: dict[Source, int] = {}
        self.clocks: dict[Source, int] = {}
        self.planner = self._restored()
        self.saved = self.planner.taken
        self.rejected = self.told = 0
        self.teller = studio_figures.Teller(self.names[topics.METRICS.name])
        self.looked_s = 0.0
        self.counted = self.planner.taken
        self.publisher = Publisher(connection, PublishConfig(linger_ms=5), on_failure=end_process)
        self.merger: Merger[Entry | None] = Merger(WAITING, topic_order=[self.names[name] for name in READS])
        self.core = Serial("plan")
        self.stopping = asyncio.Event()
        self.idle = asyncio.Event()
        self.has_begun = False
        self.app = self._app(connection)

    def _restored(self) -> Planner:
        config = plan_config_of(self.settings)
        found = snapshots.load_newest(self.settings.planner_dir)
        if found is None:
            return Planner(config)
        ref, arrays = found
        try:
            planner = from_arrays(arrays, config)
        except PlanStateError as error:
            raise SnapshotError(f"{ref.uri}: {error}") from error
        self.offsets, self.clocks = reached_of(ref)
        return planner

    def _app(self, connection: Any) -> BulkApp:
        app = bulk_app(
            access.group_name(self.settings.prefix, "planner"), connection, offsets=self._wanted, on_start=self._begin
        )
        for name, kind in READS.items():
            bulk_agent(app, self.names[name], self._offering(kind), marks_done=False)
        app.task(self._run)
        app.on_before_shutdown.connect(self._drain, weak=False)
        return app

    def _wanted(self, assigned: frozenset[Source]) -> Mapping[Source, int]:
        return {source: self.offsets[source] for source in assigned if source in self.offsets}

    def _begin(self, starts: Mapping[Source, int]) -> None:
        self.merger.clear()
        for source, offset in starts.items():
            self.merger.position(source, offset, None, clock_ms=self.clocks.get(source))

    def _offering(self, kind: type[Record]) -> Any:
        async def offer(chunk: BytesChunk) -> None:
            stamped: list[Stamped[Entry | None]] = []
            for record in chunk.records:
                entry: Entry | Rejected | None = entry_of(
                    kind, record.key, record.value, record.timestamp, headers=record.headers, decoders=self.decoders
                )
                if isinstance(entry, Rejected):  # the trainer keeps the letters of the others
                    if kind is ContentAsset:
                        log.warning("left out an asset at %s/%d: %s", chunk.source[0], record.offset, entry.reason)
                    self.rejected += 1
                    entry = None
                elif isinstance(entry, ContentAsset):
                    entry = Filed(entry, record.offset + 1)
                elif isinstance(entry, Unmade):
                    entry = entry._replace(next_offset=record.offset + 1)
                stamped.append(Stamped(chunk.source, record.timestamp, record.offset, entry))
            self.merger.offer(chunk.source, stamped, now_ms=_monotonic_ms())
            self.app.reader.hold(self.merger.over_bound())

        return offer

    # --- the loop ------------------------------------------------------------------------------------------------

    async def _run(self, _app: Any = None) -> None:
        self.has_begun = True
        try:
            with ending_on_error():
                await self.publisher.start()
                while not self.stopping.is_set():
                    await self._tell()
                    if not await self._step():
                        await asyncio.sleep(PAUSE_S)
        finally:
            self.idle.set()

    async def _step(self) -> bool:
        """Take what may be taken, plan, publish; False where there was nothing."""
        reader = self.app.reader
        for source in reader.assigned:
            self.merger.position(source, 0, reader.end(source))
        reader.hold(self.merger.over_bound())
        reader.release(self.merger.under_bound())
        records = self.merger.take(TAKE, now_ms=_monotonic_ms())
        if not records:
            return False
        for record in records:  # before anything else may run: a reassignment reads on behind them
            self.offsets[record.source] = record.offset + 1
        self.clocks = {**self.clocks, **self.merger.clocks()}
        tasks, told = await self.core(self._take, [record.value for record in records])
        await self.publisher.perform([*self._outs(tasks), *map(self._out_of, told)])
        self.told += len(tasks)
        for source in reader.assigned:
            if source in self.offsets:
                reader.done(source, self.offsets[source])
        every = self.settings.planner.snapshot_every_events
        if every and self.planner.taken - self.saved >= every:
            await self._save()
        return True

    def _take(self, entries: list[Entry | None]) -> tuple[list[ContentTask], list[Told]]:
        return self.planner.take(entries), self.planner.drain()

    def _out_of(self, told: Told) -> Out:
        if isinstance(told, ItemArms):
            topic, key = topics.ITEM_ARMS, told.item_id
        else:
            topic, key = topics.METRICS, told.series
        return Out(topic=self.names[topic.name], key=key.encode(), value=codec.encode(told), timestamp_ms=told.at_ms)

    async def _tell(self) -> None:
        """How the planning goes, on `metrics.v1`, now and then."""
        now_s = time.monotonic()
        if now_s - self.looked_s < studio_figures.TELL_EVERY_S:
            return
        self.looked_s = now_s
        planner = self.planner
        outs = self.teller.tell(
            "planner", self.figures(), at_ms=planner.now_ms or 0, step=planner.taken,
            events=planner.taken - self.counted, now_s=now_s,
        )  # fmt: skip
        self.counted = planner.taken
        await self.publisher.perform(list(outs))

    def figures(self) -> dict[str, float]:
        """The values of the series `planner`."""
        planner, demand = self.planner, self.planner.demand
        figures = {
            "taken": planner.taken, "repeated": planner.repeated, "rejected": self.rejected,
            "ahead": len(planner.clock.apart), "cells": len(demand.cells.keys), "items": len(demand.items),
            "users": len(demand.users), "open": len(planner.open), "told": self.told,
        }  # fmt: skip
        return {name: float(value) for name, value in figures.items()}

    def _outs(self, tasks: list[ContentTask]) -> list[Out]:
        topic = self.names[topics.CONTENT_TASKS.name]
        return [
            Out(topic=topic, key=task.item_id.encode(), value=codec.encode(task), timestamp_ms=self._at_ms(task))
            for task in tasks
        ]

    def _at_ms(self, task: ContentTask) -> int:
        """Event time at which a task was decided on, the same in every replay."""
        open_ms = 0 if task.withdrawn else self.planner.config.open_ms
        return max(0, (task.not_after_ms or 0) - open_ms)

    async def _save(self) -> None:
        """Make a snapshot durable once all tasks before it are, and commit for those who watch the lag."""
        await self.publisher.flush()
        taken = self.planner.taken
        offsets = {f"{topic}/{partition}": at for (topic, partition), at in sorted(self.offsets.items())}
        clocks = {f"{topic}/{partition}": at for (topic, partition), at in sorted(self.clocks.items())}
        arrays = await self.core(to_arrays, self.planner)
        try:
            await self.core(
                snapshots.save, self.settings.planner_dir, taken, arrays, offsets=offsets, meta={"clocks": clocks},
                keep=self.settings.planner.keep_snapshots,
            )  # fmt: skip
        except (SnapshotError, StoreError) as error:
            log.error("no snapshot of the planner after %d records, it goes on and tries again: %s", taken, error)
        self.saved = taken
        assigned = self.app.reader.assigned
        await self.app.reader.commit({at: self.offsets[at] for at in assigned if at in self.offsets})

    async def _drain(self, *_: Any, **__: Any) -> None:
        """Finish what is under way and keep the state."""
        self.stopping.set()
        if not self.has_begun:
            return
        await self.idle.wait()
        if self.planner.taken > self.saved:
            await self._save()
        await self.publisher.stop()


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
