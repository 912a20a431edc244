"""Prequential figures along the stream, with the uncertainty of each point. Pure."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from streams.contract.events import Metric

RANKERS: Final = ("model", "transitions", "decayed_popularity")
"""As ``metrics.v1`` names them."""
MEASURES: Final = ("hr_at_10", "ndcg_at_10")
MOST_POINTS: Final = 60
"""Of a curve; each has its share of the events, so that windows with few of them do not make it jump."""
MOST_KEPT: Final = 2_048
"""Windows; beyond it neighbours are put together."""
Z: Final = 1.96
"""Standard errors on either side of 95 %."""


class Stretch(NamedTuple):
    """What was ranked between two moments of the stream.

    Attributes:
      learned: events learned by its end. at_ms: newest event time then. events: ranked in it.
      sums: "ranker_measure" -> sum over these events.
    """

    learned: int
    at_ms: int
    events: int
    sums: dict[str, float]


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of ``count`` (Wilson 1927): the whole of 0 to 1 where nothing was counted.

    >>> wilson(0.5, 100)
    (0.40382982859014716, 0.5961701714098528)
    >>> wilson(0.0, 0)
    (0.0, 1.0)
    """
    if count <= 0:
        return 0.0, 1.0
    square = Z * Z / count
    middle = (share + square / 2) / (1 + square)
    half = Z * math.sqrt(max(0.0, share * (1 - share) / count + square / (4 * count))) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


class Curves:
    """Takes the windows of the series ``prequential``, in order; gives some `MOST_POINTS` points a curve."""

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self._totals: dict[str, float] = {}
        self._scored = 0
        self.version = 0
        """Rises with every window."""

    def take(self, metric: Metric) -> None:
        """One window; a trainer that went back to a snapshot tells the same windows again."""
        values = metric.values
        names = [f"{ranker}_{measure}" for ranker in RANKERS for measure in MEASURES]
        if not all(name in values for name in ("learned", *names)):
            return
        learned = int(values["learned"])
        while self._stretches and self._stretches[-1].learned >= learned:
            self._stretches.pop()
        if metric.events > 0:
            sums = {name: values[name] * metric.events for name in names}
            self._stretches.append(Stretch(learned, metric.at_ms, metric.events, sums))
        if len(self._stretches) > MOST_KEPT:
            old = self._stretches
            self._stretches = [_joined(*old[at : at + 2]) for at in range(0, len(old) - 1, 2)] + old[len(old) & ~1 :]
        self._totals = {name: values[f"total_{name}"] for name in names if f"total_{name}" in values}
        self._scored = int(values.get("total_events", 0))
        self.version += 1

    def plain(self) -> dict[str, Any]:
        """As JSON values: columns of equal length, and the figures over everything.

        The interval of HR is Wilson's. What NDCG varies by is not told: that of a number from 0 to 1 with its mean is
        at most as wide as a share's, so its interval is too wide rather than too narrow.
        """
        points = _even(self._stretches)
        curves = {
            ranker: {measure: _columns(points, f"{ranker}_{measure}") for measure in MEASURES} for ranker in RANKERS
        }
        totals = {
            ranker: {measure: self._totals.get(f"{ranker}_{measure}") for measure in MEASURES} for ranker in RANKERS
        }
        return {
            "learned": [one.learned for one in points],
            "at_ms": [one.at_ms for one in points],
            "events": [one.events for one in points],
            "curves": curves,
            "totals": totals if self._totals else None,
            "scored": self._scored,
        }

    def is_behind_baseline(self, *, last: int = 4) -> str | None:
        """The baseline that ranks better than the model over the last points, beyond both intervals; or None."""
        recent = _even(self._stretches)[-last:]
        count = sum(one.events for one in recent)
        if not count or len(recent) < last:
            return None
        shares = {ranker: sum(one.sums[f"{ranker}_hr_at_10"] for one in recent) / count for ranker in RANKERS}
        most = wilson(shares["model"], count)[1]
        beyond = [ranker for ranker in RANKERS[1:] if wilson(shares[ranker], count)[0] > most]
        return max(beyond, key=shares.__getitem__, default=None)


def _even(stretches: list[Stretch]) -> list[Stretch]:
    """The same with an even share of the events in each but the last, which is as long as it is so far."""
    least = sum(one.events for one in stretches) / MOST_POINTS
    found: list[Stretch] = []
    for one in stretches:
        if found and found[-1].events < least:
            found[-1] = _joined(found[-1], one)
        else:
            found.append(one)
    return found


def _joined(first: Stretch, second: Stretch) -> Stretch:
    sums = {name: first.sums[name] + second.sums[name] for name in first.sums}
    return Stretch(second.learned, second.at_ms, first.events + second.events, sums)


def _columns(stretches: list[Stretch], name: str) -> dict[str, list[float]]:
    means = [one.sums[name] / one.events for one in stretches]
    edges = [wilson(mean, one.events) for mean, one in zip(means, stretches, strict=True)]
    return {
        "mean": [round(mean, 5) for mean in means],
        "low": [round(low, 5) for low, _ in edges],
        "high": [round(high, 5) for _, high in edges],
    }
