"""The studio worker: content tasks in, checked files in the store and their records out.

Each task is rendered in a process of its own, so the event loop only moves messages, whatever a render does. A task is
done, and may be stepped over, once the record of its asset or of its failure is acknowledged: what was under way when a
worker was killed is taken up again by whoever gets its partition. Files are whole in the store before they are told.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.connect import connection_of
from streams.contract import access, codec, topics
from streams.contract.codec import Rejected, decoder
from streams.contract.events import ContentAsset, ContentTask, Item
from streams.cores import render
from streams.cores.render import Place, Refusal
from streams.roles.decoding import letter_for
from streams.settings import Settings
from streams.studio import engines
from streams.studio.jobs import carry_out
from streams.studio.means import means_of
from streams.studio.rendering import Errand, Outcome
from streams.studio.store import Aside, Store, Stored
from streams.transport.broadcast import BroadcastReader
from streams.transport.bulk import BulkApp, BytesChunk, bulk_agent, bulk_app
from streams.transport.merge import Source
from streams.transport.offsets import Start
from streams.transport.publish import Out, Publisher
from streams.transport.reader import BulkConfig, end_process, ending_on_error
from streams.transport.whole import read_whole

log = logging.getLogger(__name__)

ITEM_WAIT_S: Final = 10.0
"""How long a task waits for its item, which is on another topic."""
LOOK_S: Final = 0.05


@dataclasses.dataclass(kw_only=True)
class Rendering:
    """A task under way, and the places that it stands at."""

    source: Source
    places: list[Place]
    work: asyncio.Task[None] | None = None


LONGEST_S: Final = 7 * 86_400.0
"""Between two reads: while all that may wait waits, partitions are held; heartbeats say that the worker lives."""


class StudioRole:
    """One studio process; `app` is its Faust app."""

    def __init__(self, settings: Settings, *, is_embedded: bool = False) -> None:
        self.settings = settings
        self.wishes = settings.studio
        self.means = means_of(settings)
        engines.load(self.wishes.engines, self.means)  # a wrong name stops the start, not the first task
        self.connection = connection_of(settings, is_embedded=is_embedded)
        self.names = {spec.name: topics.topic_name(settings.prefix, spec.name) for spec in topics.TOPICS}
        self.store = Store(self.wishes.store_dir)
        self.aside = Aside(self.store)
        self.items: dict[str, Item] = {}
        self.finished: set[str] = set()
        self.withdrawn: set[str] = set()
        self.now_ms = 0
        """Event time, by the records of tasks: a replayed log's tasks are not late."""
        self.waiting = render.Waiting()
        self.progress = render.Progress()
        self.rendering: dict[str, Rendering] = {}
        self.publisher = Publisher(self.connection, on_failure=end_process)
        self.catalogue = BroadcastReader([self.names[topics.ITEMS.name]], self.connection)
        self.started = asyncio.Event()
        self.is_assigned = asyncio.Event()
        self.wake = asyncio.Event()
        self.known_epoch = -1
        self.is_stopping = False
        self.app = self._app()

    def _app(self) -> BulkApp:
        app = bulk_app(
            access.group_name(self.settings.prefix, "studio"),
            self.connection,
            offsets=self._wanted,
            on_start=self._begin,
            on_revoked=lambda _: self.is_assigned.clear(),
            config=BulkConfig(chunk_records=16, buffer_chunks=4, commit_every_s=0.5, most_between_polls_s=LONGEST_S),
        )
        bulk_agent(app, self.names[topics.CONTENT_TASKS.name], self._take_tasks, marks_done=False)
        app.task(self._start)
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.on_before_shutdown.connect(self._stop, weak=False)
        return app

    @staticmethod
    def _wanted(assigned: frozenset[Source]) -> Mapping[Source, Start]:
        return dict.fromkeys(assigned, "committed")

    # --- partitions ------------------------------------------------------------------------------------------------

    def _begin(self, starts: Mapping[Source, int]) -> None:
        """New partitions: what waits is read again; what is under way goes on where its partition is still ours."""
        self.waiting.clear()
        self.progress.clear()
        for one in self.rendering.values():
            one.places.clear()
            if one.source not in starts and one.work is not None:
                one.work.cancel()
        self.is_assigned.set()

    async def _revoked(self, *_: Any, **__: Any) -> None:
        """What was told is acknowledged before another worker gets the partition and asks what is finished."""
        await self.publisher.flush()

    async def _start(self, _app: Any = None) -> None:
        with ending_on_error():
            await self.publisher.start()
            reading = asyncio.create_task(self.catalogue.run(self._take_items))
            caught_up = asyncio.create_task(self.catalogue.caught_up.wait())
            await asyncio.wait({reading, caught_up}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await reading
            self.started.set()
            await asyncio.gather(reading, *(self._render() for _ in range(self.wishes.processes)))

    async def _stop(self, *_: Any, **__: Any) -> None:
        self.is_stopping = True
        works = [one.work for one in self.rendering.values() if one.work is not None]
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works)
        await self.publisher.stop()
        self.aside.close()

    # --- what it reads ---------------------------------------------------------------------------------------------

    async def _take_items(self, chunk: BytesChunk) -> None:
        decode = decoder(Item)
        for record in chunk.records:
            item = None if record.value is None else decode(record.value, record.timestamp)
            if isinstance(item, Item):
                self.items[item.item_id] = item
            elif item is None and record.key is not None:
                self.items.pop(record.key.decode("utf-8", "replace"), None)

    async def _take_tasks(self, chunk: BytesChunk) -> None:
        await self.started.wait()
        if self.known_epoch != chunk.epoch:
            self.finished |= await asyncio.to_thread(self._read_finished)
            self.known_epoch = chunk.epoch
        reader = self.app.reader
        if self.is_stopping or not reader.is_current(chunk):
            return
        decode = decoder(ContentTask)
        tasks: list[tuple[Place, ContentTask]] = []
        letters: list[Out] = []
        for record in chunk.records:
            task = None if record.value is None else decode(record.value, record.timestamp)
            if isinstance(task, Rejected):
                letters.append(letter_for(task, record, topic=self.names[topics.DEAD_LETTERS.name]))
            elif isinstance(task, ContentTask):
                self.now_ms = max(self.now_ms, min(record.timestamp, time.time_ns() // 1_000_000))
                (self.withdrawn.add if task.withdrawn else self.withdrawn.discard)(task.task_id)
                tasks.append((Place(chunk.source, record.offset, chunk.epoch), task))
        if letters:
            await self.publisher.perform(letters)
            await self.publisher.flush()
            if not reader.is_current(chunk):
                return
        self.progress.begin(chunk.source, [place.offset for place, _ in tasks], chunk.next_offset)
        for place, task in tasks:
            self.waiting.add(place, task)
        self._advance(chunk.source)
        if len(self.waiting) >= self.wishes.waiting:
            reader.hold(reader.assigned)
        self.wake.set()

    def _read_finished(self) -> set[str]:
        """Tasks that have their record; what retention and compaction left of them."""
        decode = decoder(ContentAsset)
        found: set[str] = set()
        for message in read_whole(self.connection, self.names[topics.CONTENT_ASSETS.name]):
            value = message.value()
            asset = decode(value, -1) if isinstance(value, bytes) else None
            if isinstance(asset, ContentAsset):
                found.add(asset.task_id)
        return found

    # --- what it does ----------------------------------------------------------------------------------------------

    async def _render(self) -> None:
        """Carries out one task after the other; there is one of these for each process that may run."""
        while not self.is_stopping:
            found = self.waiting.next()
            if found is None:
                self.wake.clear()
                await self.wake.wait()
                continue
            place, task = found
            if len(self.waiting) < self.wishes.waiting:
                self.app.reader.release(self.app.reader.held)
            if task.task_id in self.rendering:
                self.rendering[task.task_id].places.append(place)
                continue
            one = self.rendering[task.task_id] = Rendering(source=place.source, places=[place])
            one.work = asyncio.create_task(self._carry_out(one, task))
            try:
                await asyncio.wait({one.work})
            finally:
                self.rendering.pop(task.task_id, None)
            if not one.work.cancelled():
                one.work.result()

    async def _carry_out(self, one: Rendering, task: ContentTask) -> None:
        is_open = task.task_id not in self.finished and task.task_id not in self.withdrawn
        item = await self._item(task.item_id) if is_open else None
        verdict = render.judge(task, item=item, finished=self.finished, now_ms=self.now_ms, withdrawn=self.withdrawn)
        record: ContentAsset | None = None
        if isinstance(verdict, Refusal):
            record = render.refused(task, verdict.reason)
        elif verdict == "render" and item is not None:
            record = await self._made(task, item)
        await self.is_assigned.wait()
        if one.source not in self.app.reader.assigned:
            return  # its new owner does it
        if record is not None:
            out = Out(
                topic=self.names[topics.CONTENT_ASSETS.name], key=task.item_id.encode(), value=codec.encode(record)
            )
            await self.publisher.perform([out])
            await self.publisher.flush()
            self.finished.add(task.task_id)
            if record.status != "done":
                log.warning("task %s of item %s is %s: %s", task.task_id, task.item_id, record.status, record.error)
        for place in one.places:
            if place.epoch == self.app.reader.positions.epoch:
                self.progress.end(place.source, place.offset)
                self._advance(place.source)

    async def _item(self, item_id: str) -> Item | None:
        until_s = time.monotonic() + ITEM_WAIT_S
        while item_id not in self.items and time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)
        return self.items.get(item_id)

    async def _made(self, task: ContentTask, item: Item) -> ContentAsset:
        wishes = self.wishes
        errand = Errand(
            task=task, item=item, workdir=str(self.aside.folder / task.task_id[:64].replace("/", "-")),
            seed=render.seed_of(wishes.seed, task.task_id), roots=list(wishes.roots), hosts=list(wishes.hosts),
            engines=list(wishes.engines), seconds=float(wishes.deadline_s), memory_bytes=wishes.memory_mb << 20,
            file_bytes=wishes.file_mb << 20, means=self.means,
        )  # fmt: skip
        try:
            return await self._kept(task, await carry_out(errand, deadline_s=float(wishes.deadline_s)))
        finally:
            await asyncio.to_thread(shutil.rmtree, errand.workdir, ignore_errors=True)

    async def _kept(self, task: ContentTask, outcome: Outcome) -> ContentAsset:
        """The record of an outcome, its file in the store."""
        draft = outcome.draft
        if draft is None:
            reason = outcome.reason or "expected an outcome, got none"
            if outcome.refused:
                return render.refused(task, reason)
            return render.failed(task, reason, quality=outcome.figures, engine=outcome.engine)
        stored = await asyncio.to_thread(self._store, task, outcome)
        return render.done(
            task, uri=stored.uri, sha256=stored.sha256, size_bytes=stored.size_bytes, media_type=draft.media_type,
            duration_ms=draft.duration_ms, quality=outcome.figures, engine=outcome.engine,
        )  # fmt: skip

    def _store(self, task: ContentTask, outcome: Outcome) -> Stored:
        draft = outcome.draft
        if draft is None:
            raise ValueError("expected an outcome with a draft, got none")
        manifest = {
            "task_id": task.task_id, "item_id": task.item_id, "kind": task.kind, "locale": task.locale,
            "spec": task.spec, "media_type": draft.media_type, "duration_ms": draft.duration_ms,
            "engine": outcome.engine, "inputs": outcome.inputs, "checks": msgspec.to_builtins(draft.checks),
        }  # fmt: skip
        return self.store.put(Path(draft.path), suffix=draft.suffix, manifest=manifest, aside=self.aside.folder)

    def _advance(self, source: Source) -> None:
        up_to = self.progress.done_up_to(source)
        if up_to is not None:
            self.app.reader.done(source, up_to)
