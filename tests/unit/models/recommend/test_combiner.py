"""The kernel that ranks and learns, against the slow version of it and against numbers by hand."""

import itertools

import numpy as np
import pytest

from models.recommend import combiner as combining
from models.recommend.combiner import empty_combiner
from tests.kernel_run import Run
from tests.planted import random_log
from tests.slow_counts import Event, prequential

ITEMS = 30


def state_bytes(run):
    tables = [run.counts.seen, run.counts.decayed, *run.combiner]
    return b"".join(np.ascontiguousarray(table).tobytes() for table in tables)


def test_ranks_and_weights_are_those_of_the_slow_version():
    log = random_log(250, items=ITEMS)
    tower = np.random.default_rng(1).normal(size=(len(log), ITEMS))
    run, slow = Run(items=ITEMS), prequential(log, ITEMS, tower)
    ranks = run.learn(log, tower)
    # Scores that differ by less than float32 can tell may change places: few, and by one.
    finite = np.isfinite(slow.ranks)
    np.testing.assert_array_equal(np.isfinite(ranks), finite)
    off = np.abs(np.where(finite, ranks, 0) - np.where(finite, slow.ranks, 0))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.005
    assert 0.2 < (slow.ranks[:, 0] == 0).mean() < 0.9, "the log must hold repeats"
    assert np.isinf(slow.ranks[:, 0]).sum() == len({event.item for event in log}), "and first-ever items"
    for name in ("shared", "by_history", "by_gap", "bias"):
        got, want = getattr(run.combiner, name), getattr(slow.combiner, name)
        np.testing.assert_allclose(got, want, atol=2e-3, err_msg=name)
    np.testing.assert_allclose(run.combiner.squares, slow.combiner.squares, rtol=2e-3)


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

    nudge = 1e-5 * np.eye(18)
    slope = np.array([log_likelihood(start + d) - log_likelihood(start - d) for d in nudge]) / 2e-5
    run = Run(items=ITEMS)
    run.learn(log[:-1], scored=[False] * (len(log) - 1))
    run.learn([Event(user, target, now_ms)], tower[None])
    moved = run.combiner.shared - start
    # Adagrad's first step: rate * slope / sqrt(1e-6 + slope^2).
    np.testing.assert_allclose(run.combiner.squares - 1e-6, slope**2, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(moved, 0.05 * slope / np.sqrt(1e-6 + slope**2), rtol=1e-2, atol=1e-3)


def test_the_bias_moves_up_the_target_and_down_the_rest_by_their_probability():
    run = Run(items=4)
    run.learn([Event(1, 1, 0), Event(2, 2, 0), Event(3, 3, 0)], scored=[False] * 3)
    run.learn([Event(4, 2, 0)], np.array([[0.0, 9.0, 0.0, 0.0]]))
    # By hand: the tower weighs nothing yet, the rest is equal up to the decay over three events: a third each.
    np.testing.assert_allclose(run.combiner.bias, [0, -1 / 60, 2 / 60, -1 / 60], atol=1e-4)


def test_a_first_ever_item_is_a_miss_and_a_repeat_is_not_scored():
    run = Run(items=4)
    ranks = run.learn([Event(1, 1, 0), Event(2, 1, 5), Event(2, 1, 9), Event(1, 2, 9)])
    np.testing.assert_array_equal(ranks[:, 0], [np.inf, 1, 0, np.inf])
    assert (ranks == ranks[:, :1]).all()


def test_what_is_not_sampled_is_counted_and_not_ranked():
    log = random_log(60, items=ITEMS, seed=5)
    every, some = Run(items=ITEMS), Run(items=ITEMS)
    scored = np.arange(60) % 2 == 0
    tower = np.random.default_rng(0).normal(size=(60, ITEMS))
    every.learn(log, tower)
    ranks = some.learn(log, tower, scored=scored)
    assert (ranks[~scored] == 0).all()
    assert (ranks[scored] != 0).any()
    np.testing.assert_array_equal(every.counts.decayed, some.counts.decayed)


def test_the_batch_size_changes_nothing():
    log = random_log(90, items=ITEMS, seed=6)
    tower = np.random.default_rng(0).normal(size=(90, ITEMS))
    whole, split = Run(items=ITEMS), Run(items=ITEMS)
    want = whole.learn(log, tower)
    cuts = [0, 1, 2, 30, 31, 90]
    got = [split.learn(log[a:b], tower[a:b]) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(got), want)
    assert state_bytes(whole) == state_bytes(split)


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


def test_before_it_has_learned_it_ranks_by_popularity_and_successors():
    run = Run(items=6)
    past = [Event(u, i, 0) for u, i in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (4, 3), (5, 3), (6, 1))]
    run.learn(past, scored=[False] * len(past))
    ranks = run.learn([Event(6, 2, 1)], rate=0.0, bias_rate=0.0)
    assert ranks[0, combining.MODEL] == 1, "item 2 follows item 1, which user 6 has just had"
    assert ranks[0, combining.DECAYED_POPULARITY] == 2, "though item 3 is more popular"
    assert ranks[0, combining.TRANSITIONS] == 1
    assert len(combining.FEATURE_NAMES) == combining.FEATURES == 18


def test_lists_lead_with_the_items_that_rank_best():
    log = random_log(250, items=ITEMS)
    run = Run(items=ITEMS)
    ranks = run.learn(log, lists=ITEMS)
    np.testing.assert_array_equal(Run(items=ITEMS).learn(log), ranks, err_msg="lists change no rank")
    slow = prequential(log, ITEMS, np.zeros((len(log), ITEMS)))
    judged = np.isfinite(slow.ranks[:, 0]) & (slow.ranks[:, 0] > 0)
    assert (run.tops[~judged] == -1).all()
    for event, tops, of_event in zip(np.array(log)[judged], run.tops[judged], ranks[judged], strict=True):
        for top, rank_of_target in zip(tops, of_event, strict=True):
            listed = top[top >= 0]
            assert len(set(listed.tolist())) == len(listed)
            place = 1 + listed.tolist().index(event[1])
            # A tie is listed in row order and ranked in the middle.
            assert abs(place - rank_of_target) <= len(listed) / 2


def test_with_repeats_every_event_is_ranked_among_all_seen_items():
    run = Run(items=4)
    run.learn([Event(1, 1, 0), Event(2, 1, 0), Event(3, 2, 0)], scored=[False] * 3)
    # User 1 had item 1, which is the more popular of the two: the second to be ranked is item 2.
    once_more = run.learn([Event(1, 1, 0)], repeats=True, lists=3)
    assert once_more[0, 1] == 1
    assert run.tops[0, 1].tolist() == [1, 2, -1]
    assert run.learn([Event(1, 1, 0)])[0].tolist() == [0, 0, 0]
    assert run.learn([Event(1, 2, 0)], repeats=True)[0, 1] == 2
