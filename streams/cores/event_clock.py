"""A clock of event time that one wrong stamp cannot move.

The contract refuses an event that is stamped after its record. A record may be stamped wrongly itself, by a producer
whose clock is wrong or that writes event time there: what lies far from the clock does not move it alone. Depends on
the order of the events and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LEAP_MS: Final = 2 * 86_400_000
"""An event further than this from the clock is apart: a platform is seldom quiet for two days."""
IN_A_ROW: Final = 20
"""So many of them with none near the clock between them are right, and the clock was wrong, or time went on unseen."""


class EventClock:
    """Time as the events have it.

    Attributes:
      now_ms: newest event time that is believed; None before any event.
      apart: times of the events in a row, up to now, that were far from it.
      near: events near the clock since it last leapt, counted up to `IN_A_ROW`: few of them do not vouch for it.
    """

    def __init__(self, now_ms: int | None = None, apart: Sequence[int] = (), near: int = IN_A_ROW) -> None:
        self.now_ms, self.apart = now_ms, list(apart)
        self.near = near if now_ms is not None else 0

    def take(self, at_ms: int) -> int:
        """One event; gives the time now, which falls only where a clock that nobody vouched for was wrong."""
        if self.now_ms is None:
            self.now_ms = at_ms
        if abs(at_ms - self.now_ms) <= LEAP_MS:
            self.apart.clear()
            self.near = min(IN_A_ROW, self.near + 1)
            self.now_ms = max(self.now_ms, at_ms)
            return self.now_ms
        self.apart.append(at_ms)
        if len(self.apart) >= IN_A_ROW:
            meant_ms = sorted(self.apart)[len(self.apart) // 2]
            if meant_ms > self.now_ms or self.near < IN_A_ROW:
                self.near = sum(abs(one - meant_ms) <= LEAP_MS for one in self.apart)
                self.now_ms = meant_ms
            self.apart.clear()
        return self.now_ms
