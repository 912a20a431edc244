"""The assignment beside brute force over every pairing, and beside SciPy's."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from models.errors import ShapeError
from models.vision.assignment import assign, assign_within


def cheapest(cost: np.ndarray) -> float:
    """The least sum over all pairings of the shorter side."""
    small = cost if cost.shape[0] <= cost.shape[1] else cost.T
    picks = itertools.permutations(range(small.shape[1]), small.shape[0])
    return min(float(small[np.arange(small.shape[0]), list(pick)].sum()) for pick in picks)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2), (4, 6), (6, 4), (6, 6)])
def test_no_pairing_is_cheaper(shape) -> None:
    chance = np.random.default_rng(shape[0] * 10 + shape[1])
    for turn in range(30):
        cost = chance.normal(size=shape) if turn % 2 else chance.integers(-2, 3, shape).astype(float)  # with ties
        columns = assign(cost)
        rows = np.flatnonzero(columns >= 0)

        assert len(rows) == min(shape) == len(set(columns[rows]))
        np.testing.assert_allclose(cost[rows, columns[rows]].sum(), cheapest(cost), atol=1e-12)


def test_large_matrices_cost_what_scipy_s_do() -> None:
    chance = np.random.default_rng(1)
    for shape in ((80, 80), (50, 120), (120, 50)):
        cost = chance.uniform(size=shape)
        columns = assign(cost)
        rows = np.flatnonzero(columns >= 0)

        np.testing.assert_allclose(cost[rows, columns[rows]].sum(), cost[linear_sum_assignment(cost)].sum())


def test_dear_pairs_are_left_apart() -> None:
    """By hand: of the whole matrix 0.9 + 0.1 is least; with at most 0.5 a pair, 0.1 alone."""
    cost = np.array([[0.9, 0.9], [0.8, 0.1]])

    assert assign_within(cost, 0.5).tolist() == [-1, 1]


def test_within_a_most_a_cheap_pair_is_not_given_up_for_a_forbidden_one() -> None:
    """Whole costs would pair 0-1 and 1-0 (0.4 + 2.0 < 0.1 + 3.0); the second is forbidden: 0-0 alone is best."""
    cost = np.array([[0.1, 0.4], [2.0, 3.0]])

    assert assign(cost).tolist() == [1, 0]
    assert assign_within(cost, 0.5).tolist() == [0, -1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_paired_with_nothing(shape) -> None:
    assert assign(np.zeros(shape)).tolist() == [-1] * shape[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_costs_that_are_no_numbers_are_refused(bad) -> None:
    with pytest.raises(ShapeError, match="finite costs"):
        assign(np.array([[0.0, bad]]))
