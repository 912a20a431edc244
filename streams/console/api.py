"""What the pages ask beside the live streams: people, items, content, topics, letters, the past."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from streams.console import changes, lookups
from streams.console.content import plain_asset, plain_task
from streams.console.guard import AskError, Guard, answer, text_asked
from streams.console.live import Live
from streams.console.past import Past, PastError
from streams.console.watching import Watching
from streams.contract import rules, topics
from streams.contract.events import Interaction
from streams.cores import redrive
from streams.errors import DeadLetterError
from streams.roles import letters

T = TypeVar("T")

AT_A_TIME: Final = 2
"""Look-ups that read topics, at a time."""
WAITING: Final = 16
"""Look-ups that may wait for their turn; more are told to come again."""
HISTORY: Final = 60
MOST_TASKS: Final = 300
MOST_LETTERS: Final = 200
SHOWN_BYTES: Final = 16_384
MOST_K: Final = 100


class Api:
    """The handlers.

    Args:
      watching: what is known. live: for the log's figures. guard: for what may be changed. past: rebuilds moments.
      version: of this program. broker: as it is shown.
    """

    def __init__(
        self, watching: Watching, live: Live, guard: Guard, past: Past, *, version: str, broker: str, store: Path | None
    ) -> None:
        self._watching = watching
        self._live = live
        self._guard = guard
        self._past = past
        self._meta = {
            "version": version, "broker": broker, "prefix": watching.prefix, "may_write": guard.may_write,
            "topics": list(watching.names), "store": store is not None and store.is_dir(),
        }  # fmt: skip
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._redriving = asyncio.Lock()
        self._waiting = 0
        self._working = 0

    def routes(self) -> list[web.RouteDef]:
        """Addresses and handlers."""
        reads = {
            "/healthz": self.health, "/api/meta": self.meta, "/api/search": self.search, "/api/user": self.user,
            "/api/item": self.item, "/api/past": self.past, "/api/why": self.why, "/api/tasks": self.tasks,
            "/api/log": self.log, "/api/letters": self.letters, "/api/letter": self.letter,
            "/api/live": self._live.now, "/api/tail": self._live.tail,
        }  # fmt: skip
        writes = {"/api/redrive": self.redrive, "/api/withdraw": self.withdraw, "/api/reopen": self.reopen}
        return [web.get(path, handler, allow_head=False) for path, handler in reads.items()] + [
            web.post(path, handler) for path, handler in writes.items()
        ]

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A turn for something that costs; too many that wait are told to come again."""
        if self._waiting >= WAITING:
            raise AskError(503, f"{WAITING} look-ups wait already; try again in a few seconds")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def _in_turn(self, work: Callable[[], T]) -> T:
        async with self._turn():
            return await asyncio.to_thread(work)

    # --- people and items ------------------------------------------------------------------------------------------

    async def health(self, _request: web.Request) -> web.Response:
        """Whether the broker answers and everything was read; 503 while not."""
        problem = self._watching.board.problem
        is_ready = problem is None and self._watching.is_caught_up
        return answer({"ready": is_ready, "problem": problem}, status=200 if is_ready else 503)

    async def meta(self, _request: web.Request) -> web.Response:
        """What does not change while the console runs."""
        return answer(self._meta)

    async def search(self, request: web.Request) -> web.Response:
        """Items by title or id, and who acted of late."""
        words = text_asked(request, "q", default="")
        users = [one for one in self._watching.tail.users() if words.casefold() in one.casefold()][:12]
        items = await asyncio.to_thread(self._watching.catalogue.search, words)
        return answer({"items": items, "users": users, "held": len(self._watching.catalogue)})

    async def user(self, request: web.Request) -> web.Response:
        """A user's newest slate and history, as far as the ends of their partitions hold them."""
        user_id = text_asked(request, "id", most=rules.MAX_ID_CHARS)
        names, connection = self._watching.names, self._watching.connection

        def look() -> dict[str, Any]:
            title = self._watching.catalogue.title
            slate, slates = lookups.newest_slate(connection, names[topics.SLATES.name], user_id)
            is_ours = self._watching.mapping.interactions is None
            events, looked = lookups.history_of(
                connection, names[topics.INTERACTIONS.name], user_id, most=HISTORY,
                decode=None if is_ours else self._watching.decoders[Interaction],
            )  # fmt: skip
            return {
                "user_id": user_id,
                "slate": None if slate is None else lookups.plain_slate(slate, title),
                "history": lookups.plain_history(events, title),
                "looked": {"slates": slates, "interactions": looked},
            }

        return answer(await self._in_turn(look))

    async def item(self, request: web.Request) -> web.Response:
        """An item: its record, what the trainer tells of it, its tasks and assets."""
        item_id = text_asked(request, "id", most=rules.MAX_ID_CHARS)
        watching = self._watching
        item = watching.catalogue.item(item_id)
        name = watching.names[topics.ITEM_STATES.name]
        state = await self._in_turn(lambda: lookups.state_of(watching.connection, name, item_id))
        title = watching.catalogue.title(item_id)
        return answer({
            "item_id": item_id,
            "item": None if item is None else msgspec.to_builtins(item),
            "state": None if state is None else {
                "count": state.count, "first_seen_ms": state.first_seen_ms, "live": state.live,
                "version": state.version, "bias": state.bias,
                "value_mean": state.value_sum / state.value_count if state.value_count else None,
            },
            "tasks": [plain_task(one, title) for one in watching.content.of_item(item_id)],
            "assets": [plain_asset(one) for one in watching.content.assets_of(item_id)],
        })  # fmt: skip

    # --- the past --------------------------------------------------------------------------------------------------

    async def past(self, request: web.Request) -> web.Response:
        """The slate that a user was served at a moment."""
        user_id, moment = text_asked(request, "user", most=rules.MAX_ID_CHARS), text_asked(request, "at", most=200)
        k = text_asked(request, "k", default="20", most=4)
        if not k.isdecimal() or not 1 <= int(k) <= MOST_K:
            raise AskError(400, f"expected k from 1 to {MOST_K}, got {k!r}")
        found = await self._rebuilt(self._past.slate(user_id, moment, k=int(k)))
        title = self._watching.catalogue.title
        defaults = {"propensity": 1.0, "explored": False, "reasons": [], "asset_ids": []}
        places = [{**defaults, **one, "title": title(one["item_id"])} for one in found.get("items", [])]
        return answer({**found, "items": places})

    async def why(self, request: web.Request) -> web.Response:
        """Why an item stands where it stands in a user's slate, and where without each of the last things done."""
        user_id, item_id = (text_asked(request, name, most=rules.MAX_ID_CHARS) for name in ("user", "item"))
        moment = text_asked(request, "at", default="now", most=200)
        found = await self._rebuilt(self._past.why(user_id, item_id, moment))
        title = self._watching.catalogue.title
        without = [{**one, "title": title(one["item_id"])} for one in found.get("without", [])]
        return answer({**found, "title": title(item_id), "without": without})

    async def _rebuilt(self, asked: Any) -> Any:
        if self._working >= AT_A_TIME:
            asked.close()
            raise AskError(503, "another moment is being rebuilt, and one waits already; try again in a minute")
        self._working += 1
        try:
            return await asked
        except PastError as error:
            raise AskError(422, str(error)) from None
        finally:
            self._working -= 1

    # --- content, topics, letters ----------------------------------------------------------------------------------

    async def tasks(self, request: web.Request) -> web.Response:
        """Content tasks, with most to gain first."""
        kind, state = text_asked(request, "kind", default=""), text_asked(request, "state", default="")
        content, title = self._watching.content, self._watching.catalogue.title
        found = [
            one for one in content.tasks() if kind in ("", one.task.kind) and state in ("", one.state)
        ]  # fmt: skip
        shown = [plain_task(one, title(one.task.item_id)) for one in found[:MOST_TASKS]]
        return answer({"tasks": shown, "count": len(found), "states": content.counts()})

    async def log(self, _request: web.Request) -> web.Response:
        """Topics, ledger and snapshots."""
        return answer(self._watching.board.log(time.monotonic(), time.time_ns() // 1_000_000))

    async def letters(self, request: web.Request) -> web.Response:
        """Dead letters, the newest first, counted by reason."""
        words = text_asked(request, "words", default="")
        connection, prefix, desk = self._watching.connection, self._watching.prefix, self._watching.desk
        found = await self._in_turn(lambda: letters.letters_in(connection, prefix=prefix, desk=desk))
        wanted = [one for one in found if redrive.matches(one, [("reason", words)] if words else [])]
        counts = redrive.count_kinds(wanted)
        return answer({
            "count": len(wanted),
            "kinds": [{"stage": stage, "reason": reason, "count": count} for (stage, reason), count in counts[:20]],
            "letters": [changes.plain_letter(one) for one in reversed(wanted[-MOST_LETTERS:])],
        })  # fmt: skip

    async def letter(self, request: web.Request) -> web.Response:
        """One letter with its bytes, as text and in hexadecimal, cut."""
        letter_id = text_asked(request, "id", most=64)
        connection, prefix = self._watching.connection, self._watching.prefix
        topic = self._watching.board.topics.get(self._watching.names[topics.DEAD_LETTERS.name])
        try:
            partition, offset = letters.place_of(letter_id)
            if topic is None or offset >= topic.end.get(partition, 0):
                raise DeadLetterError(f"expected a letter that is there, got {letter_id}")
            read = await self._in_turn(lambda: letters.one_letter(connection, letter_id, prefix=prefix))
        except DeadLetterError as error:
            raise AskError(404, str(error)) from None
        (found,) = redrive.letters_of([read], self._watching.desk.judge())
        value = (read.value or b"")[:SHOWN_BYTES]
        headers = [(name, (text or b"").decode("utf-8", "backslashreplace")) for name, text in read.headers]
        return answer({
            **changes.plain_letter(found), "headers": headers, "text": value.decode("utf-8", "backslashreplace"),
            "hex": value[:1_024].hex(" "), "is_cut": len(read.value or b"") > SHOWN_BYTES,
        })  # fmt: skip

    # --- changes ---------------------------------------------------------------------------------------------------

    async def redrive(self, request: web.Request) -> web.Response:
        """Sends letters back."""
        wish = changes.wished(await request.read(), changes.RedriveWish)
        async with self._turn(), self._redriving:  # one plans when the marks of the one before are written
            try:
                return answer(await changes.redrive_letters(self._watching, wish))
            except DeadLetterError as error:
                raise AskError(400, str(error)) from None

    async def withdraw(self, request: web.Request) -> web.Response:
        """Takes a task back."""
        return answer(await changes.withdraw(self._watching, changes.wished(await request.read(), changes.TaskWish)))

    async def reopen(self, request: web.Request) -> web.Response:
        """Asks again for a task."""
        return answer(await changes.reopen(self._watching, changes.wished(await request.read(), changes.TaskWish)))
