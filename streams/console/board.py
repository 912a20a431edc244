"""The engine's figures as they stand: rates, lag, freshness, model, snapshots, topics. Pure: is told the time.

The hot topics are told of by chunk, never by event. Where a role stands is what the log itself says: the ledger names
what the trainer has learned, a slate's ``as_of`` what the recommender knew. No consumer group is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from streams.console.curves import Curves
from streams.contract.events import LedgerRecord, Metric, ModelRef, SnapshotNotice

Source = tuple[str, int]

RATE_OVER_S: Final = 5.0
"""What a rate is taken over: long enough that a trainer's flush every half second does not show."""
HISTORY: Final = 300
"""Points of the curves of rates, one a second."""
FRESH_OVER_S: Final = 60.0
"""Freshness is of samples of so long."""
MOST_FRESH: Final = 5_000
MOST_PENDING: Final = 512
"""Chunks of a partition whose reflection in a slate is waited for; beyond it the oldest are forgotten."""
MOST_LEDGER: Final = 200
WAIT_S: Final = 120.0
"""A sample that no slate has reflected for so long is given up: nobody asked, or nobody answers, and lag says which."""


class Rate:
    """A rising count, as a rate over the last ``over_s`` seconds."""

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._seen: deque[tuple[float, int]] = deque()

    def take(self, count: int, at_s: float) -> None:
        """The count at a time; one that fell begins anew."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at_s, count))
        while len(self._seen) > 2 and at_s - self._seen[1][0] >= self._over_s:
            self._seen.popleft()

    @property
    def risen(self) -> int:
        """Counts over these seconds, or since the first one told."""
        return self._seen[-1][1] - self._seen[0][1] if self._seen else 0

    def per_second(self, now_s: float) -> float:
        """Counts a second; 0.0 while there are not two, and once none came for so long."""
        if len(self._seen) < 2:
            return 0.0
        before = [one for one in self._seen if one[0] <= now_s - self._over_s]
        since_s, count = before[-1] if before else self._seen[0]
        return (self._seen[-1][1] - count) / max(now_s - since_s, 1e-3)


class Freshness:
    """From an interaction's arrival here to that of the first slate which knows it; by samples, one a chunk."""

    def __init__(self) -> None:
        self._pending: dict[int, deque[tuple[int, float]]] = {}
        self._taken: deque[tuple[float, float]] = deque(maxlen=MOST_FRESH)

    def arrived(self, partition: int, offset: int, at_s: float) -> None:
        """The last interaction of a chunk."""
        self._pending.setdefault(partition, deque(maxlen=MOST_PENDING)).append((offset, at_s))

    def reflected(self, partition: int, next_offset: int, at_s: float) -> None:
        """A slate knew everything of a partition before this offset."""
        pending = self._pending.get(partition)
        while pending and (pending[0][0] < next_offset or at_s - pending[0][1] > WAIT_S):
            offset, since_s = pending.popleft()
            if offset < next_offset:
                self._taken.append((at_s, (at_s - since_s) * 1_000))

    def percentiles(self, now_s: float) -> dict[str, float | int | None]:
        """p50, p95 and p99 in ms, and of how many samples; None where there are none."""
        while self._taken and now_s - self._taken[0][0] > FRESH_OVER_S:
            self._taken.popleft()
        if not self._taken:
            return {"p50_ms": None, "p95_ms": None, "p99_ms": None, "samples": 0}
        p50, p95, p99 = np.percentile([ms for _, ms in self._taken], (50, 95, 99)).tolist()
        return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "samples": len(self._taken)}


@dataclass(kw_only=True)
class Topic:
    """What a topic holds: first and next offset by partition."""

    first: dict[int, int]
    end: dict[int, int]
    rate: Rate

    @property
    def held(self) -> int:
        """Records between; compaction may have removed some."""
        return sum(end - self.first.get(partition, 0) for partition, end in self.end.items())


class Board:
    """Takes what the console reads; gives plain values.

    Args:
      interactions: full name of the topic whose lag is told.
    """

    def __init__(self, interactions: str) -> None:
        self._interactions = interactions
        self.curves = Curves()
        self.fresh = Freshness()
        self.topics: dict[str, Topic] = {}
        self.trainer: Metric | None = None
        self.trainer_s: float | None = None
        self.model: ModelRef | None = None
        self.snapshots: dict[str, tuple[SnapshotNotice, int]] = {}
        self.ledger: deque[LedgerRecord] = deque(maxlen=MOST_LEDGER)
        self.problem: str | None = None
        """Why topics cannot be read, while they cannot."""
        self._learned_rate = Rate()
        self._learned: dict[int, int] = {}
        self._known: dict[int, int] = {}
        self._history: deque[tuple[float, float, float]] = deque(maxlen=HISTORY)
        self._ticked_s: float | None = None

    def take_edges(self, edges: Mapping[Source, tuple[int, int]], at_s: float) -> None:
        """First and next offset of every partition."""
        for (name, partition), (first, end) in edges.items():
            topic = self.topics.setdefault(name, Topic(first={}, end={}, rate=Rate()))
            topic.first[partition], topic.end[partition] = first, end
        for name in {name for name, _ in edges}:
            self.topics[name].rate.take(sum(self.topics[name].end.values()), at_s)

    def take_metric(self, metric: Metric, at_s: float) -> None:
        """A record of ``metrics.v1``."""
        if metric.series == "prequential":
            self.curves.take(metric)
        elif metric.series == "trainer":
            self.trainer, self.trainer_s = metric, at_s
            self._learned_rate.take(int(metric.values.get("learned", 0)), at_s)

    def take_ledger(self, record: LedgerRecord) -> None:
        """A record of ``ledger.v1``."""
        if record.ranges:
            self.ledger.append(record)
        for span in record.ranges:
            if span.topic == self._interactions:
                self._learned[span.partition] = span.last + 1

    def take_snapshot(self, role: str, notice: SnapshotNotice | None, at_ms: int) -> None:
        """A record of ``model-snapshots.v1``; None takes it back."""
        if notice is None:
            self.snapshots.pop(role, None)
        else:
            self.snapshots[role] = (notice, at_ms)

    def take_slate(self, partition: int, offsets: Mapping[str, int], model: ModelRef, at_s: float) -> None:
        """The newest slate of a partition; ``offsets`` as of `AsOf`: the partitions that its recommender has read."""
        for name, next_offset in offsets.items():
            if name.isdecimal():
                self._known[int(name)] = max(next_offset, self._known.get(int(name), 0))
        if str(partition) in offsets:
            self.fresh.reflected(partition, offsets[str(partition)], at_s)
        if self.model is None or model.version >= self.model.version:
            self.model = model

    def tick(self, now_s: float) -> bool:
        """Once a second, however often it is called: a point of the curves of rates; whether there is a new one."""
        if self._ticked_s is not None and now_s - self._ticked_s < 1.0:
            return False
        self._ticked_s = now_s
        topic = self.topics.get(self._interactions)
        arriving = topic.rate.per_second(now_s) if topic else 0.0
        self._history.append((now_s, round(arriving, 1), round(self._learned_rate.per_second(now_s), 1)))
        return True

    def lag_of(self, places: Mapping[int, int]) -> int | None:
        """Interactions beyond these places; None while nothing is known."""
        topic = self.topics.get(self._interactions)
        if topic is None or not places:
            return None
        return sum(
            max(0, end - places.get(partition, topic.first.get(partition, 0))) for partition, end in topic.end.items()
        )

    def figures(self, now_s: float, now_ms: int) -> dict[str, Any]:
        """Everything that the page *Now* shows but for the prequential curves."""
        values = dict(self.trainer.values) if self.trainer else {}
        topic = self.topics.get(self._interactions)
        newest = max(self.snapshots.values(), key=lambda one: one[1], default=None)
        return {
            "problem": self.problem,
            "learned": values.get("learned"),
            "learned_per_s": round(self._learned_rate.per_second(now_s), 1),
            "arriving_per_s": round(topic.rate.per_second(now_s), 1) if topic else 0.0,
            "trainer_lag": self.lag_of(self._learned),
            "slate_lag": self.lag_of(self._known),
            "trainer_said_s": None if self.trainer_s is None else round(now_s - self.trainer_s, 1),
            "trainer": values,
            "step": self.trainer.step if self.trainer else None,
            "event_ms": self.trainer.at_ms if self.trainer else None,
            "fresh": self.fresh.percentiles(now_s),
            "model": None if self.model is None else {
                "version": self.model.version, "step": self.model.step, "state_hash": self.model.state_hash,
            },
            "snapshot": None if newest is None else {
                "version": newest[0].version, "age_s": max(0, (now_ms - newest[1]) // 1_000), "uri": newest[0].uri,
            },
            "behind": self.curves.is_behind_baseline(),
        }  # fmt: skip

    def history(self, now_s: float) -> dict[str, Any]:
        """The curves of rates: columns of equal length."""
        return {
            "ago_s": [round(at_s - now_s) for at_s, _, _ in self._history],
            "arriving": [arriving for _, arriving, _ in self._history],
            "learned": [learned for _, _, learned in self._history],
        }

    def log(self, now_s: float, now_ms: int) -> dict[str, Any]:
        """Topics, ledger and snapshots, for the page *Log*."""
        return {
            "topics": [
                {
                    "name": name, "partitions": len(topic.end), "records": topic.held, "end": sum(topic.end.values()),
                    "per_s": round(topic.rate.per_second(now_s), 1),
                }
                for name, topic in sorted(self.topics.items())
            ],
            "lag": [
                {
                    "partition": partition, "end": end, "learned": self._learned.get(partition),
                    "known": self._known.get(partition),
                }
                for partition, end in sorted(self.topics[self._interactions].end.items())
            ] if self._interactions in self.topics else [],
            "ledger": [
                {
                    "step": one.step, "batch_size": one.batch_size,
                    "records": sum(_records(span.first, span.last, span.records) for span in one.ranges),
                    "writer": one.writer, "fingerprint": one.fingerprint,
                    "ranges": [f"{span.topic}/{span.partition}: {span.first} to {span.last}" for span in one.ranges],
                }
                for one in reversed(self.ledger)
            ][:50],
            "snapshots": [
                {
                    "role": role, "version": notice.version, "uri": notice.uri, "state_hash": notice.state_hash,
                    "fingerprint": notice.fingerprint, "age_s": max(0, (now_ms - at_ms) // 1_000),
                }
                for role, (notice, at_ms) in sorted(self.snapshots.items())
            ],
        }  # fmt: skip


def _records(first: int, last: int, told: int | None) -> int:
    return last - first + 1 if told is None else told
