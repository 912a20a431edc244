"""The kernel that ranks and learns in two stages, against the slow version of it and against numbers by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recommend.combiner import CONTEXTS
from models.recommend.rerank import empty_reranker
from models.recommend.strict import BARRED, DECAYED_POPULARITY, MODEL, RANKERS, TRANSITIONS, best_rows
from tests.kernel_run import Run
from tests.planted import RATES, random_labels, random_log
from tests.slow_counts import Event
from tests.slow_learning import WEIGHTS, prequential

ITEMS = 30
NONE = np.float32(0.0)
STILL = RATES._replace(combiner=NONE, bias=NONE, surface=NONE, successors=NONE, company=NONE)
"""The first stage stays as it begins."""


def state_bytes(run):
    pairs = [run.sparse_table("after", "learned"), run.sparse_table("company", "learned")]
    tables = [run.counts.seen, run.counts.decayed, *pairs, *run.combiner, *run.reranker]
    return b"".join(np.ascontiguousarray(table).tobytes() for table in tables)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("most", [0, 8, 200])
def test_ranks_and_weights_are_those_of_the_slow_version(most, repeats):
    log, labels = random_log(250, items=ITEMS), random_labels(ITEMS)
    tower = np.random.default_rng(1).normal(size=(len(log), ITEMS))
    vectors = np.random.default_rng(2).normal(size=(ITEMS, 9))
    run = Run(items=ITEMS, labels=labels, vectors=vectors)
    rates = RATES._replace(combiner=np.float32(0.8), candidates=most)
    first = empty_reranker(CONTEXTS, seed=0)
    slow = prequential(log, ITEMS, tower, labels=labels, rates=rates, first=first, vectors=vectors, repeats=repeats)
    ranks = run.learn(log, tower, rates=rates, repeats=repeats)
    # Scores that differ by less than float32 can tell may change places: few, and by one.
    finite = np.isfinite(slow.ranks)
    np.testing.assert_array_equal(np.isfinite(ranks), finite)
    off = np.abs(np.where(finite, ranks, 0) - np.where(finite, slow.ranks, 0))
    assert off.max() <= 2
    assert (off > 0).mean() < 0.01
    if not repeats:
        assert 0.2 < (slow.ranks[:, 0] == 0).mean() < 0.9, "the log must hold repeats"
    assert np.isinf(slow.ranks[:, 0]).sum() == len({event.item for event in log}), "and first-ever items"
    for name in ("shared", "by_history", "by_gap", "bias", "surface_bias"):
        got, want = getattr(run.combiner, name), getattr(slow.combiner, name)
        np.testing.assert_allclose(got, want, atol=2e-3, err_msg=name)
    for name in ("after", "company"):
        got, want = run.sparse_table(name, "learned"), getattr(slow.combiner, name)
        assert np.count_nonzero(want) > 100
        np.testing.assert_allclose(got, want, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(run.combiner.inverse, np.linalg.inv(slow.combiner.outer), rtol=2e-2, atol=2e-5)
    if slow.reranker:
        for name in WEIGHTS:
            got, want = getattr(run.reranker, name), slow.reranker.weights[name]
            # An input that hardly varies is scaled up, and with it the last digits of the kernel's quick logarithms.
            off = np.abs(got - want)
            assert np.quantile(off, 0.9) < 2e-2, name
            assert off.max() < 0.2, name
        np.testing.assert_allclose(run.reranker.mean, slow.reranker.mean, rtol=1e-2, atol=1e-2)
        assert run.reranker.learned[0] == slow.reranker.learned > 20
    else:
        assert run.reranker.learned[0] == 0


def test_a_first_ever_item_is_a_miss_and_a_repeat_is_not_scored():
    run = Run(items=4)
    log = [Event(1, 1, 0), Event(2, 1, 5), Event(2, 1, 9), Event(1, 2, 9)]
    ranks = run.learn(log, rates=RATES._replace(candidates=3))
    np.testing.assert_array_equal(ranks[:, 0], [np.inf, 1, 0, np.inf])
    assert (ranks == ranks[:, :1]).all()


@pytest.mark.parametrize("candidates", [0, 8])
def test_what_is_not_sampled_is_counted_and_not_ranked(candidates):
    log = random_log(60, items=ITEMS, seed=5)
    every, some = Run(items=ITEMS), Run(items=ITEMS)
    scored = np.arange(60) % 2 == 0
    tower = np.random.default_rng(0).normal(size=(60, ITEMS))
    rates = RATES._replace(candidates=candidates)
    every.learn(log, tower, rates=rates)
    ranks = some.learn(log, tower, scored=scored, rates=rates)
    assert (ranks[~scored] == 0).all()
    assert (ranks[scored] != 0).any()
    np.testing.assert_array_equal(every.counts.decayed, some.counts.decayed)
    np.testing.assert_array_equal(every.counts.surface, some.counts.surface)


def test_the_batch_size_changes_nothing():
    log, labels = random_log(90, items=ITEMS, seed=6), random_labels(ITEMS)
    tower = np.random.default_rng(0).normal(size=(90, ITEMS))
    whole, split = Run(items=ITEMS, labels=labels), Run(items=ITEMS, labels=labels)
    rates = RATES._replace(candidates=8)
    want = whole.learn(log, tower, rates=rates)
    cuts = [0, 1, 2, 30, 31, 90]
    got = [split.learn(log[a:b], tower[a:b], rates=rates) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(got), want)
    assert state_bytes(whole) == state_bytes(split)


def test_before_it_has_learned_it_ranks_by_popularity_and_successors():
    run = Run(items=6)
    past = [Event(u, i, 0) for u, i in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (4, 3), (5, 3), (6, 1))]
    run.learn(past, scored=[False] * len(past))
    ranks = run.learn([Event(6, 2, 1)], rates=STILL._replace(candidates=5))
    assert ranks[0, MODEL] == 1, "item 2 follows item 1, which user 6 has just had"
    assert ranks[0, DECAYED_POPULARITY] == 2, "though item 3 is more popular"
    assert ranks[0, TRANSITIONS] == 1
    assert RANKERS == ("model", "decayed_popularity", "transitions")


@pytest.mark.parametrize("candidates", [0, 4, ITEMS])
def test_lists_lead_with_the_items_that_rank_best(candidates):
    log, labels = random_log(250, items=ITEMS), random_labels(ITEMS)
    run, plain = Run(items=ITEMS, labels=labels), Run(items=ITEMS, labels=labels)
    rates = RATES._replace(candidates=candidates)
    ranks = run.learn(log, lists=ITEMS, rates=rates)
    np.testing.assert_array_equal(plain.learn(log, rates=rates), ranks, err_msg="lists change no rank")
    assert state_bytes(plain) == state_bytes(run), "nor what is learned"
    judged = np.isfinite(ranks[:, 0]) & (ranks[:, 0] > 0)
    assert (run.tops[~judged] == -1).all()
    for event, tops, of_event in zip(np.array(log)[judged], run.tops[judged], ranks[judged], strict=True):
        for ranker, (top, rank_of_target) in enumerate(zip(tops, of_event, strict=True)):
            listed = top[top >= 0].tolist()
            assert len(set(listed)) == len(listed)
            assert listed == top[: len(listed)].tolist()
            if ranker == MODEL and candidates:
                assert len(listed) <= candidates
            if int(event[1]) in listed:
                # A tie is listed in row order and ranked in the middle.
                assert abs(1 + listed.index(int(event[1])) - rank_of_target) <= len(listed) / 2
            else:
                assert rank_of_target > len(listed) / 2


def test_lists_change_nothing_where_many_items_tie_at_the_edge():
    """Twenty items of one score: the rank of the target is in their middle, and the candidates are the first four."""
    log = [Event(user, user, 0) for user in range(1, 21)]
    runs = [Run(items=22, users=64) for _ in range(2)]
    for run, lists in zip(runs, (0, 10), strict=True):
        run.learn(log, scored=[False] * 20)
        run.counts.decayed[:], run.counts.last_event[:] = 1.0, 0
        ranks = [run.learn([Event(21 + at, 2, 0)], rates=STILL._replace(candidates=4), lists=lists) for at in range(3)]
        assert ranks[0][0, MODEL] > 4
    assert state_bytes(runs[0]) == state_bytes(runs[1])


def test_with_repeats_every_event_is_ranked_among_all_seen_items():
    run = Run(items=4)
    run.learn([Event(1, 1, 0), Event(2, 1, 0), Event(3, 2, 0)], scored=[False] * 3)
    # User 1 had item 1, which is the more popular of the two: the second to be ranked is item 2.
    once_more = run.learn([Event(1, 1, 0)], repeats=True, lists=3)
    assert once_more[0, 1] == 1
    assert run.tops[0, 1].tolist() == [1, 2, -1]
    assert run.learn([Event(1, 1, 0)])[0].tolist() == [0, 0, 0]
    assert run.learn([Event(1, 2, 0)], repeats=True)[0, 1] == 2


def even(*, items, users):
    """A kernel whose features weigh nothing: everything that may be had is as likely, but for what is learned."""
    run = Run(items=items, users=users)
    run.combiner.shared[:] = 0.0
    return run


def test_what_pairs_and_biases_learn_by_hand():
    run = even(items=4, users=8)
    # Items 2 and 3 followed item 1 once each; user 3, who had item 1, takes item 2: the chance was one half.
    run.count([Event(1, 1, 0), Event(1, 2, 0), Event(2, 1, 0), Event(2, 3, 0), Event(3, 1, 0), Event(4, 1, 0)])
    rates = RATES._replace(combiner=NONE, bias=np.float32(0.2), surface=np.float32(0.4), company=np.float32(0.08))
    assert run.learn([Event(3, 2, 0, surface=5)], rates=rates)[0, MODEL] == 1
    for pool, rate in (("after", 0.03), ("company", 0.08)):
        learned = run.sparse_table(pool, "learned")
        np.testing.assert_allclose(learned[1], [0, 0, rate / 2, -rate / 2], rtol=1e-5, atol=1e-9)
        assert not learned[[0, 2, 3]].any(), "nobody had them yet, or what they lead to"
    np.testing.assert_allclose(run.combiner.bias, [0, 0, 0.1, -0.1], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(run.combiner.surface_bias[5], [0, 0, 0.2, -0.2], rtol=1e-5, atol=1e-9)
    assert not np.delete(run.combiner.surface_bias, 5, axis=0).any()


@pytest.mark.parametrize("pool", ["after", "company"])
def test_what_pairs_have_learned_decides_where_nothing_else_does(pool):
    run = even(items=4, users=8)
    run.count([Event(1, 1, 0), Event(1, 2, 0), Event(2, 1, 0), Event(2, 3, 0), Event(3, 1, 0), Event(3, 2, 0)])
    rows, gains = getattr(run.counts, pool), {2: -0.1, 3: 0.1}
    for at in range(rows.start[1], rows.start[1] + rows.length[1]):
        rows.learned[at] = gains[int(rows.key[at])]
    run.count([Event(4, 1, 0)])
    ranks = run.learn([Event(4, 2, 0)], rates=STILL, lists=3)
    assert run.tops[0, MODEL].tolist() == [3, 2, -1]
    assert ranks[0, MODEL] == 2
    run.learn([Event(5, 2, 0)], rates=STILL, lists=3)
    assert run.tops[0, MODEL].tolist() == [1, 2, 3], "without a history it says nothing"


def test_a_surface_decides_where_nothing_else_does():
    run = even(items=3, users=8)
    run.count([Event(1, 1, 0), Event(1, 2, 0)])
    run.combiner.surface_bias[4] = [0, 0.1, 0.2]
    run.learn([Event(2, 1, 0, surface=4), Event(3, 1, 0)], rates=STILL, lists=2)
    assert run.tops[:, MODEL].tolist() == [[2, 1], [1, 2]]


def test_pairs_reach_back_twenty_and_a_hundred_events_and_tell_whom_they_changed():
    run = even(items=134, users=160)
    last = 131
    pairs = [(Event(1 + item, item, 0), Event(1 + item, last, 0)) for item in range(1, last)]
    run.count([Event(1, item, 0) for item in range(1, last)])
    run.count([event for pair in pairs for event in pair])  # newcomers get into the rows, full or not
    run.count([Event(150, last + 1, 0)])  # all that is left beside the last one: the chance is one half
    run.counts.changed[:] = False
    run.learn([Event(1, last, 0)], rates=RATES._replace(combiner=NONE, company=np.float32(0.05)))
    for pool, rate, fade, reach in (("after", 0.03, 0.9, 20), ("company", 0.05, 0.97, 100)):
        lag = last - 1 - np.arange(1, last)
        want = np.where(lag < reach, 0.5 * rate * fade**lag, 0.0)
        np.testing.assert_allclose(run.sparse_table(pool, "learned")[1:last, last], want, rtol=1e-4, err_msg=pool)
    assert np.flatnonzero(run.counts.changed).tolist() == list(range(last - 100, last + 1))


@given(st.lists(st.one_of(st.integers(-3, 3), st.none()), min_size=1, max_size=25), st.integers(1, 25))
def test_the_best_rows_are_the_head_of_the_sorted_ones(scores, most):
    score = np.array([BARRED if one is None else one for one in scores], np.float32)
    most = min(most, len(score))
    rows = np.full(most, -1, np.int32)
    count = best_rows(score, most, rows)
    allowed = [row for row, one in enumerate(scores) if one is not None]
    want = sorted(sorted(allowed, key=lambda row: (-score[row], row))[:most])
    assert rows[:count].tolist() == want
