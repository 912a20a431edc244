"""The counted sources, the combiner and both baselines the slow, obvious way: every number from the raw events again.

Float64, dictionaries and loops, written from the descriptions of the features and not from the kernels, so that the
two can be held against each other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HALF_LIVES_EVENTS = (100, 1_000, 2_000, 10_000)
HALF_LIVES_MS = (HOUR_MS, DAY_MS, 7 * DAY_MS)

F64 = npt.NDArray[np.float64]


class Event(NamedTuple):
    """One event of a log."""

    user: int
    item: int
    at_ms: int


class SlowLog:
    """All events so far; nothing else is kept."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.events: list[Event] = []

    def history(self, user: int) -> list[Event]:
        """What a user did, oldest first."""
        return [event for event in self.events if event.user == user]

    def seen(self) -> F64:
        """Events on each item."""
        return np.bincount([event.item for event in self.events], minlength=self.items).astype(float)

    def decayed_by_events(self, half: float) -> F64:
        """Each event counts half for every ``half`` events that have come since."""
        total = np.zeros(self.items)
        for number, event in enumerate(self.events):
            total[event.item] += 2.0 ** (-(len(self.events) - number) / half)
        return total

    def decayed_by_time(self, half_ms: float, now_ms: int) -> F64:
        """Each event counts half for every ``half_ms`` that have passed since."""
        total = np.zeros(self.items)
        for event in self.events:
            total[event.item] += 2.0 ** (-(now_ms - event.at_ms) / half_ms)
        return total

    def transitions(self, reach: int, fade: float) -> F64:
        """T[a, b]: each event on b adds ``fade ** n`` for the item n places before it in its user's history."""
        table = np.zeros((self.items, self.items))
        histories: dict[int, list[int]] = defaultdict(list)
        for event in self.events:
            before = histories[event.user][::-1][:reach]
            for n, other in enumerate(before):
                table[other, event.item] += fade**n
            histories[event.user].append(event.item)
        return table

    def dense(self, now_ms: int) -> F64:
        """Features of the items alone, [11, items]."""
        seen = self.seen()
        rows = [np.log1p(seen)]
        rows += [np.log1p(10 * self.decayed_by_events(half)) for half in HALF_LIVES_EVENTS]
        rows += [np.log1p(10 * self.decayed_by_time(half, now_ms)) for half in HALF_LIVES_MS]
        idle, age = np.zeros(self.items), np.zeros(self.items)
        for event in reversed(self.events):
            age[event.item] = (now_ms - event.at_ms) / DAY_MS
        for event in self.events:
            idle[event.item] = (now_ms - event.at_ms) / HOUR_MS
        return np.stack([*rows, np.log1p(idle), np.log1p(age), (seen < 5).astype(float)])

    def sparse(self, user: int, now_ms: int) -> F64:
        """Raw transition values for a user: six sources and the baseline, [7, items]."""
        after, near, seen = self.transitions(10, 0.8), self.transitions(5, 0.7), self.seen()
        newest = self.history(user)[::-1]
        values = np.zeros((7, self.items))
        for lag, event in enumerate(newest[:20]):
            share = 1.0 / (seen[event.item] + 5.0)
            if lag < 5:
                values[0] += 0.7**lag * share * after[event.item]
                values[6] += 0.7**lag * share * near[event.item]
            values[1] += 0.9**lag * share * after[event.item]
            if now_ms - event.at_ms <= 600_000:
                values[2] += share * after[event.item]
            if lag < 2:
                values[3 + lag] += share * after[event.item]
            values[5] += 0.9**lag * share * after[:, event.item]
        return values

    def features(self, user: int, now_ms: int, tower: F64) -> F64:
        """All 18 features of every item for a user, [18, items]."""
        return np.concatenate([self.dense(now_ms), np.log1p(100 * self.sparse(user, now_ms)[:6]), tower[None]])

    def candidates(self, user: int) -> npt.NDArray[np.bool_]:
        """Items somebody has had and this user has not."""
        allowed = self.seen() > 0
        allowed[[event.item for event in self.history(user)]] = False
        return allowed


def rank(scores: npt.NDArray[np.floating], allowed: npt.NDArray[np.bool_], target: int) -> int:
    """1 + items scored higher + half of the ties, rounded down."""
    others = np.delete(scores, target)[np.delete(allowed, target)]
    return 1 + int((others > scores[target]).sum()) + int((others == scores[target]).sum()) // 2


class SlowCombiner:
    """Softmax regression over the features, Adagrad."""

    def __init__(self, items: int, *, rate: float, bias_rate: float) -> None:
        self.rate, self.bias_rate = rate, bias_rate
        self.shared, self.squares = np.zeros(18), np.full(18, 1e-6)
        self.shared[[2, 11]] = 0.5
        self.by_history, self.by_gap = np.zeros((6, 18)), np.zeros((7, 18))
        self.bias = np.zeros(items)

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

    def learn(self, features: F64, allowed: npt.NDArray[np.bool_], target: int, h: int, g: int, scores: F64) -> F64:
        """One step; returns the gradient of the log-likelihood."""
        z = np.where(allowed, scores, -np.inf)
        p = np.exp(z - z.max())
        p /= p.sum()
        gradient: F64 = features[:, target] - features @ p
        self.squares += gradient**2
        step = self.rate * gradient / np.sqrt(self.squares)
        self.shared += step
        self.by_history[h] += step
        self.by_gap[g] += step
        self.bias -= self.bias_rate * p
        self.bias[target] += self.bias_rate
        return gradient


def prequential(log: list[Event], items: int, tower: F64, *, rate: float = 0.05, bias_rate: float = 0.05) -> SlowRun:
    """Rank every event, learn it, count it; ``tower`` holds its logits, [events, items]."""
    counts, combiner = SlowLog(items), SlowCombiner(items, rate=rate, bias_rate=bias_rate)
    ranks = np.zeros((len(log), 3))
    for number, event in enumerate(log):
        history = counts.history(event.user)
        if event.item not in {past.item for past in history}:
            ranks[number] = math.inf
            if counts.seen()[event.item] > 0:
                allowed = counts.candidates(event.user)
                x = counts.features(event.user, event.at_ms, tower[number])
                scores = combiner.weights(history, event.at_ms) @ x + combiner.bias
                transitions = counts.sparse(event.user, event.at_ms)[6] + 1e-6 * counts.seen()
                by_ranker = (scores, counts.decayed_by_events(2_000), transitions)
                ranks[number] = [rank(s, allowed, event.item) for s in by_ranker]
                combiner.learn(x, allowed, event.item, *combiner.buckets(history, event.at_ms), scores)
        counts.events.append(event)
    return SlowRun(ranks, combiner, counts)


class SlowRun(NamedTuple):
    """What `prequential` found: ranks [events, 3], and the state at the end."""

    ranks: F64
    combiner: SlowCombiner
    counts: SlowLog
