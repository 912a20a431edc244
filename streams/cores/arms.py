"""Which of an item's assets to show: Thompson sampling among the arms that fit, with the probability of each choice.

An arm's success rate has a Beta posterior, Beta(1 + taken, 1 + left). Thompson (1933) draws a rate from each and shows
the best; the probability of that is its propensity, P(arm is best) = sum over x of its density times the product of the
other arms' distribution functions, integrated over a fixed grid. So one even number decides in place of a draw for each
arm: the same shares, at a lookup a choice, and what is logged is what happens.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from streams.cores.estimates import Floats

GRID: Final = 2_001
"""Points from 0 to 1 on which distributions are held."""
_RATES: Final[Floats] = (np.arange(GRID) + 0.5) / GRID


MILLION: Final = 1_000_000
"""Propensities are told and drawn in whole millionths: the same to the digit on every machine."""


class Arm(NamedTuple):
    """An asset that may be shown: chances, how many were taken, its language ("" fits everybody) and devices (all)."""

    asset_id: str
    shown: float = 0.0
    taken: float = 0.0
    language: str = ""
    devices: tuple[str, ...] = ()
    is_control: bool = False


class Table(NamedTuple):
    """Arms and how likely each is to be shown; ``ends``: millionths up to and with each."""

    asset_ids: tuple[str, ...]
    propensities: tuple[float, ...]
    ends: tuple[int, ...]

    def place_of(self, millionth: int) -> int:
        """The arm that a whole number from 0 to 999,999 stands for."""
        return bisect_right(self.ends, millionth)


class Lift(NamedTuple):
    """Rate of an arm over that of another, minus 1: median and 90 % interval."""

    value: float
    low: float
    high: float


def fitting(arms: Sequence[Arm], languages: Sequence[str], device: str = "") -> list[Arm]:
    """Those that suit a viewer, by id.

    Language comes first: the first of the viewer's that any arm has; else arms without one; else the item's own; else
    all. Of these, those made for the device, else those made for none. What is made for another device never fits.
    """
    usable = sorted(arm for arm in arms if not arm.devices or device in arm.devices)
    spoken = _spoken(usable, languages)
    return [arm for arm in spoken if arm.devices] or spoken


def _spoken(arms: list[Arm], languages: Sequence[str]) -> list[Arm]:
    for language in languages:
        if found := [arm for arm in arms if arm.language == language]:
            return found
    return [arm for arm in arms if not arm.language] or [arm for arm in arms if arm.is_control] or arms


def propensities(arms: Sequence[Arm]) -> Floats:
    """Probability that each arm is shown; sums to 1."""
    weights = _weights(arms)
    below = np.cumsum(weights, axis=1) - weights / 2  # half of its own cell: equal arms share alike
    found = np.empty(len(arms))
    for i in range(len(arms)):
        others = np.prod(np.delete(below, i, axis=0), axis=0)
        found[i] = float((weights[i] * others).sum())
    found /= found.sum()
    return np.asarray(found)


def table_of(arms: Sequence[Arm]) -> Table:
    """How to choose among arms that all fit, one at least."""
    shares = np.rint(propensities(arms) * MILLION).astype(np.int64) if len(arms) > 1 else np.array([MILLION])
    shares[int(np.argmax(shares))] += MILLION - int(shares.sum())
    told = shares.tolist()
    return Table(
        tuple(arm.asset_id for arm in arms), tuple(share / MILLION for share in told),
        tuple(itertools.accumulate(told)),
    )  # fmt: skip


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
