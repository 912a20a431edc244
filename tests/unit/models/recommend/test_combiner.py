"""The linear stage: its buckets, its step against linear algebra, and numbers by hand."""

import numpy as np
import pytest

from models.recommend import combiner as combining
from models.recommend.combiner import FEATURES, FIRST_SQUARES, empty_combiner
from models.recommend.sources import SURFACES
from tests.kernel_run import Run
from tests.planted import RATES, random_log
from tests.slow_counts import DENSE, Event, SlowCombiner
from tests.slow_learning import context_of, prequential

ITEMS = 30


@pytest.mark.parametrize(
    ("length", "bucket"), [(0, 0), (1, 1), (2, 1), (3, 2), (9, 2), (10, 3), (29, 3), (30, 4), (99, 4), (100, 5)]
)
def test_history_buckets(length, bucket):
    assert combining.history_bucket(length) == bucket


@pytest.mark.parametrize(
    ("gap_ms", "bucket"),
    [(-1, 0), (0, 1), (59_999, 1), (60_000, 2), (3_600_000, 4), (86_399_999, 4), (86_400_000, 5), (10**12, 6)],
)
def test_gap_buckets(gap_ms, bucket):
    assert combining.gap_bucket(gap_ms) == bucket


def steps(combiner, gradients, *, rate=0.7, length=5, gap_ms=1_000):
    for gradient in gradients:
        combining.step_up(combiner, length, gap_ms, gradient.astype(np.float32), np.float32(rate))


def test_newton_steps_are_those_of_whole_matrices():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(60, FEATURES)) @ rng.normal(size=(FEATURES, FEATURES))  # features that go together
    got, outer, want = empty_combiner(3), float(FIRST_SQUARES) * np.eye(FEATURES), np.zeros(FEATURES)
    steps(got, gradients)
    for gradient in gradients:
        outer += np.outer(gradient, gradient)
        want += 0.7 * np.linalg.solve(outer, gradient)
    # Length 5 is history bucket 2, a gap of a second is gap bucket 1.
    for block, weights in ((0, got.shared - empty_combiner(3).shared), (3, got.by_history[2]), (8, got.by_gap[1])):
        np.testing.assert_allclose(weights, want, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(got.inverse[block], np.linalg.inv(outer), rtol=1e-2, atol=1e-6)
    others = np.delete(np.arange(combining.BLOCKS), [0, 3, 8])
    np.testing.assert_array_equal(got.inverse[others], empty_combiner(3).inverse[others])
    assert not np.delete(got.by_history, 2, axis=0).any()
    assert not np.delete(got.by_gap, 1, axis=0).any()


@pytest.mark.slow
def test_a_long_stream_of_features_that_go_together_stays_bounded():
    """Half a million steps along few directions: the inverse must stay one of a sum of squares."""
    rng = np.random.default_rng(1)
    mixed = rng.normal(size=(4, FEATURES))
    combiner = empty_combiner(1)
    for _ in range(50):
        chunk = rng.normal(size=(10_000, 4)) @ mixed + 1e-3 * rng.normal(size=(10_000, FEATURES))
        steps(combiner, chunk, rate=1.0)
    eigenvalues = np.linalg.eigvalsh(combiner.inverse[0].astype(float))
    assert eigenvalues.min() > 0
    assert eigenvalues.max() <= 1.01 / FIRST_SQUARES
    assert np.abs(combiner.shared).max() < 10


def test_a_step_follows_the_slope_of_the_log_likelihood():
    log = random_log(120, items=ITEMS, seed=3)
    past = prequential(log[:-1], ITEMS, np.zeros((len(log), ITEMS))).counts
    user, now_ms = log[-1].user, log[-1].at_ms
    allowed = past.candidates(user)
    target = int(np.flatnonzero(allowed)[5])
    tower = np.random.default_rng(2).normal(size=ITEMS)
    features, start = past.features(user, now_ms, tower), empty_combiner(ITEMS).shared.astype(float)

    def log_likelihood(weights):
        z = weights @ features
        return z[target] - np.log(np.exp(z[allowed]).sum())

    nudge = 1e-5 * np.eye(FEATURES)
    slope = np.array([log_likelihood(start + d) - log_likelihood(start - d) for d in nudge]) / 2e-5
    run = Run(items=ITEMS)
    run.learn(log[:-1], scored=[False] * (len(log) - 1))
    run.learn([Event(user, target, now_ms)], tower[None])
    # The first step by hand: (100 I + s s')^-1 s = s / (100 + s.s).
    np.testing.assert_allclose(run.combiner.shared - start, 0.05 * slope / (100 + slope @ slope), rtol=1e-2, atol=1e-6)


def test_the_bias_moves_up_the_target_and_down_the_rest_by_their_probability():
    run = Run(items=4)
    run.learn([Event(1, 1, 0), Event(2, 2, 0), Event(3, 3, 0)], scored=[False] * 3)
    run.learn([Event(4, 2, 0)], np.array([[0.0, 9.0, 0.0, 0.0]]))
    # By hand: the tower weighs nothing yet, the rest is equal up to the decay over three events: a third each.
    np.testing.assert_allclose(run.combiner.bias, [0, -1 / 60, 2 / 60, -1 / 60], atol=1e-4)


def test_a_bias_of_a_surface_learns_where_there_is_one():
    run = Run(items=4)
    run.learn([Event(1, 1, 0), Event(2, 2, 0), Event(3, 3, 0)], scored=[False] * 3)
    run.learn([Event(4, 2, 0)], rates=RATES._replace(combiner=np.float32(0), bias=np.float32(0)))
    assert not run.combiner.surface_bias.any()
    run.learn([Event(5, 1, 0, surface=15)], rates=RATES._replace(surface=np.float32(0.6)))
    # By hand: item 2 has two events of four, the later ones of 1,000: log(1 + 20) / 2 against log(1 + 10) / 2.
    odds = np.sqrt([11, 21, 11])
    want = 0.6 * (np.array([1, 0, 0]) - odds / odds.sum())
    np.testing.assert_allclose(run.combiner.surface_bias[15, 1:], want, atol=1e-3)
    assert not np.delete(run.combiner.surface_bias, 15, axis=0).any()


def test_growth_keeps_the_biases():
    small = empty_combiner(3)
    small.bias[:], small.surface_bias[:] = [1, 2, 3], np.arange(3 * SURFACES).reshape(SURFACES, 3)
    grown = combining.grown_combiner(small, 5)
    assert grown.bias.tolist() == [1, 2, 3, 0, 0]
    np.testing.assert_array_equal(grown.surface_bias[:, :3], small.surface_bias)
    assert grown.surface_bias.shape == (SURFACES, 5)
    assert not grown.surface_bias[:, 3:].any()
    assert grown.shared is small.shared
    assert combining.grown_combiner(grown, 4) is grown


def test_softmax():
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(0, 4, 300), [-1e30, 60.0]]).astype(np.float32)
    want = np.exp(z.astype(float) - 60.0)
    combining.softmax_in_place(z, np.empty(len(z), np.int32))
    np.testing.assert_allclose(z, want / want.sum(), rtol=5e-4, atol=1e-30)
    assert z.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("length", [0, 1, 7, 200])
@pytest.mark.parametrize("gap_ms", [0, 5_000, 10**9])
def test_the_context_of_a_request(length, gap_ms):
    history = [Event(1, 1, 1_000)] * length
    out = np.full(combining.CONTEXTS, 9, np.float32)
    combining.context_of(length, gap_ms if length else -1, out)
    want = context_of(SlowCombiner(1, RATES), history, 1_000 + gap_ms)
    np.testing.assert_allclose(out, want, rtol=1e-6)


def test_before_it_has_learned_it_weighs_popularity_lately_and_successors():
    first = dict(zip(combining.FEATURE_NAMES, empty_combiner(1).shared.tolist(), strict=True))
    assert {name for name, weight in first.items() if weight} == {
        "popularity of 1000 events", "successors of the last 5",
    }  # fmt: skip
    assert combining.FEATURE_NAMES[DENSE] == "successors of the last 5"
    assert combining.FEATURE_NAMES[combining.TOWER] == "tower"
