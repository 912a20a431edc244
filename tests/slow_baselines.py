"""Passages played the slow, obvious way: what each judged event's rank is by any rule of scoring."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.evaluate.passage import Passage
from tests.slow_counts import rank

Score = Callable[[list[tuple[int, int]], int], npt.NDArray[np.float64]]
"""(learned (user, item) pairs so far, user) -> scores of all items."""


def play(passage: Passage, items: int, score: Score, *, repeats: bool = False) -> npt.NDArray[np.float64]:
    """Ranks of every event of the passage, as the kernels fill them."""
    learned: list[tuple[int, int]] = []
    ranks = np.zeros(len(passage.user))
    for p in range(len(passage.user)):
        user, item = int(passage.user[p]), int(passage.item[p])
        had = {i for u, i in learned if u == user}
        seen = np.bincount([i for _, i in learned], minlength=items)
        if passage.judged[p] and (repeats or item not in had):
            ranks[p] = math.inf
            if seen[item]:
                allowed = seen > 0
                if not repeats:
                    allowed[list(had)] = False
                ranks[p] = rank(score(learned, user), allowed, item)
        if passage.learns[p]:
            learned.append((user, item))
    return ranks


def popularity(learned: list[tuple[int, int]], items: int) -> npt.NDArray[np.float64]:
    """Events on each item."""
    return np.bincount([item for _, item in learned], minlength=items).astype(float)


def history(learned: list[tuple[int, int]], user: int) -> list[int]:
    """Items of a user, oldest first."""
    return [item for who, item in learned if who == user]


def neighbours(learned: list[tuple[int, int]], user: int, items: int) -> npt.NDArray[np.float64]:
    """Cosine of co-occurrence in whole histories, summed over the last 100 items."""
    together, counts = np.zeros((items, items)), popularity(learned, items)
    for who in {u for u, _ in learned}:
        had = history(learned, who)
        for a in range(len(had)):
            for b in range(len(had)):
                together[had[a], had[b]] += had[a] != had[b]
    score = 1e-6 * counts
    for item in history(learned, user)[-100:]:
        score += together[item] / np.sqrt((counts[item] + 1) * (counts + 1))
    return score
