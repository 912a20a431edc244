"""A team's times as UTC epoch milliseconds: numbers of a unit, their text, or ISO 8601."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final

from streams.contract import rules

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
LATEST_EPOCH_S: Final = 100_000_000_000
"""Above this a number of seconds is past the year 5138: surely milliseconds."""
_MS: Final = datetime.timedelta(milliseconds=1)
_PER_MS: Final = {"us": 1_000, "ns": 1_000_000}

ToMs = Callable[[Any], int]
"""Gives milliseconds; raises ValueError, whose text says what was expected, for what is no such time."""

NAMES: Final = {
    "s": "epoch seconds", "ms": "epoch milliseconds", "us": "epoch microseconds", "ns": "epoch nanoseconds",
    "iso": "an ISO 8601 time",
}  # fmt: skip


def to_ms(unit: str, *, path: str = "", least: int = 0) -> ToMs:
    """The conversion of a unit.

    Args:
      unit: of `NAMES`, or "auto": ISO 8601 for text that is no number, milliseconds where ``path`` ends with ``_ms``,
        else seconds.
      least: earliest time allowed, ms.
    """
    if unit == "auto":
        unit = "ms" if path.endswith("_ms") else "s"
        number, text = to_ms(unit, path=path, least=least), to_ms("iso", least=least)
        return lambda value: text(value) if isinstance(value, str) and not _is_number(value) else number(value)
    convert = _iso if unit == "iso" else _milliseconds if unit == "ms" else _seconds if unit == "s" else _finer(unit)
    expected, most = NAMES[unit], rules.MAX_TIME_MS

    def run(value: Any) -> int:
        try:
            at_ms = convert(value)
        except (ValueError, OverflowError, TypeError):
            raise ValueError(expected) from None
        if least <= at_ms <= most:
            return at_ms
        hint = "; are these milliseconds?" if unit == "s" and at_ms > most else ""
        raise ValueError(f"{expected} from {_year(least)} to 9999{hint}")

    return run


def _milliseconds(value: Any) -> int:
    return value if value.__class__ is int else round(float(value)) if isinstance(value, float) else _whole(value)


def _seconds(value: Any) -> int:
    seconds: int | float = value if value.__class__ is int else float(value)
    if seconds > LATEST_EPOCH_S:
        return rules.MAX_TIME_MS + 1
    return round(seconds * 1000)


def _finer(unit: str) -> Callable[[Any], int]:
    per_ms = _PER_MS[unit]
    return lambda value: (round(value) if isinstance(value, float) else _whole(value)) // per_ms


def _whole(value: Any) -> int:
    if isinstance(value, int):
        return value
    try:
        return int(value)
    except ValueError:
        return round(float(value))


def _iso(value: Any) -> int:
    if not isinstance(value, str):
        raise TypeError(value)
    at = datetime.datetime.fromisoformat(value)
    return ((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)) - EPOCH) // _MS


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _year(at_ms: int) -> str:
    return "1970" if at_ms == 0 else "the year 1"
