"""What ``dead-letters.v1`` carries: the refused bytes as they came, and in the headers where from and why."""

from dataclasses import dataclass
from typing import Final

from streams.contract import rules
from streams.contract.codec import Rejected

MAX_KEY_BYTES: Final = 4 * rules.MAX_ID_CHARS
"""Longest key kept in a header, bytes: any id within the contract fits in UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a record stood: ``timestamp_ms`` is the record's, UTC epoch ms; ``key`` its key, if it had one."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record for ``dead-letters.v1``.

    ``key`` is "topic/partition/offset" of the origin, so that a repeat after a restart can be told; ``timestamp_ms``
    is the origin's.
    """

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


def dead_letter(rejected: Rejected, origin: Origin) -> DeadLetter:
    """The record that keeps ``rejected``: a pure function of its arguments, so a repeat has the same bytes.

    Args:
      rejected: the bytes, the reason and the stage.
      origin: where they came from.

    Returns:
      Headers ``origin-topic``, ``origin-partition``, ``origin-offset``, ``origin-timestamp-ms``, ``reason``, ``stage``;
      ``origin-key`` where there was one. A value above ``rules.MAX_RECORD_BYTES`` would not fit on the topic: it is
      cut to that and ``original-bytes`` says how long it was. Numbers are decimal text; text is UTF-8.
    """
    headers = [
        ("origin-topic", origin.topic.encode()),
        ("origin-partition", b"%d" % origin.partition),
        ("origin-offset", b"%d" % origin.offset),
        ("origin-timestamp-ms", b"%d" % origin.timestamp_ms),
        ("reason", rejected.reason[: rules.MAX_REASON_CHARS].encode("utf-8", "replace")),
        ("stage", rejected.stage.encode()),
    ]
    if origin.key is not None:
        headers.append(("origin-key", origin.key[:MAX_KEY_BYTES]))
    value = rejected.payload
    if len(value) > rules.MAX_RECORD_BYTES:
        headers.append(("original-bytes", b"%d" % len(value)))
        value = value[: rules.MAX_RECORD_BYTES]
    return DeadLetter(
        key=f"{origin.topic}/{origin.partition}/{origin.offset}".encode(),
        value=value,
        headers=tuple(headers),
        timestamp_ms=origin.timestamp_ms,
    )
