"""Ranks and lists from scores, against numbers by hand and against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recommend.ranking import rank_of, top_of
from tests.slow_counts import rank


@pytest.mark.parametrize(
    ("scores", "want"),
    [
        ([5.0, 1.0, 4.0, 3.0], 3),
        ([3.0, 3.0, 4.0, 3.0], 3),  # one higher, one of two ties
        ([3.0, 3.0, 3.0, 3.0], 2),  # half of three ties, rounded down
        ([9.0, 1.0, 2.0, 3.0], 2),  # item 1 is had by the user in the last case below
        ([1.0, 9.0, 1.0, np.nan], 4),  # a broken score must not pass as the best
        ([np.nan, 1.0, np.nan, 3.0], 3),
    ],
)
def test_rank_with_ties(scores, want):
    scores, allowed = np.array(scores, np.float32), np.ones(4, np.bool_)
    assert rank_of(scores, allowed, 3) == want
    if not np.isnan(scores).any():
        assert rank(scores, allowed, 3) == want


def test_rank_leaves_out_what_is_not_ranked():
    allowed = np.array([False, True, True, True])
    assert rank_of(np.array([9, 1, 4, 3], np.float32), allowed, 3) == 2


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=20), st.integers(1, 12))
def test_a_list_is_the_head_of_the_sorted_items(items, most):
    scores = np.array([score for score, _ in items], np.float32)
    allowed = np.array([is_allowed for _, is_allowed in items])
    got = np.full(most, 99, np.int32)
    top_of(scores, allowed, got)
    order = sorted(np.flatnonzero(allowed).tolist(), key=lambda row: (-scores[row], row))
    assert got.tolist() == (order + [-1] * most)[:most]


def test_an_item_without_a_score_is_in_no_list():
    got = np.zeros(3, np.int32)
    top_of(np.array([np.nan, 1.0, np.nan, 3.0], np.float32), np.ones(4, np.bool_), got)
    assert got.tolist() == [3, 1, -1]
