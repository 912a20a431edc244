"""Making a slate from candidates the slow way: the rules in plain Python, everything computed anew for every place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.recommend.diversity import Mix

SMOOTHED = 0.01
DAY_MS = 86_400_000


def tags_of(tags: Any, row: int) -> list[int]:
    """Codes of an item."""
    return [int(code) for code in tags[row] if code]


def likeness(vectors: Any, tags: Any, one: int, other: int) -> float:
    """The mean of the cosines of vectors and of tags, or the one that there is."""
    a, b = (np.asarray(vectors[row], np.float64) for row in (one, other))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    mine, others = tags_of(tags, one), tags_of(tags, other)
    cosines = []
    if lengths > 0:
        cosines.append(max(0.0, float(a @ b) / lengths))
    if mine and others:
        cosines.append(len(set(mine) & set(others)) / math.sqrt(len(mine) * len(others)))
    return sum(cosines) / len(cosines) if cosines else 0.0


def shares(tags: Any, rows: Sequence[int]) -> dict[int, float]:
    """Each item with tags counts as one, parted between them; they add up to 1."""
    found: Counter[int] = Counter()
    tagged = [row for row in rows if tags_of(tags, row)]
    for row in tagged:
        for code in tags_of(tags, row):
            found[code] += 1 / len(tags_of(tags, row)) / len(tagged)  # type: ignore[assignment]
    return dict(found)


def divergence(tags: Any, history: Sequence[int], slate: Sequence[int], known: Sequence[int]) -> float:
    """Of the slate's tags from the history's, times the items with tags; smoothed, over the codes ``known``."""
    mine, shown = shares(tags, history[-100:]), shares(tags, slate)
    count = sum(1 for row in slate if tags_of(tags, row))
    total = 0.0
    for code in known:
        if mine.get(code, 0.0) > 0:
            mixed = (1 - SMOOTHED) * shown.get(code, 0.0) + SMOOTHED * mine[code]
            total += mine[code] * math.log(mine[code] / mixed)
    return count * total


def gain(tags: Any, history: Sequence[int], slate: Sequence[int], row: int) -> float:
    """What an item does for the slate's tags, beside one that has none of the user's; see `divergence`."""
    if not tags_of(tags, row):
        return 0.0
    stranger = len(tags)  # an item with a tag that nobody had
    wider = np.concatenate([tags, np.full((1, tags.shape[1]), 0, tags.dtype)])
    wider[stranger, 0] = int(tags.max()) + 1
    codes = sorted({code for one in history for code in tags_of(tags, one)})
    return divergence(wider, history, [*slate, stranger], codes) - divergence(wider, history, [*slate, row], codes)


def mixed(
    scores: Sequence[float], rows: Sequence[int], k: int, vectors: Any, tags: Any, creator: Any, first_ms: Any,
    history: Sequence[int], now_ms: int, mix: Mix,
) -> tuple[list[int], list[float]]:  # fmt: skip
    """Rows of the slate and their scores."""
    left, slate, told = list(range(len(rows))), list[int](), list[float]()
    tag_most = max(1, math.ceil(mix.tag_share * k - 1e-6))
    creator_most = max(1, math.ceil(mix.creator_share * k - 1e-6))

    def is_fresh(row: int) -> bool:
        return bool(first_ms[row] >= now_ms - round(mix.fresh_days * DAY_MS))

    def fits(row: int) -> bool:
        by_tag = Counter(code for one in slate for code in tags_of(tags, one))
        if mix.tag_share < 1 and any(by_tag[code] >= tag_most for code in tags_of(tags, row)):
            return False
        makers = sum(1 for one in slate if creator[one] == creator[row])
        return not (mix.creator_share < 1 and creator[row] != 0 and makers >= creator_most)

    def worth(at: int) -> float:
        row = rows[at]
        value = scores[at] - mix.diversity * max((likeness(vectors, tags, row, one) for one in slate), default=0.0)
        return value + (mix.calibration * gain(tags, history, slate, row) if mix.calibration else 0.0)

    while left and len(slate) < k:
        pools = [[at for at in left if fits(rows[at])], left]
        if sum(map(is_fresh, slate)) < int(mix.fresh_share * (len(slate) + 1) + 1e-6):
            pools = [[at for at in pools[0] if is_fresh(rows[at])], *pools]
        pool = next(pool for pool in pools if pool)
        near = [
            at for at in pool if mix.quality_floor == 0 or scores[at] >= scores[pool[0]] + math.log(mix.quality_floor)
        ]
        best = max(near, key=lambda at: (worth(at), -at))
        left.remove(best)
        slate.append(rows[best])
        told.append(min(scores[best], told[-1]) if told else scores[best])
    return slate, told
