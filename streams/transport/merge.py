"""Merges partitions by record timestamp, so that no metric sees the future.

Decides which buffered records may leave, and in which order; which partitions have run too far ahead of the
others and should be held back. Reading, decoding and the clock belong to the caller: ``now_ms`` comes in as a
number and nothing here waits.

The order is (clock, topic, partition, offset). A partition's *clock* is the largest timestamp that it has carried
so far: a record stamped earlier than its predecessor keeps its place behind it, since offsets are never reordered.
A partition that is not known to be drained holds back everything later than its own clock. One that is drained holds
the others back until it has been silent for ``idle_ms`` while they spoke, and then no more, so a live stream does not
wait for a partition without events; the first events after a silence of all wait so long, since a replay that begins
reaches the partitions one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.transport.errors import MergeError

Source = tuple[str, int]
"""(topic, partition); Faust's and aiokafka's ``TP`` compare and hash equal to it."""

V = TypeVar("V")

_BEFORE_TIME_MS = -(2**62)
"""The clock of a partition that has carried nothing yet."""
UNTIMED = _BEFORE_TIME_MS
"""The timestamp of a record that moves no clock, and of no skew."""


class Stamped(msgspec.Struct, Generic[V], frozen=True, gc=False):
    """One record as the merger sees it: ``Stamped(source, timestamp_ms, offset, value)``."""

    source: Source
    timestamp_ms: int
    offset: int
    value: V


@dataclass(kw_only=True)
class _Buffer:
    """What one source has offered and not yet given; ``clocks_ms`` never falls."""

    rank: tuple[int, str, int]
    next_offset: int = 0
    taken_to: int = 0
    highwater: int | None = None
    clock_ms: int = _BEFORE_TIME_MS
    emitted_clock_ms: int = _BEFORE_TIME_MS
    arrived_ms: int | None = None
    head: int = 0
    records: list[Stamped[Any]] = field(default_factory=list)
    clocks_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    raw_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.records) - self.head

    def is_idle(self, now_ms: int, idle_ms: int, woken_ms: int) -> bool:
        if self.highwater is None or self.next_offset < self.highwater:
            return False
        since_ms = woken_ms if self.arrived_ms is None else max(woken_ms, self.arrived_ms)
        return now_ms - since_ms >= idle_ms


class Merger(Generic[V]):
    """K-way merge of partitions by record timestamp, with a bound on what waits.

    One :meth:`take` is one batch: within it the order is total, and :meth:`take_ranges` gives the same order again
    for the same offsets, whatever arrived when. Cut batches with one ``take`` each, never by joining two.

    Args:
      bound: records that a source may have waiting before :meth:`over_bound` names it; >= 1.
      idle_ms: a drained source holds the others back until it has been silent for this long while they spoke, ms. It
        covers the moments between two fetches while a log is replayed at full speed; 0 turns it off.
      topic_order: topics whose records come first among equal timestamps, in this order (the catalogue before the
        events that name it); the others follow by name.
    """

    def __init__(self, bound: int, *, idle_ms: int = 200, topic_order: Sequence[str] = ()) -> None:
        if bound < 1 or idle_ms < 0:
            raise MergeError(f"bound must be >= 1 and idle_ms >= 0, got {bound} and {idle_ms}")
        self._bound = bound
        self._idle_ms = idle_ms
        self._topic_rank = {topic: rank for rank, topic in enumerate(topic_order)}
        self._buffers: dict[Source, _Buffer] = {}
        self._newest_ms = _BEFORE_TIME_MS
        self._offered_ms: int | None = None
        self._woken_ms = 0
        self.max_skew_ms = 0
        """Largest amount by which a record given out was older than one given out before it, ms."""

    def __len__(self) -> int:
        """Records waiting, over all sources."""
        return sum(map(len, self._buffers.values()))

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that take part, in merge order."""
        return tuple(self._buffers)

    def end(self, source: Source) -> int | None:
        """The end of a source's log as last seen; None while unknown."""
        buffer = self._buffers.get(source)
        return None if buffer is None else buffer.highwater

    def position(self, source: Source, next_offset: int, highwater: int | None, *, clock_ms: int | None = None) -> None:
        """Says how far a source has been read, and adds it if it is new.

        A source takes part from its first ``position``: name every assigned partition before the first ``take``, or
        the others would not wait for it.

        Args:
          source: (topic, partition).
          next_offset: everything before it has been offered, or lies before the start.
          highwater: the end of the log as last seen; None while unknown, which holds the others back.
          clock_ms: what :meth:`clocks` said for this source when the reader's state was stored, so that a restart
            orders as the first run did; only for a source without records.
        """
        buffer = self._buffer(source)
        buffer.next_offset = max(buffer.next_offset, next_offset)
        if not len(buffer) and buffer.arrived_ms is None:
            buffer.taken_to = buffer.next_offset
        if highwater is not None:
            buffer.highwater = highwater
        if clock_ms is not None:
            if len(buffer):
                raise MergeError(f"{source} already has records; set its clock before the first offer")
            buffer.clock_ms = buffer.emitted_clock_ms = clock_ms

    def offer(self, source: Source, records: Sequence[Stamped[V]], *, now_ms: int = 0) -> None:
        """Buffers records of one source, in offset order.

        Args:
          source: (topic, partition).
          records: with rising offsets, all beyond what was offered before.
          now_ms: the caller's monotonic clock, ms; compared only with what :meth:`take` gets.

        Raises:
          MergeError: an offset is not beyond the one before it.
        """
        if not records:
            return
        if self._offered_ms is None or (now_ms - self._offered_ms >= self._idle_ms and not len(self)):
            self._woken_ms = now_ms  # the first event after a silence of all
        self._offered_ms = now_ms
        buffer = self._buffer(source)
        count = len(records)
        offsets = np.fromiter((record.offset for record in records), np.int64, count)
        if int(offsets[0]) < buffer.next_offset or bool((np.diff(offsets) <= 0).any()):
            raise MergeError(
                f"{source} must offer rising offsets from {buffer.next_offset} on, got {int(offsets[0])}"
                f"..{int(offsets[-1])} ({count} records); a repeated or reordered delivery, restart the reader"
            )
        raw_ms = np.fromiter((record.timestamp_ms for record in records), np.int64, count)
        clocks_ms = np.maximum(np.maximum.accumulate(raw_ms), buffer.clock_ms)
        buffer.records = buffer.records[buffer.head :] + list(records)
        buffer.clocks_ms = np.concatenate([buffer.clocks_ms[buffer.head :], clocks_ms])
        buffer.raw_ms = np.concatenate([buffer.raw_ms[buffer.head :], raw_ms])
        buffer.head = 0
        buffer.clock_ms = int(clocks_ms[-1])
        buffer.next_offset = int(offsets[-1]) + 1
        buffer.arrived_ms = now_ms

    def take(self, max_count: int, *, now_ms: int = 0) -> list[Stamped[V]]:
        """The next records in order, at most ``max_count``; fewer, or none, if a source must be waited for."""
        cuts = self._cuts(max_count, now_ms)
        return self._emit(cuts, max_count)

    def available(self, max_count: int, *, now_ms: int = 0) -> int:
        """How many records :meth:`take` would give now, at most ``max_count``."""
        return min(max_count, sum(end - buffer.head for buffer, end in self._cuts(max_count, now_ms)))

    def take_ranges(self, ranges: Mapping[Source, tuple[int, int]]) -> list[Stamped[V]] | None:
        """The batch that a ledger names, in the order it had; None until all of it has been offered.

        Args:
          ranges: source -> (first, last) offset, both included; each starts at the oldest waiting record, except
            that compaction may have removed records since.

        Raises:
          MergeError: a range starts elsewhere: the ledger and the reader's start do not belong together.
        """
        cuts: list[tuple[_Buffer, int]] = []
        for source in sorted(ranges, key=self._rank):
            first, last = ranges[source]
            buffer = self._buffer(source)
            oldest = buffer.records[buffer.head].offset if len(buffer) else max(first, buffer.taken_to)
            if not buffer.taken_to <= first <= oldest:
                raise MergeError(
                    f"the ledger's batch starts at offset {first} of {source}, the reader at {buffer.taken_to}"
                    f" (oldest waiting: {oldest}); recover from the snapshot that precedes this ledger record"
                )
            if buffer.next_offset <= last:
                return None
            end = buffer.head
            while end < len(buffer.records) and buffer.records[end].offset <= last:
                end += 1
            cuts.append((buffer, end))
        return self._emit(cuts, sum(end - buffer.head for buffer, end in cuts))

    def over_bound(self) -> frozenset[Source]:
        """Sources with more than ``bound`` records waiting: hold these back."""
        return frozenset(source for source, buffer in self._buffers.items() if len(buffer) > self._bound)

    def under_bound(self) -> frozenset[Source]:
        """Sources with at most half of ``bound`` waiting: let these read on."""
        return frozenset(source for source, buffer in self._buffers.items() if len(buffer) <= self._bound // 2)

    def waiting_for(self, *, now_ms: int = 0) -> frozenset[Source]:
        """Sources without records that hold the others back: not drained, or not yet silent for ``idle_ms``."""
        return frozenset(
            source
            for source, buffer in self._buffers.items()
            if not len(buffer) and not buffer.is_idle(now_ms, self._idle_ms, self._woken_ms)
        )

    def clocks(self) -> dict[Source, int]:
        """Each source's clock at the last record given out, ms; store it with the offsets (see :meth:`position`)."""
        return {
            source: buffer.emitted_clock_ms
            for source, buffer in self._buffers.items()
            if buffer.emitted_clock_ms != _BEFORE_TIME_MS
        }

    def forget(self, sources: Iterable[Source]) -> None:
        """Drops sources that are no longer assigned, with what they have waiting."""
        for source in sources:
            self._buffers.pop(source, None)

    def clear(self) -> None:
        """Drops every source, before a rewind; the skew seen so far stays on record."""
        self._buffers.clear()
        self._newest_ms = _BEFORE_TIME_MS

    def _rank(self, source: Source) -> tuple[int, str, int]:
        return (self._topic_rank.get(source[0], len(self._topic_rank)), source[0], source[1])

    def _buffer(self, source: Source) -> _Buffer:
        buffer = self._buffers.get(source)
        if buffer is None:
            buffer = _Buffer(rank=self._rank(source))
            self._buffers[source] = buffer
            self._buffers = dict(sorted(self._buffers.items(), key=lambda item: item[1].rank))
        return buffer

    def _cuts(self, max_count: int, now_ms: int) -> list[tuple[_Buffer, int]]:
        """Per source with records, in merge order: the end of what may leave.

        Nothing that a source could still offer comes before the horizon: the least (clock, rank) of those not idle.
        """
        buffers = list(self._buffers.values())
        waited_for = [(b.clock_ms, b.rank) for b in buffers if not b.is_idle(now_ms, self._idle_ms, self._woken_ms)]
        horizon = min(waited_for) if waited_for else None
        cuts = []
        for buffer in buffers:
            if not len(buffer):
                continue
            end = min(len(buffer.records), buffer.head + max_count)
            if horizon is not None:
                side: Literal["left", "right"] = "right" if buffer.rank <= horizon[1] else "left"
                within = np.searchsorted(buffer.clocks_ms[buffer.head : end], horizon[0], side=side)
                end = buffer.head + int(within)
            if end > buffer.head:
                cuts.append((buffer, end))
        return cuts

    def _emit(self, cuts: Sequence[tuple[_Buffer, int]], max_count: int) -> list[Stamped[V]]:
        if not cuts:
            return []
        clocks_ms = np.concatenate([buffer.clocks_ms[buffer.head : end] for buffer, end in cuts])
        raw_ms = np.concatenate([buffer.raw_ms[buffer.head : end] for buffer, end in cuts])
        owner = np.repeat(np.arange(len(cuts)), [end - buffer.head for buffer, end in cuts])
        order = np.argsort(clocks_ms, kind="stable")[:max_count]  # stable: ties keep (rank, offset)
        if not len(order):  # a ledger's batch of which compaction has left nothing
            return []
        pool: list[Stamped[V]] = []
        for buffer, end in cuts:
            pool += buffer.records[buffer.head : end]
        for (buffer, _), taken in zip(cuts, np.bincount(owner[order], minlength=len(cuts)), strict=True):
            if taken:
                buffer.head += int(taken)
                buffer.taken_to = buffer.records[buffer.head - 1].offset + 1
                buffer.emitted_clock_ms = int(buffer.clocks_ms[buffer.head - 1])
        emitted_ms = raw_ms[order]
        self._note_skew(emitted_ms[emitted_ms != UNTIMED])
        return [pool[i] for i in order.tolist()]

    def _note_skew(self, emitted_ms: NDArray[np.int64]) -> None:
        if not len(emitted_ms):
            return
        newest_ms = np.maximum(np.maximum.accumulate(emitted_ms), self._newest_ms)
        self.max_skew_ms = max(self.max_skew_ms, int((newest_ms - emitted_ms).max()))
        self._newest_ms = int(newest_ms[-1])
