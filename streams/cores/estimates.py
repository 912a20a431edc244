"""How much demand stays unmet, and what an asset would earn: arrays in, arrays out.

A *cell* is an item and an audience. It had ``n`` chances, took ``s`` of them, and ``e`` is the rate that was expected
of it; its *ratio* is its true rate over ``e``: 1 is satisfied, 0.4 gets two fifths of what it should. Ratios of a kind
have one distribution, which is estimated from all cells of the kind (nonparametric empirical Bayes: Robbins 1956,
Laird 1978), on a grid and by a smoothed EM (Silverman et al. 1990), so that nothing is assumed about its shape: many
satisfied cells and few deprived ones are two humps. Each audience has its own, pulled to the kind's. A cell's posterior
follows from it: few chances leave a cell where its kind is, and wide.

Everything is deterministic: no sampling; intervals come from a fixed quadrature.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID_SIZE: Final = 96
RATIOS: Final[Floats] = np.exp(np.linspace(np.log(0.02), np.log(2.5), GRID_SIZE))
"""Ratios that a cell may have; neighbours differ by 5 %."""
_STEP: Final = float(np.log(RATIOS[1] / RATIOS[0]))
BELIEF: Final = 4.0
"""Weight, in cells, of the flat part of every prior: no ratio is ruled out by the cells that happen to be there."""
EM_STEPS: Final = 25
PRIOR_CELLS: Final = 4_000
"""The prior is estimated from so many cells of a kind at most, those with most chances."""
AUDIENCE_PULL: Final = 50.0
"""Cells that an audience needs before its own distribution weighs as much as its kind's."""
MOST_RATE: Final = 0.995
QUANTILES: Final = 12
_PROBABILITIES: Final[Floats] = (np.arange(QUANTILES) + 0.5) / QUANTILES
_NORMAL: Final[Floats] = np.array([NormalDist().inv_cdf(float(p)) for p in _PROBABILITIES])


def log_likelihood(n: Floats, s: Floats, e: Floats) -> Floats:
    """Binomial log-likelihood of each cell at each ratio, up to a constant; ``[cells, GRID_SIZE]``.

    Args:
      n, s: chances and how many were taken, 0 <= s <= n; need not be whole. e: the expected rate, 0..1.
    """
    rate = np.clip(e[:, None] * RATIOS[None, :], 1e-6, MOST_RATE)
    found: Floats = s[:, None] * np.log(rate) + (n - s)[:, None] * np.log1p(-rate)
    found -= found.max(axis=1, keepdims=True)
    return found


def prior_of(likelihood: Floats, n: Floats) -> Floats:
    """The distribution of ratios of a kind, ``[GRID_SIZE]``, from its cells' likelihoods (not their logarithms)."""
    flat = np.full(GRID_SIZE, 1.0 / GRID_SIZE)
    if not len(n):
        return flat
    if len(n) > PRIOR_CELLS:
        most = np.argsort(-n, kind="stable")[:PRIOR_CELLS]
        likelihood = likelihood[most]
    weights = flat
    for _ in range(EM_STEPS):
        weights = _smooth(_pulled(likelihood, weights, flat, BELIEF))
    return weights


def audience_priors(likelihood: Floats, audience: NDArray[np.int64], prior: Floats) -> Floats:
    """Each audience's distribution, pulled to its kind's ``prior``; ``[audiences, GRID_SIZE]``."""
    count = int(audience.max(initial=-1)) + 1
    shares = likelihood * prior
    shares /= shares.sum(axis=1, keepdims=True)
    sums = np.zeros((count, GRID_SIZE))
    np.add.at(sums, audience, shares)
    cells = np.bincount(audience, minlength=count).astype(np.float64)
    pulled: Floats = (sums + AUDIENCE_PULL * prior) / (cells + AUDIENCE_PULL)[:, None]
    return pulled


def posterior(likelihood: Floats, prior: Floats) -> Floats:
    """Probability of each ratio for each cell; ``prior`` is ``[GRID_SIZE]`` or one row a cell."""
    found: Floats = likelihood * prior
    found /= found.sum(axis=1, keepdims=True)
    return found


def share_below(chances: Floats, ratio: float) -> Floats:
    """Probability that a cell's ratio is below ``ratio``; ``chances`` is a posterior."""
    return np.asarray(chances[:, ratio > RATIOS].sum(axis=1))


def quantiles_of(chances: Floats, at: Floats) -> Floats:
    """Ratios at these probabilities, ``[cells, len(at)]``; within a step of the grid a ratio is spread evenly."""
    below = np.cumsum(chances, axis=1)
    below /= below[:, -1:]
    edges = np.concatenate([[RATIOS[0] * np.exp(-_STEP / 2)], RATIOS * np.exp(_STEP / 2)])
    padded = np.concatenate([np.zeros((len(chances), 1)), below], axis=1)
    place = (padded[:, None, :] <= at[None, :, None]).sum(axis=2)
    upper = np.clip(place, 1, GRID_SIZE)
    rows = np.arange(len(chances))[:, None]
    low, high = padded[rows, upper - 1], padded[rows, upper]
    within = np.clip((at[None, :] - low) / np.maximum(high - low, 1e-300), 0.0, 1.0)
    found: Floats = edges[upper - 1] + within * (edges[upper] - edges[upper - 1])
    return found


def counted_as(n: Floats, ratio: Floats, e: Floats, e_variance: Floats) -> Floats:
    """Share of a cell's evidence that counts, 0..1, since its expected rate is known only so well.

    A binomial of ``n`` chances knows a ratio to a variance of ``ratio (1 - rate) / (n e)``; the expected rate adds
    ``e_variance / e^2``. Counting fewer chances gives the sum of both.
    """
    rate = np.clip(ratio * e, 1e-6, MOST_RATE)
    own = rate * (1 - rate) / np.maximum(n, 1e-9) / e**2
    return own / (own + e_variance / e**2)


class Recovery(NamedTuple):
    """Share of the gap to the expected rate that an asset closes: mean, standard deviation, and from how many."""

    mean: float
    sd: float
    assets: int


def recovery_of(prior: Recovery, found: Floats, variance: Floats, *, between_sd: float) -> Recovery:
    """What past assets say about the next one of their group (normal, with a known spread between assets).

    Args:
      prior: of the group's mean, before its assets.
      found, variance: the share that each past asset closed, and how well that is known.
      between_sd: how much assets of a group differ.

    Returns:
      The predictive mean and deviation of the next asset.
    """
    precision = 1.0 / (variance + between_sd**2)
    total = 1.0 / prior.sd**2 + float(precision.sum())
    mean = (prior.mean / prior.sd**2 + float((precision * found).sum())) / total
    return Recovery(mean, float(np.sqrt(1.0 / total)), len(found) + prior.assets)


class Gains(NamedTuple):
    """Expected gain of each cell: its mean, and the quantiles that were asked for."""

    mean: Floats
    quantiles: Floats


def gains(
    chances: Floats, e: Floats, n: Floats, exposure_days: Floats, recovery_mean: Floats, recovery_sd: Floats, *,
    horizon_days: float, at: Floats,
) -> Gains:  # fmt: skip
    """Successes that an asset adds within the horizon: volume x gap x the share of the gap that it closes.

    The three are taken as independent: the ratio from its posterior, the volume from a Gamma posterior of a Poisson
    rate (Jeffreys; quantiles after Wilson and Hilferty 1931), the recovery normal, cut at 0 and 1.25. Their product's
    distribution is the product of equally likely quantiles of each.

    Args:
      chances: posterior of the ratio. e: expected rate. n: chances seen, faded. exposure_days: in how many days.
      recovery_mean, recovery_sd: of the next asset. at: probabilities.
    """
    if not len(e):
        return Gains(np.zeros(0), np.zeros((0, len(at))))
    gap = np.maximum(0.0, 1.0 - quantiles_of(chances, _PROBABILITIES)) * e[:, None]
    shape = n + 0.5
    cube = 1 - 1 / (9 * shape[:, None]) + _NORMAL[None, :] / (3 * np.sqrt(shape[:, None]))
    per_day = shape[:, None] * np.maximum(cube, 0.0) ** 3 / exposure_days[:, None]
    closes = np.clip(recovery_mean[:, None] + recovery_sd[:, None] * _NORMAL[None, :], 0.0, 1.25)
    all_of = gap[:, :, None, None] * per_day[:, None, :, None] * closes[:, None, None, :]
    flat = all_of.reshape(len(e), -1) * horizon_days
    return Gains(flat.mean(axis=1), np.quantile(flat, at, axis=1).T)


def _pulled(likelihood: Floats, weights: Floats, to: Floats, cells: float) -> Floats:
    shares = likelihood * weights
    shares /= shares.sum(axis=1, keepdims=True)
    pulled: Floats = (shares.sum(axis=0) + cells * to) / (len(likelihood) + cells)
    return pulled


def _smooth(weights: Floats) -> Floats:
    padded = np.concatenate([weights[:1], weights, weights[-1:]])
    found: Floats = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    found /= found.sum()
    return found
