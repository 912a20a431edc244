"""Baselines that are refitted: when they are, what each fit may see, and how what it gives is used."""

import numpy as np
import pytest

from models.evaluate import protocols, refitted
from models.evaluate.refitted import Factors, Weights, fit_ease
from tests import slow_baselines as slow
from tests.planted import random_log

ITEMS, USERS, EVENTS = 30, 12, 320
RNG = np.random.default_rng(8)
WEIGHTS = RNG.normal(size=(ITEMS, ITEMS)).astype(np.float32)
LEFT, RIGHT = RNG.normal(size=(ITEMS, 4)).astype(np.float32), RNG.normal(size=(ITEMS, 4)).astype(np.float32)


def made(protocol="prequential"):
    log = random_log(EVENTS, users=USERS, items=ITEMS, seed=6)
    user, item, at_ms, *_ = (np.array(column) for column in zip(*log, strict=True))
    return getattr(protocols, protocol)(
        user.astype(np.int32), item.astype(np.int32), at_ms.astype(np.int64), np.ones(EVENTS, bool)
    )


def played(passage, fit, *, every=100, repeats=False):
    ranks, seen = np.zeros(len(passage.user), np.float32), []

    def noting(users, items, user_count, item_count):
        seen.append(sorted(zip(users.tolist(), items.tolist(), strict=True)))
        assert (user_count, item_count) == (len(passage.start) - 1, ITEMS)
        return fit(users, items, user_count, item_count)

    refitted.play(
        passage,
        ITEMS,
        noting,
        ranks,
        np.zeros((0, 3), np.int32),
        repeats=repeats,
        every=every,
        on_done=lambda done: None,
    )
    return ranks, seen


def by_weights(*_):
    row = np.arange(ITEMS, dtype=np.int32)
    row[3] = -1
    return Weights(WEIGHTS, row)


def test_each_fit_sees_the_events_before_it_and_no_later_one():
    passage = made()
    _, seen = played(passage, by_weights)
    pairs = list(zip(passage.user.tolist(), passage.item.tolist(), strict=True))
    assert seen == [sorted(set(pairs[:cut])) for cut in (100, 200, 300)]


@pytest.mark.parametrize("protocol", ["frozen", "leave_one_out"])
def test_a_state_that_stands_still_is_fitted_to_all_that_was_learned(protocol):
    passage = made(protocol)
    _, seen = played(passage, by_weights)
    learned = passage.learns.sum()
    assert seen[-1] == sorted(set(zip(passage.user[:learned].tolist(), passage.item[:learned].tolist(), strict=True)))
    assert len(seen) == 1, "only what is judged afterwards needs a fit"


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("shape", ["weights", "items", "users"])
def test_scores_are_those_of_the_slow_version(shape, repeats):
    left = LEFT if shape == "items" else RNG.normal(size=(USERS, 4)).astype(np.float32)
    fits = {
        "weights": by_weights,
        "items": lambda *_: Factors(left, RIGHT, by_user=False),
        "users": lambda *_: Factors(left, RIGHT, by_user=True),
    }

    def score(learned, user):
        scores = 1e-6 * slow.popularity(learned, ITEMS)
        if len(learned) < 100:
            return scores
        had = sorted(set(slow.history(learned, user)))
        if shape == "weights":
            inner = WEIGHTS[[item for item in had if item != 3]].sum(0).astype(float)
            inner[3] = 0
            return scores + inner
        return scores + RIGHT @ (left[had].sum(0) if shape == "items" else left[user])

    passage = made()
    ranks, _ = played(passage, fits[shape], repeats=repeats)
    want = slow.play(passage, ITEMS, score, repeats=repeats)
    np.testing.assert_array_equal(np.isfinite(ranks), np.isfinite(want))
    off = np.abs(np.where(np.isfinite(want), ranks, 0) - np.where(np.isfinite(want), want, 0))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01


def test_ease_is_ridge_regression_of_each_item_on_all_others():
    pairs = np.unique(RNG.integers(0, [40, 12], (260, 2)), axis=0).astype(np.int32)
    found = fit_ease(pairs[:, 0].copy(), pairs[:, 1].copy(), 40, 14)
    assert found.row.tolist() == [*range(12), -1, -1], "items that nobody has had are not weighed"
    x = np.zeros((40, 12))
    x[pairs[:, 0], pairs[:, 1]] = 1
    for target in range(12):
        others = [item for item in range(12) if item != target]
        a = x[:, others]
        want = np.linalg.solve(a.T @ a + 200.0 * np.eye(11), a.T @ x[:, target])
        np.testing.assert_allclose(found.matrix[others, target], want, rtol=1e-4, atol=1e-6)
        assert found.matrix[target, target] == 0
