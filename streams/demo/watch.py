"""What the topics say, as figures: records in, one value out that the screen can draw. No IO, no clock.

Everything comes from ``metrics.v1``, ``slates.v1`` and ``dead-letters.v1``, plus what the feed says that it produced:
nothing is taken out of another process. Times are seconds of one monotonic clock, brought by the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from streams.contract import ids
from streams.contract.events import Metric, Slate

RANKERS: Final = ("model", "transitions", "decayed_popularity")
"""As ``metrics.v1`` names them, the one that matters first."""
RATE_OVER_S: Final = 3.0
FOLLOW_S: Final = 7.0
"""A user is shown for at least so long before the next one."""
SLATES_BEFORE: Final = 3
"""A user is worth following after so many slates: there is something to compare with."""


class Sent(NamedTuple):
    """One interaction that the feed handed to its producer; ``is_measured`` is False while the engine warms up."""

    user_id: str
    event_id: str
    item_id: str
    value: float | None
    at_s: float
    is_measured: bool


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Prequential figures of one ranker: over everything so far, and NDCG@10 along the stream."""

    hr_at_10: float
    ndcg_at_10: float
    curve: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place of the shown slate; ``moved`` is places up (+) or down (-) since the slate before, None when new."""

    rank: int
    title: str
    score: float
    source: str
    reason: str
    moved: int | None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The slate of the user that is followed; ``chose`` and ``value`` are of the interaction that led to it."""

    user_id: str
    chose: str
    value: float | None
    number: int
    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything that the screen and the summary tell.

    Attributes:
      produced, learned, steps, items, users, slates: counts; learned is the trainer's own.
      per_second: events learned, over the last seconds.
      fresh_p50_ms, fresh_p99_ms: interaction produced -> slate that reflects it arrived; None before the first.
      reflected: interactions behind those two. waiting: interactions that no slate reflects yet.
      dead_letters: refused records seen. last_reason: of the newest.
      quality: by ranker; empty before the first window.
    """

    produced: int
    learned: int
    per_second: float
    steps: int
    items: int
    users: int
    slates: int
    fresh_p50_ms: float | None
    fresh_p99_ms: float | None
    reflected: int
    waiting: int
    dead_letters: int
    last_reason: str
    quality: Mapping[str, Quality]
    shown: Shown | None


class Watch:
    """Takes what was sent and what arrived, in the order of arrival; gives `Figures`.

    Args:
      titles: item_id -> title.
      expected: interactions that the whole stream has: the length of the curves.
      follow: the user to show; None: one after the other, who acted last.
    """

    def __init__(self, titles: Mapping[str, str], *, expected: int, follow: str | None = None) -> None:
        self._titles = titles
        self._expected = max(1, expected)
        self._follow = follow
        self._produced = self._slates = 0
        self._waiting: dict[str, deque[tuple[str, Sent]]] = {}
        self._waiting_count = 0
        self._fresh_ms: list[float] = []
        self._learned: deque[tuple[float, int]] = deque()
        self._trainer: Metric | None = None
        self._windows: list[Metric] = []
        self._letters: set[bytes] = set()
        self._last_reason = ""
        self._last: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._shown: Shown | None = None
        self._shown_since_s = -FOLLOW_S

    def take_sent(self, sent: Sent) -> None:
        """An interaction is on its way."""
        self._produced += 1
        self._waiting_count += 1
        request_id = ids.pushed_request_id(user_id=sent.user_id, event_id=sent.event_id)
        self._waiting.setdefault(sent.user_id, deque()).append((request_id, sent))

    def take_metric(self, metric: Metric, at_s: float) -> None:
        """A record of ``metrics.v1``."""
        if metric.series == "prequential":
            self._windows.append(metric)
        elif metric.series == "trainer":
            self._trainer = metric
            self._learned.append((at_s, int(metric.values["learned"])))
            while len(self._learned) > 2 and at_s - self._learned[1][0] >= RATE_OVER_S:
                self._learned.popleft()

    def take_dead_letter(self, key: bytes, reason: str) -> None:
        """A record of ``dead-letters.v1``; a repeat after a restart has the key of the first."""
        self._letters.add(key)
        self._last_reason = reason

    def take_slate(self, slate: Slate, at_s: float) -> None:
        """A record of ``slates.v1``: it reflects the interaction that it names, and all of that user before it."""
        self._slates += 1
        cause = self._reflect(slate, at_s)
        number, before = self._last.get(slate.user_id, (0, ()))
        items = tuple(item.item_id for item in slate.items)
        self._last[slate.user_id] = (number + 1, items)
        if self._is_followed(slate.user_id, number, at_s):
            if self._shown is None or self._shown.user_id != slate.user_id:
                self._shown_since_s = at_s
            self._shown = Shown(
                user_id=slate.user_id,
                chose=self._title(cause.item_id) if cause else "",
                value=cause.value if cause else None,
                number=number + 1,
                places=self._places(slate, before),
            )

    def _reflect(self, slate: Slate, at_s: float) -> Sent | None:
        waiting = self._waiting.get(slate.user_id)
        if waiting is None or all(request_id != slate.request_id for request_id, _ in waiting):
            return None
        while True:
            request_id, sent = waiting.popleft()
            self._waiting_count -= 1
            if sent.is_measured:
                self._fresh_ms.append((at_s - sent.at_s) * 1000)
            if request_id == slate.request_id:
                break
        if not waiting:
            del self._waiting[slate.user_id]
        return sent

    def _is_followed(self, user_id: str, slates_before: int, at_s: float) -> bool:
        if self._follow is not None:
            return user_id == self._follow
        if self._shown is None or user_id == self._shown.user_id:
            return True
        return slates_before >= SLATES_BEFORE and at_s - self._shown_since_s >= FOLLOW_S

    def _places(self, slate: Slate, before: Sequence[str]) -> tuple[Place, ...]:
        rank_before = {item_id: rank for rank, item_id in enumerate(before, start=1)}
        return tuple(
            Place(
                rank=item.rank,
                title=self._title(item.item_id),
                score=item.score,
                source=item.source,
                reason=item.reasons[0] if item.reasons else "",
                moved=rank_before[item.item_id] - item.rank if item.item_id in rank_before else None,
            )
            for item in slate.items
        )

    def _title(self, item_id: str) -> str:
        return self._titles.get(item_id) or item_id

    def figures(self, *, points: int = 32) -> Figures:
        """Everything so far; ``points`` is how many a curve has."""
        trainer = self._trainer.values if self._trainer else {}
        p50, p99 = np.percentile(self._fresh_ms, (50, 99)).tolist() if self._fresh_ms else (None, None)
        return Figures(
            produced=self._produced,
            learned=int(trainer.get("learned", 0)),
            per_second=rate(self._learned),
            steps=self._trainer.step if self._trainer else 0,
            items=int(trainer.get("items", 0)),
            users=int(trainer.get("users", 0)),
            slates=self._slates,
            fresh_p50_ms=p50,
            fresh_p99_ms=p99,
            reflected=len(self._fresh_ms),
            waiting=self._waiting_count,
            dead_letters=len(self._letters),
            last_reason=self._last_reason,
            quality=self._quality(points),
            shown=self._shown,
        )

    def _quality(self, points: int) -> dict[str, Quality]:
        if not self._windows:
            return {}
        newest = self._windows[-1].values
        return {
            ranker: Quality(
                hr_at_10=newest[f"total_{ranker}_hr_at_10"],
                ndcg_at_10=newest[f"total_{ranker}_ndcg_at_10"],
                curve=curve_of(self._windows, f"{ranker}_ndcg_at_10", points=points, expected=self._expected),
            )
            for ranker in RANKERS
        }


def rate(seen: Sequence[tuple[float, int]] | deque[tuple[float, int]]) -> float:
    """Counts a second between the first and the last (time in s, count); 0.0 while there are not two."""
    if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
        return 0.0
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


def curve_of(windows: Sequence[Metric], name: str, *, points: int, expected: int) -> tuple[float | None, ...]:
    """One value over the stream in equal stretches of events; each the mean of its windows, weighted by their events.

    Args:
      windows: prequential ones, in order; ``values["learned"]`` is the count of events at a window's end.
      name: of the value.
      points: stretches of the whole stream.
      expected: events of the whole stream.

    Returns:
      ``points`` means; None where no window ended yet. A stretch that no window ended in, but a later one did, has the
      value of the one before.
    """
    sums, events = [0.0] * points, [0] * points
    for window in windows:
        at = min(points - 1, int(points * max(0.0, window.values["learned"] - 1) / expected))
        sums[at] += window.values[name] * window.events
        events[at] += window.events
    last = max((at for at in range(points) if events[at]), default=-1)
    curve: list[float | None] = []
    for at in range(last + 1):
        before = curve[-1] if curve else None
        curve.append(sums[at] / events[at] if events[at] else before)
    return (*curve, *[None] * (points - last - 1))
