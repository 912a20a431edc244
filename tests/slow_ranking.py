"""Ranking the slow way: every item is scored for one user, from the definitions, in Python's floats."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from models.recommend.combiner import SPARSE_GAIN
from models.recommend.features import DENSE, SPARSE
from models.recommend.sources import Counts


def histories_values(
    counts: Counts, history: Sequence[int], times: Sequence[int], now_ms: int, *, repeats: bool = False
) -> dict[int, list[float]]:
    """Raw values by item row of what the user's last items lead to; with ``repeats`` also of those items themselves."""
    values: dict[int, list[float]] = {}
    newest = list(zip(history, times, strict=True))[::-1]

    def add(row: int, feature: int, amount: float) -> None:
        values.setdefault(row, [0.0] * SPARSE)[feature] += amount

    for lag, (item, at_ms) in enumerate(newest[:20]):
        share = 1.0 / (float(counts.seen[item]) + 5.0)
        for row, weight in _entries(counts.after, item):
            if lag < 5:
                add(row, 0, 0.7**lag * share * weight)
            add(row, 1, 0.9**lag * share * weight)
            if now_ms - at_ms <= 600_000:
                add(row, 2, share * weight)
        if lag < 2:
            for row, weight in _entries(counts.after, item, "lag"):
                add(row, 3 + lag, share * weight)
        for row, weight in _entries(counts.before, item):
            add(row, 5, 0.9**lag * share * weight)
    for lag, (item, _) in enumerate(newest[:100]):
        for row, weight in _entries(counts.company, item):
            cosine = weight / math.sqrt((float(counts.seen[item]) + 1) * (float(counts.seen[row]) + 1))
            add(row, 6, cosine)
            if lag < 10:
                add(row, 7, 0.9**lag * cosine)
    for lag, (item, at_ms) in reversed(list(enumerate(newest[:500] if repeats else []))):
        add(item, 8, 0.01)
        values[item][9] = 1.0 / (1.0 + lag)
        values[item][10] = 2.0 ** (-max(0, now_ms - at_ms) / 86_400_000)
    return values


def gains(
    counts: Counts, history: Sequence[int], times: Sequence[int], now_ms: int, weights: Any, *, repeats: bool = False
) -> dict[int, float]:
    """What the history adds to each item's score."""
    raw = histories_values(counts, history, times, now_ms, repeats=repeats)
    gained = {
        row: sum(float(weights[DENSE + f]) * math.log1p(float(SPARSE_GAIN) * x) for f, x in enumerate(values))
        for row, values in raw.items()
    }
    for lag, item in enumerate(list(history)[::-1][:100]):
        for row, learned in _entries(counts.after, item, "learned") if lag < 20 else []:
            gained[row] += 0.9**lag * learned
        for row, learned in _entries(counts.company, item, "learned"):
            gained[row] += 0.97**lag * learned
    return gained


def scores(q: Any, augmented: Any, gained: dict[int, float]) -> list[float]:
    """The score of every item row."""
    linear = np.asarray(augmented, np.float64) @ np.asarray(q, np.float64)
    return [float(linear[row]) + gained.get(row, 0.0) for row in range(len(linear))]


def best(scored: Sequence[float], allowed: Collection[int], width: int) -> list[int]:
    """Rows of the best, equal scores in row order."""
    return sorted(allowed, key=lambda row: (-scored[row], row))[:width]


def strongest(counts: Counts, history: Sequence[int], row: int) -> int:
    """Which of the user's last five items led to ``row`` most; the later one of equals, 0 for none."""
    found, most = 0, 0.0
    for lag, item in enumerate(list(history)[::-1][:5]):
        weight = 0.7**lag * dict(_entries(counts.after, item)).get(row, 0.0) / (float(counts.seen[item]) + 5.0)
        if weight > most * (1 + 1e-6):
            found, most = item, weight
    return found


def _entries(pool: Any, row: int, column: str = "weight") -> list[tuple[int, float]]:
    places = slice(int(pool.start[row]), int(pool.start[row]) + int(pool.length[row]))
    return list(zip(pool.key[places].tolist(), getattr(pool, column)[places].tolist(), strict=True))
