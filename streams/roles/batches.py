"""What a trainer learns next: the batches that the ledger names, and after those newly cut ones, which it is told of.

Holds how far the batches reach, so that a reassignment of partitions reads on behind them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from streams.contract.events import LedgerRecord
from streams.cores.learn import Entry
from streams.durability import ledger
from streams.durability.ledger import Place, Placed, Recovery
from streams.durability.ledger_log import LedgerWriter
from streams.errors import LedgerError, SecondTrainerError
from streams.roles.restoring import Reached
from streams.settings import TrainerSettings
from streams.transport.errors import MergeError
from streams.transport.merge import Merger, Source, Stamped

log = logging.getLogger(__name__)

REMIND_MS: Final = 30_000
"""Time between two words about records that the ledger names and nobody brings."""

Record = Stamped[Entry | None]


class Batch(NamedTuple):
    """One step's records.

    Attributes:
      reached: how far they go. told: done once the ledger has the step; gives its place behind it.
      state_hash: what the state's hash after it has to be; None where nobody knows.
    """

    step: int
    records: list[Record]
    reached: Reached
    told: asyncio.Future[Place]
    state_hash: str | None


class Batches:
    """Cuts batches; the event loop's.

    Args:
      step: of the state that learns. reached: how far its records go. compacted: topics that may lose records which
        newer ones replace. knows_ends: the broker can be trusted with where its logs end.
    """

    def __init__(
        self, merger: Merger[Entry | None], settings: TrainerSettings, *, step: int, reached: Reached,
        fingerprint: str, compacted: Iterable[str], knows_ends: bool = True,
    ) -> None:  # fmt: skip
        self.merger = merger
        self.offsets, self.clocks = reached
        self._settings = settings
        self._step = step
        self._fingerprint = fingerprint
        self._compacted = frozenset(compacted)
        self._knows_ends = knows_ends
        self._assigned: frozenset[Source] = frozenset()
        self._todo: deque[Placed] = deque()
        self._hashes: Mapping[int, str] = {}
        self._writer: LedgerWriter | None = None
        self._waited_since_ms: int | None = None
        self._reminded_ms: int | None = None

    def open(self, writer: LedgerWriter, recovery: Recovery) -> None:
        """From now on there are batches: first those of ``recovery``; new ones are told to ``writer``."""
        self._writer = writer
        self._todo = deque(recovery.todo)
        self._hashes = recovery.hashes

    @property
    def recovering(self) -> int:
        """Steps of the ledger that are still to be learned."""
        return len(self._todo)

    def begin(self, starts: Mapping[Source, int]) -> None:
        """Partitions were assigned: they are read from here.

        Raises:
          MergeError: from before what was cut: those records would be learned twice.
        """
        for source, offset in starts.items():
            if offset < self.offsets.get(source, 0):
                raise MergeError(f"{source} is read from {offset}, and was cut up to {self.offsets[source]}")
        self._assigned = frozenset(starts)
        self.merger.clear()
        for source, offset in starts.items():
            self.merger.position(source, offset, None, clock_ms=self.clocks.get(source))

    async def next(self, now_ms: int) -> Batch | None:
        """The next batch, told to the ledger; None while there is none.

        Raises:
          LedgerError: the log has lost records that the ledger names, or they do not follow the state.
          SecondTrainerError: another trainer reads some of them.
        """
        if self._writer is None:
            return None
        return self._again(now_ms) if self._todo else await self._cut(self._writer, now_ms)

    def _again(self, now_ms: int) -> Batch | None:
        """A batch of the ledger, once all of its records have come."""
        offset, record = self._todo[0]
        try:
            records = self.merger.take_ranges(ledger.spans_of(record))
        except MergeError as error:
            raise LedgerError(
                f"the records that the ledger names in step {record.step} are not the next ones of the log ({error}); "
                "if retention removed them, start from a newer snapshot, or move snapshots and ledger away to learn "
                "what is left"
            ) from error
        if records is None:
            self._remind(record, now_ms)
            return None
        self._todo.popleft()
        self._reminded_ms = None
        if not ledger.is_whole(record, records, compacted=self._compacted):
            self._hashes = {}
        told: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        told.set_result(Place(offset + 1, record.writer))
        step, reached = self._advance(records)
        return Batch(step, records, reached, told, self._hashes.get(step))

    async def _cut(self, writer: LedgerWriter, now_ms: int) -> Batch | None:
        """A new batch, when it is full or has waited long enough."""
        size = self._settings.batch_size
        available = self.merger.available(size, now_ms=now_ms)
        since_ms = self._waited_since_ms
        lingered = since_ms is not None and now_ms - since_ms >= self._settings.linger_ms
        if not available or (available < size and not lingered):
            self._waited_since_ms = now_ms if available and since_ms is None else since_ms
            return None
        self._waited_since_ms = None
        records = self.merger.take(size, now_ms=now_ms)
        step, reached = self._advance(records)  # before anything else may run: a reassignment reads on behind it
        record = ledger.record_of(records, step=step, seed=self._settings.seed, fingerprint=self._fingerprint)
        return Batch(step, records, reached, await writer.append(record), None)

    def _advance(self, records: list[Record]) -> tuple[int, Reached]:
        self._step += 1
        for record in records:
            self.offsets[record.source] = record.offset + 1
        self.clocks = {**self.clocks, **self.merger.clocks()}  # those of partitions that are elsewhere stay
        return self._step, Reached(dict(self.offsets), self.clocks)

    def needed(self) -> frozenset[Source]:
        """Partitions whose records the next batch of the ledger waits for: whatever else waits, these are read."""
        return frozenset(ledger.spans_of(self._todo[0].record)) if self._todo else frozenset()

    def _refuse_ended(self, record: LedgerRecord) -> None:
        """For good: a partition's new leader may not know for a moment how far its log is safe."""
        for source, (_, last) in ledger.spans_of(record).items():
            end = self.merger.end(source)
            if self._knows_ends and end is not None and end <= last:
                raise LedgerError(
                    f"expected {source[0]}/{source[1]} to reach offset {last}, as the ledger says for step "
                    f"{record.step}, got an end at {end}: the topic was made anew or the broker lost data; restore it, "
                    "or move the snapshots and ledger.v1 away to learn what is there"
                )

    def _remind(self, record: LedgerRecord, now_ms: int) -> None:
        """Records that do not come for long: say so, or see why they never will."""
        self._reminded_ms = now_ms if self._reminded_ms is None else self._reminded_ms
        if now_ms - self._reminded_ms < REMIND_MS:
            return
        self._reminded_ms = now_ms
        if self._assigned and (elsewhere := sorted(self.needed() - self._assigned)):
            raise SecondTrainerError(
                f"expected all partitions that the ledger names, got none of {elsewhere}: another trainer of this "
                "installation reads them; stop one of the two"
            )
        self._refuse_ended(record)
        sources = sorted(f"{topic}/{partition}" for topic, partition in self.needed())
        log.warning("waiting for the records that the ledger names for step %d in %s", record.step, ", ".join(sources))
