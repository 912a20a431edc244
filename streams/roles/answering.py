"""Which slates are made next, and their way out: requests first, then pushes, a batch at a time.

While one batch is published the next is computed, and a third may wait for its turn: no more, so that what a turn takes
up is as new as can be. Requests never share a batch with pushes, and overtake one that waits: whoever asks now waits
for the turn under way at most. Requests are done once the slates of all that were asked together are published.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.contract import ids
from streams.contract.events import Request
from streams.cores.pushes import Pushes
from streams.roles.turns import Turns
from streams.telemetry.durations import Durations
from streams.telemetry.exported import ANSWER_BOUNDS_S
from streams.transport.publish import Out, Publisher

BATCH = 64
"""Slates made in one turn: enough for the search to be efficient, few enough to be quick."""
AHEAD = 3
"""Batches of a kind on their way: one being published, one in its turn, one waiting for it."""
ASKED_MOST = 4_096
"""Requests that may wait here; beyond it no more are read."""
LOOK_AGAIN_S = 0.05
"""How long pushes wait for another look while they do not make sense yet."""
REQUESTS_PRIORITY, PUSHES_PRIORITY = 1, 2


class _Asked(NamedTuple):
    """One request, and when it came, monotonic; the last of those that came together has ``done``."""

    request: Request
    done: Callable[[], None] | None
    asked_s: float


class Answering:
    """Takes requests and due pushes, has their slates made and publishes them in order.

    Args:
      slates: makes the records of one batch; it runs in a turn.
      turns: the thread that owns the state. publisher: where slates go.
      pushes: who waits for a pushed slate. push_k: how long that is.
      may_push: whether pushes make sense yet.
    """

    def __init__(
        self,
        slates: Callable[[list[Request]], list[Out]],
        *,
        turns: Turns,
        publisher: Publisher,
        pushes: Pushes,
        push_k: int,
        may_push: Callable[[], bool],
    ) -> None:
        self._slates = slates
        self._turns = turns
        self._publisher = publisher
        self._pushes = pushes
        self._push_k = push_k
        self._may_push = may_push
        self._asked: collections.deque[_Asked] = collections.deque()
        self._is_asked = asyncio.Event()
        self._is_due = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._publishing = asyncio.Lock()
        self.is_stopping = False
        self.slates = {"request": 0, "push": 0}
        """Slates handed to the publisher, by what asked for them."""
        self.took = Durations(ANSWER_BOUNDS_S)
        """From `ask` to there."""

    @property
    def waiting(self) -> int:
        """Requests that are in no batch yet."""
        return len(self._asked)

    async def ask(self, requests: Sequence[Request], done: Callable[[], None]) -> None:
        """Have these answered; returns when more may be asked. ``done`` is called once all have been published."""
        last, now_s = len(requests) - 1, time.monotonic()
        self._asked += [_Asked(request, done if at == last else None, now_s) for at, request in enumerate(requests)]
        if not requests:
            done()
            return
        self._is_asked.set()
        if len(self._asked) >= ASKED_MOST:
            self._room.clear()
        await self._room.wait()

    def notice(self) -> None:
        """Somebody is due for a push now."""
        self._is_due.set()

    async def run(self) -> None:
        """Answer for ever; what a batch raises is raised here."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer_requests(group))
            group.create_task(self._answer_pushes(group))

    async def _answer_requests(self, group: asyncio.TaskGroup) -> None:
        ahead = asyncio.Semaphore(AHEAD)
        while not self.is_stopping:
            await ahead.acquire()
            await self._is_asked.wait()
            asked = [self._asked.popleft() for _ in range(min(BATCH, len(self._asked)))]
            if not self._asked:
                self._is_asked.clear()
            if len(self._asked) < ASKED_MOST // 2:
                self._room.set()
            records = self._turns.submit(REQUESTS_PRIORITY, self._slates, [one.request for one in asked])
            group.create_task(self._send(records, asked, ahead))

    async def _answer_pushes(self, group: asyncio.TaskGroup) -> None:
        ahead = asyncio.Semaphore(AHEAD)
        while not self.is_stopping:
            await ahead.acquire()
            while not (requests := self._due()) and not self.is_stopping:
                await self._wait_until_due()
            records = self._turns.submit(PUSHES_PRIORITY, self._slates, requests)
            group.create_task(self._send(records, (), ahead))

    async def stop(self) -> None:
        """Publish no more; what was not published is asked for again by whoever reads next."""
        self.is_stopping = True
        self._room.set()
        self._is_asked.set()
        self._is_due.set()
        async with self._publishing:
            await self._publisher.stop()

    async def publish(self, outs: Sequence[Out]) -> None:
        """Hand records to the publisher, unless we are about to end."""
        async with self._publishing:
            if not self.is_stopping:
                await self._publisher.perform(outs)

    def _due(self) -> list[Request]:
        if not self._may_push():
            return []
        return [
            Request(
                request_id=ids.pushed_request_id(user_id=push.user_id, event_id=push.event_id),
                user_id=push.user_id,
                surface=push.surface,
                k=self._push_k,
            )
            for push in self._pushes.take(time.monotonic(), BATCH)
        ]

    async def _send(
        self, records: asyncio.Future[list[Out]], asked: Sequence[_Asked], ahead: asyncio.Semaphore
    ) -> None:
        try:
            outs = await records
            await self.publish(outs)
        finally:
            ahead.release()
        if not self.is_stopping:
            self.slates["request" if asked else "push"] += len(outs)
            now_s = time.monotonic()
            self.took.take([now_s - one.asked_s for one in asked])
            for one in asked:
                if one.done is not None:
                    one.done()

    async def _wait_until_due(self) -> None:
        due_s = self._pushes.next_due_s()
        wait_s = None if due_s is None else due_s - time.monotonic() if self._may_push() else LOOK_AGAIN_S
        self._is_due.clear()
        try:
            async with asyncio.timeout(None if wait_s is None else max(0.0, wait_s)):
                await self._is_due.wait()
        except TimeoutError:
            pass
