"""How alike two slates are, and an item's place without one event of a history."""

import msgspec
import numpy as np
import pytest

from streams.cores.overlap import difference_of, place_of, rank_biased_overlap, without_each
from tests import engines
from tests.factories import make_request, make_slate
from tests.slates import CATALOGUE, LOG, ME, NOW_MS

ALL = [f"i{n}" for n in range(8)]


def slate(*item_ids):
    (item, *_) = make_slate().items
    items = [msgspec.structs.replace(item, item_id=each, rank=at) for at, each in enumerate(item_ids, start=1)]
    return msgspec.structs.replace(make_slate(), items=items)


def naive_overlap(first, second, persistence):
    """By the definition: the expected agreement at the depth where a reader stops, over that of equal lists."""
    agreement = best = 0.0
    for depth in range(1, max(len(first), len(second)) + 1):
        chance = (1 - persistence) * persistence ** (depth - 1)
        agreement += chance * sum(item in second[:depth] for item in first[:depth]) / depth
        best += chance * min(depth, max(len(first), len(second))) / depth
    return agreement / best


@pytest.mark.parametrize("seed", range(5))
def test_overlap_is_that_of_its_definition(seed):
    generator = np.random.default_rng(seed)
    first, second = (generator.permutation(ALL)[:6].tolist() for _ in range(2))
    assert rank_biased_overlap(first, second) == pytest.approx(naive_overlap(first, second, 0.9))
    assert rank_biased_overlap(first, second) == rank_biased_overlap(second, first)
    assert rank_biased_overlap(first, first) == 1.0
    assert rank_biased_overlap([], []) == 1.0


def test_what_entered_left_and_moved():
    found = difference_of(slate("a", "b", "c"), slate("b", "a", "d"))
    assert [item.item_id for item in found.entered] == ["d"]
    assert [item.item_id for item in found.left] == ["c"]
    assert found.moved == {"a": -1, "b": 1}


def first_slate(made):
    return made.answer([make_request(user_id=ME, k=1)], now_ms=NOW_MS, generated_at_ms=0, offsets={})[0]


@pytest.fixture
def made():
    learner = engines.taught(LOG, items=CATALOGUE)
    return engines.recommender(engines.restored(learner, items=CATALOGUE), NOW_MS)


def test_an_item_has_another_place_without_an_event_and_nothing_stays_changed(made):
    serving = made.serving
    before = [column.copy() for column in serving.histories]
    (top,) = first_slate(made).items
    found = without_each(made, ME, top.item_id, now_ms=NOW_MS, most=3)
    row = serving.users.row(ME)
    start, length = serving.histories.start[row], serving.histories.length[row]
    newest = [serving.items.key(int(item)) for item in serving.histories.item[start : start + length][::-1][:3]]
    assert [one.item_id for one in found] == newest
    assert any(one.score != top.score for one in found)
    for column, was in zip(serving.histories, before, strict=True):
        np.testing.assert_array_equal(column, was)
    assert place_of(made, ME, top.item_id, now_ms=NOW_MS) == top


def test_leaving_out_an_event_is_what_a_recommender_that_never_saw_it_would_answer(made):
    serving = made.serving
    row = serving.users.row(ME)
    start, length = int(serving.histories.start[row]), int(serving.histories.length[row])
    target = first_slate(made).items[0].item_id
    (without,) = without_each(made, ME, target, now_ms=NOW_MS, most=1)
    serving.histories.length[row] = length - 1
    assert start >= 0
    alone = place_of(made, ME, target, now_ms=NOW_MS)
    assert alone is not None
    assert (without.rank, without.score) == (alone.rank, alone.score)


def test_a_stranger_has_done_nothing(made):
    assert without_each(made, "stranger", CATALOGUE[0].item_id, now_ms=NOW_MS, most=5) == []
