"""The counts and the features that are read from them, against the slow version and against numbers by hand."""

import numpy as np
import pytest

from models.recommend import sources
from models.recommend.pools import add, empty_rows
from tests.kernel_run import SUCCESSORS, Run
from tests.planted import random_log
from tests.slow_counts import HALF_LIVES_EVENTS, HALF_LIVES_MS, Event, SlowLog

ITEMS = 30


def read_dense(counts, now_ms, items=ITEMS):
    out = np.empty((sources.DENSE, items), np.float32)
    sources.dense_features(counts, items, now_ms, out)
    return out


def read_sparse(run, user, now_ms):
    out = np.zeros((sources.SPARSE + 1, run.items), np.float32)
    touched, is_touched = np.empty(run.items, np.int32), np.zeros(run.items, np.bool_)
    start, length = run.histories.start[user], run.histories.length[user]
    history, times = run.histories.item[start : start + length], run.histories.at_ms[start : start + length]
    m = sources.sparse_values(run.counts, history, times, length, now_ms, True, out, touched, is_touched)
    return out, touched[:m]


@pytest.fixture(scope="module")
def both():
    """The same log counted by the kernels and by the slow version; nobody changes them."""
    log = random_log(300, items=ITEMS)
    run, slow = Run(items=ITEMS), SlowLog(ITEMS)
    run.count(log)
    slow.events += log
    return run, slow


def test_counts(both):
    run, slow = both
    now_ms = slow.events[-1].at_ms
    np.testing.assert_array_equal(run.counts.seen, slow.seen())
    assert run.counts.clock[0] == 300
    # As they stand, decayed counts belong to the moment of the item's last event.
    age = run.counts.clock[0] - run.counts.last_event
    for k, half in enumerate(HALF_LIVES_EVENTS):
        got = run.counts.decayed[k] * 2.0 ** (-age / half)
        np.testing.assert_allclose(got, slow.decayed_by_events(half), rtol=1e-5)
    for k, half_ms in enumerate(HALF_LIVES_MS, start=len(HALF_LIVES_EVENTS)):
        got = run.counts.decayed[k] * 2.0 ** (-(now_ms - run.counts.last_ms) / half_ms)
        np.testing.assert_allclose(got, slow.decayed_by_time(half_ms, now_ms), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "reach", "fade", "is_turned"),
    [("after", 10, 0.8, False), ("before", 10, 0.8, True), ("near", 5, 0.7, False)],
)
def test_transitions(both, name, reach, fade, is_turned):
    run, slow = both
    rows, table = getattr(run.counts, name), np.zeros((ITEMS, ITEMS))
    for r in range(ITEMS):
        for k in range(rows.start[r], rows.start[r] + rows.length[r]):
            table[r, rows.key[k]] += rows.weight[k]
    want = slow.transitions(reach, fade)
    np.testing.assert_allclose(table, want.T if is_turned else want, rtol=1e-5)


@pytest.mark.parametrize("later_ms", [0, 1, 7_200_000, 40 * 86_400_000])
def test_dense_features(both, later_ms):
    run, slow = both
    now_ms = slow.events[-1].at_ms + later_ms
    got, want = read_dense(run.counts, now_ms), slow.dense(now_ms)
    for name, a, b in zip(sources.DENSE_NAMES, got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("user", range(1, 12))
def test_sparse_values(both, user):
    run, slow = both
    now_ms = slow.history(user)[-1].at_ms + 500_000
    got, touched = read_sparse(run, user, now_ms)
    np.testing.assert_allclose(got, slow.sparse(user, now_ms), rtol=1e-5, atol=1e-7)
    assert sorted(touched.tolist()) == np.flatnonzero(got.any(0)).tolist()


def test_ten_minutes_are_ten_minutes():
    run = Run(items=4)
    run.count([Event(1, 1, 0), Event(1, 2, 0), Event(2, 1, 1_000)])
    inside, _ = read_sparse(run, 2, 601_000)
    outside, _ = read_sparse(run, 2, 601_001)
    # Item 2 followed item 1 once (weight 1); item 1 has two events: 1 / (2 + 5).
    assert inside[2].tolist() == [0, 0, pytest.approx(1 / 7), 0]
    assert outside[2].tolist() == [0, 0, 0, 0]


def test_by_hand():
    run = Run(items=4)
    run.count([Event(1, 1, 0), Event(2, 1, 3_600_000), Event(1, 2, 3_600_000)])
    dense = read_dense(run.counts, 7_200_000, items=4)
    by_name = dict(zip(sources.DENSE_NAMES, dense, strict=True))
    assert by_name["popularity"].tolist() == pytest.approx([0, np.log(3), np.log(2), 0], abs=1e-5)
    # An hour before, and two hours before: 1/2 + 1/4 of an event each.
    assert by_name["popularity of 1 h"][1] == pytest.approx(np.log1p(10 * 0.75), abs=1e-4)
    assert by_name["idle time"].tolist() == pytest.approx([0, np.log(2), np.log(2), 0], abs=1e-5)
    assert by_name["age"][1] == pytest.approx(np.log1p(2 / 24), abs=1e-5)
    assert by_name["few sightings"].tolist() == [1, 1, 1, 1]


def test_an_event_that_comes_late_neither_grows_nor_moves_time_back():
    run = Run(items=3)
    run.count([Event(1, 1, 10_000_000), Event(2, 1, 0)])
    assert run.counts.last_ms[1] == 10_000_000
    assert run.counts.decayed[-1, 1] == 2.0
    assert np.isfinite(read_dense(run.counts, 0, items=3)).all()


def test_a_full_row_gives_up_its_weakest_entry():
    rows = empty_rows(2, 64)
    for key, weight in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 0.5)):
        add(rows, np.int32(1), np.int32(key), np.float32(weight), 3)
    start = rows.start[1]
    assert dict(zip(rows.key[start : start + 3].tolist(), rows.weight[start : start + 3].tolist(), strict=True)) == {
        1: 3.0, 4: 0.5, 3: 2.0,
    }  # fmt: skip


def test_growth_keeps_the_rows(both):
    run, _ = both
    grown = sources.grown(run.counts, 2 * ITEMS)
    np.testing.assert_array_equal(read_dense(grown, 0), read_dense(run.counts, 0))
    assert (grown.seen[ITEMS:] == 0).all()
    assert len(grown.near.start) == len(grown.changed) == 2 * ITEMS
    assert sources.grown(grown, ITEMS) is grown


def test_forgetting_an_item():
    run = Run(items=6)
    log = random_log(40, items=6, seed=8)
    run.count(log)
    run.counts.changed[:] = False
    others = read_dense(run.counts, 0, items=6)[:, [0, 1, 3, 4, 5]]
    sources.forget_item(run.counts, np.int64(2))
    fresh = read_dense(sources.empty_counts(6), 0, items=6)
    np.testing.assert_array_equal(read_dense(run.counts, 0, items=6)[:, 2], fresh[:, 2])
    np.testing.assert_array_equal(read_dense(run.counts, 0, items=6)[:, [0, 1, 3, 4, 5]], others)
    assert run.counts.after.length[2] == run.counts.before.length[2] == run.counts.near.length[2] == 0
    assert np.flatnonzero(run.counts.changed).tolist() == [2]


def test_an_event_marks_the_rows_that_it_changed():
    run = Run(items=20)
    run.count([Event(1, item, 0) for item in range(1, 13)])
    run.counts.changed[:] = False
    run.count([Event(1, 15, 1)])
    # The item itself and the ten before it: 3 to 12.
    assert np.flatnonzero(run.counts.changed).tolist() == [*range(3, 13), 15]


def test_fast_logarithm():
    value = np.concatenate([[0.0], np.geomspace(1e-7, 1e6, 5_000)]).astype(np.float32)
    bits, out = np.empty(len(value), np.int32), np.empty_like(value)
    sources.log1p_scaled(value, np.float32(10.0), bits, out)
    np.testing.assert_allclose(out, np.log1p(10.0 * value.astype(np.float64)), atol=1e-5, rtol=1e-6)
    assert out[0] == 0, "no evidence is exactly nothing"


def test_fast_power():
    x = np.concatenate([[-126.0, -1.0, 0.0, 1.0], np.linspace(-120, 100, 5_000)]).astype(np.float32)
    want = 2.0 ** x.astype(np.float64)
    sources.exp2_in_place(x, np.empty(len(x), np.int32))
    np.testing.assert_allclose(x, want, rtol=1e-4)


def test_room_for_the_successors_is_enough():
    """Every event of a batch may add to ten rows of two tables, each of which may have to move."""
    run = Run(items=300, users=4)
    rng = np.random.default_rng(0)
    log = [Event(1, int(item), 0) for item in rng.integers(1, 300, 400)]
    run.count(log)
    for pool in (run.counts.after, run.counts.before, run.counts.near):
        assert pool.head[0] <= len(pool.key)
        assert pool.length.max() <= SUCCESSORS
