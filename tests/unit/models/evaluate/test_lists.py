"""What lists are like, by hand."""

import numpy as np
import pytest

from models.evaluate import lists
from models.evaluate.lists import list_figures, tag_vectors
from models.evaluate.passage import passage_of

# Items 0, 0, 0, 1, 2 are learned by five users; the sixth takes item 0.
ITEM = np.array([0, 0, 0, 1, 2, 0], np.int32)
PASSAGE = passage_of(
    np.arange(6, dtype=np.int32),
    ITEM,
    np.arange(6),
    place=np.arange(6),
    learns=np.ones(6, bool),
    judged=np.ones(6, bool),
)
NO_TAGS = None


def figures(at, tops, tags=NO_TAGS):
    return list_figures(PASSAGE, np.array(at, np.int64), np.array(tops, np.int32), tags)


def test_coverage_novelty_and_popularity_by_hand():
    found = figures([4, 5], [[0, 1], [2, -1]])
    assert found.lists == 2
    assert found.coverage == 1.0  # all three items
    # At place 4: item 0 had 3 of 4 events, item 1 one of 4; at place 5 item 2 one of 5.
    assert found.novelty == pytest.approx(-np.log2([3 / 4, 1 / 4, 1 / 5]).mean())
    # Chosen were item 2 with none of 4, and item 0 with 3 of 5.
    assert found.popularity_bias == pytest.approx(np.mean([3 / 4, 1 / 4, 1 / 5]) / np.mean([0, 3 / 5]))
    assert np.isnan(found.distance)
    assert figures([4, 5], [[0, -1], [0, -1]]).coverage == pytest.approx(1 / 3)


def test_distance_is_over_pairs_of_tagged_items():
    tags = tag_vectors([("a", "b"), ("a",), (), ("c", "c")], 5)
    assert tags is not None
    assert tags.shape == (5, 3)
    one = list_figures(PASSAGE, np.array([5]), np.array([[0, 1, 2]], np.int32), tags)
    assert one.distance == pytest.approx(1 - 1 / np.sqrt(2)), "item 2 has no tags"
    # Two pairs that share nothing, one pair as above; over two lists, pairs count alike.
    both = list_figures(PASSAGE, np.array([5, 5]), np.array([[0, 1, -1], [0, 1, 3]], np.int32), tags)
    assert both.distance == pytest.approx((2 * (1 - 1 / np.sqrt(2)) + 2) / 4)
    lonely = list_figures(PASSAGE, np.array([5]), np.array([[2, 1]], np.int32), tags)
    assert np.isnan(lonely.distance)


def test_no_lists_and_no_tags():
    for found in (figures([5], [[-1, -1]]), figures([], np.zeros((0, 2)))):
        assert found.lists == 0
        assert np.isnan(found[1:]).all()
    assert tag_vectors([(), ()], 4) is None


def test_rare_tags_are_left_out_beyond_a_number():
    many = [(f"t{n}", "common") for n in range(lists.TAGS_MOST + 5)]
    tags = tag_vectors(many, len(many))
    assert tags is not None
    assert tags.shape[1] == lists.TAGS_MOST
    assert (tags.max(axis=1) > 0).all(), "the common one stays"


def test_of_very_many_lists_some_are_looked_at():
    count = lists.LISTS_MOST * 2 + 1
    found = figures(np.full(count, 5), np.zeros((count, 1)))
    assert lists.LISTS_MOST / 2 < found.lists <= lists.LISTS_MOST
