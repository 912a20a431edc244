"""How an item compares with what a user had, the slow way: from the raw events and labels, in Python's floats."""

from __future__ import annotations

import math

import numpy as np

from models.recommend.features import HOTNESS, LEVEL
from tests.slow_counts import F64, SlowLog

NAMES = 9


def affinities(log: SlowLog, user: int, now_ms: int, rows: list[int]) -> F64:
    """One line a candidate, [len(rows), 9]."""
    history = log.history(user)[::-1]
    dense = log.dense(now_ms)
    first_ms = {event.item: event.at_ms for event in reversed(log.events)}
    total, number = log.values()
    lines = []
    for row in rows:
        creators = [lag for lag, event in enumerate(history[:30]) if _same_creator(log, row, event.item)]
        of_30 = max(min(30, len(history)), 1)
        lines.append([
            _tags(log, row, [(event.item, 1.0) for event in history[:100]], 10.0),
            _tags(log, row, [(event.item, 0.9 ** (lag + 1)) for lag, event in enumerate(history[:100])], 3.0),
            _years(log, row, [event.item for event in history[:30]]),
            _levels(dense[LEVEL], row, [event.item for event in history[:20]]),
            _levels(dense[HOTNESS], row, [event.item for event in history[:20]]),
            math.log1p(10 * len(creators) / of_30),
            math.log1p(5 * sum(0.8**lag for lag in creators)),
            total[row] / (number[row] + 3.0),
            float(bool(history) and first_ms.get(row, 0) > history[0].at_ms),
        ])  # fmt: skip
    return np.array(lines)


def _tags(log: SlowLog, row: int, history: list[tuple[int, float]], prior: float) -> float:
    """Mean over the item's tags of the log of (user's share + prior) beside the stream's share."""
    mine: dict[int, float] = {}
    for item, weight in history:
        for code in log.tags(item):
            mine[code] = mine.get(code, 0.0) + weight
    everybody = log.tag_events()
    events, total = sum(everybody.values()), sum(mine.values())
    codes = log.tags(row)
    if not codes or not total:
        return 0.0
    shares = [(everybody.get(code, 0) + 1e-3) / (events + 1e-3) for code in codes]
    lifts = [
        math.log((mine.get(code, 0.0) / share + prior) / (total + prior))
        for code, share in zip(codes, shares, strict=True)
    ]
    return sum(lifts) / len(lifts)


def _years(log: SlowLog, row: int, items: list[int]) -> float:
    """Mean nearness of the years that are known, 1 for the same year, a half three years apart."""
    mine = int(log.labels.year[row])
    years = [int(log.labels.year[item]) for item in items]
    near = [1.0 / (1.0 + ((year - mine) / 3.0) ** 2) for year in years if year and mine]
    return sum(near) / max(len(near), 1)


def _levels(level: F64, row: int, items: list[int]) -> float:
    """Mean nearness of levels of popularity, a half where they differ by 0.5 in the logarithm."""
    near = [1.0 / (1.0 + ((level[item] - level[row]) / 0.5) ** 2) for item in items]
    return float(sum(near)) / max(len(near), 1)


def _same_creator(log: SlowLog, row: int, item: int) -> bool:
    return bool(log.labels.creator[row]) and log.labels.creator[row] == log.labels.creator[item]
