"""How many connections may be open, and for how long one may say nothing: aiohttp itself asks neither.

A client that opens a connection and sends a byte a minute holds a place; here it loses it. Decided by the requests
that the guard reports; `Connections.look` is called now and then.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

FIRST_S: Final = 5.0
"""A new connection without a whole head of a request for so long is closed."""
KEPT_S: Final = 60.0
"""One that has had an answer may be quiet for so long: clients keep connections."""
LOOK_S: Final = 1.0
REFUSED: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Refused(asyncio.Protocol):
    """Says that there is no room, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.write(REFUSED)
        transport.close()


class Connections:
    """Makes the protocol of each connection, and closes those that hold their place for nothing.

    Args:
      server: aiohttp's. most: open at a time. busy_s: longest that one request may take, its body and answer included.
    """

    def __init__(self, *, most: int, busy_s: float) -> None:
        self._most, self._busy_s = most, busy_s
        self._server: Any = None
        self._busy: dict[Any, float] = {}
        self._new: dict[Any, float] = {}
        self._kept: dict[Any, float] = {}

    def serve(self, server: Any) -> None:
        """Takes aiohttp's factory of protocols; call it before the first connection comes."""
        self._server = server

    def __call__(self) -> asyncio.BaseProtocol:
        """For ``loop.create_server``."""
        if len(self._server.connections) >= self._most:
            return _Refused()
        made: asyncio.BaseProtocol = self._server()
        return made

    def note(self, request: web.Request, begins: bool) -> None:
        """A request begins, or has been answered."""
        protocol, now_s = request.protocol, asyncio.get_running_loop().time()
        if begins:
            self._busy[protocol] = now_s
            self._kept.pop(protocol, None)
        else:
            self._busy.pop(protocol, None)
            self._kept[protocol] = now_s

    def look(self, now_s: float) -> list[asyncio.Transport]:
        """Transports to abort: of connections that have been quiet, or busy with one request, for too long."""
        there = set(self._server.connections)
        self._busy = {one: at_s for one, at_s in self._busy.items() if one in there}
        self._kept = {one: at_s for one, at_s in self._kept.items() if one in there}
        new = there - self._busy.keys() - self._kept.keys()
        self._new = {one: self._new.get(one, now_s) for one in new}
        limits = ((self._new, FIRST_S), (self._kept, KEPT_S), (self._busy, self._busy_s))
        late = [one for held, most_s in limits for one, at_s in held.items() if now_s - at_s > most_s]
        return [one.transport for one in late if one.transport is not None]

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for transport in self.look(asyncio.get_running_loop().time()):
                transport.abort()
