"""Where reading starts, what has been delivered, and what is done: bookkeeping without a broker.

Decides which offset each assigned partition is read from, which fetched chunks may be delivered, and what must be
fetched again because it was not. Fetching, seeking and committing belong to ``bulk.py``.

Every chunk is linked to the one before it: it names the offset at which that one ended. A chunk is delivered only
where the last delivered one ended and in the same *epoch* (between two starts); anything else that the framework drops
or repeats on its way shows as a broken link, and is fetched again from the last link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from streams.transport.errors import RepeatedDeliveryError
from streams.transport.merge import Source

Start = int | Literal["committed", "earliest", "latest"]
"""Next offset to read, or where to find it; "committed" without a commit means "earliest"."""

_UNSURE = -1
"""The broker-side position is not known to be ours: seek before the next fetch."""
_MAX_STEPS_BACK = 3
"""How often in a row the broker may answer with records before the place asked for."""


class Record(Protocol):
    """What is needed of aiokafka's ``ConsumerRecord`` here."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Chunk(Generic[R]):
    """Consecutive records of one partition.

    Attributes:
      source: (topic, partition).
      start: where the chunk before it ended; smaller than the first offset where the log has gaps.
      records: at least one, by rising offset; a tombstone has ``value`` None.
      epoch: counts the starts of the reader; a chunk of another epoch is stale (see ``Positions.is_current``).
    """

    source: Source
    start: int
    records: Sequence[R]
    epoch: int

    @property
    def next_offset(self) -> int:
        """The offset after the last record."""
        return self.records[-1].offset + 1


@dataclass(frozen=True, kw_only=True)
class SeekPlan:
    """Where to start, and what is odd about it.

    Attributes:
      starts: source -> first offset to read.
      expired: source -> how many records between the wanted offset and the log's start are gone for good.
      beyond: source -> (wanted, end) where the log ends before the wanted offset: it was recreated or lost.
    """

    starts: Mapping[Source, int]
    expired: Mapping[Source, int]
    beyond: Mapping[Source, tuple[int, int]]


def plan_seeks(
    assigned: Iterable[Source],
    wanted: Mapping[Source, Start],
    *,
    committed: Mapping[Source, int | None],
    earliest: Mapping[Source, int],
    ends: Mapping[Source, int],
) -> SeekPlan:
    """Chooses where each assigned partition is read from.

    A partition that ``wanted`` does not name is read from the log's start, never from the group's commit: the commit
    may be ahead of the state that it stands for.
    """
    starts: dict[Source, int] = {}
    expired: dict[Source, int] = {}
    beyond: dict[Source, tuple[int, int]] = {}
    for source in assigned:
        want = wanted.get(source, "earliest")
        first, end = earliest[source], ends[source]
        if want == "committed":
            offset = committed.get(source)
            want = offset if offset is not None and offset >= 0 else "earliest"
        if want == "earliest":
            starts[source] = first
        elif want == "latest":
            starts[source] = end
        else:
            starts[source] = max(want, first)
            if want < first:
                expired[source] = first - want
            if want > end:
                beyond[source] = (want, end)
    return SeekPlan(starts=starts, expired=expired, beyond=beyond)


class Positions:
    """Per partition: fetched up to, delivered up to, done up to; and the end to reach before being ready."""

    def __init__(self) -> None:
        self.epoch = 0
        self.refetched_count = 0
        """How often a partition was sought back because something fetched was not delivered."""
        self._fetched: dict[Source, int] = {}
        self._fresh: set[Source] = set()
        self._delivered: dict[Source, int] = {}
        self._done: dict[Source, int] = {}
        self._goal: dict[Source, int] = {}
        self._end: dict[Source, int] = {}
        self._drained: dict[Source, int] = {}
        self._steps_back: dict[Source, int] = {}

    @property
    def sources(self) -> frozenset[Source]:
        """The partitions of the newest start."""
        return frozenset(self._delivered)

    def start(self, starts: Mapping[Source, int], ends: Mapping[Source, int]) -> None:
        """Begins a new epoch: these partitions, from these offsets; :meth:`is_ready` waits for these ends.

        The broker-side positions are not there yet: :meth:`to_refetch` names every partition.
        """
        self.epoch += 1
        self._fetched = dict.fromkeys(starts, _UNSURE)
        self._fresh = set(starts)
        self._delivered = dict(starts)
        self._done = dict(starts)
        self._goal = {source: ends[source] for source in starts}
        self._end, self._drained, self._steps_back = {}, {}, {}

    def delivered_offsets(self) -> dict[Source, int]:
        """Source -> the offset at which the last delivered chunk ended."""
        return dict(self._delivered)

    def distrust(self, sources: Iterable[Source]) -> None:
        """Someone else may have moved the broker-side position of these: :meth:`to_refetch` will name them."""
        for source in sources:
            if source in self._fetched:
                self._fetched[source] = _UNSURE

    def to_refetch(self) -> dict[Source, int]:
        """Where to seek before the next fetch: partitions of which something fetched was not delivered."""
        return {source: at for source, at in self._delivered.items() if self._fetched[source] != at}

    def refetched(self, sources: Iterable[Source]) -> None:
        """The seeks of :meth:`to_refetch` have been made."""
        for source in sources:
            self._fetched[source] = self._delivered[source]
            self.refetched_count += source not in self._fresh
            self._fresh.discard(source)

    def cut(self, source: Source, records: Sequence[R], *, chunk_records: int) -> list[Chunk[R]]:
        """Cuts what a fetch gave into linked chunks; nothing if it is not what comes next.

        Raises:
          RepeatedDeliveryError: the broker gave older records than asked for, again and again.
        """
        at = self._fetched.get(source, _UNSURE)
        if at == _UNSURE or not records:
            return []
        if records[0].offset < at:
            self._steps_back[source] = self._steps_back.get(source, 0) + 1
            if self._steps_back[source] > _MAX_STEPS_BACK:
                raise RepeatedDeliveryError(
                    f"asked for {source[0]}/{source[1]} from offset {at}, got offset {records[0].offset} for the"
                    f" {self._steps_back[source]}th time; was the topic recreated? Then start from a new snapshot"
                )
            self._fetched[source] = _UNSURE
            return []
        self._steps_back.pop(source, None)
        chunks = []
        for i in range(0, len(records), chunk_records):
            chunk = Chunk(source, at, records[i : i + chunk_records], self.epoch)
            chunks.append(chunk)
            at = chunk.next_offset
        self._fetched[source] = at
        return chunks

    def note_end(self, source: Source, *, position: int, end: int) -> None:
        """What the last fetch said: the broker-side position, and the end of what may be read.

        Transaction markers and compaction leave a log whose last record lies before its end; once the position has
        reached the end, the end that counts is the one of the last record.
        """
        at = self._fetched.get(source, _UNSURE)
        if at == _UNSURE:
            return
        if position >= end:
            self._drained[source] = max(position, self._drained.get(source, 0))
            end = at
        self._end[source] = end

    def end(self, source: Source) -> int | None:
        """The offset after the last record known to exist, reachable by delivered chunks; None while unknown."""
        return self._end.get(source)

    def deliver(self, chunk: Chunk[Any]) -> bool:
        """Whether this chunk comes next; then it counts as delivered."""
        if not self.is_current(chunk) or self._delivered[chunk.source] != chunk.start:
            return False
        self._delivered[chunk.source] = chunk.next_offset
        return True

    def is_current(self, chunk: Chunk[Any]) -> bool:
        """False once the reader has started anew since this chunk was cut: forget what you did with it."""
        return chunk.epoch == self.epoch and chunk.source in self._delivered

    def done(self, source: Source, next_offset: int) -> None:
        """Everything before ``next_offset`` has been dealt with; a revoked partition is ignored."""
        if source in self._done:
            self._done[source] = max(self._done[source], next_offset)

    def done_offsets(self) -> dict[Source, int]:
        """Source -> next offset, for a commit."""
        return dict(self._done)

    def lag(self) -> dict[Source, int]:
        """Source -> records that must still be done before :meth:`is_ready`; only those that have any."""
        behind = {}
        for source, goal in self._goal.items():
            done = self._done[source]
            drained = self._drained.get(source, _UNSURE) >= goal and done >= self._fetched[source] != _UNSURE
            if done < goal and not drained:
                behind[source] = goal - done
        return behind

    def is_ready(self) -> bool:
        """Whether every partition has been done up to the end that it had at the start."""
        return self.epoch > 0 and not self.lag()
