"""Whose slate is pushed next: users whose state changed, each at most once in an interval, in the order of waiting."""

import heapq
from typing import NamedTuple


class Push(NamedTuple):
    """A user who is due for a slate, because of their newest event."""

    user_id: str
    event_id: str
    surface: str | None


class Pushes:
    """Users waiting for a pushed slate. Times are seconds of any clock that never goes back.

    Args:
      interval_s: least time between two slates of one user.
      most: users who may wait; beyond it the longest waiting go without.
    """

    def __init__(self, *, interval_s: float, most: int) -> None:
        self._interval_s = interval_s
        self._most = most
        self._waiting: dict[str, Push] = {}
        self._due: list[tuple[float, int, str]] = []
        """A heap with one entry for each waiting user."""
        self._count = 0
        self._pushed_s: dict[str, float] = {}

    def __len__(self) -> int:
        """Users waiting."""
        return len(self._waiting)

    def add(self, push: Push, now_s: float) -> None:
        """The user's state changed; one who waits already keeps their place and gets the slate of the newest event."""
        is_new = push.user_id not in self._waiting
        self._waiting[push.user_id] = push
        if not is_new:
            return
        due_s = max(now_s, self._pushed_s.get(push.user_id, -self._interval_s) + self._interval_s)
        self._count += 1
        heapq.heappush(self._due, (due_s, self._count, push.user_id))
        while len(self._waiting) > self._most:
            self._pop()

    def take(self, now_s: float, most: int) -> list[Push]:
        """Users who are due now, at most so many; they wait no longer."""
        taken: list[Push] = []
        while self._due and self._due[0][0] <= now_s and len(taken) < most:
            push = self._pop()
            taken.append(push)
            if self._interval_s > 0:
                self._pushed_s.pop(push.user_id, None)
                self._pushed_s[push.user_id] = now_s
        while self._pushed_s and now_s - next(iter(self._pushed_s.values())) > self._interval_s:
            del self._pushed_s[next(iter(self._pushed_s))]
        return taken

    def next_due_s(self) -> float | None:
        """When somebody is due; None while nobody waits."""
        return self._due[0][0] if self._due else None

    def _pop(self) -> Push:
        return self._waiting.pop(heapq.heappop(self._due)[2])
