"""Server-sent events: one frame is made for all, a few times a second, however fast the topics are.

A page that reads slowly misses frames, since each gets only what stands now; one that does not read at all is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.console.alarms import alarms_of
from streams.console.board import Rate
from streams.console.guard import AskError, text_asked
from streams.console.watching import Watching
from streams.contract import topics

FRAME_S: Final = 0.5
CURVES_S: Final = 2.0
"""Curves change with a window of the trainer's at most; this bounds how often they are sent."""
LETTERS_OVER_S: Final = 60.0
"""Refusals are told by the minute."""
SLOW_S: Final = 10.0
"""A page whose buffers are full and that takes nothing for so long is dropped."""
BEAT_S: Final = 15.0
"""Longest silence: proxies end streams that say nothing."""
Write = Callable[[bytes], Awaitable[None]]

MOST_BUFFERED: Final = 1 << 16
"""Bytes that may wait for one page before writing waits too."""


def event(name: str, value: Any) -> bytes:
    """One server-sent event; JSON has no bare line break in it."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))


class Live:
    """Makes frames, and writes them to every open page.

    Args:
      watching: what to tell of. most: streams open at a time.
    """

    def __init__(self, watching: Watching, *, most: int) -> None:
        self._watching = watching
        self._most = most
        self._open = 0
        self._letters = Rate(over_s=LETTERS_OVER_S)
        self.newest = self.figures()
        """As of the last frame."""
        self._now = event("now", self.newest)
        self._rates = event("rates", watching.board.history(time.monotonic()))
        self._rates_number = 0
        self._curves = event("curves", watching.board.curves.plain())
        self._curves_version = 0
        self._curves_s = 0.0
        self._frame = 0
        self._made = asyncio.Condition()

    @property
    def open(self) -> int:
        """Streams that are open."""
        return self._open

    async def run(self) -> None:
        """Makes frames until cancelled."""
        while True:
            await self._make()
            await asyncio.sleep(FRAME_S)

    def figures(self) -> dict[str, Any]:
        """What the event ``now`` holds."""
        now_s, now_ms = time.monotonic(), time.time_ns() // 1_000_000
        watching = self._watching
        found = watching.board.figures(now_s, now_ms)
        refused = watching.board.topics.get(watching.names[topics.DEAD_LETTERS.name])
        if refused is not None and watching.is_caught_up:
            self._letters.take(sum(refused.end.values()), now_s)
        alarms = alarms_of(found, refused=self._letters.risen)
        return {
            **found, "alarms": [one._asdict() for one in alarms], "letters": refused.held if refused else 0,
            "items": len(watching.catalogue), "caught_up": watching.is_caught_up, "streams": self._open,
        }  # fmt: skip

    async def _make(self) -> None:
        board, now_s = self._watching.board, time.monotonic()
        if board.tick(now_s):
            self._rates = event("rates", board.history(now_s))
            self._rates_number += 1
        self.newest = self.figures()
        self._now = event("now", self.newest)
        curves = board.curves
        if curves.version != self._curves_version and now_s - self._curves_s >= CURVES_S:
            self._curves = event("curves", curves.plain())
            self._curves_version, self._curves_s = curves.version, now_s
        async with self._made:
            self._frame += 1
            self._made.notify_all()

    # --- pages -----------------------------------------------------------------------------------------------------

    async def now(self, request: web.Request) -> web.StreamResponse:
        """``GET /api/live``: figures twice a second, curves when they changed."""

        async def feed(write: Write) -> None:
            curves = rates = -1
            while True:
                if curves != self._curves_version:
                    curves = self._curves_version
                    await write(self._curves)
                if rates != self._rates_number:
                    rates = self._rates_number
                    await write(self._rates)
                await write(self._now)
                await self._next()

        return await self._stream(request, feed)

    async def tail(self, request: web.Request) -> web.StreamResponse:
        """``GET /api/tail?topic=&words=``: samples of the newest records, twice a second at most."""
        name, words = text_asked(request, "topic", most=300), text_asked(request, "words", default="")
        tail, names = self._watching.tail, self._watching.names
        full = names.get(name)
        if full is None:
            raise AskError(404, f"expected a topic of ours, got {name!r}; known are {', '.join(names)}")

        async def feed(write: Write) -> None:
            number, said_s = 0, 0.0
            while True:
                found = tail.since(number, topic=full, words=words)
                number = tail.number
                if found or time.monotonic() - said_s > BEAT_S:
                    said_s = time.monotonic()
                    await write(event("records", found))
                await self._next()

        return await self._stream(request, feed)

    async def _next(self) -> None:
        async with self._made:
            await self._made.wait()

    async def _stream(self, request: web.Request, feed: Callable[[Write], Awaitable[None]]) -> web.StreamResponse:
        """An open stream; ends when the page goes, or takes nothing.

        Raises:
          AskError: too many are open.
        """
        if self._open >= self._most:
            raise AskError(503, f"{self._most} event streams are open, as many as console.streams allows; close a page")
        self._open += 1
        try:
            response = web.StreamResponse(headers={
                "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            })  # fmt: skip
            await response.prepare(request)
            transport = request.transport
            if isinstance(transport, asyncio.WriteTransport):
                transport.set_write_buffer_limits(high=MOST_BUFFERED)

            async def write(data: bytes) -> None:
                async with asyncio.timeout(SLOW_S):
                    await response.write(data)

            with contextlib.suppress(ConnectionError, TimeoutError):
                await feed(write)
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()  # what waits for a page that reads nothing is let go
            return response
        finally:
            self._open -= 1
