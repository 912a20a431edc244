"""Which of an item's assets to show: Thompson sampling among the arms that fit, with the probability of each choice.

An arm's success rate has a Beta posterior, Beta(1 + taken, 1 + left). A draw of each decides (Thompson 1933); the draw
is a function of seed, request and item alone, so a replay shows the same. The propensity of every arm is integrated
over a fixed grid, not estimated from draws: P(arm is best) = sum over x of its density times the product of the other
arms' distribution functions. Draws invert those same distribution functions on the same grid, so what is logged is
what happens. Slates do not use it yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from streams.contract import ids
from streams.cores.estimates import Floats

GRID: Final = 2_001
"""Points from 0 to 1 on which distributions are held."""
_RATES: Final[Floats] = (np.arange(GRID) + 0.5) / GRID


class Arm(NamedTuple):
    """An asset that may be shown: chances, how many were taken, and its language; "" fits everybody."""

    asset_id: str
    shown: float = 0.0
    taken: float = 0.0
    language: str = ""


class Choice(NamedTuple):
    """What was chosen, and with which probability."""

    asset_id: str
    propensity: float


class Lift(NamedTuple):
    """Rate of an arm over that of another, minus 1: median and 90 % interval."""

    value: float
    low: float
    high: float


def fitting(arms: Sequence[Arm], languages: Sequence[str]) -> list[Arm]:
    """Those in the first of the viewer's languages that has any; else those without one; else all. By id."""
    in_order = sorted(arms)
    for language in languages:
        if found := [arm for arm in in_order if arm.language == language]:
            return found
    return [arm for arm in in_order if not arm.language] or in_order


def propensities(arms: Sequence[Arm]) -> Floats:
    """Probability that each arm is chosen; sums to 1."""
    weights = _weights(arms)
    below = np.cumsum(weights, axis=1) - weights / 2  # half of its own cell: equal arms share alike
    found = np.empty(len(arms))
    for i in range(len(arms)):
        others = np.prod(np.delete(below, i, axis=0), axis=0)
        found[i] = float((weights[i] * others).sum())
    found /= found.sum()
    return np.asarray(found)


def choose(arms: Sequence[Arm], languages: Sequence[str], *, seed: int, request_id: str, item_id: str) -> Choice | None:
    """The arm for one place of one slate; None where there is none. The same request gets the same arm again."""
    among = fitting(arms, languages)
    if not among:
        return None
    if len(among) == 1:
        return Choice(among[0].asset_id, 1.0)
    weights = np.cumsum(_weights(among), axis=1)
    drawn = [
        float(np.searchsorted(weights[i], _uniform(seed, request_id, item_id, arm.asset_id) * weights[i, -1]))
        + _uniform(seed, request_id, item_id, arm.asset_id, "tie")
        for i, arm in enumerate(among)
    ]
    best = int(np.argmax(drawn))
    return Choice(among[best].asset_id, float(propensities(among)[best]))


def lift(arm: Arm, other: Arm) -> Lift:
    """How much better an arm does than another."""
    weights = _weights([arm, other])
    steps = np.searchsorted(
        np.cumsum(weights, axis=1).ravel() + np.repeat([0.0, 2.0], GRID),
        ((np.arange(200) + 0.5) / 200)[:, None] + [0, 2],
    )
    own, than = _RATES[np.clip(steps[:, 0], 0, GRID - 1)], _RATES[np.clip(steps[:, 1] - GRID, 0, GRID - 1)]
    low, value, high = np.quantile(own[:, None] / than[None, :] - 1, [0.05, 0.5, 0.95]).tolist()
    return Lift(value, low, high)


def _weights(arms: Sequence[Arm]) -> Floats:
    """Probability of each cell of the grid for each arm, ``[arms, GRID]``."""
    taken = np.array([min(arm.taken, arm.shown) for arm in arms])
    left = np.array([max(arm.shown - arm.taken, 0.0) for arm in arms])
    logs = taken[:, None] * np.log(_RATES) + left[:, None] * np.log1p(-_RATES)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights)


def _uniform(seed: int, *parts: str) -> float:
    """A number in [0, 1) from these parts alone."""
    return math.ldexp(int(ids.derive("arm", str(seed), *parts)[:13], 16), -52)
