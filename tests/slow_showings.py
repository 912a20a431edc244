"""Showings the slow way: the whole stream is gone through again for every question, in Python's own numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.recommend.labels import ItemLabels

SHOWN, SKIPPED, HIDDEN, CHOSEN = "shown", "skipped", "hidden", "chosen"
DAY_MS = 86_400_000


class Told(NamedTuple):
    """One thing that a user did; ``clock``: learned events before it."""

    user: int
    item: int
    at_ms: int
    kind: str
    clock: int = 0
    surface: int = 0
    position: int = 0
    is_short: bool = False
    completed: bool = False
    liked: bool = False


class Showing(NamedTuple):
    """A showing with its outcome: when it was counted, on the clock of then."""

    item: int
    at_ms: int
    clock: int
    surface: int
    place: int
    chosen: bool


class Entry(NamedTuple):
    """What a user was shown and has not chosen since; ``refused``: he said so, ``counted``: it is known to be so."""

    item: int
    at_ms: int
    refused: bool
    number: int
    surface: int
    place: int
    counted: bool


def place_of(position: int) -> int:
    """Bucket of a position by hand."""
    for place, last in enumerate((0, 1, 2, 3, 4, 6, 10, 20)):
        if position <= last:
            return place
    return 8


class SlowShowings:
    """Plays a stream and keeps lists."""

    def __init__(self, window_ms: int, ring: int = 32) -> None:
        self.window_ms, self.ring = window_ms, ring
        self.counted: list[Showing] = []
        self.entries: dict[int, list[Entry]] = defaultdict(list)
        self.turns: dict[int, list[Entry | None]] = defaultdict(list)
        self.outcomes: list[tuple[int, str]] = []
        self._number = 0

    def play(self, told: Told) -> None:
        """Take one."""
        mine = self.turns[told.user]
        place = place_of(told.position)
        if told.kind != SHOWN:
            same = [at for at, entry in enumerate(mine) if entry is not None and entry.item == told.item]
            opened = [mine[at] for at in same]
            waiting = [e for e in opened if e is not None and not e.refused and not e.counted]
            if waiting and not told.position:
                place = max(waiting, key=lambda entry: entry.at_ms).place
            for at in same:
                mine[at] = None
        if told.kind != CHOSEN or told.is_short:
            oldest = mine[len(mine) - self.ring] if len(mine) >= self.ring else None
            if oldest is not None and oldest.at_ms + self.window_ms <= told.at_ms:
                self._count(told.user, len(mine) - self.ring, told.clock)
            self._number += 1
            mine.append(
                Entry(told.item, told.at_ms, told.kind != SHOWN, self._number, told.surface, place, told.kind != SHOWN)
            )
            if len(mine) > self.ring:
                mine[len(mine) - self.ring - 1] = None
        if told.kind != SHOWN:
            chosen = told.kind == CHOSEN and not told.is_short
            self.counted.append(Showing(told.item, told.at_ms, told.clock, told.surface, place, chosen))
        for word, is_so in (("complete", told.completed), ("like", told.liked), ("hide", told.kind == HIDDEN)):
            if is_so:
                self.outcomes.append((told.item, word))
        self._settle(told.at_ms, told.clock)

    def _settle(self, now_ms: int, clock: int) -> None:
        """In the order in which they were shown, until the first that may still be chosen."""
        waiting = sorted(
            (entry.number, user, at)
            for user, entries in self.turns.items()
            for at, entry in enumerate(entries)
            if entry is not None and not entry.counted
        )
        for _, user, at in waiting:
            entry = self.turns[user][at]
            assert entry is not None
            if entry.at_ms + self.window_ms > now_ms:
                return
            self._count(user, at, clock)

    def _count(self, user: int, at: int, clock: int) -> None:
        entry = self.turns[user][at]
        if entry is not None and not entry.counted:
            self.turns[user][at] = entry._replace(counted=True)
            self.counted.append(Showing(entry.item, entry.at_ms, clock, entry.surface, entry.place, False))

    def passed(self, items: int) -> npt.NDArray[np.float64]:
        """All showings that ended without a choice, [items]."""
        return np.bincount([s.item for s in self.counted if not s.chosen], minlength=items).astype(float)

    def passed_by_events(self, items: int, half: float, clock: int) -> npt.NDArray[np.float64]:
        """The same, halved for every ``half`` learned events since."""
        total = np.zeros(items)
        for showing in self.counted:
            total[showing.item] += 0.0 if showing.chosen else 2.0 ** (-(clock - showing.clock) / half)
        return total

    def appeal(self, items: int) -> npt.NDArray[np.float64]:
        """Logarithm of choices beside those that surface and place let expect."""
        taken, expected = np.zeros(items), np.zeros(items)
        cells: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for showing in self.counted:
            cell = cells[showing.surface, showing.place]
            expected[showing.item] += (cell[0] + 5) / (cell[1] + 5)
            taken[showing.item] += showing.chosen
            cell[0] += showing.chosen
            cell[1] += 1
        return np.log((taken + 3) / (expected + 3))

    def against(self, user: int, now_ms: int) -> list[tuple[int, float]]:
        """Items that the user is known not to have wanted, with what each weighs now."""
        known = []
        for entry in self.turns[user]:
            if entry is not None and (entry.refused or entry.at_ms + self.window_ms <= now_ms):
                weight = 2.0 ** (-max(0, now_ms - entry.at_ms) / (7 * DAY_MS))
                known.append((entry.item, weight * (2.0 if entry.refused else 1.0)))
        return known

    def feedback(
        self, labels: ItemLabels, tag_events: dict[int, int], user: int, now_ms: int, rows: list[int]
    ) -> npt.NDArray[np.float64]:
        """The first three inputs of each row, [len(rows), 3]."""
        known, lines = self.against(user, now_ms), []
        mine: dict[int, float] = defaultdict(float)
        for item, weight in known:
            for code in labels.tags[item]:
                if code:
                    mine[int(code)] += weight
        total, events = sum(mine.values()), sum(tag_events.values())
        for row in rows:
            own = sum(weight for item, weight in known if item == row)
            same = [w for item, w in known if labels.creator[row] and labels.creator[item] == labels.creator[row]]
            codes = [int(code) for code in labels.tags[row] if code]
            lifts = []
            for code in codes:
                share = (tag_events.get(code, 0) + 1e-3) / (events + 1e-3)
                lifts.append(math.log((mine[code] / share + 3) / (total + 3)))
            tags = sum(lifts) / len(lifts) if lifts and total else 0.0
            lines.append([math.log1p(own), math.log1p(sum(same)), tags])
        return np.array(lines)
