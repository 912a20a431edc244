"""Prequential figures: every event is ranked against the whole catalogue before anything learns it."""

from typing import NamedTuple

import numpy as np

from models.recommend.strict import RANKERS
from models.typing import F32, F64

TOP = 10
SUMS = 2 * len(RANKERS) + 1


class Figures(NamedTuple):
    """Means over ``events`` scored events, by ranker in the order of `RANKERS`."""

    events: int
    hr_at_10: tuple[float, ...]
    ndcg_at_10: tuple[float, ...]


def ndcg(ranks: F32) -> F32:
    """Discounted gain of a single true item at each rank: 1 / log2(1 + rank) inside the top 10, else 0."""
    inside = ranks <= TOP
    gains: F32 = np.where(inside, 1.0 / np.log2(1.0 + np.where(inside, ranks, 1.0)), 0.0)
    return gains


def sums(ranks: F32) -> F64:
    """Sums to add up over batches: events, then hits and gains of each ranker; float64 [SUMS].

    Args:
      ranks: float32 [B, rankers]; 0 marks events that were not scored.
    """
    scored = ranks[ranks[:, 0] > 0]
    per_ranker = [np.stack([(scored <= TOP).sum(0), ndcg(scored).sum(0)], axis=1).ravel()] if len(scored) else []
    return np.concatenate([[float(len(scored))], *per_ranker]) if per_ranker else np.zeros(SUMS)


def figures(total: F64) -> Figures:
    """Means of added-up `sums`; zeros where nothing was scored."""
    events = int(total[0])
    means = total[1:] / max(events, 1)
    return Figures(events, tuple(means[0::2].tolist()), tuple(means[1::2].tolist()))
