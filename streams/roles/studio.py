"""The studio worker: content tasks in, checked files in the store and their records out.

Each task is rendered in a process of its own, so the event loop only moves messages, whatever a render does. A task is
done, and may be stepped over, once the record of its asset or of its failure is acknowledged: what was under way when a
worker was killed is taken up again by whoever gets its partition. Files are whole in the store before they are told.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from streams.connect import connection_of
from streams.contract import access, codec, topics
from streams.contract.absent import Withdrawn
from streams.contract.codec import Rejected, decoder
from streams.contract.events import ContentAsset, ContentTask, Item
from streams.cores import render
from streams.cores.answered import Answered, Telling, Tellings
from streams.cores.render import Place, Refusal
from streams.mapping.decoders import decoders_of
from streams.printable import printable
from streams.roles import studio_figures
from streams.roles.decoding import letter_for
from streams.roles.workshop import Workshop
from streams.settings import Settings
from streams.studio import engines
from streams.studio.means import means_of
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
        self.names = settings.topic_names
        self.workshop = Workshop(settings)
        self.items: dict[str, bytes] = {}
        """The catalogue as it came: records are decoded where one is needed."""
        self.answered = Answered()
        self.tellings = Tellings()
        self.now_ms = 0
        """Event time, by the records of tasks: a replayed log's tasks are not late."""
        self.waiting = render.Waiting()
        self.progress = render.Progress()
        self.rendering: dict[str, Rendering] = {}
        self.tally, self.told_count = studio_figures.Tally(), 0
        self.teller = studio_figures.Teller(self.names[topics.METRICS.name])
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
        self.tellings.clear()
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
            await asyncio.gather(reading, self._tell(), *(self._render() for _ in range(self.wishes.processes)))

    async def _stop(self, *_: Any, **__: Any) -> None:
        self.is_stopping = True
        works = [one.work for one in self.rendering.values() if one.work is not None]
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works)
        await self.publisher.stop()
        self.workshop.close()

    # --- what it reads ---------------------------------------------------------------------------------------------

    async def _take_items(self, chunk: BytesChunk) -> None:
        decode = decoders_of(self.settings.mapping)[Item]
        is_ours = self.settings.mapping.items is None
        for record in chunk.records:
            value = record.value
            item = None if value is None else decode(value, record.timestamp, record.key, record.headers)
            if isinstance(item, Item) and value is not None:
                self.items[item.item_id] = value if is_ours else codec.encode(item)
            elif isinstance(item, Withdrawn):
                self.items.pop(item.item_id, None)
            elif item is None and record.key is not None:
                self.items.pop(record.key.decode("utf-8", "replace"), None)

    async def _take_tasks(self, chunk: BytesChunk) -> None:
        await self.started.wait()
        if self.known_epoch != chunk.epoch:
            self.answered.merge(await asyncio.to_thread(self._read_answered))
            self.known_epoch = chunk.epoch
        reader = self.app.reader
        if self.is_stopping or not reader.is_current(chunk):
            return
        decode = decoder(ContentTask)
        tellings: list[Telling] = []
        letters: list[Out] = []
        for record in chunk.records:
            task = None if record.value is None else decode(record.value, record.timestamp)
            if isinstance(task, Rejected):
                letters.append(letter_for(task, record, topic=self.names[topics.DEAD_LETTERS.name]))
            elif isinstance(task, ContentTask):
                self.now_ms = max(self.now_ms, min(record.timestamp, time.time_ns() // 1_000_000))
                tellings.append(Telling(task, Place(chunk.source, record.offset, chunk.epoch), record.timestamp))
        if letters:
            await self.publisher.perform(letters)
            await self.publisher.flush()
            if not reader.is_current(chunk):
                return
        self.progress.begin(chunk.source, [one.place.offset for one in tellings], chunk.next_offset)
        for one in tellings:
            self.tellings.begin(one)
            self.waiting.add(one.place, one.task)
        self._advance(chunk.source)
        if len(self.waiting) >= self.wishes.waiting:
            reader.hold(reader.assigned)
        self.wake.set()

    def _read_answered(self) -> Answered:
        """Tasks that have their record; what retention and compaction left of them."""
        decode = decoder(ContentAsset)
        found = Answered()
        for message in read_whole(self.connection, self.names[topics.CONTENT_ASSETS.name]):
            value = message.value()
            asset = decode(value, -1) if isinstance(value, bytes) else None
            if isinstance(asset, ContentAsset):
                found.take(asset)
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
                if self.rendering.get(task.task_id) is one:
                    del self.rendering[task.task_id]
            if not one.work.cancelled():
                one.work.result()

    async def _carry_out(self, one: Rendering, task: ContentTask) -> None:
        task = self.tellings.newest(task)
        is_answered = self.answered.has(task)
        item = None if is_answered or task.withdrawn else await self._item(task.item_id)
        verdict = render.judge(task, item=item, is_answered=is_answered, now_ms=self.now_ms)
        record: ContentAsset | None = None
        if isinstance(verdict, Refusal):
            record = render.refused(task, verdict.reason)
        elif verdict == "render" and item is not None:
            began_s = time.monotonic()
            self._say(f"task {task.task_id}: {task.kind} of item {task.item_id} begins")
            record = await self.workshop.make(task, item)
            self._say(f"task {task.task_id}: {record.status} after {time.monotonic() - began_s:.1f} s")
        await self.is_assigned.wait()
        if one.source not in self.app.reader.assigned:
            return  # its new owner does it
        if record is not None:
            out = Out(
                topic=self.names[topics.CONTENT_ASSETS.name], key=task.item_id.encode(), value=codec.encode(record)
            )
            await self.publisher.perform([out])
            await self.publisher.flush()
            self.answered.take(record)
            self.tally.take(record)
            if record.status != "done":
                log.warning("task %s of item %s is %s: %s", *map(printable, (
                    task.task_id, task.item_id, record.status, record.error or ""
                )))  # fmt: skip
        if record is not None or verdict == "finished":
            await self.workshop.forget(task.task_id)
        newest = self.tellings.last(task.task_id)
        self.rendering.pop(task.task_id, None)  # from here on a telling is for whoever takes it up next
        for place in one.places:
            if place.epoch == self.app.reader.positions.epoch:
                if record is not None and newest is not None and place == newest.place and not self._is_over(newest):
                    self.waiting.add(place, newest.task)  # told again while it was rendered, and that failed
                    self.wake.set()
                    continue
                self.tellings.end(task.task_id)
                self.progress.end(place.source, place.offset)
                self._advance(place.source)

    @staticmethod
    def _say(line: str) -> None:
        """Somebody who watches sees each task come and go; a log file gets what went wrong alone."""
        if sys.stderr.isatty():
            sys.stderr.write(f"studio: {printable(line)}\n")

    def _is_over(self, telling: Telling) -> bool:
        return telling.task.withdrawn or self.answered.has(telling.task)

    async def _tell(self) -> None:
        """How the work goes, on `metrics.v1`: this worker's figures, and each render that takes a while."""
        told: set[str] = set()
        while not self.is_stopping:
            await asyncio.sleep(studio_figures.TELL_EVERY_S)
            now_s, under_way = time.monotonic(), dict(self.workshop.under_way)
            known: dict[str, Any] = {"at_ms": self.now_ms, "step": self.tally.answered, "now_s": now_s}
            figures = self.tally.figures(
                waiting=len(self.waiting), under_way=under_way, rendered_s=self.workshop.rendered_s, now_s=now_s
            )
            series = f"studio/{self.workshop.aside.folder.name}"
            outs = [*self.teller.tell(series, figures, events=self.tally.answered - self.told_count, **known)]
            self.told_count = self.tally.answered
            for task_id, since_s in under_way.items():
                figures = {"elapsed_s": round(now_s - since_s, 1), "deadline_s": float(self.wishes.deadline_s)}
                outs += self.teller.tell(studio_figures.RENDER + task_id, figures, events=0, **known)
            for task_id in told - under_way.keys():
                self.teller.forget(studio_figures.RENDER + task_id)
            told = set(under_way)
            await self.publisher.perform(outs)

    async def _item(self, item_id: str) -> Item | None:
        until_s = time.monotonic() + ITEM_WAIT_S
        while item_id not in self.items and time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)
        value = self.items.get(item_id)
        item = None if value is None else decoder(Item)(value, -1)
        return item if isinstance(item, Item) else None

    def _advance(self, source: Source) -> None:
        up_to = self.progress.done_up_to(source)
        if up_to is not None:
            self.app.reader.done(source, up_to)
