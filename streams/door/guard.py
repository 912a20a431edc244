"""Who may ask, and how much: the one middleware of the door. Turns what is refused into a problem."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from streams.console.guard import LOOPBACK, TOKEN_WORDS, host_of
from streams.door.rates import Rates, peer_of
from streams.door.refusals import RefusalError
from streams.door_settings import DoorSettings
from streams.setting_kinds import Secret

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_ADDRESS: Final = 8_192
"""Longest path with its query, characters; with 5,000 items to leave out, ask with a body."""
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""Say nothing of anybody: no token."""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_KINDS: Final = {404: "path", 405: "method", 413: "size"}
PEER: Final = web.RequestKey("peer", str)


class Guard:
    """Checks, and answers for what is refused.

    Args:
      settings: hosts and rates. token: what every request must bring; empty: none.
      note: called with each request, before and after it is answered, for those who watch connections.
    """

    def __init__(
        self, settings: DoorSettings, token: Secret, *, note: Callable[[web.Request, bool], None] = lambda *_: None
    ) -> None:
        own = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._hosts = LOOPBACK | {own} | set(settings.hosts)
        self._token = token
        self._wanted = token.reveal().encode()
        self._note = note
        self.rates = Rates(settings.rate_per_s)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One request."""
        self._note(request, True)
        try:
            self.check(request)
            response = await handler(request)
        except RefusalError as refusal:
            response = refusal.answer()
        except web.HTTPException as error:
            if error.status < 400:
                raise
            kind = _KINDS.get(error.status, "query")
            response = RefusalError(error.status, kind, f"{request.method} is answered with {error.reason}").answer()
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        finally:
            self._note(request, False)
        return response

    def check(self, request: web.Request) -> None:
        """Raises RefusalError for what must not be answered."""
        peer = request[PEER] = peer_of(request.remote)
        if (wait_s := self.rates.wait_s(peer, now_s=time.monotonic())) > 0.0:
            raise RefusalError(
                429, "rate", "expected fewer requests a second of this address (door.rate_per_s); come again later",
                retry_s=wait_s,
            )  # fmt: skip
        if len(request.raw_path) > MOST_ADDRESS:
            raise RefusalError(
                414, "size", f"expected an address of at most {MOST_ADDRESS} characters, got {len(request.raw_path)}; "
                "POST /slates takes the same in a body",
            )  # fmt: skip
        if host_of(request.headers.get("Host", "")) not in self._hosts:
            raise RefusalError(
                421, "host", "expected a Host header that names this door, got another; set door.hosts to the names "
                "that clients reach it by",
            )  # fmt: skip
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise RefusalError(403, "host", "expected a client of this host, got a page of another site")
        if any(name.lower() in TOKEN_WORDS for name in request.query) or (
            self._wanted and self._token.reveal() in request.raw_path
        ):
            raise RefusalError(
                400, "address", "a token must never stand in an address, where logs and proxies keep it; send it in "
                "the header Authorization: Bearer, and make a new one",
            )  # fmt: skip
        if self._wanted and request.path not in OPEN_PATHS:
            self._check_token(request)

    def _check_token(self, request: web.Request) -> None:
        kind, _, told = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(told.encode("utf-8", "surrogateescape"), self._wanted):
            raise RefusalError(
                401, "token", "expected the door's token in the header Authorization: Bearer, got none or another"
            )


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: the headers of every answer."""
    response.headers.update(HEADERS)
    response.headers.pop("Server", None)
