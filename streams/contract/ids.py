"""Ids that we write, each derived from what caused it: a replay overwrites and never doubles."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

ID_BYTES = 16
"""Length of a derived id before hexadecimal, bytes: 128 bits, so that no two of 10^15 ids meet."""


def derive(*parts: str) -> str:
    """Id of 32 hexadecimal digits, the same for the same parts in the same order, and for no others.

    The first part names what the id is for. Each part goes in with its length, so ``("ab", "c")`` and ``("a", "bc")``
    differ.
    """
    digest = blake2b(digest_size=ID_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def pushed_request_id(*, user_id: str, event_id: str) -> str:
    """``request_id`` of the slate that is pushed, unasked, because of an interaction."""
    return derive("pushed-slate", user_id, event_id)


def replayed_event_id(*, log: str, position: int) -> str:
    """``event_id`` of the record at ``position`` (0-based) of a named log that has no event ids of its own."""
    return derive("replayed-event", log, str(position))


def content_task_id(
    *, item_id: str, kind: str, audience: Mapping[str, Any], locale: str | None, spec: Mapping[str, Any]
) -> str:
    """``task_id`` of a content task: the same wish, in any order of its keys, is the same task."""
    wish = msgspec.json.encode([audience, locale, spec], order="deterministic").decode()
    return derive("content-task", item_id, kind, wish)
