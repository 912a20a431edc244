"""Metarank: one JSON event a line, of four kinds. https://docs.metarank.ai/reference/event-schema.

``interaction`` is an interaction; ``ranking`` is an impression for each of its items, in their places; ``item`` and
``user`` are records of the catalogue and the users.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from streams.contract import rules
from streams.contract.codec import SKIPPED, STAGE_SCHEMA, Rejected, Skipped, compiled
from streams.contract.events import Interaction, Item, Record, User
from streams.contract.explain import readable, shown
from streams.mapping.actions import BY_WORD
from streams.mapping.paths import ID
from streams.mapping.times import to_ms

WORDS: Final = BY_WORD | {
    "view": "click", "watch": "play", "favorite": "like", "rating": "rate", "add-to-cart": "purchase",
    "conversion": "purchase",
}  # fmt: skip
_ACTION: Final = BY_WORD | WORDS


class _Field(msgspec.Struct, frozen=True):
    name: str
    value: Any = None


class _Shown(msgspec.Struct, frozen=True):
    id: ID = None


class _Event(msgspec.Struct, frozen=True):
    event: str
    id: Annotated[str, Meta(max_length=rules.MAX_ID_CHARS)] | None = None
    timestamp: str | int | None = None
    user: ID = None
    session: ID = None
    item: ID = None
    type: str | None = None
    ranking: ID = None
    fields: list[_Field] = []
    items: list[_Shown] = []


class MetarankTurn:
    """Lines -> records of ours. ``ids``: gives the event id of a line that has none."""

    def __init__(self, ids: Any) -> None:
        self._ids = ids
        self._as_ms = to_ms("ms"), to_ms("iso")
        decode = msgspec.json.Decoder(_Event).decode
        self._run: Any = compiled(_Event, decode, finish=self._finish)

    def __call__(self, line: bytes) -> list[Record] | Rejected | Skipped:
        """The records of a line, none where it means none to us."""
        return self._run(line, -1)  # type: ignore[no-any-return]

    def _finish(self, raw: _Event, payload: bytes, _at: int, _key: Any, _headers: Any) -> Any:
        try:
            if raw.event == "interaction":
                return self._interaction(raw, payload)
            if raw.event == "ranking":
                return self._impressions(raw, payload)
            if raw.event in ("item", "user"):
                fields = {one.name: one.value for one in raw.fields if one.value is not None}
                return [_item(raw, fields) if raw.event == "item" else _user(raw, fields)]
        except ValueError as error:
            return Rejected(payload, readable(str(error)), STAGE_SCHEMA)
        return Rejected(
            payload, readable(f"Expected interaction, ranking, item or user, got {shown(raw.event)} - at `$.event`"),
            STAGE_SCHEMA,
        )  # fmt: skip

    def _time(self, raw: _Event) -> int:
        came = raw.timestamp
        as_ms = self._as_ms[isinstance(came, str) and not came.isdigit()]
        try:
            return as_ms(came)
        except ValueError as error:
            came_text = "nothing" if came is None else shown(came)
            raise ValueError(f"Expected {error}, got {came_text} - at `$.timestamp`") from None

    def _interaction(self, raw: _Event, payload: bytes) -> list[Record] | Skipped:
        action: Any = _ACTION.get(raw.type or "")
        if action is None:
            return SKIPPED
        return [
            Interaction(
                event_id=raw.id or self._ids(payload, -1), user_id=_user_of(raw), item_id=_id(raw.item, "item"),
                action=action, occurred_at_ms=self._time(raw),
                request_id=None if raw.ranking is None else str(raw.ranking),
            )
        ]  # fmt: skip

    def _impressions(self, raw: _Event, payload: bytes) -> list[Record]:
        request_id = raw.id or self._ids(payload, -1)
        user_id, at_ms = _user_of(raw), self._time(raw)
        return [
            Interaction(
                event_id=f"{request_id}/{place}"[-rules.MAX_ID_CHARS :], user_id=user_id,
                item_id=_id(shown_item.id, f"items[{place - 1}].id"), action="impression", occurred_at_ms=at_ms,
                request_id=request_id, position=place,
            )
            for place, shown_item in enumerate(raw.items, start=1)
        ]  # fmt: skip


def _user_of(raw: _Event) -> str:
    return _id(raw.user if raw.user not in (None, "") else raw.session, "user")


def _id(value: Any, where: str) -> str:
    text = "" if value is None else str(value)
    if not text:
        raise ValueError(f"Expected text of 1 to {rules.MAX_ID_CHARS} characters, got nothing - at `$.{where}`")
    return text


def _item(raw: _Event, fields: dict[str, Any]) -> Item:
    tags: Any = next((fields[name] for name in ("tags", "genres", "category", "categories") if name in fields), [])
    made: dict[str, Any] = {
        "item_id": _id(raw.item, "item"), "title": fields.get("title", ""),
        "text": fields.get("overview", fields.get("description", "")),
        "tags": [tags] if isinstance(tags, str) else tags, "creator": fields.get("director", fields.get("brand")),
    }  # fmt: skip
    item: Item = _converted(made, Item)
    return item


def _user(raw: _Event, fields: dict[str, Any]) -> User:
    user: User = _converted({"user_id": _id(raw.user, "user"), "region": fields.get("country")}, User)
    return user


def _converted(made: dict[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert({name: value for name, value in made.items() if value is not None}, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
