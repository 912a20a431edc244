"""What ``dead-letters.v1`` carries: the refused bytes as they came, and in the headers where from and why."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from streams.contract import rules
from streams.contract.codec import Rejected

MAX_KEY_BYTES: Final = 4 * rules.MAX_ID_CHARS
"""Longest key kept in a header, bytes: any id within the contract fits in UTF-8."""
FIRST_ORIGIN: Final = "first-origin"
REDRIVE_COUNT: Final = "redrive-count"
REDRIVEN_LETTER: Final = "redriven-letter"
_PLACE: Final = re.compile(r"([a-zA-Z0-9._-]{1,249})/([0-9]{1,10})/([0-9]{1,19})")
_COUNT: Final = re.compile(rb"[1-9][0-9]{0,5}")

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """That a record was published again out of a dead letter.

    Attributes:
      first: "topic/partition/offset" of the record that was refused first.
      count: how often these bytes were redriven, this time included.
    """

    first: str
    count: int

    def headers(self) -> Headers:
        """As they travel on the record, and on the letter if it is refused again."""
        return ((FIRST_ORIGIN, self.first.encode()), (REDRIVE_COUNT, b"%d" % self.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a record stood: ``timestamp_ms`` is the record's, UTC epoch ms; ``key`` its key, if it had one.

    ``redrive`` says that it was not there for the first time.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None = None
    redrive: Redrive | None = None

    @property
    def place(self) -> str:
        """As "topic/partition/offset"."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def headers(self) -> Headers:
        """Where it stood, as headers."""
        return (
            ("origin-topic", self.topic.encode()),
            ("origin-partition", b"%d" % self.partition),
            ("origin-offset", b"%d" % self.offset),
            ("origin-timestamp-ms", b"%d" % self.timestamp_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record for ``dead-letters.v1``.

    ``key`` is "topic/partition/offset" of the origin, so that a repeat after a restart can be told; ``timestamp_ms``
    is the origin's.
    """

    key: bytes
    value: bytes
    headers: Headers
    timestamp_ms: int


def dead_letter(rejected: Rejected, origin: Origin) -> DeadLetter:
    """The record that keeps ``rejected``: a pure function of its arguments, so a repeat has the same bytes.

    Args:
      rejected: the bytes, the reason and the stage.
      origin: where they came from.

    Returns:
      Headers ``origin-topic``, ``origin-partition``, ``origin-offset``, ``origin-timestamp-ms``, ``reason``, ``stage``;
      ``origin-key`` where there was one; ``first-origin`` and ``redrive-count`` of a record that was redriven. A value
      above ``rules.MAX_RECORD_BYTES`` would not fit on the topic: it is cut to that and ``original-bytes`` says how
      long it was. Numbers are decimal text; text is UTF-8.
    """
    headers = [
        *origin.headers(),
        ("reason", rejected.reason[: rules.MAX_REASON_CHARS].encode("utf-8", "replace")),
        ("stage", rejected.stage.encode()),
    ]
    if origin.key is not None:
        headers.append(("origin-key", origin.key[:MAX_KEY_BYTES]))
    if origin.redrive is not None:
        headers += origin.redrive.headers()
    value = rejected.payload
    if len(value) > rules.MAX_RECORD_BYTES:
        headers.append(("original-bytes", b"%d" % len(value)))
        value = value[: rules.MAX_RECORD_BYTES]
    return DeadLetter(
        key=origin.place.encode(),
        value=value,
        headers=tuple(headers),
        timestamp_ms=origin.timestamp_ms,
    )


def redrive_of(headers: Iterable[tuple[str, bytes | None]]) -> Redrive | None:
    """What a record's headers say of its being redriven; None where they say nothing, or nothing that we wrote."""
    named = last_of(headers)
    first, count = text_of(named, FIRST_ORIGIN), named.get(REDRIVE_COUNT)
    if not _PLACE.fullmatch(first) or count is None or not _COUNT.fullmatch(count):
        return None
    return Redrive(first=first, count=int(count))


def origin_of(headers: Iterable[tuple[str, bytes | None]]) -> Origin | None:
    """Where a letter's record stood; None if the headers are not those that :func:`dead_letter` writes."""
    named = last_of(headers)
    place = "/".join(text_of(named, f"origin-{part}") for part in ("topic", "partition", "offset"))
    stamp = text_of(named, "origin-timestamp-ms")
    if not (match := _PLACE.fullmatch(place)) or not re.fullmatch(r"-?[0-9]{1,19}", stamp):
        return None
    return Origin(
        topic=match[1],
        partition=int(match[2]),
        offset=int(match[3]),
        timestamp_ms=int(stamp),
        key=named.get("origin-key"),
        redrive=redrive_of(named.items()),
    )


def last_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """Headers by name, the last of each, without those that have no value."""
    return {name: value for name, value in headers if value is not None}


def text_of(named: Mapping[str, bytes], name: str) -> str:
    """A header as text; empty if it is not there."""
    return named.get(name, b"").decode("utf-8", "replace")
