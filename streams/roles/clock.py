"""The time that slates are made for: event time, carried on by the wall clock while nothing happens."""

from __future__ import annotations

import time


class EventClock:
    """Newest event time seen, plus the real time since it was seen first; the wall clock before any event.

    A live stream runs at the wall clock; a replayed log of years ago runs at its own time. Either way an item's
    availability ends on time in a quiet night.
    """

    def __init__(self) -> None:
        self._newest_ms = 0
        self._seen_s = 0.0

    def now_ms(self, newest_ms: int, *, monotonic_s: float | None = None, wall_ms: int | None = None) -> int:
        """Event time now, ms, given the newest event time in the state; 0 where there is none."""
        at_s = time.monotonic() if monotonic_s is None else monotonic_s
        if newest_ms > self._newest_ms:
            self._newest_ms, self._seen_s = newest_ms, at_s
        if not self._newest_ms:
            return time.time_ns() // 1_000_000 if wall_ms is None else wall_ms
        return self._newest_ms + int((at_s - self._seen_s) * 1000)
