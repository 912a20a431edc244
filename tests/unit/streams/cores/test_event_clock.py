"""Event time that one wrong stamp does not move, and that a run of right ones does."""

from hypothesis import given
from hypothesis import strategies as st

from streams.cores.event_clock import IN_A_ROW, LEAP_MS, EventClock

NOW = 1_700_000_000_000
FAR = 253_402_300_799_999


def at(*times):
    clock = EventClock()
    return [clock.take(time) for time in times][-1]


def test_it_is_the_newest_of_events_near_each_other():
    assert at(NOW, NOW + 5, NOW + 3) == NOW + 5


def test_a_few_far_ones_do_not_move_it_however_often_they_come_again():
    assert at(NOW, *[FAR] * (IN_A_ROW - 1), NOW + 1, *[FAR] * (IN_A_ROW - 1), NOW + 2) == NOW + 2


def test_time_that_went_on_unseen_is_caught_up_with():
    later = NOW + 3 * LEAP_MS
    assert at(*[NOW] * IN_A_ROW, *[later] * (IN_A_ROW - 1)) == NOW
    assert at(*[NOW] * IN_A_ROW, *[later] * IN_A_ROW, later + 9) == later + 9


def test_a_first_event_that_was_stamped_wrongly_is_seen_through():
    assert at(FAR, *[NOW] * IN_A_ROW) == NOW
    assert at(0, *[NOW] * IN_A_ROW) == NOW


def test_late_uploads_never_turn_it_back():
    assert at(*[NOW] * IN_A_ROW, *[NOW - 3 * LEAP_MS] * 50) == NOW


def test_the_middle_of_a_run_counts_and_not_its_farthest():
    later = NOW + 3 * LEAP_MS
    assert at(*[NOW] * IN_A_ROW, FAR, *[later] * (IN_A_ROW - 1)) == later


@given(st.lists(st.one_of(st.integers(NOW, NOW + 10**9), st.just(FAR), st.just(0)), max_size=80), st.integers(0, 80))
def test_it_goes_on_from_what_was_kept(times, cut):
    whole, first = EventClock(), EventClock()
    said = [whole.take(time) for time in times]
    before = [first.take(time) for time in times[:cut]]
    second = EventClock(first.now_ms, first.apart, first.near)
    assert [*before, *(second.take(time) for time in times[cut:])] == said
