"""The counted sources and the linear combiner the slow, obvious way: every number from the raw events again.

Float64, dictionaries and loops, written from the descriptions of the features and not from the kernels, so that the
two can be held against each other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.recommend.labels import ItemLabels, empty_labels
from models.recommend.strict import Rates

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HALF_LIVES_EVENTS = (100, 1_000, 2_000, 10_000)
HALF_LIVES_MS = (HOUR_MS, DAY_MS, 7 * DAY_MS)
OWN, DENSE, SPARSE = 15, 16, 11
FEATURES = DENSE + SPARSE + 1

F64 = npt.NDArray[np.float64]


class Event(NamedTuple):
    """One event of a log; NaN and 0 stand for no value and no surface."""

    user: int
    item: int
    at_ms: int
    value: float = math.nan
    surface: int = 0


class SlowLog:
    """All events so far, and the labels of the items; nothing else is kept."""

    def __init__(self, items: int, labels: ItemLabels | None = None) -> None:
        self.items = items
        self.labels = labels or empty_labels(items)
        self.events: list[Event] = []

    def history(self, user: int) -> list[Event]:
        """What a user did, oldest first."""
        return [event for event in self.events if event.user == user]

    def seen(self) -> F64:
        """Events on each item."""
        return np.bincount([event.item for event in self.events], minlength=self.items).astype(float)

    def decayed_by_events(self, half: float, surface: int | None = None) -> F64:
        """Each event (on the surface) counts half for every ``half`` events of any kind that have come since."""
        total = np.zeros(self.items)
        for number, event in enumerate(self.events):
            if surface is None or event.surface == surface:
                total[event.item] += 2.0 ** (-(len(self.events) - number) / half)
        return total

    def decayed_by_time(self, half_ms: float, now_ms: int) -> F64:
        """Each event counts half for every ``half_ms`` that have passed since."""
        total = np.zeros(self.items)
        for event in self.events:
            total[event.item] += 2.0 ** (-(now_ms - event.at_ms) / half_ms)
        return total

    def values(self) -> tuple[F64, F64]:
        """Sum and number of the values that events on each item carried."""
        total, number = np.zeros(self.items), np.zeros(self.items)
        for event in self.events:
            if not math.isnan(event.value):
                total[event.item] += event.value
                number[event.item] += 1
        return total, number

    def tags(self, item: int) -> list[int]:
        """Codes of an item's tags."""
        return [int(code) for code in self.labels.tags[item] if code]

    def tag_events(self) -> dict[int, int]:
        """Events on items with each tag."""
        found: dict[int, int] = defaultdict(int)
        for event in self.events:
            for code in self.tags(event.item):
                found[code] += 1
        return found

    def transitions(self, reach: int, fade: float) -> F64:
        """T[a, b]: each event on b adds ``fade ** n`` for the item n places before it in its user's history."""
        return self._led([fade**n for n in range(reach)])

    def _led(self, weight_of_lag: list[float]) -> F64:
        table = np.zeros((self.items, self.items))
        histories: dict[int, list[int]] = defaultdict(list)
        for event in self.events:
            for weight, other in zip(weight_of_lag, histories[event.user][::-1], strict=False):
                table[other, event.item] += weight
            histories[event.user].append(event.item)
        return table

    def after(self) -> F64:
        """What followed within ten events."""
        return self.transitions(10, 0.8)

    def lag(self) -> F64:
        """What followed at once, or with one event in between."""
        return self._led([1.0, 0.3])

    def near(self) -> F64:
        """What followed within five events: the baseline."""
        return self.transitions(5, 0.7)

    def company(self) -> F64:
        """C[a, b]: pairs of events on two items in one history, at most 50 places apart."""
        table = np.zeros((self.items, self.items))
        for user in {event.user for event in self.events}:
            items = [event.item for event in self.history(user)]
            for place, item in enumerate(items):
                for other in items[place + 1 : place + 51]:
                    if other != item:
                        table[item, other] += 1
                        table[other, item] += 1
        return table

    def dense(self, now_ms: int) -> F64:
        """Features of the items alone, [OWN, items]."""
        seen = self.seen()
        rows = [np.log1p(seen)]
        rows += [np.log1p(10 * self.decayed_by_events(half)) for half in HALF_LIVES_EVENTS]
        rows += [np.log1p(10 * self.decayed_by_time(half, now_ms)) for half in HALF_LIVES_MS]
        idle, age = np.zeros(self.items), np.zeros(self.items)
        for event in reversed(self.events):
            age[event.item] = (now_ms - event.at_ms) / DAY_MS
        for event in self.events:
            idle[event.item] = (now_ms - event.at_ms) / HOUR_MS
        return np.stack([*rows, np.log1p(idle), np.log1p(age), (seen < 5).astype(float), *np.zeros((4, self.items))])

    def on_surface(self, surface: int) -> F64:
        """Popularity on a surface, [items]; none without one."""
        return np.log1p(10 * self.decayed_by_events(1_000, surface)) if surface else np.zeros(self.items)

    def sparse(self, user: int, now_ms: int, *, repeats: bool = False) -> F64:
        """Raw values for a user: the sources that follow from what he had, and the baseline, [SPARSE + 1, items]."""
        after, lag_table, near, company, seen = self.after(), self.lag(), self.near(), self.company(), self.seen()
        newest = self.history(user)[::-1]
        values = np.zeros((SPARSE + 1, self.items))
        for lag, event in enumerate(newest[:20]):
            share = 1.0 / (seen[event.item] + 5.0)
            if lag < 5:
                values[0] += 0.7**lag * share * after[event.item]
                values[SPARSE] += 0.7**lag * share * near[event.item]
            values[1] += 0.9**lag * share * after[event.item]
            if now_ms - event.at_ms <= 600_000:
                values[2] += share * after[event.item]
            if lag < 2:
                values[3 + lag] += share * lag_table[event.item]
            values[5] += 0.9**lag * share * after[:, event.item]
        for lag, event in enumerate(newest[:100]):
            cosine = company[event.item] / np.sqrt((seen[event.item] + 1) * (seen + 1))
            values[6] += cosine
            if lag < 10:
                values[7] += 0.9**lag * cosine
        if repeats:
            for lag, event in reversed(list(enumerate(newest[:500]))):
                values[8, event.item] += 0.01
                values[9, event.item] = 1.0 / (1.0 + lag)
                values[10, event.item] = 2.0 ** (-(now_ms - event.at_ms) / DAY_MS)
        return values

    def features(self, user: int, now_ms: int, tower: F64, *, surface: int = 0, repeats: bool = False) -> F64:
        """All features of every item for a user who asks on a surface, [FEATURES, items]."""
        sparse = self.sparse(user, now_ms, repeats=repeats)[:SPARSE]
        return np.concatenate([self.dense(now_ms), self.on_surface(surface)[None], np.log1p(100 * sparse), tower[None]])

    def candidates(self, user: int, *, repeats: bool = False) -> npt.NDArray[np.bool_]:
        """Items somebody has had and, without repeats, this user has not."""
        allowed = self.seen() > 0
        if not repeats:
            allowed[[event.item for event in self.history(user)]] = False
        return allowed


def rank(scores: npt.NDArray[np.floating], allowed: npt.NDArray[np.bool_], target: int) -> int:
    """1 + items scored higher + half of the ties, rounded down."""
    others = np.delete(scores, target)[np.delete(allowed, target)]
    return 1 + int((others > scores[target]).sum()) + int((others == scores[target]).sum()) // 2


class SlowCombiner:
    """Softmax regression over the features by online Newton steps: each block of weights keeps its whole matrix.

    Beside it are biases by plain gradient: of an item, of an item on a surface, and of an item after another one.
    """

    def __init__(self, items: int, rates: Rates) -> None:
        self.rates = rates
        self.shared = np.zeros(FEATURES)
        self.shared[[2, DENSE]] = 0.5
        self.by_history, self.by_gap = np.zeros((6, FEATURES)), np.zeros((7, FEATURES))
        self.outer = np.tile(100.0 * np.eye(FEATURES), (1 + 6 + 7, 1, 1))
        self.bias = np.zeros(items)
        self.surface_bias = np.zeros((16, items))
        self.after, self.company = np.zeros((items, items)), np.zeros((items, items))

    def buckets(self, history: list[Event], now_ms: int) -> tuple[int, int]:
        """(history bucket, gap bucket): by length 1, 3, 10, 30, 100; by minute, 10 minutes, hour, day, week."""
        of_history = sum(len(history) >= edge for edge in (1, 3, 10, 30, 100))
        if not history:
            return of_history, 0
        gap_ms = now_ms - history[-1].at_ms
        edges = (60_000, 600_000, HOUR_MS, DAY_MS, 7 * DAY_MS)
        return of_history, 1 + sum(gap_ms >= edge for edge in edges)

    def weights(self, history: list[Event], now_ms: int) -> F64:
        """Weights in the context of a request."""
        h, g = self.buckets(history, now_ms)
        weights: F64 = self.shared + self.by_history[h] + self.by_gap[g]
        return weights

    def scores(self, features: F64, history: list[Event], now_ms: int, surface: int) -> F64:
        """Score of every item, [items]."""
        total: F64 = self.weights(history, now_ms) @ features + self.bias + self.surface_bias[surface]
        for table, reach, fade in ((self.after, 20, 0.9), (self.company, 100, 0.97)):
            for lag, event in enumerate(history[::-1][:reach]):
                total = total + fade**lag * table[event.item]
        return total

    def learn(
        self, features: F64, scores: F64, allowed: npt.NDArray[np.bool_], event: Event, history: list[Event],
        counts: SlowLog,
    ) -> None:  # fmt: skip
        """One step up the log-likelihood: the gradient by softmax, then one linear system a block."""
        z = np.where(allowed, scores, -np.inf)
        p = np.exp(z - z.max())
        p /= p.sum()
        gradient: F64 = features[:, event.item] - features @ p
        h, g = self.buckets(history, event.at_ms)
        for block, weights in ((0, self.shared), (1 + h, self.by_history[h]), (7 + g, self.by_gap[g])):
            self.outer[block] += np.outer(gradient, gradient)
            weights += float(self.rates.combiner) * np.linalg.solve(self.outer[block], gradient)
        surprise = (np.arange(len(p)) == event.item) - p
        self.bias += float(self.rates.bias) * surprise
        if event.surface:
            self.surface_bias[event.surface] += float(self.rates.surface) * surprise
        # Of pairs, those learn that were counted before this event.
        for table, counted, reach, fade, rate in (
            (self.after, counts.after() > 0, 20, 0.9, float(self.rates.successors)),
            (self.company, counts.company() > 0, 100, 0.97, float(self.rates.company)),
        ):
            for lag, past in enumerate(history[::-1][:reach]):
                table[past.item] += fade**lag * rate * surprise * counted[past.item]
