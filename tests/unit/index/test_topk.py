import jax.numpy as jnp
import numpy as np
import pytest

from index.protocol import NO_ROW
from index.topk import allowed_rows, best_of, block_maxima, block_size, select_on_device, select_on_host


def sorted_slowly(scores, k):
    """Rows of the best k of each line by a stable sort: falling score, rising row; -inf is no score."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(scores, order, axis=1) == -np.inf, NO_ROW, order)


def on_host(scores, k, block):
    maxima = scores.reshape(len(scores), -1, block).max(axis=2)
    return select_on_host(scores, maxima, k)


def on_device(scores, k, block):
    rows, best = select_on_device(jnp.asarray(scores), k=k, block=block)
    return np.asarray(rows), np.asarray(best)


WAYS = [pytest.param(on_host, id="host"), pytest.param(on_device, id="device")]


@pytest.mark.parametrize("select", WAYS)
@pytest.mark.parametrize("block", [1, 2, 16])
@pytest.mark.parametrize("kinds", [2, 20, 10**6])
def test_the_best_k_come_in_order_whatever_ties(select, block, kinds):
    generator = np.random.default_rng(kinds)
    scores = generator.integers(-kinds, kinds, (5, 256)).astype(np.float32)
    scores[generator.random(scores.shape) < 0.3] = -np.inf
    for k in (1, 3, 16):
        rows, best = select(scores, k, block)
        np.testing.assert_array_equal(rows, sorted_slowly(scores, k))
        np.testing.assert_array_equal(best, -np.sort(-scores, axis=1)[:, :k])


@pytest.mark.parametrize("select", WAYS)
def test_a_crowd_of_equal_scores_is_cut_by_row(select):
    scores = np.zeros((3, 4096), np.float32)
    scores[1, 4000] = 1.0
    scores[2, ::2] = -0.0  # equal to 0.0, so it ties with it
    rows, _ = select(scores, 5, 32)
    np.testing.assert_array_equal(rows, [[0, 1, 2, 3, 4], [4000, 0, 1, 2, 3], [0, 1, 2, 3, 4]])


@pytest.mark.parametrize("select", WAYS)
def test_scores_of_either_sign_and_any_size_are_ordered(select):
    scores = np.array([[-1e30, 3e-39, -3e-39, 1e30, -1.5, 0.0, 1.5, -np.inf]], np.float32)
    if select is on_device:
        scores[0, 1:3] = [3e-30, -3e-30]  # XLA flushes subnormal numbers to zero
    np.testing.assert_array_equal(select(scores, 8, 1)[0], [[3, 6, 1, 5, 2, 4, 0, NO_ROW]])


def test_nothing_to_pick_from_gives_nothing():
    rows, scores = on_host(np.full((2, 64), -np.inf, np.float32), 3, 16)
    assert (rows == NO_ROW).all()
    assert (scores == -np.inf).all()


@pytest.mark.parametrize(
    ("rows_count", "k", "block"),
    [
        (10_240, 150, 32),
        (10_240, 256, 16),
        (114_688, 256, 32),
        (1024, 1024, 1),
        (1024, 512, 1),
        (1024, 256, 2),
        (96, 1, 32),
    ],
)
def test_blocks_are_the_largest_that_leave_two_for_each_place(rows_count, k, block):
    assert block_size(rows_count, k) == block


def test_a_block_is_represented_by_its_largest_score():
    scores = jnp.arange(12, dtype=jnp.float32).reshape(2, 6)
    np.testing.assert_array_equal(block_maxima(scores, 3), [[2, 5], [8, 11]])


def test_hits_of_two_indexes_are_merged_by_score_then_row():
    rows = np.array([[9, 2, NO_ROW, 4, 1]], np.int32)
    scores = np.array([[5.0, 1.0, -np.inf, 5.0, 2.0]], np.float32)
    assert best_of(rows, scores, 3).rows.tolist() == [[4, 9, 1]]
    assert best_of(rows, scores, 7).rows.tolist() == [[4, 9, 1, 2, NO_ROW, NO_ROW, NO_ROW]]


def test_rows_beyond_a_mask_are_not_allowed():
    rows = np.array([0, 3, 2, 90], np.int32)
    assert allowed_rows(np.array([True, True, False, True]), rows).tolist() == [True, True, False, False]
    assert not allowed_rows(np.zeros(0, np.bool_), rows).any()
