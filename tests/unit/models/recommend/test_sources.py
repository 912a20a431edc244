"""What is counted of every event, against the slow version and against numbers by hand."""

import numpy as np
import pytest

from models.recommend import sources
from models.recommend.features import dense_features, surface_popularity
from models.recommend.pools import add, empty_rows
from tests.kernel_run import SUCCESSORS, Run
from tests.planted import random_labels, random_log
from tests.slow_counts import HALF_LIVES_EVENTS, HALF_LIVES_MS, OWN, Event, SlowLog

ITEMS = 30
LABELS = random_labels(ITEMS)


def read_own(counts, now_ms, items=ITEMS):
    out = np.empty((OWN, items), np.float32)
    dense_features(counts, items, now_ms, out)
    return out


def on_surface(counts, surface, items=ITEMS):
    out = np.full(items, np.nan, np.float32)
    surface_popularity(counts, items, surface, out)
    return out


@pytest.fixture(scope="module")
def both():
    """The same log counted by the kernels and by the slow version; nobody changes them."""
    log = random_log(300, items=ITEMS)
    run, slow = Run(items=ITEMS, labels=LABELS), SlowLog(ITEMS, LABELS)
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
    total, number = slow.values()
    np.testing.assert_array_equal(run.counts.value_sum, total)
    np.testing.assert_array_equal(run.counts.value_count, number)
    assert 0 < number.sum() < 300, "some events carry a value, and some none"


@pytest.mark.parametrize(
    ("pool", "weight", "of_log"),
    [
        ("after", "weight", SlowLog.after),
        ("after", "lag", SlowLog.lag),
        ("after", "near", SlowLog.near),
        ("before", "weight", lambda slow: slow.after().T),
        ("company", "weight", SlowLog.company),
    ],
)
def test_what_led_to_what(both, pool, weight, of_log):
    run, slow = both
    want = of_log(slow)
    assert np.count_nonzero(want) > 50
    np.testing.assert_allclose(run.sparse_table(pool, weight), want, rtol=1e-5)


def test_company_reaches_fifty_events_back():
    run = Run(items=60)
    run.count([Event(1, item, 0) for item in range(1, 54)])
    table = run.sparse_table("company")
    assert (np.flatnonzero(table[53]) == np.arange(3, 53)).all()
    np.testing.assert_array_equal(table, table.T)


def test_tag_events(both):
    run, slow = both
    want = np.zeros(len(run.counts.tag_events))
    for code, events in slow.tag_events().items():
        want[code] = events
    want[0] = want.sum()
    assert np.count_nonzero(want) == 7
    np.testing.assert_array_equal(run.counts.tag_events, want)


def test_tag_events_count_on_where_a_float32_would_stand_still():
    run = Run(items=ITEMS, labels=LABELS)
    tagged = next(row for row in range(1, ITEMS) if LABELS.tags[row, 0])
    run.counts.tag_events[:] = 2.0**24
    run.count([Event(1, tagged, 0)])
    assert run.counts.tag_events[LABELS.tags[tagged, 0]] == 2**24 + 1


@pytest.mark.parametrize("surface", [1, 2, 3])
def test_popularity_on_a_surface(both, surface):
    run, slow = both
    assert slow.on_surface(surface).any()
    np.testing.assert_allclose(on_surface(run.counts, surface), slow.on_surface(surface), atol=1e-4)


def test_events_without_a_surface_count_on_none(both):
    run, _ = both
    assert not run.counts.surface[0].any()
    assert not on_surface(run.counts, 0).any()


def test_forward_decay_goes_on_over_its_epochs():
    """Halves as one that never brings its counts down would: one event an epoch and a half, four times."""
    run, step = Run(items=4), int(1.5 * sources.SURFACE_EPOCH * sources.SURFACE_HALF_LIFE)
    for at in range(4):
        run.count([Event(1 + at, 1 + at % 3, 0, surface=2)])
        # The last one counts fully, up to the one event that has passed since.
        got = on_surface(run.counts, 2, items=4)
        want = np.zeros(4)
        want[1 + at % 3] = np.log1p(10 * 2.0 ** (-1 / sources.SURFACE_HALF_LIFE))
        np.testing.assert_allclose(got, want, atol=1e-4)
        run.counts.clock[0] += step - 1


@pytest.mark.parametrize("silence", [63_999, 64_000, 128_001, 10**6, 10**12])
def test_a_surface_comes_back_after_any_silence(silence):
    run = Run(items=4)
    run.count([Event(1, 1, 0, surface=1), Event(2, 2, 0, surface=1)])
    run.counts.clock[0] += silence
    run.count([Event(3, 2, 0, surface=1), Event(4, 3, 0, surface=1)])
    want = [0, 0, np.log1p(10 * 2.0**-0.002), np.log1p(10 * 2.0**-0.001)]
    np.testing.assert_allclose(on_surface(run.counts, 1, items=4), want, atol=1e-4)
    assert (run.counts.surface[run.counts.surface > 0] > 1e-12).all(), "no denormal numbers, which are slow"


def test_an_event_that_comes_late_neither_grows_nor_moves_time_back():
    run = Run(items=3)
    run.count([Event(1, 1, 10_000_000), Event(2, 1, 0)])
    assert run.counts.last_ms[1] == 10_000_000
    assert run.counts.decayed[-1, 1] == 2.0
    assert np.isfinite(read_own(run.counts, 0, items=3)).all()


def test_a_full_row_gives_up_its_weakest_entry():
    rows = empty_rows(2, 64)
    for key, weight in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 0.5)):
        add(rows, np.int32(1), np.int32(key), np.float32(weight), 3)
    start = rows.start[1]
    assert dict(zip(rows.key[start : start + 3].tolist(), rows.weight[start : start + 3].tolist(), strict=True)) == {
        1: 3.0, 4: 0.5, 3: 2.0,
    }  # fmt: skip


def test_a_successor_in_the_place_of_another_starts_from_nothing():
    run = Run(items=100, users=70)
    # 64 items follow item 1 at once, item 2 twice; then one more comes and takes the place of the first single one.
    pairs = [(Event(user, 1, 0), Event(user, item, 0)) for user, item in enumerate([2, 2, *range(3, 66)])]
    run.count([event for pair in pairs for event in pair])
    assert run.counts.after.length[1] == run.counts.company.length[1] == SUCCESSORS
    run.counts.after.learned[:] = run.counts.company.learned[:] = 2.0
    run.count([Event(68, 1, 0), Event(68, 50, 0), Event(68, 99, 0)])
    for pool, weight, want in (
        ("after", "weight", 0.8), ("after", "lag", 0.3), ("after", "near", 0.7), ("after", "learned", 0.0),
        ("company", "weight", 1.0), ("company", "learned", 0.0),
    ):  # fmt: skip
        got = run.sparse_table(pool, weight)[1]
        assert got[99] == pytest.approx(want), (pool, weight)
        assert got[2] == 2
        assert got[3] == 0, "it gave way"


def test_growth_keeps_the_rows(both):
    run, _ = both
    grown = sources.grown(run.counts, 2 * ITEMS)
    np.testing.assert_array_equal(read_own(grown, 0), read_own(run.counts, 0))
    np.testing.assert_array_equal(on_surface(grown, 1), on_surface(run.counts, 1))
    assert (grown.seen[ITEMS:] == 0).all()
    assert len(grown.after.start) == len(grown.company.start) == len(grown.changed) == 2 * ITEMS
    for name in sources.PER_ITEM:
        assert getattr(grown, name).shape[-1] == 2 * ITEMS, name
    assert sources.grown(grown, ITEMS) is grown


def test_forgetting_an_item():
    labels = random_labels(6, seed=1)
    run = Run(items=6, labels=labels)
    log = random_log(40, items=6, seed=8)
    run.count(log)
    run.counts.changed[:] = False
    others = read_own(run.counts, 0, items=6)[:, [0, 1, 3, 4, 5]]
    assert run.counts.seen[2] > 0
    assert labels.tags[2, 0] > 0
    sources.forget_item(run.counts, labels.tags, np.int64(2))
    blank = sources.empty_counts(6)
    for name in sources.PER_ITEM[:-1]:
        np.testing.assert_array_equal(getattr(run.counts, name)[..., 2], getattr(blank, name)[..., 2], err_msg=name)
    np.testing.assert_array_equal(read_own(run.counts, 0, items=6)[:, [0, 1, 3, 4, 5]], others)
    for pool in sources.POOLS:
        assert getattr(run.counts, pool).length[2] == 0, pool
    assert np.flatnonzero(run.counts.changed).tolist() == [2]
    left = SlowLog(6, labels)
    left.events = [event for event in log if event.item != 2]
    want = {code: events for code, events in left.tag_events().items() if events}
    assert {code: run.counts.tag_events[code] for code in np.flatnonzero(run.counts.tag_events[1:]) + 1} == want
    assert run.counts.tag_events[0] == sum(want.values())
    run.counts.after.learned[:] = run.counts.company.learned[:] = 1.0
    run.count([Event(9, 2, 0), Event(9, 3, 0), Event(9, 2, 0)])
    assert run.sparse_table("after")[2].any()
    for pool in ("after", "company"):
        assert not run.sparse_table(pool, "learned")[2].any(), "another item in the row has learned nothing yet"


def test_an_event_marks_the_rows_that_it_changed():
    run = Run(items=70)
    run.count([Event(1, item, 0) for item in range(1, 61)])
    run.counts.changed[:] = False
    run.count([Event(1, 65, 1)])
    # The item itself and the fifty before it, whose company it is: 11 to 60.
    assert np.flatnonzero(run.counts.changed).tolist() == [*range(11, 61), 65]


def test_room_for_the_successors_is_enough():
    """Every event may add to ten rows of two tables and to fifty of a third, each of which may have to move."""
    run = Run(items=300, users=4)
    rng = np.random.default_rng(0)
    log = [Event(1, int(item), 0) for item in rng.integers(1, 300, 400)]
    run.count(log)
    for name in sources.POOLS:
        pool = getattr(run.counts, name)
        assert pool.head[0] <= len(pool.key)
        assert pool.length.max() <= SUCCESSORS
    assert run.counts.company.length.max() == SUCCESSORS, "some rows were full"
