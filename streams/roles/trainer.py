"""The trainer: reads what happened in order of time, learns it, and tells the recommenders.

The event loop moves records; one thread owns the state. A batch is cut by the merger from all partitions and told to
the ledger, and the offsets that it reaches travel with it and belong to the state from then on: a snapshot holds both.
A restart continues from it with exactly the batches that the ledger names (`batches.py`). While one batch is learned
the next one is already cut, and what a flush tells is published beside the learning, so that the thread never waits for
the loop. Nothing that a step made is published before the ledger has the step.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from models.recommend.state import Arrays, at_rest, to_arrays
from streams.connect import connection_of
from streams.contract import access, codec, topics
from streams.contract.events import SnapshotNotice
from streams.cores.learn import Entry
from streams.durability import ledger, manifest, snapshots
from streams.durability.erasures import NONE, Erasures
from streams.durability.ledger_log import LedgerWriter, read_ledger
from streams.durability.twin import IS_POSSIBLE, Twin
from streams.errors import LedgerError, SnapshotError, StoreError
from streams.mapping.decoders import decoders_of
from streams.roles.batches import Batch, Batches
from streams.roles.decoding import KINDS, entries_of, stamped
from streams.roles.restoring import Reached, mark_of, meta_of, newest_without, restored, told_of
from streams.roles.serial import Serial
from streams.roles.telling import Telling
from streams.settings import Settings
from streams.transport.broadcast import BroadcastReader
from streams.transport.bulk import BulkApp, BytesChunk, bulk_agent, bulk_app
from streams.transport.merge import Merger, Source
from streams.transport.publish import Out, PublishConfig, Publisher
from streams.transport.reader import end_process, ending_on_error, restart_process

AHEAD = 2
"""Batches handed to the learning thread: one that it learns, one that waits for it."""


log = logging.getLogger(__name__)


class _Copy(NamedTuple):
    """The state as it was, and how far what was told of it before goes: next offset of each partition."""

    state: Arrays | Twin
    told: dict[Source, int]


class _Done(NamedTuple):
    """What the learning thread gives back after a batch: what to publish, and the state where a snapshot is due."""

    outs: list[Out]
    copy: _Copy | None


class Trainer:
    """One trainer process; `app` is its Faust app."""

    def __init__(self, settings: Settings, *, is_embedded: bool = False, erasures: Erasures = NONE) -> None:
        self.settings, self.is_embedded, self.erasures = settings, is_embedded, erasures
        found = newest_without(settings.snapshot_dir, erasures)
        told = {} if found is None else told_of(found[0])
        self.config, self.fingerprint, self.learner, reached, self.place = restored(settings, found)
        del found
        if erasures and (gone := snapshots.remove(settings.snapshot_dir, self._may_stay)):
            log.warning("removed snapshots %s, which held users who were forgotten", gone)
        connection = connection_of(settings, is_embedded=is_embedded)
        self.names = settings.topic_names
        self.inputs = [self.names[name] for name in KINDS]
        self.publisher = Publisher(connection, PublishConfig(linger_ms=5), on_failure=end_process)
        self.publisher.reached |= told
        self.merger: Merger[Entry | None] = Merger(settings.trainer.merge_bound_count, topic_order=self.inputs)
        self.core = Serial("learn")
        self.disk = Serial("snapshot")
        self.telling = Telling(
            self.learner, self.config, fingerprint=self.fingerprint, names=self.names, lead=erasures.lead
        )
        self.decoders = decoders_of(settings.mapping)
        self.rejected = self.skipped = 0
        self.saved_step = self.durable_step = self.learner.state.step
        self.batches = Batches(
            self.merger, settings.trainer, step=self.saved_step, reached=reached, fingerprint=self.fingerprint,
            compacted=[self.names[spec.name] for spec in topics.TOPICS if spec.cleanup == "compact"],
            knows_ends=not is_embedded,
        )  # fmt: skip
        self.ledger: LedgerWriter | None = None
        self.newest: Batch | None = None
        self.twin_failed = False
        self.snapshot_s: float | None = None
        """When one was made durable last, Unix time."""
        self.snapshot_failures = 0
        self.learning: deque[tuple[Batch, asyncio.Task[_Done]]] = deque()
        self.saving: asyncio.Task[None] | None = None
        self.flushing: asyncio.Task[None] | None = None
        self.flushed_s = 0.0
        self.connected = asyncio.Event()
        self.publishing = asyncio.Lock()
        self.stopping = asyncio.Event()
        self.idle = asyncio.Event()
        self.has_begun = False
        self.app = self._app(connection)

    def _may_stay(self, ref: snapshots.SnapshotRef) -> bool:
        return mark_of(ref) == self.erasures.mark or mark_of(ref).lead > self.erasures.lead

    def _app(self, connection: Any) -> BulkApp:
        lossless = [] if self.settings.trainer.accept_expired else [self.names[topics.INTERACTIONS.name]]
        app = bulk_app(
            access.group_name(self.settings.prefix, "trainer"), connection, offsets=self._wanted,
            on_start=self.batches.begin, whole_topics=lossless,
        )  # fmt: skip
        for spec_name, kind in KINDS.items():
            bulk_agent(app, self.names[spec_name], self._offering(kind), marks_done=False)
        app.task(self._run)
        app.on_before_shutdown.connect(self._drain, weak=False)
        return app

    def _wanted(self, assigned: frozenset[Source]) -> Mapping[Source, int]:
        offsets = self.batches.offsets
        return {source: offsets[source] for source in assigned if source in offsets}

    def _offering(self, kind: Any) -> Any:
        async def offer(chunk: BytesChunk) -> None:
            entries, letters, skipped = entries_of(
                chunk.records, kind, dead_letters=self.names[topics.DEAD_LETTERS.name], erasures=self.erasures,
                decoders=self.decoders,
            )  # fmt: skip
            if letters:  # handed over first: a snapshot that steps over them waits for them
                await self.connected.wait()
                async with self.publishing:
                    if self.stopping.is_set():
                        return
                    await self.publisher.perform(letters)
                if not self.app.reader.is_current(chunk):
                    return
                self.rejected += len(letters)
            self.skipped += skipped
            self.merger.offer(chunk.source, stamped(chunk.source, chunk.records, entries), now_ms=_monotonic_ms())
            self.app.reader.hold(self.merger.over_bound() - self.batches.needed())  # the loop may be away for long

        return offer

    # --- the loop ------------------------------------------------------------------------------------------------

    async def _run(self, _app: Any = None) -> None:
        self.has_begun = True
        try:
            with ending_on_error():
                await self.publisher.start()
                self.connected.set()
                await self._open_ledger()
                watching = asyncio.create_task(self._watch_erasures())
                await self._learn_until_stopped()
                watching.cancel()
        finally:
            self.idle.set()

    async def _watch_erasures(self) -> None:
        """Users are forgotten while this runs: another state is the right one from then on, and a restart takes it."""
        if self.is_embedded:
            return

        async def look(chunk: BytesChunk) -> None:
            if any(record.offset >= self.erasures.next_offset for record in chunk.records):
                restart_process("users were forgotten; starting again from the state that never knew them")

        with ending_on_error():
            connection = connection_of(self.settings)
            await BroadcastReader([self.names[topics.ERASURES.name]], connection).run(look)

    async def _open_ledger(self) -> None:
        """Read what the ledger has behind the state, and go on writing where it ends."""
        connection = connection_of(self.settings, is_embedded=self.is_embedded)
        topic = self.names[topics.LEDGER.name]
        placed, end = await read_ledger(connection, topic, self.place.offset)
        recovery = ledger.recovery_of(
            placed, step=self.learner.state.step, writer=self.place.writer, fingerprint=self.fingerprint,
            accepts_other=self.settings.trainer.accept_ledger, erasures=self.erasures.mark.digest,
        )  # fmt: skip
        if recovery.todo:
            log.warning("learning %d steps again as the ledger names them", len(recovery.todo))
        if recovery.passed_over:
            log.error("%d batches of a second trainer are left out", recovery.passed_over)
        self.ledger = LedgerWriter(connection, topic, ledger.Place(end, recovery.writer), on_failure=end_process)
        await self.ledger.start()
        self.batches.open(self.ledger, recovery)

    async def _learn_until_stopped(self) -> None:
        while not self.stopping.is_set():
            self._note_positions()
            batch = await self.batches.next(_monotonic_ms())
            if batch is not None:
                await self._learn(batch)
            else:
                await self._settle(0)
                await asyncio.sleep(0.002)
            now_s = time.monotonic()
            if now_s - self.flushed_s >= self.settings.trainer.flush_ms / 1000 and _is_over(self.flushing):
                self.flushed_s = now_s
                self.flushing = asyncio.create_task(self._flush())
        await self._settle(0)

    def _note_positions(self) -> None:
        reader = self.app.reader
        for source in reader.assigned:
            self.merger.position(source, 0, reader.end(source))
        needed = self.batches.needed()
        reader.hold(self.merger.over_bound() - needed)
        reader.release(self.merger.under_bound() | needed)

    async def _learn(self, batch: Batch) -> None:
        """Hand a batch to the thread, and wait until it has taken up all but the newest."""
        may_save = _is_over(self.saving)
        self.newest = batch
        learning = asyncio.create_task(self.core(self._learned, batch, may_save=may_save))
        self.learning.append((batch, learning))
        await self._settle(AHEAD - 1)

    async def _settle(self, most: int) -> None:
        """Wait until at most ``most`` batches are under way, and do what the others asked for."""
        while len(self.learning) > most:
            batch, learning = self.learning[0]
            done = await learning
            self.place = await batch.told
            self.learning.popleft()
            for source in self.app.reader.assigned:
                if source in batch.reached.offsets:
                    self.app.reader.done(source, batch.reached.offsets[source])
            await self.publisher.perform(done.outs)
            if done.copy is not None:
                if self.saving is not None:
                    await self.saving
                save = self._save(batch.step, done.copy, batch.reached, self.place)
                self.saving = asyncio.create_task(save)

    # --- on the learning thread, the only one that touches the state ---------------------------------------------

    def _learned(self, batch: Batch, *, may_save: bool) -> _Done:
        result = self.learner.learn([record.value for record in batch.records if record.value is not None])
        state = self.learner.state
        outs = self.telling.note(result.learnt)
        every = self.settings.trainer.snapshot_every_steps
        is_due = may_save and every > 0 and state.step - self.saved_step >= every
        is_due = is_due and not self.learner.evicted_items  # they are told with the next flush, and by it alone
        if batch.state_hash is not None and not self.settings.trainer.accept_ledger:
            self._compare(batch)
        return _Done(outs, self._kept() if is_due else None)

    def _compare(self, batch: Batch) -> None:
        """The state has to be the one that it was when this step was learned first."""
        entries = manifest.entries_of(to_arrays(self.learner.state))
        found = ledger.learned_hash(entries)
        if found != batch.state_hash:
            raise LedgerError(
                f"expected state {batch.state_hash} after step {batch.step}, as the ledger says, got {found}: the same "
                "records gave another state; look for other library versions or another kind of processor, or set "
                "trainer.accept_ledger to go on with this one"
            )

    def _kept(self, *, may_fork: bool = True) -> _Copy:
        state = self.learner.state
        self.saved_step = state.step
        told = dict(self.publisher.reached)  # all of it was taken off the state on this thread: the copy is not older
        forks = may_fork and self.settings.trainer.fork_snapshots and isinstance(self.settings.snapshot_dir, Path)
        if forks and IS_POSSIBLE and not self.twin_failed and (towers := at_rest(state)) is not None:
            try:
                return _Copy(Twin(lambda: to_arrays(state, towers)), told)
            except OSError as error:
                log.warning("the state is copied, as no process can be split off: %s", error)
        return _Copy(to_arrays(state), told)

    def _announcement(self, waiting: int, recovering: int) -> list[Out]:
        working = {
            "rejected": self.rejected,
            "skipped": self.skipped,
            "skew_ms": self.merger.max_skew_ms,
            "waiting": waiting,
        }
        working |= {"recovering": recovering, "unsaved": self.learner.state.step - self.durable_step}
        return self.telling.flush({name: float(value) for name, value in working.items()})

    # --- what it tells ---------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Publish what changed; one at a time, so that versions leave in order."""
        with ending_on_error():
            outs = await self.core(self._announcement, len(self.merger), self.batches.recovering)
            if self.newest is not None:
                await self.newest.told
            await self.publisher.perform(outs)

    async def _save(self, step: int, copy: _Copy, reached: Reached, place: ledger.Place) -> None:
        """Make a snapshot durable once all letters that it steps over are, and say so."""
        with ending_on_error():
            if self.flushing is not None:  # what it has taken off the state's list has to leave before
                await self.flushing
            await self.publisher.flush()
            states = self.names[topics.ITEM_STATES.name]
            offsets, meta = meta_of(
                reached, place, fingerprint=self.fingerprint, text_encoder=self.config.towers.text_encoder,
                mark=self.erasures.mark, told={at: end for at, end in copy.told.items() if at[0] == states},
            )  # fmt: skip
            try:
                ref = await self.disk(
                    snapshots.save, self.settings.snapshot_dir, step, copy.state, offsets=offsets, meta=meta,
                    keep=self.settings.trainer.keep_snapshots,
                    spares=lambda ref: mark_of(ref).lead > self.erasures.lead,
                )  # fmt: skip
            except (
                SnapshotError,
                StoreError,
            ) as error:  # a full disk: the state is whole; ledger and the one before stay
                log.error("no snapshot of step %d, learning goes on and tries again: %s", step, error)
                self.snapshot_failures += 1
                self.twin_failed = isinstance(copy.state, Twin)  # the next one is a copy, whatever it was
                return
            self.durable_step, self.twin_failed, self.snapshot_s = step, False, time.time()
            notice = SnapshotNotice(
                version=step, uri=ref.uri, offsets=offsets, state_hash=ref.state_hash, fingerprint=self.fingerprint
            )
            topic = self.names[topics.MODEL_SNAPSHOTS.name]
            await self.publisher.perform([Out(topic=topic, key=b"trainer", value=codec.encode(notice))])
            if self.ledger is not None:
                await self.ledger.append(
                    ledger.hash_record(
                        step, ledger.learned_hash(ref.manifest.arrays), seed=self.config.seed,
                        fingerprint=self.fingerprint, erasures=self.erasures.mark.digest,
                    )
                )  # fmt: skip
            assigned = self.app.reader.assigned
            await self.app.reader.commit({at: reached.offsets[at] for at in assigned if at in reached.offsets})

    async def _drain(self, *_: Any, **__: Any) -> None:
        """Finish the batches, keep the state, and let everything out that is under way."""
        self.stopping.set()
        if not self.has_begun:
            return
        await self.idle.wait()
        for task in (self.flushing, self.saving):
            if task is not None:
                await task
        if self.learner.state.step > self.saved_step:
            await self._flush()
            copy = await self.core(lambda: self._kept(may_fork=False))
            reached = Reached(self.batches.offsets, self.batches.clocks)
            await self._save(self.learner.state.step, copy, reached, self.place)
        if self.ledger is not None:
            await self.ledger.stop()
        async with self.publishing:
            await self.publisher.stop()


def _is_over(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
