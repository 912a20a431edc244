"""Which slates are made next, and their way out: requests first, then pushes, a batch at a time.

While one batch is published the next is computed, and a third may wait for its turn: no more, so that whoever asks now
waits for two batches at most. Every request is done once the slates of all that were asked together are acknowledged.
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
from streams.transport.publish import Out, Publisher

BATCH = 64
"""Slates made in one turn: enough for the search to be efficient, few enough to be quick."""
AHEAD = 2
"""Batches on their way to a slate: one in its turn, one waiting for it."""
ASKED_MOST = 4_096
"""Requests that may wait here; beyond it no more are read."""
LOOK_AGAIN_S = 0.05
"""How long pushes wait for another look while they do not make sense yet."""
SLATES_PRIORITY = 1


class _Asked(NamedTuple):
    """One request; ``is_last`` of those that came together, so ``done`` is called when it is published."""

    request: Request
    done: Callable[[], None] | None


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
        self._ahead = asyncio.Semaphore(AHEAD)
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._publishing = asyncio.Lock()
        self.is_stopping = False

    async def ask(self, requests: Sequence[Request], done: Callable[[], None]) -> None:
        """Have these answered; returns when more may be asked. ``done`` is called once all have been published."""
        last = len(requests) - 1
        self._asked += [_Asked(request, done if at == last else None) for at, request in enumerate(requests)]
        if not requests:
            done()
        self.notice()
        if len(self._asked) >= ASKED_MOST:
            self._room.clear()
        await self._room.wait()

    def notice(self) -> None:
        """Somebody is due for a push now."""
        self._news.set()

    async def run(self) -> None:
        """Answer for ever; what a batch raises is raised here."""
        async with asyncio.TaskGroup() as group:
            while not self.is_stopping:
                await self._ahead.acquire()
                asked, requests = self._next_batch()
                if requests:
                    records = self._turns.submit(SLATES_PRIORITY, self._slates, requests)
                    group.create_task(self._send(records, asked))
                else:
                    self._ahead.release()
                    await self._wait_for_news()

    async def stop(self) -> None:
        """Publish no more; what was not published is asked for again by whoever reads next."""
        self.is_stopping = True
        self._room.set()
        self._news.set()
        async with self._publishing:
            await self._publisher.stop()

    async def publish(self, outs: Sequence[Out]) -> None:
        """Hand records to the publisher, unless we are about to end."""
        async with self._publishing:
            if not self.is_stopping:
                await self._publisher.perform(outs)

    def _next_batch(self) -> tuple[list[_Asked], list[Request]]:
        asked = [self._asked.popleft() for _ in range(min(BATCH, len(self._asked)))]
        if len(self._asked) < ASKED_MOST // 2:
            self._room.set()
        requests = [one.request for one in asked]
        if len(requests) < BATCH and self._may_push():
            for push in self._pushes.take(time.monotonic(), BATCH - len(requests)):
                request_id = ids.pushed_request_id(user_id=push.user_id, event_id=push.event_id)
                requests.append(
                    Request(request_id=request_id, user_id=push.user_id, surface=push.surface, k=self._push_k)
                )
        return asked, requests

    async def _send(self, records: asyncio.Future[list[Out]], asked: Sequence[_Asked]) -> None:
        try:
            outs = await records
        finally:
            self._ahead.release()
        await self.publish(outs)
        if not self.is_stopping:
            for one in asked:
                if one.done is not None:
                    one.done()

    async def _wait_for_news(self) -> None:
        due_s = self._pushes.next_due_s()
        wait_s = None if due_s is None else due_s - time.monotonic() if self._may_push() else LOOK_AGAIN_S
        self._news.clear()
        try:
            async with asyncio.timeout(None if wait_s is None else max(0.0, wait_s)):
                await self._news.wait()
        except TimeoutError:
            pass
