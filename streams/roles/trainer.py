"""The trainer: reads what happened in order of time, learns it, and tells the recommenders.

The event loop moves records; one thread owns the state. A batch is cut by the merger from all partitions, and the
offsets that it reaches travel with it and belong to the state from then on: a snapshot holds both, and a restart
continues from it. While one batch is learned the next one is already cut, and what a flush tells is published beside
the learning, so that the thread never waits for the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from models.errors import StateError
from models.recommend import metrics
from models.recommend.learning import Judging
from models.recommend.state import Arrays, from_arrays, to_arrays
from models.recommend.strict import RANKERS
from streams.connect import connection_of
from streams.contract import access, codec, rules, topics
from streams.contract.events import Metric, SnapshotNotice
from streams.cores.announce import TOWER_KEY, Announcer
from streams.cores.learn import Entry, Learner
from streams.durability import snapshots
from streams.durability.snapshots import SnapshotRef
from streams.errors import SnapshotError
from streams.roles.decoding import KINDS, entries_of
from streams.roles.model_config import fingerprint_of, model_config_of
from streams.roles.serial import Serial
from streams.settings import Settings
from streams.text.choice import META, chosen_encoder, saved_encoder
from streams.text.installed import encoder_of, is_installed
from streams.transport.bulk import BulkApp, BytesChunk, bulk_agent, bulk_app
from streams.transport.merge import Merger, Source, Stamped
from streams.transport.publish import Out, PublishConfig, Publisher
from streams.transport.reader import end_process, ending_on_error

METRICS_EVERY_STEPS = 10
"""Steps of one window of prequential figures: by steps and not by time, so that a replay gives the same windows."""
SIGN_OF_LIFE_S = 30.0
"""Longest time without a record of the series `trainer`."""
MOST_STATES = 1_000
"""Item states of one flush; the rest follow with the next."""
AHEAD = 2
"""Batches handed to the learning thread: one that it learns, one that waits for it."""


class _Reached(NamedTuple):
    """How far the records go that a state has learned: next offset and clock, ms, of each partition."""

    offsets: dict[Source, int]
    clocks: dict[Source, int]


class _Done(NamedTuple):
    """What the learning thread gives back after a batch: what to publish, and the state where a snapshot is due."""

    outs: list[Out]
    step: int
    arrays: Arrays | None


class Trainer:
    """One trainer process; `app` is its Faust app."""

    def __init__(self, settings: Settings, *, is_embedded: bool = False) -> None:
        self.settings = settings
        found = snapshots.load_newest(settings.snapshot_dir)
        saved = None if found is None else saved_encoder(found[0].meta)
        text_encoder = chosen_encoder(settings.text_encoder, saved=saved, is_there=is_installed(settings))
        self.config = model_config_of(settings, text_encoder=text_encoder)
        self.fingerprint = fingerprint_of(self.config)
        connection = connection_of(settings, is_embedded=is_embedded)
        self.names = {spec.name: topics.topic_name(settings.prefix, spec.name) for spec in topics.TOPICS}
        self.inputs = [self.names[name] for name in KINDS]
        self.publisher = Publisher(connection, PublishConfig(linger_ms=5), on_failure=end_process)
        self.merger: Merger[Entry | None] = Merger(settings.trainer.merge_bound_count, topic_order=self.inputs)
        self.core = Serial("learn")
        self.disk = Serial("snapshot")
        self.offsets: dict[Source, int] = {}
        self.clocks: dict[Source, int] = {}
        self.learner = self._restored(found)
        self.announcer = Announcer(self.config, fingerprint=self.fingerprint)
        self.window = np.zeros(metrics.SUMS)
        self.rejected = 0
        self.loss: Any = float("nan")
        self.saved_step = self.learner.state.step
        self.learning: deque[tuple[_Reached, asyncio.Task[_Done]]] = deque()
        self.saving: asyncio.Task[None] | None = None
        self.flushing: asyncio.Task[None] | None = None
        self.flushed_s = 0.0
        self.told_figures: dict[str, float] = {}
        self.told_s = 0.0
        self.told_version = -1
        self.connected = asyncio.Event()
        self.publishing = asyncio.Lock()
        self.stopping = asyncio.Event()
        self.idle = asyncio.Event()
        self.app = self._app(connection)

    def _restored(self, found: tuple[SnapshotRef, Arrays] | None) -> Learner:
        encode = encoder_of(self.settings, self.config)
        may_return = rules.LEARNED_ACTIONS.intersection(self.settings.recommender.rewatchable_actions)
        judging = Judging(repeats=bool(may_return))  # what recommenders show again has to be learned
        if found is None:
            return Learner(self.config, judging=judging, encode=encode)
        ref, arrays = found
        self.offsets = {_source(name): offset for name, offset in ref.offsets.items()}
        self.clocks = {_source(name): clock for name, clock in ref.meta.get("clocks", {}).items()}
        try:
            first = from_arrays(dict(arrays), self.config)
        except StateError as error:
            raise SnapshotError(f"{ref.uri}: {error}") from error
        return Learner(self.config, first=first, judging=judging, encode=encode)

    def _app(self, connection: Any) -> BulkApp:
        app = bulk_app(
            access.group_name(self.settings.prefix, "trainer"), connection, offsets=self._wanted, on_start=self._begin
        )
        for spec_name, kind in KINDS.items():
            bulk_agent(app, self.names[spec_name], self._offering(kind), marks_done=False)
        app.task(self._run)
        app.on_before_shutdown.connect(self._drain, weak=False)
        return app

    def _wanted(self, assigned: frozenset[Source]) -> Mapping[Source, int]:
        return {source: self.offsets[source] for source in assigned if source in self.offsets}

    def _begin(self, starts: Mapping[Source, int]) -> None:
        self.merger.clear()
        for source, offset in starts.items():
            self.merger.position(source, offset, None, clock_ms=self.clocks.get(source))

    def _offering(self, kind: Any) -> Any:
        async def offer(chunk: BytesChunk) -> None:
            entries, letters = entries_of(chunk.records, kind, dead_letters=self.names[topics.DEAD_LETTERS.name])
            if letters:  # handed over first: a snapshot that steps over them waits for them
                await self.connected.wait()
                async with self.publishing:
                    if self.stopping.is_set():
                        return
                    await self.publisher.perform(letters)
                if not self.app.reader.is_current(chunk):
                    return
                self.rejected += len(letters)
            stamped = [
                Stamped(chunk.source, record.timestamp, record.offset, entry)
                for record, entry in zip(chunk.records, entries, strict=True)
            ]
            self.merger.offer(chunk.source, stamped, now_ms=_monotonic_ms())

        return offer

    # --- the loop ------------------------------------------------------------------------------------------------

    async def _run(self, _app: Any = None) -> None:
        try:
            with ending_on_error():
                await self.publisher.start()
                self.connected.set()
                await self._learn_until_stopped()
        finally:
            self.idle.set()

    async def _learn_until_stopped(self) -> None:
        waited_since: float | None = None
        while not self.stopping.is_set():
            self._note_positions()
            size = self.settings.trainer.batch_size
            now_s = time.monotonic()
            available = self.merger.available(size, now_ms=_monotonic_ms())
            lingered = waited_since is not None and now_s - waited_since >= self.settings.trainer.linger_ms / 1000
            if available == size or (available and lingered):
                waited_since = None
                await self._learn(self.merger.take(size, now_ms=_monotonic_ms()))
            else:
                waited_since = now_s if available and waited_since is None else waited_since
                await self._settle(0)
                await asyncio.sleep(0.002)
            if now_s - self.flushed_s >= self.settings.trainer.flush_ms / 1000 and _is_over(self.flushing):
                self.flushed_s = now_s
                self.flushing = asyncio.create_task(self._flush())
        await self._settle(0)

    def _note_positions(self) -> None:
        reader = self.app.reader
        for source in reader.assigned:
            self.merger.position(source, 0, reader.end(source))
        reader.hold(self.merger.over_bound())
        reader.release(self.merger.under_bound())

    async def _learn(self, batch: list[Stamped[Entry | None]]) -> None:
        """Hand a batch to the thread, and wait until it has taken up all but the newest."""
        for record in batch:
            self.offsets[record.source] = record.offset + 1
        self.clocks = self.merger.clocks()
        entries = [record.value for record in batch if record.value is not None]
        may_save = _is_over(self.saving)
        learning = asyncio.create_task(self.core(self._learned, entries, may_save=may_save))
        self.learning.append((_Reached(dict(self.offsets), self.clocks), learning))
        await self._settle(AHEAD - 1)

    async def _settle(self, most: int) -> None:
        """Wait until at most ``most`` batches are under way, and do what the others asked for."""
        while len(self.learning) > most:
            reached, learning = self.learning[0]
            done = await learning
            self.learning.popleft()
            for source in self.app.reader.assigned:
                if source in reached.offsets:
                    self.app.reader.done(source, reached.offsets[source])
            await self.publisher.perform(done.outs)
            if done.arrays is not None:
                if self.saving is not None:
                    await self.saving
                self.saving = asyncio.create_task(self._save(done.step, done.arrays, reached))

    # --- on the learning thread, the only one that touches the state ---------------------------------------------

    def _learned(self, entries: list[Entry], *, may_save: bool) -> _Done:
        result = self.learner.learn(entries)
        self.window += result.learnt.sums
        self.loss = result.learnt.loss if result.learnt.loss is not None else self.loss
        state = self.learner.state
        outs = [self._prequential()] if result.learned and state.step % METRICS_EVERY_STEPS == 0 else []
        every = self.settings.trainer.snapshot_every_steps
        is_due = may_save and every > 0 and state.step - self.saved_step >= every
        is_due = is_due and not self.learner.evicted_items  # they are told with the next flush, and by it alone
        return _Done(outs, state.step, self._copied() if is_due else None)

    def _copied(self) -> Arrays:
        self.saved_step = self.learner.state.step
        return to_arrays(self.learner.state)

    def _announcement(self, waiting: int) -> list[Out]:
        learner = self.learner
        announcement = self.announcer.announce(learner.state, learner.evicted_items, most=MOST_STATES)
        learner.evicted_items = []
        figures = self._trainer_metric(waiting)
        version = announcement.weights.version
        if not announcement.states and version == self.told_version:
            return figures  # a quiet night fills no topic
        self.told_version = version
        topic = self.names[topics.ITEM_STATES.name]
        outs = [Out(topic=topic, key=s.item_id.encode(), value=codec.encode(s)) for s in announcement.states]
        weights = self.names[topics.MODEL_WEIGHTS.name]
        outs.append(Out(topic=weights, key=TOWER_KEY.encode(), value=codec.encode(announcement.weights)))
        return [*outs, *figures]

    def _trainer_metric(self, waiting: int) -> list[Out]:
        """How far learning is; while nothing changes, only now and then as a sign of life."""
        values, learned = self._figures(waiting), self.learner.state.learned_events
        now_s = time.monotonic()
        if values == self.told_figures and now_s - self.told_s < SIGN_OF_LIFE_S:
            return []
        self.told_s = now_s
        since = learned - int(self.told_figures.get("learned", learned))
        self.told_figures = values
        return [self._metric("trainer", values, events=max(0, since))]

    def _figures(self, waiting: int) -> dict[str, float]:
        state = self.learner.state
        return {
            "learned": float(state.learned_events),
            "repeated": float(state.repeated_events),
            "rejected": float(self.rejected),
            "items": float(len(state.items)),
            "users": float(len(state.users)),
            "skew_ms": float(self.merger.max_skew_ms),
            "waiting": float(waiting),
            "untold": float(np.count_nonzero(state.counts.changed[1 : state.items.used])),
        } | ({"loss": float(self.loss)} if np.isfinite(self.loss) else {})

    def _prequential(self) -> Out:
        window, total = metrics.figures(self.window), metrics.figures(self.learner.state.totals)
        values = {"learned": float(self.learner.state.learned_events), "total_events": float(total.events)}
        for at, ranker in enumerate(RANKERS):
            values |= {f"{ranker}_hr_at_10": window.hr_at_10[at], f"{ranker}_ndcg_at_10": window.ndcg_at_10[at]}
            values |= {
                f"total_{ranker}_hr_at_10": total.hr_at_10[at],
                f"total_{ranker}_ndcg_at_10": total.ndcg_at_10[at],
            }
        self.window = np.zeros(metrics.SUMS)
        return self._metric("prequential", values, events=window.events)

    def _metric(self, series: str, values: dict[str, float], *, events: int) -> Out:
        state = self.learner.state
        metric = Metric(series=series, at_ms=state.newest_ms, step=state.step, events=events, values=values)
        return Out(topic=self.names[topics.METRICS.name], key=series.encode(), value=codec.encode(metric))

    # --- what it tells ---------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Publish what changed; one at a time, so that versions leave in order."""
        with ending_on_error():
            await self.publisher.perform(await self.core(self._announcement, len(self.merger)))

    async def _save(self, step: int, arrays: Arrays, reached: _Reached) -> None:
        """Make a snapshot durable once all letters that it steps over are, and say so."""
        with ending_on_error():
            await self.publisher.flush()
            offsets = {f"{topic}/{partition}": at for (topic, partition), at in sorted(reached.offsets.items())}
            clocks = {f"{topic}/{partition}": at for (topic, partition), at in sorted(reached.clocks.items())}
            ref = await self.disk(
                snapshots.save, self.settings.snapshot_dir, step, arrays, offsets=offsets,
                meta={"clocks": clocks, "fingerprint": self.fingerprint, META: self.config.towers.text_encoder},
                keep=self.settings.trainer.keep_snapshots,
            )  # fmt: skip
            notice = SnapshotNotice(
                version=step, uri=ref.uri, offsets=offsets, state_hash=ref.state_hash, fingerprint=self.fingerprint
            )
            topic = self.names[topics.MODEL_SNAPSHOTS.name]
            await self.publisher.perform([Out(topic=topic, key=b"trainer", value=codec.encode(notice))])
            assigned = self.app.reader.assigned
            await self.app.reader.commit({at: reached.offsets[at] for at in assigned if at in reached.offsets})

    async def _drain(self, *_: Any, **__: Any) -> None:
        """Finish the batches, keep the state, and let everything out that is under way."""
        self.stopping.set()
        await self.idle.wait()
        for task in (self.flushing, self.saving):
            if task is not None:
                await task
        if self.learner.state.step > self.saved_step:
            await self._flush()
            arrays = await self.core(self._copied)
            await self._save(self.learner.state.step, arrays, _Reached(self.offsets, self.clocks))
        async with self.publishing:
            await self.publisher.stop()


def _is_over(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)


def _source(name: str) -> Source:
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)
