"""What a writer is told about an item: its record in lines, and records whose blurbs are written already."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from streams.contract.events import Item

MOST_FACTS: Final = 900
"""Characters of an item's text that a writer is told."""
TASK: Final = "You write short film blurbs. You use only the facts that you are given."
_YEAR: Final = re.compile(r"\s*\((\d{4})\)\s*$")
_EXAMPLES: Final = (
    (
        Item(item_id="1", title="Harbour Lights (1951)", tags=["Drama", "Romance"]),
        "Harbour Lights is a tender drama about love and longing. Let it carry you away for an evening.",
    ),
    (
        Item(item_id="2", title="The Iron Mask Returns (1978)", tags=["Action", "Adventure"]),
        "Bold and fast, The Iron Mask Returns is an adventure full of danger and daring. Once the action starts, it "
        "never lets go.",
    ),
    (
        Item(item_id="3", title="Two Left Shoes (1999)", tags=["Comedy"]),
        "Two Left Shoes is a playful comedy with a warm heart. Come for the laughs and stay for the smile.",
    ),
    (
        Item(
            item_id="4", title="Snow Line", tags=["Thriller"],
            text="A mountain guide finds a stranger in the snow. The stranger knows her name.",
        ),
        "A mountain guide finds a stranger in the snow, and the stranger knows her name.",
    ),
)  # fmt: skip
"""Films that there are not; written for this file."""


class Turn(NamedTuple):
    """One part of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


def conversation(item: Item) -> list[Turn]:
    """What is said before an answer is the item's blurb."""
    turns = [Turn("system", TASK)]
    for known, written in _EXAMPLES:
        turns += [Turn("user", facts(known)), Turn("assistant", written)]
    return [*turns, Turn("user", facts(item))]


def title_of(item: Item) -> tuple[str, str]:
    """An item's title without the year that stands at its end in brackets, and that year, or nothing."""
    title = " ".join(item.title.split())
    year = _YEAR.search(title)
    return (title, "") if year is None else (title[: year.start()], year[1])


def facts(item: Item) -> str:
    """The record in lines, for a writer to go by."""
    title, year = title_of(item)
    lines = [f"Title: {title}"]
    if year:
        lines.append(f"Year: {year}")
    if item.tags:
        lines.append(f"Tags: {', '.join(item.tags[:6]).lower()}")
    if item.creator:
        lines.append(f"By: {item.creator}")
    if item.text:
        lines.append(f"Text: {' '.join(item.text.split())[:MOST_FACTS]}")
    return "\n".join(lines)
