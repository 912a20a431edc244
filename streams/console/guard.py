"""Who may ask, and what every answer says to a browser: hosts, tokens, headers, sizes. Decides on requests alone."""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.contract import rules
from streams.errors import MarqueeError
from streams.setting_kinds import Secret

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
TOKEN_WORDS: Final = frozenset({"token", "access_token", "api_key", "apikey", "auth", "authorization", "bearer", "key"})
"""Names that a secret in an address might have."""
MOST_TEXT: Final = max(rules.MAX_ID_CHARS, 512)
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class AskError(Exception):
    """A request that is answered with a status and one clear line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def answer(value: Any, *, status: int = 200) -> web.Response:
    """A JSON answer; never kept by anybody."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )  # fmt: skip


def text_asked(request: web.Request, name: str, *, most: int = MOST_TEXT, default: str | None = None) -> str:
    """A text of the query.

    Raises:
      AskError: it is missing where there is no default, too long, or has a zero character.
    """
    found = request.query.get(name, default)
    if not found and default is None:
        raise AskError(400, f"expected ?{name}=..., got none")
    text = found or ""
    if len(text) > most:
        raise AskError(400, f"expected {name} of at most {most} characters, got {len(text)}")
    if "\0" in text:  # no program takes it as an argument
        raise AskError(400, f"expected {name} without a zero character, got one")
    return text


def host_of(header: str) -> str:
    """A Host header without its port."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0].lower()


class Guard:
    """The one middleware.

    Args:
      hosts: names that browsers may use, beside the loopback's. address: what we listen on.
      token: what a change must bring; empty: nothing can be changed.
    """

    def __init__(self, *, hosts: Collection[str], address: str, token: Secret) -> None:
        own = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
        self._hosts = LOOPBACK | {own} | set(hosts)
        self._token = token

    @property
    def may_write(self) -> bool:
        """Whether anything can be changed at all."""
        return bool(self._token)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Checks, answers, and turns what is raised into one line."""
        try:
            self.check(request)
            return await handler(request)
        except AskError as error:
            headers = {"Retry-After": "5"} if error.status == 503 else {}
            response = answer({"error": str(error)}, status=error.status)
            response.headers.update(headers)
            return response
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return answer({"error": f"{error.status} {error.reason}"}, status=error.status)
        except MarqueeError as error:
            return answer({"error": str(error)}, status=502)

    def check(self, request: web.Request) -> None:
        """Raises AskError for what must not be answered."""
        if host_of(request.headers.get("Host", "")) not in self._hosts:
            raise AskError(
                421, "expected a Host header that names this console, got another; set console.hosts to the names that "
                "you reach it by",
            )  # fmt: skip
        if self._has_secret(request):
            raise AskError(
                400, "a token must never stand in an address, where histories and proxies keep it; send it in the "
                "header Authorization: Bearer, and make a new one",
            )  # fmt: skip
        if (
            request.headers.get("Sec-Fetch-Site") == "cross-site"
            and request.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            raise AskError(403, "expected a request of this console's own page, got one of another")
        if request.method not in ("GET", "HEAD"):
            self._check_write(request)

    def _has_secret(self, request: web.Request) -> bool:
        token = self._token.reveal()
        return any(name.lower() in TOKEN_WORDS for name in request.query) or (bool(token) and token in request.path_qs)

    def _check_write(self, request: web.Request) -> None:
        if request.method != "POST":
            raise AskError(405, f"expected GET or POST, got {request.method}")
        if not self.may_write:
            raise AskError(403, "this console only shows; set console.token_file to allow changes")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host", ""):
            raise AskError(403, "expected a request of this console's own page, got one of another")
        kind, _, told = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not hmac.compare_digest(
            told.encode("utf-8", "surrogateescape"), self._token.reveal().encode()
        ):
            raise AskError(401, "expected the console's token in the header Authorization: Bearer, got none or another")
        if request.content_type != "application/json":
            raise AskError(415, f"expected application/json, got {request.content_type}")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: the headers of every answer."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)
