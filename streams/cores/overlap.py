"""What two slates of one user have in common, and what one event of a history does to an item's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streams.contract.events import Request, Slate, SlateItem
from streams.cores.recommend import Recommender

PERSISTENCE = 0.9
"""Of rank-biased overlap: a reader goes on to the next place with this chance; the first ten places are 86 % of it."""


class Difference(NamedTuple):
    """Two slates, first against second.

    Attributes:
      overlap: rank-biased overlap, 0 to 1. entered, left: items of the second alone, of the first alone.
      moved: item id -> places that it rose from the first to the second, negative where it fell; only those that did.
    """

    overlap: float
    entered: list[SlateItem]
    left: list[SlateItem]
    moved: dict[str, int]


class Without(NamedTuple):
    """An item's place if the user had not done one thing.

    Attributes:
      item_id, at_ms: what was done, and when. rank, score: of the item then; None where no slate is so long.
    """

    item_id: str
    at_ms: int
    rank: int | None
    score: float | None


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """How alike two rankings are, the first places most: 1 for the same, 0 where nothing is common.

    Webber, Moffat, Zobel: A similarity measure for indefinite rankings, TOIS 2010; the lists as they are, scaled so
    that equal lists of any length give 1.

    >>> rank_biased_overlap("abc", "abc"), rank_biased_overlap("abc", "xyz")
    (1.0, 0.0)
    >>> rank_biased_overlap("abc", "abx") > rank_biased_overlap("abc", "xbc")
    True
    """
    depth = max(len(first), len(second))
    total = weight = 0.0
    for place in range(1, depth + 1):
        chance = persistence ** (place - 1)
        total += chance * len(set(first[:place]) & set(second[:place])) / place
        weight += chance * max(min(len(first), place), min(len(second), place)) / place
    return total / weight if weight else 1.0


def difference_of(first: Slate, second: Slate) -> Difference:
    """What changed from one slate to the other."""
    before, after = ({item.item_id: item for item in slate.items} for slate in (first, second))
    moved = {key: before[key].rank - after[key].rank for key in after if key in before}
    return Difference(
        overlap=rank_biased_overlap(list(before), list(after)),
        entered=[item for key, item in after.items() if key not in before],
        left=[item for key, item in before.items() if key not in after],
        moved={key: places for key, places in moved.items() if places},
    )


def place_of(recommender: Recommender, user_id: str, item_id: str, *, now_ms: int) -> SlateItem | None:
    """An item's place in the longest slate of a user; None where it is in none."""
    request = Request(request_id="explain", user_id=user_id, k=recommender.config.max_k)
    (slate,) = recommender.answer([request], now_ms=now_ms, generated_at_ms=now_ms, offsets={})
    return next((item for item in slate.items if item.item_id == item_id), None)


def without_each(recommender: Recommender, user_id: str, item_id: str, *, now_ms: int, most: int) -> list[Without]:
    """The item's place had the user not done one of his last ``most`` things, newest first.

    The history is served without that one event; what the model learned of it stays. Changes nothing.
    """
    serving = recommender.serving
    row = serving.users.row(user_id)
    histories = serving.histories
    start, length = int(histories.start[row]) if row else 0, int(histories.length[row]) if row else 0
    columns: tuple[Any, ...] = (histories.item, histories.value, histories.at_ms, histories.action)
    kept = [column[start : start + length].copy() for column in columns]
    found = []
    try:
        for at in range(length - 1, max(-1, length - 1 - most), -1):
            for column, whole in zip(columns, kept, strict=True):
                column[start : start + at] = whole[:at]
                column[start + at : start + length - 1] = whole[at + 1 :]
            histories.length[row] = length - 1
            place = place_of(recommender, user_id, item_id, now_ms=now_ms)
            found.append(
                Without(
                    item_id=serving.items.key(int(kept[0][at])), at_ms=int(kept[2][at]),
                    rank=place.rank if place else None, score=place.score if place else None,
                )
            )  # fmt: skip
    finally:
        if row:
            histories.length[row] = length
        for column, whole in zip(columns, kept, strict=True):
            column[start : start + length] = whole
    return found
