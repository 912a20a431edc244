"""The addresses of the door: a slate for somebody, records for the topics, and how the door itself fares."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiohttp import web

from streams.contract import codec, topics
from streams.contract.events import Request
from streams.contract.topics import TopicSpec, topic_name
from streams.door import wanted
from streams.door.guard import PEER, Guard
from streams.door.posted import JSON, LINES, Posted, checked, parts_of
from streams.door.refusals import RefusalError, answer
from streams.door.waiting import Mine, Waiting
from streams.door.wire import Sender, SlateReader

MOST_POSTS: Final = 32
"""Bodies of records in memory at a time."""
BODY_S: Final = 5.0
"""A body has to be there within it."""
LARGE_BYTES: Final = 65_536
"""Bodies from this size on are read into records beside the event loop."""


class Api:
    """The handlers.

    Args:
      prefix: of the topics. mine, waiting: who asked what. reader: brings the slates. asking, telling: send requests,
        and records. guard: knows who asks too much. timeout_ms: longest wait for a slate. document: of OpenAPI.
    """

    def __init__(
        self, *, prefix: str, mine: Mine, waiting: Waiting, reader: SlateReader, asking: Sender, telling: Sender,
        guard: Guard, timeout_ms: int, document: dict[str, Any],
    ) -> None:  # fmt: skip
        self._names = {spec: topic_name(prefix, spec.name) for spec in (*_POSTED, topics.REQUESTS)}
        self._mine, self._waiting, self._reader = mine, waiting, reader
        self._asking, self._telling, self._guard = asking, telling, guard
        self._timeout_s, self._document = timeout_ms / 1000, document
        self._posts = 0

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/slates/{user:[^/]+}", self.slate_of, allow_head=False),
            web.post("/slates", self.slate),
            web.post("/interactions", self.interactions),
            web.post("/items", self.items),
            web.get("/healthz", self.health),
            web.get("/readyz", self.ready),
            web.get("/openapi.json", self.openapi),
        ]

    # --- slates ----------------------------------------------------------------------------------------------------

    async def slate_of(self, request: web.Request) -> web.Response:
        """``GET /slates/USER?k=&surface=&exclude=&filters[NAME]=&context[NAME]=``."""
        user_id = request.match_info["user"]
        return await self._ask(wanted.of_address(user_id, request.query, request_id=self._mine.next_id()))

    async def slate(self, request: web.Request) -> web.Response:
        """``POST /slates``: a record of ``requests.v1`` without its ``request_id``."""
        if request.content_type != JSON:
            raise RefusalError(415, "media", f"expected {JSON}, got {request.content_type[:100]}")
        return await self._ask(wanted.of_body(await _body(request), request_id=self._mine.next_id()))

    async def _ask(self, question: Request) -> web.Response:
        self._require_broker()
        future = self._waiting.open(question.request_id, self._timeout_s)
        try:
            self._asking.send(self._names[topics.REQUESTS], question.user_id.encode(), codec.encode(question))
            told = await future
        finally:
            self._waiting.close(question.request_id)
        if told is None:
            self._require_broker()
            raise RefusalError(
                504, "late", f"expected a slate within {self._timeout_s:g} s, got none; is a recommender running, and "
                "has it caught up?", retry_s=1.0,
            )  # fmt: skip
        if (refusal := wanted.refusal_of(question, told.head.error)) is not None:
            raise refusal
        return web.Response(body=told.value, content_type=JSON)

    # --- records ---------------------------------------------------------------------------------------------------

    async def interactions(self, request: web.Request) -> web.Response:
        """``POST /interactions``: one, an array, or one a line."""
        return await self._post(request, topics.INTERACTIONS, "event_ids")

    async def items(self, request: web.Request) -> web.Response:
        """``POST /items``: the same, of the catalogue."""
        return await self._post(request, topics.ITEMS, "item_ids")

    async def _post(self, request: web.Request, spec: TopicSpec, ids: str) -> web.Response:
        if request.content_type not in (JSON, *LINES):
            said = f"expected {JSON} or application/x-ndjson, got {request.content_type[:100]}"
            raise RefusalError(415, "media", said)
        self._require_broker()
        if self._posts >= MOST_POSTS:
            raise RefusalError(503, "full", f"{MOST_POSTS} bodies are being published; come again", retry_s=1.0)
        self._posts += 1
        try:
            body, now_ms = await _body(request), time.time_ns() // 1_000_000
            if len(body) < LARGE_BYTES:
                records = _read(spec, body, request.content_type, now_ms)
            else:
                records = await asyncio.to_thread(_read, spec, body, request.content_type, now_ms)
            self._guard.rates.charge(request[PEER], len(records) - 1)
            await self._telling.deliver(self._names[spec], records, timestamp_ms=now_ms)
        finally:
            self._posts -= 1
        return answer({ids: [one.id for one in records]}, status=202)

    def _require_broker(self) -> None:
        if self._reader.trouble:
            raise RefusalError(503, "broker", self._reader.trouble, retry_s=1.0)

    # --- itself ----------------------------------------------------------------------------------------------------

    async def health(self, _request: web.Request) -> web.Response:
        """``GET /healthz``: this process answers."""
        return answer({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """``GET /readyz``: 200 while slates can be asked for."""
        self._require_broker()
        return answer({"status": "ok", "waiting": len(self._waiting)})

    async def openapi(self, _request: web.Request) -> web.Response:
        """``GET /openapi.json``."""
        return answer(self._document)


_POSTED: Final = (topics.INTERACTIONS, topics.ITEMS)


def _read(spec: TopicSpec, body: bytes, media_type: str, now_ms: int) -> list[Posted]:
    return checked(spec, parts_of(body, media_type), now_ms=now_ms)


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise RefusalError(408, "slow", f"expected the whole body within {BODY_S:g} s, got a part of it") from None
