import jax
import numpy as np
import pytest

from index.errors import BadSearchError
from index.exact import ExactIndex, capacity_for
from index.protocol import IndexConfig

D = 5


def filled(count, **settings):
    index = ExactIndex(IndexConfig(dim=D, **settings))
    index.upsert(np.arange(count), np.random.default_rng(0).standard_normal((count, D), dtype=np.float32))
    return index


@pytest.mark.parametrize(
    ("count", "capacity"),
    [
        (1, 128),
        (128, 128),
        (129, 160),
        (200, 224),
        (257, 320),
        (1000, 1024),
        (1025, 1280),
        (10_000, 10_240),
        (100_000, 114_688),
    ],
)
def test_capacities_come_in_quarters_of_a_power_of_two(count, capacity):
    assert capacity_for(count) == capacity


def test_capacities_waste_at_most_a_quarter():
    for count in range(128, 5000, 7):
        assert count <= capacity_for(count) <= 1.25 * count + 32
        assert capacity_for(capacity_for(count)) == capacity_for(count)


@pytest.mark.parametrize("select_on", ["host", "device"])
def test_batches_and_k_of_one_step_share_a_compilation(select_on):
    index = filled(500, select_on=select_on)
    queries = np.ones((8, D), np.float32)
    index.search(queries, 32)
    mask = np.ones(400, np.bool_)
    index.search(queries, 32, mask=mask)
    with jax.no_tracing():
        assert index.search(queries[:5], 17).rows.shape == (5, 17)
        assert index.search(queries, 30, mask=mask[:70]).rows.shape == (8, 30)


@pytest.mark.parametrize("select_on", ["host", "device"])
def test_growing_compiles_before_a_search_can_meet_the_new_size(select_on):
    index = filled(1000, select_on=select_on)
    queries = np.ones((4, D), np.float32)
    index.search(queries, 10)
    before = index.capacity
    index.upsert(np.array([before]), np.ones((1, D), np.float32))
    assert index.capacity > before
    with jax.no_tracing():
        index.search(queries, 10)


def test_small_writes_share_a_compilation():
    index = filled(500)
    index.upsert(np.arange(3), np.ones((3, D), np.float32))
    with jax.no_tracing():
        index.upsert(np.arange(40), np.ones((40, D), np.float32))


def test_a_batch_that_needs_too_many_scores_is_searched_in_parts():
    whole, parts = filled(600), filled(600, max_scores_count=2500)
    queries = np.random.default_rng(1).standard_normal((13, D), dtype=np.float32)
    np.testing.assert_array_equal(parts.search(queries, 9).rows, whole.search(queries, 9).rows)


@pytest.mark.parametrize(
    ("setting", "make"),
    [
        ("dim", lambda size: IndexConfig(dim=size)),
        ("max_scores_count", lambda size: IndexConfig(dim=D, max_scores_count=size)),
        ("min_capacity", lambda size: IndexConfig(dim=D, min_capacity=size)),
    ],
)
def test_sizes_below_one_are_refused(setting, make):
    with pytest.raises(BadSearchError, match=f"{setting} must be a whole number >= 1, got 0"):
        make(0)
