"""Estimates of unmet demand against sums by hand and slower ways."""

from __future__ import annotations

import numpy as np
import pytest

from streams.cores import estimates
from streams.cores.estimates import RATIOS, Recovery


def arrays(*values: list[float]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(value, np.float64) for value in values)


def test_the_likelihood_is_highest_at_the_observed_ratio() -> None:
    n, s, e = arrays([200.0], [60.0], [0.6])
    best = RATIOS[int(np.argmax(estimates.log_likelihood(n, s, e)[0]))]
    assert best == pytest.approx(0.5, rel=0.06)


def test_without_cells_nothing_is_known() -> None:
    assert estimates.prior_of(np.zeros((0, estimates.GRID_SIZE)), np.zeros(0)) == pytest.approx(1 / estimates.GRID_SIZE)


def test_a_prior_of_two_kinds_of_cells_has_two_humps() -> None:
    n, s, e = arrays([500.0] * 40, [300.0] * 30 + [90.0] * 10, [0.6] * 40)
    prior = estimates.prior_of(np.exp(estimates.log_likelihood(n, s, e)), n)
    near = [prior[np.abs(np.log(RATIOS / ratio)) < 0.25].sum() for ratio in (0.3, 0.6, 1.0)]
    assert near[0] > 2 * near[1]
    assert near[2] > near[0]


def test_few_chances_leave_a_cell_where_its_kind_is() -> None:
    n, s, e = arrays([500.0] * 80 + [2.0], [300.0] * 80 + [0.0], [0.6] * 81)
    likelihood = np.exp(estimates.log_likelihood(n, s, e))
    chances = estimates.posterior(likelihood, estimates.prior_of(likelihood, n))
    assert chances[-1] @ RATIOS > 0.7
    assert estimates.share_below(chances, 0.9)[-1] < 0.9


def test_an_audience_with_few_cells_is_pulled_to_its_kind() -> None:
    n, s, e = arrays([500.0] * 60, [300.0] * 59 + [100.0], [0.6] * 60)
    likelihood = np.exp(estimates.log_likelihood(n, s, e))
    prior = estimates.prior_of(likelihood, n)
    own = estimates.audience_priors(likelihood, np.array([0] * 59 + [1]), prior)
    assert np.abs(own[1] - prior).sum() < 0.1
    assert own.sum(axis=1) == pytest.approx(1.0)


def test_quantiles_invert_the_posterior() -> None:
    chances = np.zeros((1, estimates.GRID_SIZE))
    chances[0, [20, 60]] = 0.5
    low, high = estimates.quantiles_of(chances, np.array([0.25, 0.75]))[0]
    assert low == pytest.approx(RATIOS[20], rel=0.01)
    assert high == pytest.approx(RATIOS[60], rel=0.01)


def test_an_expected_rate_that_is_not_known_discounts_the_evidence() -> None:
    n, ratio, e = arrays([100.0], [0.5], [0.6])
    known = estimates.counted_as(n, ratio, e, np.zeros(1))
    unsure = estimates.counted_as(n, ratio, e, np.array([0.02]))
    assert known == pytest.approx(1.0)
    # 0.3 * 0.7 / 100 / 0.36 beside 0.02 / 0.36
    assert unsure == pytest.approx(0.0021 / 0.0221)


def test_recovery_is_the_prior_without_assets_and_the_assets_with_many() -> None:
    prior = Recovery(0.5, 0.25, 0)
    assert estimates.recovery_of(prior, np.zeros(0), np.zeros(0), between_sd=0.1) == prior
    many = estimates.recovery_of(prior, np.full(400, 0.8), np.full(400, 0.01), between_sd=0.1)
    assert many.mean == pytest.approx(0.8, abs=0.01)
    assert many.sd < 0.02


def test_a_gain_is_volume_times_gap_times_recovery_and_its_quantiles_are_those_of_sampling() -> None:
    n, s, e = arrays([900.0], [300.0], [0.6])
    likelihood = np.exp(estimates.log_likelihood(n, s, e))
    chances = estimates.posterior(likelihood, np.full(estimates.GRID_SIZE, 1.0))
    days, mean, sd = arrays([30.0], [0.5], [0.1])
    at = np.array([0.05, 0.5, 0.95])
    gain = estimates.gains(chances, e, n, days, mean, sd, horizon_days=30.0, at=at)
    assert gain.mean[0] == pytest.approx(900 * (0.6 - 1 / 3) * 0.5, rel=0.03)
    rng = np.random.default_rng(5)
    gap = np.maximum(0, 1 - RATIOS[rng.choice(estimates.GRID_SIZE, 40_000, p=chances[0])]) * 0.6
    sampled = gap * rng.gamma(900.5, 1.0, 40_000) * np.clip(rng.normal(0.5, 0.1, 40_000), 0, 1.25)
    assert gain.quantiles[0] == pytest.approx(np.quantile(sampled, at), rel=0.06)


def test_no_cells_have_no_gains() -> None:
    nothing = np.zeros(0)
    gain = estimates.gains(
        np.zeros((0, estimates.GRID_SIZE)), nothing, nothing, nothing, nothing, nothing, horizon_days=1.0,
        at=np.array([0.5]),
    )  # fmt: skip
    assert gain.mean.shape == (0,)
    assert gain.quantiles.shape == (0, 1)
