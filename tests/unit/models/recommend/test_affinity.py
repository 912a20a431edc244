"""Affinities of candidates to a history, against the slow version and against numbers by hand."""

import numpy as np
import pytest

from models.recommend import affinity
from models.recommend.features import HOTNESS, LEVEL, OWN, dense_features
from models.recommend.labels import empty_labels
from tests.kernel_run import Run
from tests.planted import random_labels, random_log
from tests.slow_affinities import affinities
from tests.slow_counts import Event, SlowLog

ITEMS = 30


def read(run, user, now_ms, rows, scratch=None):
    dense = np.empty((OWN, run.items), np.float32)
    dense_features(run.counts, run.items, now_ms, dense)
    start, length = run.histories.start[user], run.histories.length[user]
    history, times = run.histories.item[start : start + length], run.histories.at_ms[start : start + length]
    out = np.full((len(rows) + 1, affinity.AFFINITIES), 77, np.float32)
    scratch = affinity.tag_scratch() if scratch is None else scratch
    affinity.affinities(
        run.counts, run.labels, dense[LEVEL], dense[HOTNESS], history, times, length, np.array(rows, np.int32),
        len(rows), scratch, out,
    )  # fmt: skip
    assert (out[-1] == 77).all(), "candidates beyond the count are left alone"
    assert not any(part.any() for part in scratch), "the work arrays are zero again"
    return out[:-1]


@pytest.mark.parametrize("seed", range(4))
def test_affinities_are_those_of_the_slow_version(seed):
    labels, log = random_labels(ITEMS, seed=seed), random_log(300, items=ITEMS, users=6, seed=seed)
    run, slow = Run(items=ITEMS, labels=labels), SlowLog(ITEMS, labels)
    run.count(log)
    slow.events += log
    rows = np.flatnonzero(slow.seen()).tolist()
    scratch = affinity.tag_scratch()
    for user in range(1, 6):
        now_ms = log[-1].at_ms + 1_000
        got, want = read(run, user, now_ms, rows, scratch), affinities(slow, user, now_ms, rows)
        for name, a, b in zip(affinity.AFFINITY_NAMES, got.T, want.T, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-4, err_msg=name)
    assert (want != 0).any(0)[:8].all(), "every affinity says something in this log"


def test_who_has_had_nothing_has_no_affinity():
    run = Run(items=ITEMS, labels=random_labels(ITEMS))
    run.count(random_log(100, items=ITEMS))
    got = read(run, 15, 10**13, [1, 2, 3])
    assert not np.delete(got, affinity.AFFINITY_NAMES.index("mean value"), axis=1).any()


def test_by_hand():
    labels = empty_labels(6)
    labels.tags[1:4, 0] = [5, 6, 5]
    labels.year[1:5] = [2000, 2003, 2000, 0]
    labels.creator[1:5] = [9, 0, 9, 0]
    run = Run(items=6, labels=labels)
    run.count([Event(1, 1, 10, value=4.0), Event(2, 2, 20, value=2.0), Event(2, 3, 5), Event(3, 4, 30)])
    same, other, none = read(run, 1, 40, [3, 2, 4])
    # Tag 5 has two of three tag events, tag 6 one; the user's only event has tag 5.
    assert same[0] == pytest.approx(np.log((1 / (2 / 3) + 10) / 11), abs=1e-3)
    assert other[0] == pytest.approx(np.log(10 / 11), abs=1e-4)
    assert none[0] == none[1] == 0
    assert (same[2], other[2], none[2]) == (1, pytest.approx(1 / 2), 0)
    assert same[5] == pytest.approx(np.log(11), abs=1e-4), "the creator of all that he had"
    assert same[6] == pytest.approx(np.log(6), abs=1e-4)
    assert other[5] == other[6] == 0, "no creator is not the same creator"
    assert (same[7], other[7]) == (0, pytest.approx(2 / 4))
    assert (same[8], other[8], none[8]) == (0, 1, 1), "items 2 and 4 came after his last visit"


def test_only_the_newest_events_are_looked_at():
    labels = empty_labels(400)
    labels.tags[1, 0], labels.tags[2, 0] = 5, 5
    labels.creator[1:3], labels.year[1:3] = 9, 2000
    labels.year[3:], labels.tags[3:, 0] = 0, 6
    run = Run(items=400, labels=labels)
    run.count([Event(1, 1, 0)] + [Event(1, row, row) for row in range(3, 3 + affinity.TAGS_READ - 1)])
    near = read(run, 1, 10**6, [2])[0]
    assert near[0] > np.log(10 / (affinity.TAGS_READ + 10)) + 1e-3
    assert near[2] == near[5] == near[6] == 0, "years and creators of the last thirty"
    run.count([Event(1, 390, 10**5)])
    assert read(run, 1, 10**6, [2])[0][0] == pytest.approx(np.log(10 / (affinity.TAGS_READ + 10)), abs=1e-4)
