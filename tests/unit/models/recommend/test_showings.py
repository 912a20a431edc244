"""Showings and what comes of them, against the slow version and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recommend import showings, sources
from models.recommend.affinity import tag_scratch
from models.recommend.features import FIRST_PASSED, OWN, dense_features
from models.recommend.feedback import FEEDBACK, feedback
from models.recommend.showings import empty_passes, note_signal, with_rings
from models.recommend.sources import PASSED_EVENTS, empty_counts
from tests.planted import random_labels
from tests.slow_showings import CHOSEN, HIDDEN, SHOWN, SKIPPED, SlowShowings, Told, place_of

ITEMS, USERS, WINDOW_MS = 12, 6, 600_000
CODES = {SHOWN: showings.SHOWN, SKIPPED: showings.SKIPPED, HIDDEN: showings.HIDDEN, CHOSEN: showings.CHOSEN}
LABELS = random_labels(ITEMS)


def random_stream(seed, count=300):
    """Mostly showings, a fifth chosen, some of those shown before; times that stand still, leap and step back."""
    rng, at_ms, out, clock = np.random.default_rng(seed), 10**9, [], 0
    for _ in range(count):
        at_ms += int(rng.choice([0, 1_000, 60_000, 700_000], p=[0.3, 0.4, 0.2, 0.1]))
        kind = str(rng.choice([SHOWN, CHOSEN, SKIPPED, HIDDEN], p=[0.65, 0.25, 0.07, 0.03]))
        told = Told(
            int(rng.integers(1, USERS)), int(rng.integers(1, ITEMS)), at_ms - int(rng.random() < 0.1) * 30_000, kind,
            clock, int(rng.integers(0, 3)), int(rng.integers(0, 25)) * int(rng.random() < 0.7),
            is_short=kind == CHOSEN and rng.random() < 0.1, completed=kind == CHOSEN and rng.random() < 0.3,
            liked=kind == CHOSEN and rng.random() < 0.1,
        )  # fmt: skip
        clock += kind == CHOSEN
        out.append(told)
    return out


class Kept:
    """The kernels over the same stream."""

    def __init__(self, counting=True):
        self.passes, self.counts = empty_passes(USERS, window_ms=WINDOW_MS), empty_counts(ITEMS)
        self.counting = counting

    def play(self, told):
        if told.kind != CHOSEN or told.is_short:
            self.passes = with_rings(self.passes, np.array([told.user], np.int32))
        self.counts.clock[0] = told.clock
        outcome = showings.COMPLETED * told.completed | showings.LIKED * told.liked | showings.SHORT * told.is_short
        outcome |= showings.HID * (told.kind == HIDDEN)
        note_signal(
            self.passes, self.counts, told.user, told.item, told.at_ms, CODES[told.kind], outcome, told.surface,
            told.position, self.counting,
        )  # fmt: skip

    def against(self, user, now_ms, rows, lessons=None):
        out = np.zeros((len(rows), FEEDBACK), np.float32)
        scratch = tag_scratch()
        feedback(
            self.passes, self.counts, LABELS, user, now_ms, np.array(rows, np.int32), len(rows),
            len(rows) if lessons is None else lessons, scratch, out,
        )  # fmt: skip
        assert not scratch.all.any()
        return out


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_the_slow_version(seed):
    fast, slow = Kept(), SlowShowings(WINDOW_MS)
    for told in random_stream(seed):
        fast.play(told)
        slow.play(told)
    counts, clock = fast.counts, int(fast.counts.clock[0])
    assert slow.passed(ITEMS).sum() > 100
    np.testing.assert_array_equal(counts.passed[0], slow.passed(ITEMS))
    np.testing.assert_allclose(counts.appeal, slow.appeal(ITEMS), atol=1e-5)
    for word, row in (("complete", sources.COMPLETE), ("like", sources.LIKE), ("hide", sources.HIDE)):
        told_of = np.bincount([item for item, w in slow.outcomes if w == word], minlength=ITEMS)
        np.testing.assert_array_equal(counts.outcomes[row], told_of)
        assert counts.trials[2 + row] == told_of.sum() > 0
    assert counts.trials[:2].tolist() == [len(slow.counted), slow.passed(ITEMS).sum()]
    own = np.zeros((OWN, ITEMS), np.float32)
    dense_features(counts, ITEMS, 2 * 10**9, own)
    for k, half in enumerate(PASSED_EVENTS):
        wanted = np.log1p(10 * slow.passed_by_events(ITEMS, half, clock))
        np.testing.assert_allclose(own[FIRST_PASSED + k], wanted, atol=1e-3)
    np.testing.assert_array_equal(own[OWN - 1], counts.appeal)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_user_did_not_want_is_that_of_the_slow_version_and_the_same_without_counting(seed):
    fast, quiet, slow = Kept(), Kept(counting=False), SlowShowings(WINDOW_MS)
    rng = np.random.default_rng(seed)
    fast.counts.tag_events[1:] = quiet.counts.tag_events[1:] = rng.integers(0, 9, len(fast.counts.tag_events) - 1)
    for counts in (fast.counts, quiet.counts):
        counts.tag_events[0] = counts.tag_events[1:].sum()
    tag_events = {code: int(n) for code, n in enumerate(fast.counts.tag_events) if code}
    rows, seen = list(range(1, ITEMS)), 0
    for number, told in enumerate(random_stream(seed)):
        for one in (fast, quiet, slow):
            one.play(told)
        if number % 29 == 0:
            for after_ms in (0, 599_999, 600_000, 10**8):
                now_ms = told.at_ms + after_ms
                wanted = slow.feedback(LABELS, tag_events, told.user, now_ms, rows)
                got = fast.against(told.user, now_ms, rows)
                np.testing.assert_allclose(got[:, :3], wanted, atol=2e-5)
                np.testing.assert_array_equal(quiet.against(told.user, now_ms, rows)[:, :3], got[:, :3])
                seen += (wanted != 0).sum()
    assert seen > 100
    assert not quiet.counts.passed.any()


def test_a_lesson_does_not_read_what_it_teaches():
    one = Kept()
    one.play(Told(1, 5, 0, SKIPPED))
    ranked, taught = one.against(1, 10, [5]), one.against(1, 10, [5], lessons=0)
    assert ranked[0, 0] == pytest.approx(np.log(3))
    assert not taught[0, :3].any()


def shown_then(*later):
    one = Kept()
    one.play(Told(1, 5, 0, SHOWN, surface=1, position=3))
    for told in later:
        one.play(told)
    return one


def test_an_impression_says_nothing_until_its_window_is_over():
    one = shown_then(Told(2, 7, WINDOW_MS - 1, SHOWN))
    assert not one.counts.trials.any()
    assert not one.against(1, WINDOW_MS - 1, [5]).any()
    one.play(Told(2, 8, WINDOW_MS, SHOWN))
    assert one.counts.passed[:, 5].tolist() == [1.0] * sources.PASSED
    assert one.counts.examined[1, place_of(3)].tolist() == [0.0, 1.0]
    assert one.against(1, WINDOW_MS, [5])[0, 0] > 0


def test_a_choice_makes_a_showing_its_own_with_the_place_that_it_had():
    one = shown_then(Told(1, 5, 1_000, CHOSEN, surface=1), Told(2, 7, 10**7, SHOWN))
    assert not one.counts.passed.any()
    assert one.counts.taken[0, 5] == 1
    assert one.counts.examined[1, place_of(3)].tolist() == [1.0, 1.0]
    assert not one.against(1, 10**7, [5]).any()


def test_a_late_choice_is_counted_beside_and_takes_back_what_the_user_said():
    one = shown_then(Told(2, 7, WINDOW_MS, SHOWN), Told(1, 5, WINDOW_MS + 1, CHOSEN))
    assert (one.counts.passed[0, 5], one.counts.taken[0, 5]) == (1.0, 1.0)
    assert not one.against(1, 10**7, [5])[:, :2].any()


def test_a_skip_is_certain_at_once_and_counts_the_showing_once():
    one = shown_then(Told(1, 5, 1_000, SKIPPED, surface=1), Told(2, 7, 10**7, SHOWN))
    assert one.counts.passed[0, 5] == 1
    assert one.against(1, 1_000, [5])[0, 0] == pytest.approx(np.log(3))


def test_a_choice_that_was_left_at_once_is_passed_over():
    one = shown_then(Told(1, 5, 1_000, CHOSEN, is_short=True))
    assert (one.counts.passed[0, 5], one.counts.taken[0, 5]) == (1.0, 0.0)
    assert one.against(1, 1_000, [5])[0, 0] > 0


def test_choices_alone_leave_every_item_as_appealing_as_the_next():
    one = Kept()
    for number in range(50):
        one.play(Told(1 + number % 4, 1 + number % 7, number, CHOSEN, surface=number % 3, position=number % 9))
    assert not one.counts.appeal.any()
    assert not one.counts.trials[1:].any()
    own = np.ones((OWN, ITEMS), np.float32)
    dense_features(one.counts, ITEMS, 100, own)
    assert not own[FIRST_PASSED:].any()


def test_an_item_at_the_top_is_not_flattered():
    """Two items are chosen as their places are; the third is chosen twice as often as its place is."""
    rng, one = np.random.default_rng(0), Kept()
    rates = {1: (1, 0.4), 2: (9, 0.1), 3: (9, 0.2)}
    for number in range(6_000):
        item = 1 + number % 3
        position, rate = rates[item]
        kind = CHOSEN if rng.random() < rate else SKIPPED
        one.play(Told(1 + number % 4, item, number, kind, position=position))
        one.play(Told(5, 4, number, CHOSEN if rng.random() < 0.1 else SKIPPED, position=9))
    top, low, better, other = one.counts.appeal[1:5]
    assert abs(top - low) < abs(better - low) / 2
    assert better > low + 0.4
    assert better > top + 0.2
    assert abs(low - other) < 0.25


@given(st.lists(st.integers(1, 40), max_size=8))
def test_rings_are_given_once(users):
    passes = empty_passes(41, window_ms=0)
    for user in users:
        passes = with_rings(passes, np.array([user, user, 0], np.int32))
    given_to = sorted(set(users))
    assert sorted(passes.ring[given_to].tolist()) == list(range(1, len(given_to) + 1))
    assert passes.ring[0] == 0
    assert passes.used[0] == len(given_to) + 1 <= len(passes.item)


def test_erasing_users_and_items_leaves_nothing_of_them():
    one = Kept()
    for user in (1, 2):
        for item in (4, 5):
            one.play(Told(user, item, 0, SKIPPED))
    gone = np.zeros(ITEMS, np.bool_)
    gone[4] = True
    showings.scrub_passes(one.passes, gone)
    assert not one.against(1, 5, [4])[:, 0].any()
    assert one.against(1, 5, [5])[0, 0] > 0
    showings.forget_users(one.passes, np.array([1], np.int32))
    assert not one.against(1, 5, [5])[:, 0].any()
    showings.forget_before(one.passes, 2, -1)
    assert one.against(2, 5, [5])[0, 0] > 0
    showings.forget_before(one.passes, 2, 0)
    assert not one.against(2, 5, [5])[:, 0].any()
