"""What is read from the counts at a moment, against the slow version and against numbers by hand."""

import numpy as np
import pytest

from models.recommend import features
from tests.kernel_run import Run
from tests.planted import random_log
from tests.slow_counts import DENSE, OWN, SPARSE, Event, SlowLog

ITEMS = 30


def read_own(counts, now_ms, items=ITEMS):
    out = np.empty((features.OWN, items), np.float32)
    features.dense_features(counts, items, now_ms, out)
    return out


def read_sparse(run, user, now_ms, *, repeats=False):
    out = np.zeros((features.SPARSE_ROWS, run.items), np.float32)
    touched, is_touched = np.empty(run.items + 1, np.int32), np.zeros(run.items, np.bool_)
    start, length = run.histories.start[user], run.histories.length[user]
    history, times = run.histories.item[start : start + length], run.histories.at_ms[start : start + length]
    m = features.sparse_values(
        run.counts, history, times, length, now_ms, repeats, True, out, touched, is_touched
    )  # fmt: skip
    return out, touched[:m]


@pytest.fixture(scope="module")
def both():
    """The same log counted by the kernels and by the slow version; nobody changes them."""
    log = random_log(300, items=ITEMS)
    run, slow = Run(items=ITEMS), SlowLog(ITEMS)
    run.count(log)
    rng = np.random.default_rng(3)
    for learned in (run.counts.after.learned, run.counts.company.learned):
        learned[:] = rng.normal(size=len(learned))
    slow.events += log
    return run, slow


def test_the_slow_version_knows_every_feature():
    assert (features.OWN, features.DENSE, features.SPARSE) == (OWN, DENSE, SPARSE)


@pytest.mark.parametrize("later_ms", [0, 1, 7_200_000, 40 * 86_400_000])
def test_features_of_an_item_alone(both, later_ms):
    run, slow = both
    now_ms = slow.events[-1].at_ms + later_ms
    got, want = read_own(run.counts, now_ms), slow.dense(now_ms)
    for name, a, b in zip(features.OWN_NAMES, got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("user", range(1, 12))
def test_features_after_a_history(both, user, repeats):
    run, slow = both
    now_ms = slow.history(user)[-1].at_ms + 500_000
    got, touched = read_sparse(run, user, now_ms, repeats=repeats)
    want = slow.sparse(user, now_ms, repeats=repeats)
    counted = np.delete(got, features.LEARNED, axis=0)
    for name, a, b in zip((*features.SPARSE_NAMES, "baseline"), counted, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7, err_msg=name)
    newest, learned = slow.history(user)[::-1], np.zeros(ITEMS)
    for pool, reach, fade in (("after", 20, 0.9), ("company", 100, 0.97)):
        table = run.sparse_table(pool, "learned")
        learned += sum(fade**lag * table[event.item] for lag, event in enumerate(newest[:reach]))
    np.testing.assert_allclose(got[features.LEARNED], learned, rtol=1e-4, atol=1e-4)
    assert sorted(touched.tolist()) == np.flatnonzero(got.any(0)).tolist()
    assert len(set(touched.tolist())) == len(touched)
    assert want[features.FIRST_HAD : features.SPARSE].any() == repeats


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
    dense = read_own(run.counts, 7_200_000, items=4)
    by_name = dict(zip(features.OWN_NAMES, dense, strict=True))
    assert by_name["popularity"].tolist() == pytest.approx([0, np.log(3), np.log(2), 0], abs=1e-5)
    # An hour before, and two hours before: 1/2 + 1/4 of an event each.
    assert by_name["popularity of 1 h"][1] == pytest.approx(np.log1p(10 * 0.75), abs=1e-4)
    assert by_name["idle time"].tolist() == pytest.approx([0, np.log(2), np.log(2), 0], abs=1e-5)
    assert by_name["age"][1] == pytest.approx(np.log1p(2 / 24), abs=1e-5)
    assert by_name["few sightings"].tolist() == [1, 1, 1, 1]
    sparse, _ = read_sparse(run, 1, 3_600_000 + 86_400_000, repeats=True)
    named = dict(zip((*features.SPARSE_NAMES, "learned", "baseline"), sparse, strict=True))
    # User 1 had item 1, then item 2, which are each other's company once: 1 / sqrt((2 + 1) (1 + 1)).
    assert named["company of the last 10"].tolist() == pytest.approx([0, 6**-0.5, 0.9 * 6**-0.5, 0])
    assert named["times had"].tolist() == pytest.approx([0, 0.01, 0.01, 0])
    assert named["had lately"].tolist() == pytest.approx([0, 1 / 2, 1, 0])
    assert named["had within a day"].tolist() == pytest.approx([0, 2 ** (-25 / 24), 1 / 2, 0])
