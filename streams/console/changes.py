"""What the console may change, with a token: dead letters go back, content tasks are taken back or opened again."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from streams.console.content import Content
from streams.console.guard import AskError
from streams.console.watching import Watching
from streams.contract import codec, rules, topics
from streams.contract.events import ContentTask
from streams.cores import redrive
from streams.roles import letters
from streams.transport.publish import Out, send_all

MOST_LETTERS: Final = 500
"""Letters sent back by one request."""
MOST_REDRIVES: Final = 3
"""As `marquee dlq redrive` has it by default."""
OPEN_MS: Final = 14 * 86_400_000
"""A task that is opened again is wanted for so long, as the planner's are by default."""


class RedriveWish(msgspec.Struct, forbid_unknown_fields=True):
    """Which letters, by id; ``yes``: do it, otherwise only say what would be done."""

    ids: list[str]
    yes: bool = False
    again: bool = False


class TaskWish(msgspec.Struct, forbid_unknown_fields=True):
    """Which task."""

    task_id: str


def wished(body: bytes, kind: type[Any]) -> Any:
    """The body of a request, decoded.

    Raises:
      AskError: it is not what is expected.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskError(400, f"{error}") from None


def plain_letter(letter: redrive.Letter) -> dict[str, Any]:
    """A letter as JSON values."""
    origin = letter.origin
    return {
        "id": letter.id, "origin": None if origin is None else origin.place,
        "topic": None if origin is None else origin.topic,
        "key": None if origin is None or origin.key is None else origin.key.decode("utf-8", "backslashreplace"),
        "stage": letter.stage, "reason": letter.reason, "size_bytes": letter.size_bytes,
        "original_bytes": letter.original_bytes, "timestamp_ms": letter.timestamp_ms, "copies": letter.copies,
        "is_redriven": letter.is_redriven, "redrives": letter.redrives, "refusal": letter.refusal,
    }  # fmt: skip


async def redrive_letters(watching: Watching, wish: RedriveWish) -> dict[str, Any]:
    """Sends those letters back that may go; the same plan as `marquee dlq redrive`.

    Raises:
      AskError: none or too many are named. DeadLetterError: one of them is not there.
    """
    if not 1 <= len(wish.ids) <= MOST_LETTERS:
        raise AskError(400, f"expected 1 to {MOST_LETTERS} ids of letters, got {len(wish.ids)}")
    for one in wish.ids:
        letters.place_of(one)
    connection, prefix = watching.connection, watching.prefix
    desk = watching.desk
    names = desk.origins

    def plan() -> list[tuple[redrive.Letter, redrive.Verdict]]:
        asked = set(wish.ids)
        found = [one for one in letters.letters_in(connection, prefix=prefix, desk=desk) if one.id in asked]
        newest = letters.newest_in(connection, redrive.keys_to_look_up(found, names), prefix=prefix, desk=desk)
        return [(one, redrive.plan(one, names, newest, most=MOST_REDRIVES, again=wish.again)) for one in found]

    planned = await asyncio.to_thread(plan)
    ready = [letter for letter, verdict in planned if verdict == "ready"]
    sent = await letters.send_back(connection, ready, prefix=prefix) if wish.yes and ready else 0
    return {
        "redriven": sent, "ready": len(ready), "is_dry_run": not wish.yes,
        "letters": [
            {**plain_letter(letter), "verdict": verdict, "why": redrive.WHY[verdict]} for letter, verdict in planned
        ],
        "missing": sorted(set(wish.ids) - {letter.id for letter, _ in planned}),
    }  # fmt: skip


async def withdraw(watching: Watching, wish: TaskWish) -> dict[str, Any]:
    """Takes an open task back: workers leave it out from now on."""
    task = _open_or_not(watching.content, wish.task_id, wanted=("open",), to="be taken back")
    await _tell(watching, msgspec.structs.replace(task, withdrawn=True, not_after_ms=_now_ms(watching.content)))
    return {"task_id": task.task_id, "state": "withdrawn"}


async def reopen(watching: Watching, wish: TaskWish) -> dict[str, Any]:
    """Asks again for a task that was taken back or came too late."""
    task = _open_or_not(watching.content, wish.task_id, wanted=("withdrawn", "too old"), to="be opened again")
    until_ms = min(_now_ms(watching.content) + OPEN_MS, rules.MAX_TIME_MS)
    await _tell(watching, msgspec.structs.replace(task, withdrawn=False, not_after_ms=until_ms))
    return {"task_id": task.task_id, "state": "open"}


def _open_or_not(content: Content, task_id: str, *, wanted: tuple[str, ...], to: str) -> ContentTask:
    state = next((one.state for one in content.tasks() if one.task.task_id == task_id), None)
    task = content.task(task_id)
    if state is None or task is None:
        raise AskError(404, "expected a task that is on content-tasks.v1, got another")
    if state not in wanted:
        raise AskError(409, f"expected a task that is {' or '.join(wanted)} to {to}, got one that is {state}")
    return task


def _now_ms(content: Content) -> int:
    """The tasks' own time: in a replayed log it is years ago, and the present would make every task too old."""
    return content.now_ms


async def _tell(watching: Watching, task: ContentTask) -> None:
    await send_all(watching.connection, [Out(
        topic=watching.names[topics.CONTENT_TASKS.name], key=task.item_id.encode(), value=codec.encode(task),
        timestamp_ms=_now_ms(watching.content),
    )])  # fmt: skip
