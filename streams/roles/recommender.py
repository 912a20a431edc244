"""The recommender: histories that move with each interaction, and a slate for every request.

It owns no database. The trainer's newest snapshot and the topics' tails fill it; one thread owns its state and gives
what changes the state the next turn. Requests wait until it has caught up; after that they are answered in small
batches, and pushed slates use what time is left (`answering.py`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import StateError
from models.recommend.state import Arrays, from_arrays, serves
from models.recommend.towers import TextEncoder
from streams.connect import connection_of
from streams.contract import access, rules, topics
from streams.contract.absent import Withdrawn
from streams.contract.codec import Rejected, decoder
from streams.contract.events import Interaction, Item, ItemState, ModelWeights, Request, User
from streams.cores.pushes import Push, Pushes
from streams.cores.recommend import RecommendConfig, Recommender
from streams.cores.serving import Serving
from streams.durability.erasures import NONE, Erasures
from streams.durability.snapshots import SnapshotRef
from streams.errors import SnapshotError
from streams.mapping.decoders import decoders_of
from streams.roles.answering import Answering
from streams.roles.arms_reading import taken
from streams.roles.catalogue_disk import CatalogueDisk, installation_of
from streams.roles.clock import EventClock
from streams.roles.decoding import letter_for
from streams.roles.model_config import mix_of, model_config_of
from streams.roles.restoring import newest_without, reached_of, told_of
from streams.roles.starting import Stopwatch
from streams.roles.turns import Turns
from streams.settings import Settings
from streams.text.choice import saved_encoder
from streams.transport.broadcast import BroadcastReader
from streams.transport.bulk import BulkApp, BytesChunk, bulk_agent, bulk_app
from streams.transport.merge import Source
from streams.transport.offsets import Start
from streams.transport.publish import Out, Publisher
from streams.transport.reader import BulkConfig, end_process, ending_on_error

log = logging.getLogger(__name__)

REFRESH_S = 0.25
EMBEDDED_WAIT_MS = 20
"""The embedded broker looks for new records less and less often while a fetch waits; a real one answers at once."""
MAINTAIN_S = 5.0
COPY_FIRST_S, COPY_EVERY_S = 5.0, 600.0
"""Seconds from the first answer to the first copy of the catalogue on disk, and between two."""
PUSHES_MOST = 50_000
"""Users waiting for a pushed slate; beyond it the longest waiting go without."""
ARRIVING_MOST = 16
"""Chunks of interactions decoded and waiting for their turn; beyond it no more are read."""
STATE_PRIORITY = 0
"""What changes the state has the next turn, in the order in which it came."""


class RecommenderRole:
    """One recommender process; `app` is its Faust app."""

    def __init__(self, settings: Settings, *, is_embedded: bool = False, erasures: Erasures = NONE) -> None:
        self.settings, self.erasures = settings, erasures
        self.watch = Stopwatch()
        self.watch.note("imports")
        read = model_config_of(settings)
        found = newest_without(settings.snapshot_dir, erasures, wants=lambda name: serves(name, read))
        self.watch.note("snapshot")
        text_encoder: TextEncoder = "hashed" if found is None else saved_encoder(found[0].meta)
        config = model_config_of(settings, text_encoder=text_encoder)
        connection = connection_of(settings, is_embedded=is_embedded)
        self.names = settings.topic_names
        self.decoders = decoders_of(settings.mapping)
        self.taken: dict[Source, int] = {}
        """Next offset of each interactions partition that is in the state; only the core's thread writes it."""
        self.claimed: dict[Source, int] = {}
        """The same, once it is on its way into the state: a reassignment starts there."""
        self.serving = Serving(config)
        self.listed: Mapping[Source, int] = {}
        """How far the catalogue goes of which the snapshot has the labels: next offset of each partition."""
        told = {} if found is None else told_of(found[0])
        self._restore(found)
        del found
        self.watch.note("state")
        self.disk = CatalogueDisk(settings.cache_dir, installation_of(settings))
        copied = self.disk.load(self.serving) if self.listed else {}
        copied = {at: min(end, self.listed.get(at, 0)) for at, end in copied.items()}
        self.watch.note("catalogue copy")
        wishes = settings.recommender
        self.recommender = Recommender(
            self.serving,
            RecommendConfig(
                max_k=wishes.max_k,
                explore_slots=wishes.explore_slots,
                rewatchable_actions=frozenset(wishes.rewatchable_actions),
                mix=mix_of(settings),
            ),
        )
        self.clock = EventClock()
        self.turns = Turns("serve")
        self.publisher = Publisher(connection, on_failure=end_process)
        self.readers = {
            topics.ITEMS.name: BroadcastReader([self.names[topics.ITEMS.name]], connection, starts=copied),
            topics.USERS.name: BroadcastReader([self.names[topics.USERS.name]], connection),
            topics.ITEM_STATES.name: BroadcastReader(
                [self.names[topics.ITEM_STATES.name], self.names[topics.MODEL_WEIGHTS.name]], connection, starts=told
            ),
            topics.ITEM_ARMS.name: BroadcastReader(
                [self.names[topics.ITEM_ARMS.name], self.names[topics.CONTENT_ASSETS.name]], connection
            ),
        }
        self.ready = asyncio.Event()
        """Set once the catalogue and the model are known: interactions and requests make sense from then on."""
        self.pushes = Pushes(interval_s=wishes.push_interval_ms / 1000, most=PUSHES_MOST)
        self.answering = Answering(
            self._slates, turns=self.turns, publisher=self.publisher, pushes=self.pushes, push_k=wishes.push_k,
            may_push=self.is_caught_up,
        )  # fmt: skip
        self.arriving = asyncio.Semaphore(ARRIVING_MOST)
        self.under_way: set[asyncio.Task[None]] = set()
        self.caught_up_epoch, self.rejected = -1, 0
        self.app = self._app(connection)

    def _restore(self, found: tuple[SnapshotRef, Arrays] | None) -> None:
        if found is None:
            return
        ref, arrays = found
        try:
            state = from_arrays(arrays, self.serving.config, owns=True, learns=False)
        except StateError as error:
            raise SnapshotError(f"{ref.uri}: {error}") from error
        self.serving.restore(state, self.serving.config, lead=self.erasures.lead)
        reached = reached_of(ref).offsets
        self.listed = {at: offset for at, offset in reached.items() if at[0] == self.names[topics.ITEMS.name]}
        self.taken = {at: offset for at, offset in reached.items() if at[0] == self.names[topics.INTERACTIONS.name]}
        self.claimed = dict(self.taken)

    def _app(self, connection: Any) -> BulkApp:
        app = bulk_app(
            access.group_name(self.settings.prefix, "recommender"),
            connection,
            offsets=self._wanted,
            config=BulkConfig(
                commit_every_s=0.5, fetch_max_wait_ms=EMBEDDED_WAIT_MS if connection.is_embedded else 100
            ),
        )
        bulk_agent(app, self.names[topics.INTERACTIONS.name], self._take_interactions, marks_done=False)
        bulk_agent(app, self.names[topics.REQUESTS.name], self._take_requests, marks_done=False)
        app.task(self._start)
        app.on_before_shutdown.connect(self._drain, weak=False)
        return app

    def _wanted(self, assigned: frozenset[Source]) -> Mapping[Source, Start]:
        requests = self.names[topics.REQUESTS.name]
        return {at: "committed" if at[0] == requests else self.claimed.get(at, "earliest") for at in assigned}

    async def _start(self, _app: Any = None) -> None:
        with ending_on_error():
            await self.publisher.start()
            handlers = {
                topics.ITEMS.name: self._take_items,
                topics.USERS.name: self._take_users,
                topics.ITEM_STATES.name: self._take_states,
                topics.ITEM_ARMS.name: self._take_arms,
            }
            reading = [asyncio.create_task(self.readers[name].run(handlers[name])) for name in self.readers]
            caught_up = [reader.caught_up.wait() for reader in self.readers.values()]
            await _all_or_first_failure(reading, asyncio.gather(*caught_up))
            self.watch.note("topics")
            await self._change(self.serving.use_newest)
            await self._change(self.recommender.refresh, self.clock.now_ms(self.serving.newest_ms))
            self.watch.note("index")
            await self._change(self.recommender.warm_up, self.clock.now_ms(self.serving.newest_ms))
            self.watch.note("warm up")
            gc.collect()
            gc.freeze()  # the catalogue and all that was imported stay: a full collection would look at them for long
            self.ready.set()
            self.watch.note("memory")
            log.info("ready after %s", self.watch)
            await asyncio.gather(
                *reading, self._keep_fresh(), self._maintain_index(), self._keep_copy(), self.answering.run()
            )

    def _change(self, function: Any, *args: Any) -> asyncio.Future[Any]:
        return self.turns.submit(STATE_PRIORITY, function, *args)

    # --- what it reads -------------------------------------------------------------------------------------------

    async def _take_items(self, chunk: BytesChunk) -> None:
        decode = self.decoders[Item]
        listed = self.listed.get(chunk.source, 0)
        records = [
            (r.key, None if r.value is None else decode(r.value, r.timestamp, r.key, r.headers), r.offset < listed)
            for r in chunk.records
        ]
        now_ms = self.clock.now_ms(self.serving.newest_ms)

        def take() -> None:
            for key, item, is_labelled in records:
                if item is None and key is not None:
                    self.recommender.take_item(key.decode("utf-8", "replace"), None, now_ms)
                elif isinstance(item, Withdrawn):
                    self.recommender.take_item(item.item_id, None, now_ms)
                elif isinstance(item, Item):
                    self.recommender.take_item(item.item_id, item, now_ms, is_labelled=is_labelled)

        await self._change(take)

    async def _take_users(self, chunk: BytesChunk) -> None:
        decode = self.decoders[User]
        records = [
            (r.key, None if r.value is None else decode(r.value, r.timestamp, r.key, r.headers), r.timestamp)
            for r in chunk.records
        ]

        is_news = self.ready.is_set()

        def take() -> None:
            for key, user, at_ms in records:
                if isinstance(user, User):
                    self.serving.take_user(user)
                elif user is None and key is not None:
                    self.serving.erase_user(key.decode("utf-8", "replace"), at_ms=at_ms, is_news=is_news)

        await self._change(take)

    async def _take_states(self, chunk: BytesChunk) -> None:
        kind = ItemState if chunk.source[0] == self.names[topics.ITEM_STATES.name] else ModelWeights
        records = await asyncio.to_thread(_decoded, chunk, kind)  # a flush is megabytes: the event loop goes on

        def take() -> None:
            states: list[ItemState] = []
            for key, record in records:
                if isinstance(record, ItemState):
                    states.append(record)
                elif isinstance(record, ModelWeights):
                    self.serving.take_weights(record)
                elif record is None and key is not None and kind is ItemState:
                    self.serving.take_states(states)
                    states = []
                    self.serving.forget_item(key.decode("utf-8", "replace"))
            self.serving.take_states(states)

        await self._change(take)

    async def _take_arms(self, chunk: BytesChunk) -> None:
        is_arms = chunk.source[0] == self.names[topics.ITEM_ARMS.name]
        await self._change(taken(chunk, self.recommender.showcase, is_arms=is_arms))

    async def _take_interactions(self, chunk: BytesChunk) -> None:
        await self.ready.wait()
        decode = self.decoders[Interaction]
        entries = [None if r.value is None else decode(r.value, r.timestamp, r.key, r.headers) for r in chunk.records]
        known = self.erasures.without(entries, chunk.records)
        decoded = [(entry, r.timestamp) for entry, r in zip(known, chunk.records, strict=True)]
        erased_ms = self.serving.erased_ms
        events = [  # the trainer keeps the letters of the others
            event
            for event, at_ms in decoded
            if isinstance(event, Interaction) and at_ms > erased_ms.get(event.user_id, -2)
        ]
        if not self.app.reader.is_current(chunk):
            return
        self.claimed[chunk.source] = chunk.next_offset

        def take() -> None:
            self.serving.take_interactions(events)
            self.taken[chunk.source] = chunk.next_offset

        await self.arriving.acquire()
        self._run(self._note_taken(chunk, events, self._change(take)))

    async def _note_taken(self, chunk: BytesChunk, events: Sequence[Interaction], taken: asyncio.Future[None]) -> None:
        await taken
        self.arriving.release()
        if self.settings.recommender.push_slates:
            now_s = time.monotonic()
            for event in events:
                if event.action in rules.LEARNED_ACTIONS or event.action in rules.HIDING_ACTIONS:
                    self.pushes.add(Push(event.user_id, event.event_id, event.surface), now_s)
            self.answering.notice()
        if self.app.reader.is_current(chunk):
            self.app.reader.done(chunk.source, chunk.next_offset)

    def _run(self, work: Any) -> None:
        """Work beside the agents; what it raises ends the process, as if an agent had raised it."""

        async def run() -> None:
            with ending_on_error():
                await work

        task = asyncio.create_task(run())
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def _take_requests(self, chunk: BytesChunk) -> None:
        await self.ready.wait()
        while not self.answering.is_stopping and not self.is_caught_up():
            await asyncio.sleep(0.01)
        if self.answering.is_stopping or not self.app.reader.is_current(chunk):
            return  # not answered: they are read again
        decode = self.decoders[Request]
        requests: list[Request] = []
        letters: list[Out] = []
        for record in chunk.records:
            if record.value is None:
                continue
            request = decode(record.value, record.timestamp, record.key, record.headers)
            if isinstance(request, Rejected):
                letters.append(letter_for(request, record, topic=self.names[topics.DEAD_LETTERS.name]))
            elif isinstance(request, Request):
                requests.append(request)
        if letters:
            await self.answering.publish(letters)
            self.rejected += len(letters)
        await self.answering.ask(requests, lambda: self._run(self._acknowledge(chunk)))

    def is_caught_up(self) -> bool:
        """Whether the catalogue, the model and all interactions that were there at the start are in the state."""
        positions, interactions = self.app.reader.positions, self.names[topics.INTERACTIONS.name]
        if self.caught_up_epoch != positions.epoch and self.ready.is_set():
            if any(topic == interactions for topic, _ in positions.lag()):
                return False
            self.caught_up_epoch = positions.epoch
        return self.caught_up_epoch == positions.epoch

    async def _acknowledge(self, chunk: BytesChunk) -> None:
        """A request is done once its slate is safe: only then may a restart step over it."""
        await self.publisher.flush()
        if self.app.reader.is_current(chunk):
            self.app.reader.done(chunk.source, chunk.next_offset)

    # --- what it gives -------------------------------------------------------------------------------------------

    def _slates(self, requests: list[Request]) -> list[Out]:
        now_ms = self.clock.now_ms(self.serving.newest_ms)
        offsets = {str(partition): offset for (_, partition), offset in sorted(self.taken.items())}
        generated_at_ms = time.time_ns() // 1_000_000
        told = self.recommender.told(requests, now_ms=now_ms, generated_at_ms=generated_at_ms, offsets=offsets)
        topic = self.names[topics.SLATES.name]
        return [Out(topic=topic, key=r.user_id.encode(), value=v) for r, v in zip(requests, told, strict=True)]

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._change(self.recommender.refresh, self.clock.now_ms(self.serving.newest_ms))

    async def _maintain_index(self) -> None:
        """Rebuild the index beside the live one when it has grown or drifted; a thread of its own does the work."""
        while not self.answering.is_stopping:
            await asyncio.sleep(MAINTAIN_S)
            plan = await asyncio.to_thread(self.serving.index.maintain)
            if plan.action != "upsert":
                log.info("index: %s, %s", plan.action, plan.reason)

    async def _keep_copy(self) -> None:
        """Write the catalogue down now and then: the next start reads it there."""
        wait_s = COPY_FIRST_S
        while not self.answering.is_stopping:
            await asyncio.sleep(wait_s)
            wait_s = COPY_EVERY_S
            await self.disk.save(self.serving, dict(self.readers[topics.ITEMS.name].offsets), change=self._change)

    async def _drain(self, *_: Any, **__: Any) -> None:
        await self.answering.stop()


def _decoded(chunk: BytesChunk, kind: type[Any]) -> list[tuple[bytes | None, Any]]:
    decode = decoder(kind)
    return [(r.key, None if r.value is None else decode(r.value, -1)) for r in chunk.records]


async def _all_or_first_failure(tasks: list[asyncio.Task[None]], wanted: Any) -> None:
    """Waits for ``wanted``; raises what a task raised meanwhile."""
    waiting = asyncio.ensure_future(wanted)
    done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        await task
