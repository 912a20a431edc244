"""Event time, carried on by real time."""

from __future__ import annotations

from streams.roles.clock import EventClock


def test_the_clock_follows_events_and_goes_on_between_them() -> None:
    clock = EventClock()
    assert clock.now_ms(5_000, monotonic_s=100.0) == 5_000
    assert clock.now_ms(5_000, monotonic_s=100.25) == 5_250
    assert clock.now_ms(9_000, monotonic_s=101.0) == 9_000
    assert clock.now_ms(9_000, monotonic_s=161.0) == 69_000


def test_an_older_newest_event_does_not_turn_it_back() -> None:
    clock = EventClock()
    clock.now_ms(9_000, monotonic_s=1.0)
    assert clock.now_ms(4_000, monotonic_s=2.0) == 10_000


def test_before_any_event_it_is_the_wall_clock() -> None:
    clock = EventClock()
    assert clock.now_ms(0, monotonic_s=1.0, wall_ms=1_700_000_000_000) == 1_700_000_000_000
    assert clock.now_ms(800_000_000_000, monotonic_s=2.0) == 800_000_000_000  # a log of long ago begins
