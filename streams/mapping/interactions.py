"""A mapping of interactions as a decoder: compiled once, one parse and no walk through the document for a record.

The parser's type names the mapped paths alone and carries the contract's limits, so what msgspec lets through needs few
further tests. Records that mean no action are `SKIPPED`, whatever else is in them. A record without an event id of its
own gets one from its bytes and timestamp: a repeat of the same bytes is one event, on every replay and in every copy.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from streams.contract import rules
from streams.contract.checks import check_interaction
from streams.contract.codec import SKIPPED, STAGE_RULE, STAGE_SCHEMA, Decode, Headers, Rejected, compiled
from streams.contract.events import Interaction
from streams.contract.explain import readable, shown
from streams.errors import SettingsError
from streams.mapping.actions import action_of
from streams.mapping.paths import CONTEXT, ID, NUMBER, SCALAR, TIME, Wanted
from streams.mapping.shapes import InteractionShape, Names, names_of
from streams.mapping.times import to_ms
from streams.mapping.values import Values, filled

Convert = Callable[[Any, tuple[Any, ...]], Any]
"""(value, all values) -> the contract's value, or None for none; raises ValueError that says what was expected."""
AN_ID: Final = f"text of 1 to {rules.MAX_ID_CHARS} characters or a whole number"
OPTIONAL: Final = ("value", "dwell_ms", "completion", "surface", "request_id", "position", "asset_id")


class Extra(NamedTuple):
    """A field of ours that may be there: its name, the paths, the parser's type, and the conversion."""

    name: str
    names: Names
    wanted: Wanted
    convert: Convert


def interaction_decoder(shape: InteractionShape, *, ids: Callable[[bytes, int], str] | None = None) -> Decode:
    """The decoder that a mapping says; gives an `Interaction`, `Rejected` or `SKIPPED`.

    ``ids``: (value, timestamp) -> the event id of a record that brings none; by default one of both.

    Raises:
      SettingsError: the mapping is not one that can be followed.
    """
    deciding = _deciding(shape)
    extras = _extras(shape)
    needed = [(shape.user, ID), (shape.item, ID), (shape.time, TIME), (shape.event_id, ID), (shape.duration_ms, NUMBER)]
    values = Values([
        *needed, *((one.names, one.wanted) for one in extras), *((path, CONTEXT) for path in shape.context.values()),
        *deciding,
    ])  # fmt: skip
    action = action_of(shape, values.at)
    finish = _finisher(shape, values, action, extras, ids)
    decode_json = msgspec.json.Decoder(values.document, strict=False).decode
    return compiled(  # type: ignore[return-value]
        values.document, decode_json, finish=finish, leaves_out=_leaver(shape, deciding)
    )


def _deciding(shape: InteractionShape) -> list[tuple[Names, Wanted]]:
    """The paths that decide the action."""
    paths = [path for rule in shape.rules for path in rule.conditions]
    return [*((path, SCALAR) for path in paths), *([(shape.action, SCALAR)] if shape.action else [])]


def _leaver(shape: InteractionShape, deciding: list[tuple[Names, Wanted]]) -> Any:
    """Whether a record whose other fields do not fit is left out anyway."""
    if not deciding:
        return None
    values = Values(deciding)
    action, read = action_of(shape, values.at), values.read
    decode_json = msgspec.json.Decoder(values.document, strict=False).decode

    def leaves_out(payload: bytes, timestamp_ms: int, key: bytes | None, headers: Headers) -> bool:
        try:
            return action(read(decode_json(payload), key, timestamp_ms, headers)) is None
        except (msgspec.MsgspecError, AttributeError):
            return False

    return leaves_out


def _finisher(
    shape: InteractionShape, values: Values, action: Any, extras: list[Extra], ids: Callable[[bytes, int], str] | None
) -> Any:
    read, looks_beside = values.read, values.looks_beside
    user_at, item_at, time_at = values.at(shape.user), values.at(shape.item), values.at(shape.time)
    id_at = values.at(shape.event_id) if shape.event_id else -1
    as_ms = to_ms(shape.time_unit, path=" ".join(names_of(shape.time)))
    constants = _constants(shape)
    fixed = [constants.get(name) for name in OPTIONAL]
    placed = [(OPTIONAL.index(one.name), values.at(one.names), one.convert) for one in extras]
    if shape.duration_ms:
        placed.append((2, values.at(shape.duration_ms), _share(values.at(shape.dwell_ms), shape.dwell_unit)))
    named = {values.at(one.names): one.names for one in extras}
    context_of = _context(shape, values, constants.get("context", {}))
    asset_ids, most = constants.get("asset_ids", []), rules.MAX_ID_CHARS
    is_ms, latest_ms, skew_ms = shape.time_unit == "ms", rules.MAX_TIME_MS, rules.MAX_CLOCK_SKEW_MS

    def finish(raw: Any, payload: bytes, timestamp_ms: int, key: bytes | None, headers: Headers) -> Any:
        try:
            found = read(raw, key, timestamp_ms, headers)
        except AttributeError:  # null in the middle of a path
            found = read(filled(raw), key, timestamp_ms, headers)
        word = action(found)
        if word is None:
            return SKIPPED
        user, item, came = found[user_at], found[item_at], found[time_at]
        user = user if user.__class__ is str else "" if user is None else str(user)
        item = item if item.__class__ is str else "" if item is None else str(item)
        if not 0 < len(user) <= most:
            return _refused(payload, shape.user, AN_ID, user)
        if not 0 < len(item) <= most:
            return _refused(payload, shape.item, AN_ID, item)
        rest, wrong = fixed.copy(), -1
        try:
            at_ms = came if is_ms and came.__class__ is int and 0 <= came <= latest_ms else as_ms(came)
            for place, at, convert in placed:
                if (came := found[at]) is not None:
                    wrong = at
                    rest[place] = convert(came, found)
        except ValueError as error:
            return _refused(payload, named.get(wrong, shape.time), str(error), came)
        event_id = None if id_at < 0 else found[id_at]
        if event_id.__class__ is not str:
            event_id = "" if event_id is None else str(event_id)
        if not 0 < len(event_id) <= most:
            if ids is not None:
                event_id = ids(payload, timestamp_ms)
            else:
                event_id = _derived(payload, timestamp_ms, found if looks_beside else None)
        event = Interaction(
            event_id=event_id, user_id=user, item_id=item, action=word,
            occurred_at_ms=at_ms, value=rest[0], dwell_ms=rest[1], completion=rest[2], surface=rest[3],
            request_id=rest[4], position=rest[5], asset_id=rest[6],
            context={} if context_of is None else context_of(found), asset_ids=asset_ids,
        )  # fmt: skip
        if at_ms - timestamp_ms > skew_ms and timestamp_ms >= 0:
            reason = f"{check_interaction(event, timestamp_ms)} - at `{_of(shape.time)}`"
            return Rejected(payload, readable(reason), STAGE_RULE)
        return event

    return finish


def _derived(payload: bytes, timestamp_ms: int, beside: object) -> str:
    """The id of a record that brings none: one of its bytes and its time, the same on every replay."""
    told = b"%d:%b" % (timestamp_ms, payload) if beside is None else b"%d:%b%r" % (timestamp_ms, payload, beside)
    return blake2b(told, digest_size=16).hexdigest()


def _context(shape: InteractionShape, values: Values, fixed: dict[str, Any]) -> Callable[[Any], dict[str, Any]] | None:
    places = [(name, values.at(path)) for name, path in shape.context.items()]
    if not places:
        return (lambda _: fixed) if fixed else None
    return lambda found: fixed | {name: found[at] for name, at in places if found[at] is not None}


def _refused(payload: bytes, names: Names, expected: str, came: object) -> Rejected:
    what = "nothing" if came is None or came == "" else shown(came)
    return Rejected(payload, readable(f"Expected {expected}, got {what} - at `{_of(names)}`"), STAGE_SCHEMA)


def _of(names: Names) -> str:
    return " or ".join(name if name.startswith("$") else f"$.{name}" for name in names_of(names))


def _extras(shape: InteractionShape) -> list[Extra]:
    """The further fields that a mapping names, each with what may stand there and how it becomes ours."""
    seconds = 1000.0 if shape.dwell_unit == "s" else 1.0
    percent = 0.01 if shape.completion_unit == "percent" else 1.0
    found = [
        Extra("value", shape.value, NUMBER, lambda value, _: float(value)),
        Extra("dwell_ms", shape.dwell_ms, NUMBER, _scaled(0, rules.MAX_DWELL_MS, seconds, is_whole=True)),
        Extra("completion", shape.completion, NUMBER, _scaled(0.0, 1.0, percent)),
        Extra("surface", shape.surface, SCALAR, _label(shape.surface_prefix)),
        Extra("request_id", shape.request_id, ID, _id),
        Extra("position", shape.position, NUMBER, _position(1 - shape.position_from)),
        Extra("asset_id", shape.asset_id, ID, _id),
    ]
    return [one for one in found if one.names]


def _id(value: Any, _: object) -> str | None:
    text = value if value.__class__ is str else str(value)
    if len(text) > rules.MAX_ID_CHARS:  # out of a header
        raise ValueError(AN_ID)
    return text or None


def _label(prefix: str) -> Convert:
    most = rules.MAX_LABEL_CHARS - len(prefix)

    def convert(value: Any, _: object) -> str | None:
        text = value if value.__class__ is str else str(value)
        if len(text) > most:
            raise ValueError(f"a surface of at most {most} characters")
        return prefix + text if text else None

    return convert


def _scaled(least: float, most: float, scale: float, *, is_whole: bool = False) -> Convert:
    def convert(value: Any, _: object) -> float | int:
        number = float(value) * scale
        if least <= number <= most:
            return round(number) if is_whole else number
        raise ValueError(f"a number from {least / scale:,.0f} to {most / scale:,.0f}")

    return convert


def _share(stay_at: int, unit: str) -> Convert:
    """Completion, where a record has the time that it took and the time that there was."""
    per_ms = 1000.0 if unit == "s" else 1.0

    def convert(whole: Any, found: tuple[Any, ...]) -> float | None:
        stay = found[stay_at]
        return None if stay is None or not whole > 0 else min(max(stay * per_ms / whole, 0.0), 1.0)

    return convert


def _position(added: int) -> Convert:
    def convert(value: Any, _: object) -> int:
        place = float(value) + added
        if not 1 <= place <= rules.MAX_POSITION or place != int(place):
            raise ValueError(f"a whole number from {1 - added} to {rules.MAX_POSITION - added}")
        return int(place)

    return convert


def _constants(shape: InteractionShape) -> dict[str, Any]:
    """The constant fields, as the contract takes them.

    Raises:
      SettingsError: it does not.
    """
    fixed = {"event_id", "user_id", "item_id", "occurred_at_ms"} & set(shape.constants)
    unknown = set(shape.constants) - {field.encode_name for field in msgspec.structs.fields(Interaction)}
    if fixed or unknown:
        raise SettingsError(
            f"expected constants of interactions such as surface, got {', '.join(sorted(fixed | unknown))}; map a path"
        )
    dummy = {"event_id": "e", "user_id": "u", "item_id": "i", "action": "click", "occurred_at_ms": 0}
    try:
        event = msgspec.convert(dummy | dict(shape.constants), Interaction)
    except msgspec.ValidationError as error:
        raise SettingsError(f"constants: {error}; mend it") from None
    return {name: getattr(event, name) for name in shape.constants}
