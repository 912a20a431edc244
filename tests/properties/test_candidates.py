"""Whatever a batch of users had, and whatever they may see: candidates are what scoring every item would give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recommend import candidates as ranking
from models.recommend.candidates import NO_MASK, Askers, Candidates, Known, Question
from models.recommend.pools import add, empty_rows, reserve
from models.recommend.serving import augmented_dim
from models.recommend.sources import SURFACES
from tests import planted, slow_ranking
from tests.kernel_run import Run

ITEMS, USERS, TOWER = 40, 9, 3
HITS = 16
SHAPE = 4
"""Users a batch: shapes differ no more than they must."""


class Case(NamedTuple):
    run: Run
    askers: Askers
    weights: Any
    states: Any
    q: Any
    augmented: Any
    allowed: Any
    masks: Any
    now_ms: int
    repeats: bool

    def history(self, b: int) -> tuple[list[int], list[int]]:
        h, user = self.run.histories, int(self.askers.user[b])
        places = slice(int(h.start[user]), int(h.start[user]) + int(self.askers.length[b]))
        return h.item[places].tolist(), h.at_ms[places].tolist()

    def had(self, b: int) -> set[int]:
        first = int(self.askers.had_end[b - 1]) if b else 0
        return set(self.askers.had[first : int(self.askers.had_end[b])].tolist())

    def may_see(self, b: int) -> set[int]:
        mask = self.allowed if self.askers.mask[b] == NO_MASK else self.allowed & self.masks[self.askers.mask[b]]
        return set(np.flatnonzero(mask).tolist()) - self.had(b)


def made(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    log = planted.random_log(200, users=USERS, items=ITEMS, seed=seed)
    run = Run(items=ITEMS, vectors=rng.normal(size=(ITEMS, TOWER + 1)))
    run.count(log)
    run.combiner.shared[:] = rng.normal(size=run.combiner.shared.shape)
    for pairs in (run.counts.after.learned, run.counts.company.learned):
        pairs[:] = 0.1 * rng.normal(size=pairs.shape)
    run.combiner.by_history[:] = rng.normal(size=run.combiner.by_history.shape)
    now_ms = log[-1].at_ms + int(rng.integers(0, 2_000_000))
    hidden = reserve(empty_rows(16), 1_000)
    for _ in range(rng.integers(0, 6)):
        add(hidden, rng.integers(1, USERS), rng.integers(1, ITEMS), np.float32(1.0), 100)
    users = rng.integers(0, USERS, SHAPE).astype(np.int32)  # somebody unknown among them, and repeats
    excluded = rng.integers(1, ITEMS, 6).astype(np.int32)
    ends = np.sort(rng.integers(0, 7, SHAPE))
    masks = rng.random((2, ITEMS)) < 0.7
    rewatchable = rng.random(256) < 0.5
    askers = ranking.askers_of(
        run.histories, hidden, users, rng.integers(NO_MASK, 2, SHAPE).astype(np.int32),
        rng.integers(0, SURFACES, SHAPE).astype(np.uint8), excluded[: ends[-1]], ends, rewatchable, now_ms,
    )  # fmt: skip
    augmented = rng.normal(size=(ITEMS, augmented_dim(TOWER))).astype(np.float32)
    augmented[rng.integers(0, ITEMS, 5)] = augmented[0]  # equal but for their transitions
    allowed = rng.random(ITEMS) < 0.9
    allowed[0] = False
    weights = ranking.weights_for(run.combiner, askers)
    states = rng.normal(size=(SHAPE, TOWER)).astype(np.float32)
    q = ranking.queries(weights, states, askers.surface)
    return Case(run, askers, weights, states, q, augmented, allowed, masks, now_ms, bool(seed % 2))


def found(case: Case, *, hits: int, width: int, twice: int = 0) -> Candidates:
    """By the kernel, with the hits of a perfect index that knows which rows are allowed to all, and no more."""
    linear = np.where(case.allowed, case.q @ case.augmented.T, -np.inf).astype(np.float32)
    order = np.argsort(-linear, axis=1, kind="stable")[:, :hits].astype(np.int32)
    hit_scores = np.take_along_axis(linear, order, axis=1)
    hit_rows = np.where(hit_scores == -np.inf, np.int32(-1), order)
    run = case.run
    known = Known(
        run.counts, run.histories, run.passes, run.labels, run.combiner, run.reranker, run.heads, case.augmented,
        run.vectors,
    )  # fmt: skip
    question = Question(
        case.weights, case.states, case.q, hit_rows, hit_scores, case.allowed, case.masks, case.now_ms, case.repeats
    )
    return ranking.find_candidates(known, case.askers, question, width, ranking.scratch_for(ITEMS, twice))


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), twice=st.sampled_from([1, 4, ITEMS]))
def test_ranking_twice_orders_the_first_ones_again_and_leaves_the_others_behind_them(seed: int, twice: int) -> None:
    case = made(seed)
    case.run.reranker.out[:] = np.random.default_rng(seed).normal(size=case.run.reranker.out.shape)
    once, got = found(case, hits=ITEMS, width=10), found(case, hits=ITEMS, width=10, twice=twice)
    np.testing.assert_array_equal(got.filled, once.filled)
    for b in range(SHAPE):
        n = int(got.filled[b])
        first = min(twice, n)
        assert set(got.rows[b, :first].tolist()) == set(once.rows[b, :first].tolist())
        assert got.rows[b, first:n].tolist() == once.rows[b, first:n].tolist()
        ordered = list(zip((-got.scores[b, :n]).tolist(), got.rows[b, :n].tolist(), strict=True))
        assert [score for score, _ in ordered] == sorted(score for score, _ in ordered)
        assert ordered[:first] == sorted(ordered[:first])
        np.testing.assert_allclose(
            np.diff(got.scores[b, first:n]), np.diff(once.scores[b, first:n]), rtol=1e-4, atol=1e-3
        )
        parts = {int(row): once.parts[b, at] for at, row in enumerate(once.rows[b, :n])}
        for at in range(n):
            np.testing.assert_array_equal(got.parts[b, at], parts[int(got.rows[b, at])])


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), width=st.sampled_from([1, 3, 10, ITEMS]))
def test_candidates_are_the_best_of_all_items(seed: int, width: int) -> None:
    case = made(seed)
    got = found(case, hits=ITEMS, width=width)
    for b in range(SHAPE):
        history, times = case.history(b)
        gained = slow_ranking.gains(case.run.counts, history, times, case.now_ms, case.weights[b], repeats=case.repeats)
        scored = slow_ranking.scores(case.q[b], case.augmented, gained)
        may_see = case.may_see(b)
        want = slow_ranking.best(scored, may_see, width)
        rows = got.rows[b, : got.filled[b]].tolist()
        assert len(rows) == len(set(rows)) == len(want)
        assert set(rows) <= may_see
        np.testing.assert_allclose(got.scores[b, : len(rows)], [scored[row] for row in rows], rtol=1e-3, atol=2e-3)
        np.testing.assert_allclose(got.scores[b, : len(rows)], [scored[row] for row in want], rtol=1e-3, atol=2e-3)
        np.testing.assert_allclose(
            got.parts[b, : len(rows)].sum(axis=1), got.scores[b, : len(rows)], rtol=1e-3, atol=1e-3
        )
        ordered = list(zip((-got.scores[b, : len(rows)]).tolist(), rows, strict=True))
        assert ordered == sorted(ordered)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_few_hits_are_enough_where_the_last_candidate_scores_as_high_as_the_last_hit(seed: int) -> None:
    case = made(seed)
    everything, few = found(case, hits=ITEMS, width=3), found(case, hits=HITS, width=3)
    floor = np.sort(np.where(case.allowed, case.q @ case.augmented.T, -np.inf), axis=1)[:, -HITS]
    for b in np.flatnonzero((few.filled == 3) & (few.scores[:, 2] > floor + 1e-3)):
        np.testing.assert_array_equal(few.rows[b], everything.rows[b])


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_a_user_gets_the_same_alone_and_among_others(seed: int) -> None:
    case = made(seed)
    together = found(case, hits=ITEMS, width=10)
    alone = [np.array([b] * SHAPE) for b in range(SHAPE)]
    for b, same in enumerate(alone):
        had = sorted(case.had(b))
        one = Askers(
            user=case.askers.user[same],
            length=case.askers.length[same],
            gap_ms=case.askers.gap_ms[same],
            had=np.array(had * SHAPE, np.int32),
            had_end=np.arange(1, SHAPE + 1) * len(had),
            mask=case.askers.mask[same],
            surface=case.askers.surface[same],
        )
        again = case._replace(askers=one, weights=case.weights[same], states=case.states[same], q=case.q[same])
        got = found(again, hits=ITEMS, width=10)
        for line in range(SHAPE):
            np.testing.assert_array_equal(got.rows[line], together.rows[b])


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_askers_had_what_their_histories_and_requests_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = Run(items=ITEMS)
    log = planted.random_log(80, users=USERS, items=ITEMS, seed=seed)
    run.count(log)
    rewatchable = rng.random(256) < 0.5
    now_ms = log[-1].at_ms - 5
    users = np.arange(USERS, dtype=np.int32)
    askers = ranking.askers_of(
        run.histories, empty_rows(16), users, np.full(USERS, NO_MASK, np.int32), np.zeros(USERS, np.uint8),
        np.array([7, 8], np.int32), np.array([0, 1] + [1] * (USERS - 3) + [2]), rewatchable, now_ms,
    )  # fmt: skip
    actions = planted.columns(log).action
    first = 0
    for user in range(USERS):
        mine = [(event, action) for event, action in zip(log, actions.tolist(), strict=True) if event.user == user]
        want = [event.item for event, action in mine if not rewatchable[action]] + [7] * (user == 1)
        want += [8] * (user == USERS - 1)
        assert askers.had[first : askers.had_end[user]].tolist() == want
        assert askers.length[user] == len(mine)
        assert askers.gap_ms[user] == (max(0, now_ms - mine[-1][0].at_ms) if mine else -1)
        first = int(askers.had_end[user])
