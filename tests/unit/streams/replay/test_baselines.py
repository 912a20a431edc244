"""The baselines by name: what is asked for, what comes from a library, and what is missing."""

import sys

import numpy as np
import pytest

from models.evaluate import protocols, refitted
from streams.errors import EvaluationError
from streams.replay import baselines
from tests.planted import planted_log

EVENTS, ITEMS = 6_000, 60


@pytest.fixture(scope="module")
def passage():
    """Even users like even items: after the warm-up, whoever learns that ranks far above popularity."""
    log = planted_log(EVENTS, users=200, items=ITEMS, seed=1)
    user, item, at_ms, *_ = (np.array(column) for column in zip(*log, strict=True))
    columns = user.astype(np.int32), item.astype(np.int32), at_ms.astype(np.int64)
    return protocols.successive(*columns, np.ones(EVENTS, bool))


def hit_rate(ranked, passage):
    ranks = ranked.ranks[passage.judged & (ranked.ranks > 0)]
    return (ranks <= 10).mean()


def play(name, passage, **changes):
    heard: list[int] = []
    options = {"repeats": False, "lists": 3, "seed": 0} | changes
    ranked = baselines.play(name, passage, ITEMS, on_done=heard.append, **options)
    assert heard[-1] == EVENTS
    return ranked


@pytest.mark.slow
@pytest.mark.parametrize("name", ["knn", "ease", "als", "bpr"])
def test_each_finds_a_planted_structure(name, passage):
    if name in {"als", "bpr"}:
        pytest.importorskip("implicit")
    ranked = play(name, passage)
    assert hit_rate(ranked, passage) > 1.4 * hit_rate(play("popularity", passage), passage)
    judged = passage.judged & np.isfinite(ranked.ranks) & (ranked.ranks > 0)
    alike = ranked.tops[judged] % 2 == (passage.user[judged] % 2)[:, None]
    assert alike.mean() > 0.8, "lists hold what the user's kind likes"
    np.testing.assert_array_equal(play(name, passage).ranks, ranked.ranks, err_msg="the same each time")


def test_als_folds_users_in_as_the_library_does():
    pytest.importorskip("implicit")
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, [50, 40], (600, 2)), axis=0).astype(np.int32)
    users, items = pairs[:, 0].copy(), pairs[:, 1].copy()
    fitted = baselines._als(3)(users, items, 50, 40)
    assert isinstance(fitted, refitted.Factors)
    matrix = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(50, 40))
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=64, alpha=1.0, regularization=0.05, iterations=15, random_state=3, use_gpu=False
        )
        model.fit(matrix, show_progress=False)
        for user in range(50):
            had = items[users == user]
            want = model.item_factors @ model.recalculate_user(user, matrix[user])
            np.testing.assert_allclose(fitted.right @ fitted.left[had].sum(0), want, rtol=1e-3, atol=1e-3)


def test_names():
    assert baselines.chosen(["knn", "transitions", "knn", "popularity"], repeats=False) == ("knn", "popularity")
    assert baselines.chosen([], repeats=True) == ("repeat_last", "repeat_most")
    with pytest.raises(EvaluationError, match="expected baselines among decayed_popularity.*got itemknn; check"):
        baselines.chosen(["itemknn"], repeats=False)


def test_a_missing_library_is_said_before_anything_is_played(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit", None)
    monkeypatch.delitem(sys.modules, "implicit.als", raising=False)
    with pytest.raises(EvaluationError, match=r"expected the package implicit for the baseline als.*marquee\[eval\]"):
        baselines.chosen(["als"], repeats=False)


def test_a_catalogue_too_large_for_pairs_is_refused(passage):
    with pytest.raises(EvaluationError, match="expected at most 20000 items for knn, got 20001; leave it out"):
        baselines.play("knn", passage, 20_001, repeats=False, lists=0, seed=0, on_done=lambda done: None)
