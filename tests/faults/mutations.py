"""Records as a broken, an old or a hostile producer would send them: mutations of good ones, drawn from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

HUGE = 900_000
"""Characters of the longest field: the record just fits on a topic."""
DEEP = 5_000
ODD: tuple[Any, ...] = (None, True, -1, 2**63, 1e308, "", "\x00", [], {}, [[]], "🎬" * 300, "a" * 4_000, -(2**40))
NOT_NUMBERS = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x10", b"--1")


def flipped(value: bytes, draw: random.Random) -> bytes:
    """A few bits are others."""
    changed = bytearray(value)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(value: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return value[: draw.randrange(len(value))]


def garbage(value: bytes, draw: random.Random) -> bytes:
    """No text at all."""
    return draw.randbytes(draw.randint(1, len(value)))


def invalid_text(value: bytes, draw: random.Random) -> bytes:
    """A byte that UTF-8 does not have, somewhere."""
    at = draw.randrange(len(value))
    return value[:at] + bytes([draw.choice((0xFF, 0xC0, 0xED))]) + value[at:]


def odd_field(value: bytes, draw: random.Random) -> bytes:
    """A field of another type or size; ``action`` keeps its word, which decides what is learned."""
    record = json.loads(value)
    record[draw.choice([name for name in record if name != "action"])] = draw.choice(ODD)
    return json.dumps(record).encode()


def missing_field(value: bytes, draw: random.Random) -> bytes:
    """A field is not there."""
    record = json.loads(value)
    del record[draw.choice(list(record))]
    return json.dumps(record).encode()


def not_a_number(value: bytes, draw: random.Random) -> bytes:
    """What JSON has no word for."""
    record = json.loads(value)
    record["value"] = "@"
    return json.dumps(record).encode().replace(b'"@"', draw.choice(NOT_NUMBERS))


def huge_id(value: bytes, draw: random.Random) -> bytes:
    """An id of nearly a megabyte."""
    record = json.loads(value)
    record[draw.choice([name for name in record if name.endswith("_id")])] = "x" * HUGE
    return json.dumps(record).encode()


def deep(value: bytes, draw: random.Random) -> bytes:
    """Nested beyond what anybody reads."""
    record = json.loads(value)
    record["context"] = "@"
    opening, closing = draw.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return json.dumps(record).encode().replace(b'"@"', opening * DEEP + b"1" + closing * DEEP)


def other_time(value: bytes, draw: random.Random) -> bytes:
    """Before 1970, or in a thousand years."""
    record = json.loads(value)
    name = next((name for name in record if name.endswith("_ms")), "occurred_at_ms")
    record[name] = draw.choice((-1, -(2**40), 33_000_000_000_000, 2**62))
    return json.dumps(record).encode()


def unknown_field(value: bytes, draw: random.Random) -> bytes:
    """A newer producer's field: it is kept and does no harm."""
    return json.dumps(json.loads(value) | {f"new_{draw.randrange(9)}": draw.choice(ODD)}).encode()


COMMON: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flipped, cut, garbage, invalid_text, odd_field, missing_field, not_a_number, other_time, unknown_field,
)  # fmt: skip
RARE = (huge_id, deep)
"""Large ones: one in two hundred."""


def mutated(value: bytes, draw: random.Random) -> bytes:
    """A record that is not what its producer meant."""
    return draw.choice(RARE if draw.random() < 0.005 else COMMON)(value, draw)
