"""How much of the exact answer an approximate one holds."""

from typing import Any

import numpy as np
import numpy.typing as npt

from index.protocol import Hits, Searchable

_TIE = 1e-5
"""Scores this close (relatively) tie: two ways of adding the same products differ by about as much."""


def recall(found: Hits, wanted: Hits) -> float:
    """Share of the places in the exact answer that the approximate one filled as well.

    A place counts when its score reaches the last exact one, so that of equal items either may be found.

    Args:
      found: [B, K], the approximate answer.
      wanted: [B, K], the exact one.

    Returns:
      0..1; 1.0 where nothing was wanted.
    """
    places = wanted.rows >= 0
    total = int(places.sum())
    if not total:
        return 1.0
    lowest = np.where(places, wanted.scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    reach = lowest - _TIE * np.maximum(1.0, np.abs(lowest))
    good = np.minimum(((found.rows >= 0) & (found.scores >= reach)).sum(axis=1), places.sum(axis=1))
    return float(good.sum() / total)


def measured_recall(approximate: Searchable, exact: Searchable, queries: npt.NDArray[Any], k: int) -> float:
    """`recall` of one index against another on ``queries``, float32 [B, D], at ``k``."""
    return recall(approximate.search(queries, k), exact.search(queries, k))
