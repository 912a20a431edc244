"""One thread for one state, with priorities: what matters most has the next turn, whatever was handed in before it.

A turn is never interrupted, so every turn must be short: the longest one is how long the most urgent work may wait.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Turns:
    """Runs functions one at a time on a thread of its own: lower priorities first, equal ones in order."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: list[tuple[int, int, Future[Any], Callable[[], Any]]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def submit(self, priority: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """What ``function`` will give; call it on the event loop. Nobody needs to await it for it to run."""
        done: Future[R] = Future()
        with self._lock:
            heapq.heappush(self._waiting, (priority, next(self._order), done, lambda: function(*args, **kwargs)))
        self._pool.submit(self._run_one)
        return asyncio.wrap_future(done)

    def _run_one(self) -> None:
        with self._lock:
            _, _, done, function = heapq.heappop(self._waiting)
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(function())
        except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
            done.set_exception(error)
