"""What the fields of sampled records look like: how often they are there, of which types, with which values. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from streams.mapping.paths import escaped

MAX_DEPTH: Final = 6
MAX_FIELDS: Final = 2_000
MAX_VALUES: Final = 2_000
"""Different values of one field that are kept."""
MAX_CHARS: Final = 256
"""Longer text is no id and no word."""
NEARLY: Final = 0.95
"""Share of a sample's values that must be alike: some records are always broken."""
UNITS: Final = (("s", 1e9, 5e9), ("ms", 1e12, 5e12), ("us", 1e15, 5e15), ("ns", 1e18, 5e18))
"""Units of time, and the numbers that mean 2001 to 2128 in them."""


class Sampled(NamedTuple):
    """One record of a sample; a row of a file has neither key nor time."""

    value: bytes
    key: bytes | None = None
    timestamp_ms: int = -1
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclasses.dataclass(kw_only=True)
class Field:
    """What one path holds over a sample.

    Attributes:
      there: records that have a value. types: of the values. values: how often each is there, as far as kept.
      is_whole: all different values are kept. as_key: records whose key is this value, as text.
    """

    path: str
    there: int = 0
    types: Counter[str] = dataclasses.field(default_factory=Counter)
    values: Counter[Any] = dataclasses.field(default_factory=Counter)
    is_whole: bool = True
    as_key: int = 0

    def take(self, value: Any, key: str | None) -> None:
        """Count one value that is not null."""
        self.there += 1
        self.types[type(value).__name__] += 1
        if isinstance(value, list | dict) or (isinstance(value, str) and len(value) > MAX_CHARS):
            self.is_whole = False
            return
        self.as_key += key is not None and key == (value if isinstance(value, str) else str(value))
        if value in self.values or len(self.values) < MAX_VALUES:
            self.values[value] += 1
        else:
            self.is_whole = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its path, in lower case: ``watchedMs`` is watched, ms."""
        return words_of(self.path)

    def is_only(self, *types: str) -> bool:
        """Whether all values are of these types."""
        return bool(self.types) and set(self.types) <= set(types)

    @property
    def numbers(self) -> list[float]:
        """The kept values as numbers; empty where one is none."""
        found = []
        for value in self.values:
            try:
                found.append(float(value) if not isinstance(value, bool) else 1e99)
            except (TypeError, ValueError):
                return []
        return found if found and max(found) < 1e98 else []


class Looks(NamedTuple):
    """A sample as fields: ``records`` that are documents, and those that are none."""

    fields: dict[str, Field]
    records: int
    broken: int


def look(sample: Iterable[Sampled]) -> Looks:
    """What the records of a sample hold."""
    fields: dict[str, Field] = {}
    records = broken = 0
    for one in sample:
        try:
            document = msgspec.json.decode(one.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        if not isinstance(document, dict):
            broken += 1
            continue
        records += 1
        key = None if one.key is None else one.key.decode("utf-8", "replace")
        _take(fields, "", document, key, 0)
    return Looks(fields, records, broken)


def time_unit_of(field: Field) -> str | None:
    """The unit in which nearly all values of a field are times of our days; None: they are none."""
    numbers = field.numbers
    if numbers:
        for unit, low, high in UNITS:
            if sum(low <= number <= high for number in numbers) >= NEARLY * len(numbers):
                return unit
        return None
    if not field.is_only("str") or not field.values:
        return None
    texts = list(field.values)[:200]
    return "iso" if sum(map(_is_iso, texts)) >= NEARLY * len(texts) else None


def words_of(path: str) -> tuple[str, ...]:
    """A path's words.

    >>> words_of("user.lastSeenAt_ms")
    ('user', 'last', 'seen', 'at', 'ms')
    """
    found: list[str] = []
    word = ""
    for before, char in zip(f" {path}", path, strict=False):
        if not char.isalnum():
            found, word = [*found, word], ""
        elif char.isupper() and not before.isupper():
            found, word = [*found, word], char
        else:
            word += char
    return tuple(one.lower() for one in (*found, word) if one)


def _take(fields: dict[str, Field], before: str, value: Any, key: str | None, depth: int) -> None:
    if isinstance(value, dict) and depth < MAX_DEPTH:
        for name, inner in value.items():
            _take(fields, f"{before}.{escaped(name)}" if before else escaped(name), inner, key, depth + 1)
    elif value is not None and before and (before in fields or len(fields) < MAX_FIELDS):
        fields.setdefault(before, Field(path=before)).take(value, key)


def _is_iso(text: str) -> bool:
    import datetime

    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return 1990 <= at.year <= 2130
