"""A mapping of items as a decoder: the contract's own parser judges what a record comes to.

Items are few beside interactions: what a record gives is put together as a table and converted, limits included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from streams.contract.absent import Withdrawn
from streams.contract.codec import STAGE_SCHEMA, Decode, Headers, Rejected, compiled
from streams.contract.events import Item
from streams.contract.explain import readable, shown
from streams.contract.rules import MIN_TIME_MS
from streams.mapping.actions import matcher_of
from streams.mapping.paths import ANY, ID, SCALAR, Wanted
from streams.mapping.shapes import ItemShape, Names, names_of
from streams.mapping.times import to_ms
from streams.mapping.values import Values, filled

Convert = Callable[[Any], Any]
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")
_PATH: Final = re.compile(r" - at `\$\.?([a-z_]*)")


def item_decoder(shape: ItemShape) -> Decode:
    """The decoder that a mapping says; gives an `Item`, `Withdrawn` or `Rejected`."""
    fields = {name: one for name, one in _fields(shape).items() if one[0]}
    values = Values([
        *((names, wanted) for names, wanted, _ in fields.values()), *((path, SCALAR) for path in shape.withdrawn)
    ])  # fmt: skip
    read = values.read
    places = [(name, values.at(names), convert) for name, (names, _, convert) in fields.items()]
    is_withdrawn = matcher_of(shape.withdrawn, values.at) if shape.withdrawn else None
    creator_pattern = re.compile(shape.creator_pattern) if shape.creator_pattern else None
    creator_at = values.at(shape.creator) if shape.creator else -1

    def finish(raw: Any, payload: bytes, at_ms: int, key: bytes | None, headers: Headers) -> Any:
        try:
            found = read(raw, key, at_ms, headers)
        except AttributeError:
            found = read(filled(raw), key, at_ms, headers)
        made: dict[str, Any] = {}
        for name, at, convert in places:
            if (came := found[at]) is not None:
                try:
                    made[name] = convert(came)
                except ValueError as error:
                    return _refused(payload, fields[name][0], f"Expected {error}, got {shown(came)}")
        if is_withdrawn is not None and is_withdrawn(found) and made.get("item_id"):
            return Withdrawn(made["item_id"])
        if creator_pattern is not None:
            _name_creator(made, None if creator_at < 0 else found[creator_at], creator_pattern, shape.tags_separator)
        try:
            return msgspec.convert({name: value for name, value in made.items() if value is not None}, Item)
        except msgspec.ValidationError as error:
            place = _PATH.search(str(error))
            ours = place[1] if place and place[1] in fields else "item_id"
            text = str(error).partition(" - at ")[0]
            came = made.get(ours)
            return _refused(payload, fields[ours][0], f"{text}, got {'nothing' if came is None else shown(came)}")

    return compiled(  # type: ignore[return-value]
        values.document, msgspec.json.Decoder(values.document, strict=False).decode, finish=finish
    )


def _fields(shape: ItemShape) -> dict[str, tuple[Names, Wanted, Convert]]:
    """Our field -> its paths, what the parser lets through, and the conversion."""
    words = _words(shape.tags_separator)
    seconds = 0.001 if shape.duration_unit == "ms" else 1.0
    creator = (lambda _: None) if shape.creator_pattern else _text
    return {
        "item_id": (shape.item, ID, _text),
        "title": (shape.title, SCALAR, _text),
        "text": (shape.text, ANY, _text),
        "tags": (shape.tags, ANY, words),
        "creator": (shape.creator, ANY if shape.creator_pattern else SCALAR, creator),
        "language": (shape.language, SCALAR, _text),
        "duration_s": (shape.duration_s, SCALAR, lambda value: _number(value) * seconds),
        "published_at_ms": (shape.published, SCALAR, _published(shape)),
        "available_from_ms": (shape.available_from, SCALAR, _time(shape.time_unit, shape.available_from)),
        "available_until_ms": (shape.available_until, SCALAR, _time(shape.time_unit, shape.available_until)),
        "regions": (shape.regions, ANY, words),
        "maturity": (shape.maturity, SCALAR, lambda value: int(_number(value))),
    }


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("text")
    return str(value) or None


def _number(value: Any) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError("a number")


def _words(separator: str) -> Convert:
    def convert(value: Any) -> list[str]:
        if isinstance(value, str):
            return [word for one in value.split(separator) if (word := one.strip())]
        if isinstance(value, list):
            return [text for one in value if (text := _text(one))]
        raise ValueError("an array of words, or text")

    return convert


def _time(unit: str, names: Names) -> Convert:
    return to_ms(unit, path=" ".join(names_of(names)), least=MIN_TIME_MS)


def _published(shape: ItemShape) -> Convert:
    unit = shape.published_unit
    if unit not in ("year", "year-in-title"):
        return _time(unit, shape.published)
    as_ms = to_ms("iso", least=MIN_TIME_MS)

    def convert(value: Any) -> int | None:
        text = str(value)
        if unit == "year-in-title":
            match = _YEAR.search(text)
            text = str(match[1]) if match else ""
        try:
            year = int(float(text)) if text else 0
        except (ValueError, OverflowError):
            raise ValueError("a year") from None
        return as_ms(f"{year:04d}-01-01T00:00:00+00:00") if 1 <= year <= 9999 else None

    return convert


def _name_creator(made: dict[str, Any], came: Any, pattern: re.Pattern[str], separator: str) -> None:
    """The first part that matches is the creator, and no part that does is a tag."""
    parts = [] if came is None else _words(separator)(came)
    named = next((part for part in parts if pattern.search(part)), None)
    made["creator"] = named
    made["tags"] = [tag for tag in made.get("tags") or [] if not pattern.search(tag)]


def _refused(payload: bytes, names: Names, text: str) -> Rejected:
    places = " or ".join(name if name.startswith("$") else f"$.{name}" for name in names_of(names))
    return Rejected(payload, readable(f"{text} - at `{places}`"), STAGE_SCHEMA)
