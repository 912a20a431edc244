"""Means with intervals: resampling users, since the events of one user are alike.

All figures of one evaluation are taken from the same resamples, so that any difference or ratio between rankers,
segments or times is a paired one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.typing import F64, I32, I64

CONFIDENCE = 0.95
RESAMPLES = 1_000
DRAWS_AT_ONCE = 2_000_000
"""Users drawn in one go: bounds memory, 16 bytes each."""


class Means(NamedTuple):
    """Means of K values over the events of G groups, and what they would have been with other users.

    Attributes:
      events: int64 [G]. mean: float64 [G, K], NaN where a group has no event. resampled: float64 [S, G, K].
    """

    events: I64
    mean: F64
    resampled: F64


class Interval(NamedTuple):
    """Where the figure lies with 95 % confidence."""

    low: float
    high: float


class Difference(NamedTuple):
    """A paired difference, its interval, and how likely one as large is by chance (two-sided)."""

    value: float
    interval: Interval
    p: float


def grouped_means(
    user: I32, groups: Sequence[tuple[I32, int]], values: F64, *, seed: int, resamples: int = RESAMPLES
) -> list[Means]:
    """Means for each group of each grouping, with resamples of whole users.

    Args:
      user: int32 [E]. values: float64 [E, K].
      groups: for each grouping the group of each event, int32 [E] (-1: none), and how many there are.
    """
    _, who = np.unique(user, return_inverse=True)
    users = int(who.max()) + 1 if len(who) else 0
    parts = [_sums(who, users, codes, count, values) for codes, count in groups]
    sums = np.concatenate([part.reshape(users, part.shape[1] * part.shape[2]) for part in parts], axis=1)
    drawn = _resampled_sums(sums, resamples, np.random.default_rng(seed))
    made, at = [], 0
    for (_, count), part in zip(groups, parts, strict=True):
        width = count * (values.shape[1] + 1)
        mean = _means(part.sum(axis=0))
        made.append(
            Means(
                part[..., 0].sum(axis=0).astype(np.int64),
                mean,
                _means(drawn[:, at : at + width].reshape(resamples, count, values.shape[1] + 1)),
            )
        )
        at += width
    return made


def interval(resampled: F64) -> Interval:
    """The middle 95 % of the resamples; NaN when there is none."""
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def difference(mine: float, theirs: float, resampled_mine: F64, resampled_theirs: F64) -> Difference:
    """Mine less theirs, paired by resample."""
    apart = resampled_mine - resampled_theirs
    apart = apart[np.isfinite(apart)]
    count = len(apart) + 1
    p = min(1.0, 2 * min((int((apart <= 0).sum()) + 1) / count, (int((apart >= 0).sum()) + 1) / count))
    return Difference(mine - theirs, interval(apart), p)


def _sums(who: I64, users: int, codes: I32, count: int, values: F64) -> F64:
    """Number of events and sums of values, by user and group, [users, count, 1 + K]."""
    inside = codes >= 0
    cell = who[inside] * count + codes[inside]
    columns = [np.ones(len(cell)), *values[inside].T]
    made = [np.bincount(cell, column, minlength=users * count).reshape(users, count) for column in columns]
    sums: F64 = np.stack(made, axis=-1).astype(np.float64)
    return sums


def _means(sums: F64) -> F64:
    events = sums[..., :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        means: F64 = np.where(events > 0, sums[..., 1:] / events, np.nan)
    return means


def _resampled_sums(sums: F64, resamples: int, generator: np.random.Generator) -> F64:
    users = len(sums)
    made = np.zeros((resamples, sums.shape[1]))
    if not users:
        return made
    at_once = max(1, DRAWS_AT_ONCE // users)
    for first in range(0, resamples, at_once):
        count = min(at_once, resamples - first)
        drawn = generator.integers(0, users, (count, users)) + np.arange(count)[:, None] * users
        times = np.bincount(drawn.ravel(), minlength=count * users).reshape(count, users).astype(np.float64)
        made[first : first + count] = times @ sums
    return made
