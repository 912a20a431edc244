"""From candidates to slates: sources, causes, and where explored items go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.recommend import slating
from models.recommend.candidates import NO_MASK, SUCCESSOR_PART, Askers, Candidates
from models.recommend.slating import FRESH_SOURCE, Slates
from tests import planted, slow_ranking
from tests.kernel_run import Run

ITEMS = 60


def candidates(rng: Any, *, users: int, width: int) -> Candidates:
    rows = np.array([rng.permutation(ITEMS - 1)[:width] + 1 for _ in range(users)], np.int32).reshape(users, width)
    scores = -np.sort(-rng.normal(size=(users, width)), axis=1).astype(np.float32)
    parts = rng.normal(size=(users, width, 3)).astype(np.float32)
    return Candidates(rows, scores, parts, rng.integers(0, width + 1, users).astype(np.int32))


def askers(had: list[list[int]], masks: list[int]) -> Askers:
    return Askers(
        user=np.zeros(len(had), np.int32),
        length=np.zeros(len(had), np.int32),
        gap_ms=np.full(len(had), -1, np.int64),
        had=np.array([row for one in had for row in one], np.int32),
        had_end=np.cumsum([len(one) for one in had], dtype=np.int64),
        mask=np.array(masks, np.int32),
        surface=np.zeros(len(had), np.uint8),
    )


def line(slates: Slates, b: int) -> list[tuple[int, float, int, bool, float]]:
    """Row, score, source, explored, propensity of each place."""
    n = int(slates.filled[b])
    columns = (slates.rows, slates.scores, slates.source, slates.explored, slates.propensity)
    return list(zip(*(column[b, :n].tolist() for column in columns), strict=True))


def test_the_first_candidates_come_in_their_order_with_the_part_that_stands_out() -> None:
    rng = np.random.default_rng(0)
    given = candidates(rng, users=20, width=8)
    k = rng.integers(1, 10, 20).astype(np.int32)
    slates = slating.first_of(given, k)
    for b in range(20):
        n = min(int(k[b]), int(given.filled[b]))
        relative = given.parts[b, :n] - given.parts[b, :n].mean(axis=0) if n else given.parts[b, :0]
        relative[:, SUCCESSOR_PART] = given.parts[b, :n, SUCCESSOR_PART]
        got = line(slates, b)
        assert [place[0] for place in got] == given.rows[b, :n].tolist()
        assert [place[1] for place in got] == given.scores[b, :n].tolist()
        assert [place[2] for place in got] == relative.argmax(axis=1).tolist()
        assert all(not explored and propensity == 1.0 for *_, explored, propensity in got)


def test_no_users_are_no_slates() -> None:
    slates = slating.first_of(candidates(np.random.default_rng(0), users=0, width=3), np.zeros(0, np.int32))
    assert slates.rows.shape == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_cause_is_the_one_of_the_last_five_items_that_led_there_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = Run(items=ITEMS)
    run.count(planted.random_log(300, users=9, items=ITEMS, seed=seed))
    users = np.arange(9, dtype=np.int32)
    asking = askers([[]] * 9, [NO_MASK] * 9)._replace(user=users, length=run.histories.length[:9].copy())
    given = candidates(rng, users=9, width=20)
    given.parts[:, :, SUCCESSOR_PART] = rng.choice([-9.0, 9.0], (9, 20))
    slates = slating.first_of(given, np.full(9, 20, np.int32))
    done = np.zeros(ITEMS, np.bool_)
    slating.name_causes(run.counts, run.histories, asking, done, slates)
    assert not done.any()
    for b in range(9):
        start = run.histories.start[b]
        history = run.histories.item[start : start + run.histories.length[b]].tolist()
        for at in range(int(slates.filled[b])):
            is_led = slates.source[b, at] == SUCCESSOR_PART
            want = slow_ranking.strongest(run.counts, history, int(slates.rows[b, at])) if is_led else 0
            assert slates.because[b, at] == want


def explored_slowly(
    chosen: list[tuple[int, float, int, bool, float]], pool: list[int], *, k: int, slots: int, draw: int
) -> list[tuple[int, float, int, bool, float]]:
    """The rule with lists: a fresh item fills what is missing, or goes in from the middle on and the last drops out."""
    wanted = max(k - len(chosen), min(slots, k - 1))
    if wanted > 0 and pool:
        first = draw % len(pool)
        for place, row in enumerate((pool[first:] + pool[:first])[:wanted]):
            entry = (row, 0.0, FRESH_SOURCE, True, 1 / len(pool))
            at = len(chosen) if len(chosen) < k else min(len(chosen) - 1, k // 2 + place)
            chosen = [*chosen[:at], entry, *chosen[at : k - 1]]
    floor = min((score for _, score, _, explored, _ in chosen if not explored), default=0.0)
    return [(row, floor if explored else score, source, explored, p) for row, score, source, explored, p in chosen]


@pytest.mark.parametrize("seed", range(40))
def test_explored_items_go_where_the_rule_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    users, width = 6, int(rng.integers(1, 9))
    given = candidates(rng, users=users, width=width)
    k = np.minimum(rng.integers(1, 12, users), width).astype(np.int32)
    fresh = np.sort(rng.permutation(ITEMS - 1)[: rng.integers(0, 12)] + 1).astype(np.int32)
    had = [sorted((rng.permutation(ITEMS - 1)[: rng.integers(0, 20)] + 1).tolist()) for _ in range(users)]
    masks = rng.random((2, ITEMS)) < 0.6
    asking = askers(had, rng.integers(-1, 2, users).tolist())
    slots = rng.integers(0, 12, users).astype(np.int32)
    draw = rng.integers(0, 2**64 - 1, users, np.uint64)
    slates, before = slating.first_of(given, k), slating.first_of(given, k)
    done = np.zeros(ITEMS, np.bool_)
    slating.explore(fresh, asking, masks, k, slots, draw, done, slates)
    assert not done.any()
    for b in range(users):
        chosen = line(before, b)
        barred = set(had[b]) | {row for row, *_ in chosen}
        mask = np.ones(ITEMS, np.bool_) if asking.mask[b] == NO_MASK else masks[asking.mask[b]]
        pool = [row for row in fresh.tolist() if row not in barred and mask[row]]
        want = explored_slowly(chosen, pool, k=int(k[b]), slots=int(slots[b]), draw=int(draw[b]))
        assert line(slates, b) == want
