"""The counted baselines against the slow version of them."""

import numpy as np
import pytest

from models.evaluate import counted, protocols
from models.evaluate.passage import passage_of
from tests import slow_baselines as slow
from tests.planted import random_log

ITEMS = 30


def made(protocol="prequential", *, events=300, seed=4):
    log = random_log(events, users=12, items=ITEMS, seed=seed)
    user, item, at_ms, *_ = (np.array(column) for column in zip(*log, strict=True))
    return getattr(protocols, protocol)(
        user.astype(np.int32), item.astype(np.int32), at_ms.astype(np.int64), np.ones(events, bool)
    )


def ranks_of(kernel, passage, *before, repeats=False, lists=0):
    ranks = np.zeros(len(passage.user), np.float32)
    tops = np.full((len(ranks) if lists else 0, lists), -1, np.int32)
    kernel(passage, *before, ranks, tops) if before else kernel(passage, ITEMS, repeats, ranks, tops)
    return ranks, tops


def alike(ranks, want):
    """Scores that single precision cannot tell apart may change places: few, and by one."""
    np.testing.assert_array_equal(np.isfinite(ranks), np.isfinite(want))
    off = np.abs(np.where(np.isfinite(want), ranks, 0) - np.where(np.isfinite(want), want, 0))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01
    assert (want > 0).any(), "something must be ranked"


@pytest.mark.parametrize("protocol", ["prequential", "frozen", "leave_one_out"])
@pytest.mark.parametrize("repeats", [False, True])
def test_popularity(protocol, repeats):
    passage = made(protocol)
    ranks, _ = ranks_of(counted.popularity, passage, repeats=repeats)
    want = slow.play(passage, ITEMS, lambda learned, _: slow.popularity(learned, ITEMS), repeats=repeats)
    np.testing.assert_array_equal(ranks, want)


@pytest.mark.parametrize("protocol", ["prequential", "leave_one_out"])
@pytest.mark.parametrize("repeats", [False, True])
def test_neighbours(protocol, repeats):
    passage = made(protocol)
    together = np.zeros((ITEMS, ITEMS), np.float32)
    ranks, _ = ranks_of(counted.neighbours, passage, together, ITEMS, repeats)
    want = slow.play(passage, ITEMS, lambda learned, user: slow.neighbours(learned, user, ITEMS), repeats=repeats)
    alike(ranks, want)
    np.testing.assert_array_equal(together, together.T)


@pytest.mark.parametrize("by_count", [False, True])
def test_what_the_user_had_last_or_most(by_count):
    def score(learned, user):
        had = slow.history(learned, user)
        scores = 1e-6 * slow.popularity(learned, ITEMS)
        for place, item in enumerate(had):
            scores[item] = (had.count(item) if by_count else 0) + (place + 1) / (len(had) + 1) + 1
        return scores

    passage = made()
    ranks, _ = ranks_of(counted.repeated, passage, ITEMS, True, by_count)
    alike(ranks, slow.play(passage, ITEMS, score, repeats=True))


def test_lists_begin_with_the_best():
    passage = made()
    ranks, tops = ranks_of(counted.popularity, passage, lists=ITEMS)
    for p in np.flatnonzero(np.isfinite(ranks) & (ranks > 0)):
        seen = np.bincount(passage.item[:p], minlength=ITEMS)
        listed = tops[p][tops[p] >= 0]
        assert seen[listed].tolist() == sorted(seen[listed].tolist(), reverse=True)
        assert passage.item[p] in listed
    assert (tops[~(np.isfinite(ranks) & (ranks > 0))] == -1).all()


def test_ranks_do_not_depend_on_what_comes_later():
    whole, part = made(), made(events=300)
    cut = 170
    shorter = passage_of(
        part.user, part.item, part.at_ms, place=np.arange(cut), learns=part.learns[:cut], judged=part.judged[:cut]
    )
    by_popularity = [ranks_of(counted.popularity, one)[0] for one in (whole, shorter)]
    np.testing.assert_array_equal(by_popularity[0][:cut], by_popularity[1])
    both = [
        ranks_of(counted.neighbours, one, np.zeros((ITEMS, ITEMS), np.float32), ITEMS, False)[0]
        for one in (whole, shorter)
    ]
    np.testing.assert_array_equal(both[0][:cut], both[1])
