"""Carries one content task out: counts the try, has it rendered, puts the file into the store, and words the record.

Every try is counted in the store before it begins and taken back where it ends, so that a task that ends its worker,
however often that starts again, is failed after so many tries and does not end it for ever.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from streams.contract.events import ContentAsset, ContentTask, Item
from streams.cores import render
from streams.errors import StoreError
from streams.settings import Settings
from streams.studio.jobs import carry_out
from streams.studio.means import means_of
from streams.studio.rendering import Errand, Outcome
from streams.studio.speech_means import means_of_speech
from streams.studio.store import Aside, Stored, open_assets
from streams.transport.backoff import Backoff

log = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 60.0
"""Between two tries at a store that takes nothing."""
T = TypeVar("T")


class Workshop:
    """One worker's store, its corner, and what its renders may use."""

    def __init__(self, settings: Settings) -> None:
        self.wishes = settings.studio
        self.means, self.speech = means_of(settings), means_of_speech(settings.speech)
        self.store = open_assets(self.wishes.store_dir, local=settings.cache_dir / "studio")
        self.aside = Aside(self.store.corners)
        self._alone = asyncio.Lock()
        self.under_way: dict[str, float] = {}
        """Tasks that are rendered now, and since when, monotonic seconds."""
        self.rendered_s = 0.0
        self.patience_s = 1.0
        """First wait for a store that takes nothing."""

    def close(self) -> None:
        """Clears up."""
        self.aside.close()

    async def make(self, task: ContentTask, item: Item) -> ContentAsset:
        """What becomes of a task that is to be rendered. Called off, it leaves the count of tries as it was."""
        before = await self._insist(lambda: self.store.tries(task.task_id))
        if before >= self.wishes.tries:
            return render.worn_out(task, before)
        if before == 0:
            return await self._tried(task, item, before)
        async with self._alone:  # one of these ended its worker: no other suspect is to be counted with it
            return await self._tried(task, item, before)

    async def forget(self, task_id: str) -> None:
        """The task has its record: nobody needs to know how often it was begun."""
        await self._insist(lambda: self.store.set_tries(task_id, 0))

    async def _tried(self, task: ContentTask, item: Item, before: int) -> ContentAsset:
        began_s = self.under_way[task.task_id] = time.monotonic()
        try:
            await self._insist(lambda: self.store.set_tries(task.task_id, before + 1))
            return await self._rendered(task, item)
        except asyncio.CancelledError:
            await asyncio.to_thread(self._give_back, task.task_id, before)
            raise
        finally:
            self.under_way.pop(task.task_id, None)
            self.rendered_s += time.monotonic() - began_s

    def _give_back(self, task_id: str, before: int) -> None:
        try:
            self.store.set_tries(task_id, before)
        except (OSError, StoreError) as error:
            log.warning("the try of task %s stays counted: %s", task_id, error)

    async def _rendered(self, task: ContentTask, item: Item) -> ContentAsset:
        wishes = self.wishes
        self.aside.touch()
        errand = Errand(
            task=task, item=item, workdir=str(self.aside.folder / task.task_id[:64].replace("/", "-")),
            seed=render.seed_of(wishes.seed, task.task_id), roots=list(wishes.roots), hosts=list(wishes.hosts),
            engines=list(wishes.engines), means=self.means, speech=self.speech, seconds=float(wishes.deadline_s),
            memory_bytes=wishes.memory_mb << 20, file_bytes=wishes.file_mb << 20, environment=list(wishes.environment),
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
        stored = await self._insist(lambda: self._store(task, outcome))
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

    async def _insist(self, call: Callable[[], T]) -> T:
        """What the store answers; while it takes nothing the task waits, and is not to blame."""
        backoff = Backoff(first_s=self.patience_s, most_s=LONGEST_WAIT_S)
        while True:
            try:
                return await asyncio.to_thread(call)
            except (OSError, StoreError) as error:
                wait_s = backoff.next_s()
                log.error(
                    "expected the store %s to work, got: %s; trying again in %.0f s", self.store.address, error, wait_s
                )
                await asyncio.sleep(wait_s)
