"""Somebody's text, made safe for a terminal."""

from __future__ import annotations


def printable(text: str, *, most: int = 200) -> str:
    """``text`` with control characters shown as escapes, so that no id or title steers a terminal; cut at ``most``."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
