"""How long things took, as counts by class: what a histogram is made of. A batch costs one search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Histogram(NamedTuple):
    """What was counted: how many in each class, the last one without an upper bound, and the sum of all, s."""

    counts: tuple[int, ...]
    sum_s: float


class Durations:
    """Counts by class.

    Args:
      bounds_s: upper bounds of the classes, rising, s; each belongs to the class below it.

    >>> durations = Durations((0.1, 1.0))
    >>> durations.take([0.05, 0.1, 0.5, 7.0])
    >>> durations.counted()
    Histogram(counts=(2, 1, 1), sum_s=7.65)
    """

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = np.array(bounds_s)
        self._counts = np.zeros(len(bounds_s) + 1, np.int64)
        self._sum_s = 0.0

    def take(self, taken_s: Sequence[float]) -> None:
        """So many more, each with the time that it took, s."""
        if taken_s:
            classes = np.searchsorted(self._bounds_s, taken_s, side="left")
            self._counts += np.bincount(classes, minlength=len(self._counts))
            self._sum_s += sum(taken_s)

    def counted(self) -> Histogram:
        """All since the beginning."""
        return Histogram(tuple(self._counts.tolist()), self._sum_s)
