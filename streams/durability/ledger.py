"""The ledger: which records each step learned, and what a trainer that starts has to learn again because of it.

Pure: `ledger_log.py` reads and writes ``ledger.v1``. A record with ranges is one batch, cut once: on every later run
its step is made of exactly these records. A record without ranges tells the hash of the state after its step.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from models.recommend.state import UNHASHED
from streams.contract.events import LedgerRecord, OffsetRange
from streams.durability.manifest import ArrayEntry, hash_of_entries
from streams.errors import LedgerError
from streams.transport.merge import Source, Stamped

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where the ledger goes on behind a step.

    Attributes:
      offset: of the first record that may be of a later step. writer: who wrote the step's own.
    """

    offset: int
    writer: str


START = Place(0, "")
"""Before the first step."""


class Placed(NamedTuple):
    """A ledger record and where it stands: its own offset on ``ledger.v1``."""

    offset: int
    record: LedgerRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recovery:
    """What a state has to learn to be where the ledger ends.

    Attributes:
      todo: the batches behind the state, in order.
      hashes: step -> hash of the state after it, of these steps.
      writer: of the last step. passed_over: batches that a second trainer wrote; nobody has to learn them.
    """

    todo: Sequence[Placed]
    hashes: Mapping[int, str]
    writer: str
    passed_over: int


def record_of(
    batch: Sequence[Stamped[Any]], *, step: int, seed: int, fingerprint: str, writer: str = "", follows: str = ""
) -> LedgerRecord:
    """What the ledger says of a batch: of each partition the first and the last offset, and how many records.

    The order inside the batch follows from these, see `streams.transport.merge.Merger.take_ranges`.
    """
    spans: dict[Source, list[int]] = {}
    for stamped in batch:
        span = spans.setdefault(stamped.source, [stamped.offset, stamped.offset, 0])
        span[1], span[2] = stamped.offset, span[2] + 1
    ranges = [
        OffsetRange(topic=topic, partition=partition, first=first, last=last, records=count)
        for (topic, partition), (first, last, count) in sorted(spans.items())
    ]
    return LedgerRecord(
        step=step, ranges=ranges, seed=seed, batch_size=len(batch), fingerprint=fingerprint, writer=writer,
        follows=follows,
    )  # fmt: skip


def hash_record(
    step: int, state_hash: str, *, seed: int, fingerprint: str, writer: str = "", erasures: str = ""
) -> LedgerRecord:
    """The record that tells the state's hash after ``step``.

    Args:
      writer: who writes it, and all that it stands for. erasures: digest of the mark that the state was learned under.
    """
    return LedgerRecord(
        step=step, ranges=[], seed=seed, batch_size=0, fingerprint=fingerprint, state_hash=state_hash, writer=writer,
        follows=writer, erasures=erasures,
    )  # fmt: skip


def learned_hash(entries: Iterable[ArrayEntry]) -> str:
    """Hash of what a state has learned, hex, out of a snapshot's entries: without what depends on when it was told."""
    return hash_of_entries([entry for entry in entries if entry.name not in UNHASHED])


def spans_of(record: LedgerRecord) -> dict[Source, tuple[int, int]]:
    """Partition -> first and last offset, both included."""
    return {(span.topic, span.partition): (span.first, span.last) for span in record.ranges}


def is_whole(record: LedgerRecord, batch: Sequence[Stamped[Any]], *, compacted: Collection[str]) -> bool:
    """Whether the log still has every record of a batch; of compacted topics it may have lost some.

    Raises:
      LedgerError: it lost records of another topic.
    """
    there = Counter(stamped.source for stamped in batch)
    lost = 0
    for span in record.ranges:
        gone = (span.records or 0) - there[span.topic, span.partition]
        if gone > 0 and span.topic not in compacted:
            raise LedgerError(
                f"expected the {gone} more records that the ledger names in {span.topic}/{span.partition} for step "
                f"{record.step}, got none: retention or somebody removed them before they were learned again; start "
                "from a newer snapshot, or move snapshots and ledger away to learn what is left of the log"
            )
        lost += max(0, gone)
    if lost:
        log.warning(
            "step %d: compaction removed %d records since it was learned first; the state will hold what the log holds "
            "now, and is compared with no hash", record.step, lost,
        )  # fmt: skip
    return lost == 0


def recovery_of(
    placed: Iterable[Placed], *, step: int, writer: str, fingerprint: str, accepts_other: bool = False,
    until: int | None = None, erasures: str = "",
) -> Recovery:  # fmt: skip
    """What a state of ``step`` has to learn.

    Args:
      placed: the ledger from the state's place on, or from any place before it.
      writer: of the state's own step.
      fingerprint: of the software and configuration that would learn.
      accepts_other: batches that were learned under another fingerprint are taken as well; hashes are not.
      until: the last step that is wanted; None: all.
      erasures: digest of the mark that the state is learned under; hashes of other states say nothing of it.

    Raises:
      LedgerError: a step is missing, or was learned under another fingerprint.
    """
    todo: list[Placed] = []
    hashes: dict[int, str] = {}
    passed_over = 0
    for one in placed:
        record, expected = one.record, step + len(todo) + 1
        if record.step <= step or (until is not None and record.step > until):
            continue
        if not record.ranges:
            is_of_us = record.fingerprint == fingerprint and record.erasures == erasures
            if record.state_hash and is_of_us and record.follows == writer:
                hashes.setdefault(record.step, record.state_hash)
        elif record.step < expected or record.follows != writer:
            passed_over += 1
        elif record.step > expected:
            raise LedgerError(
                f"expected step {expected} at offset {one.offset} of the ledger, got step {record.step}: the steps "
                f"between are missing; start from a snapshot of step {record.step - 1} or later"
            )
        elif record.fingerprint != fingerprint and not accepts_other:
            raise LedgerError(
                f"expected step {record.step} of the ledger to be learned by {fingerprint!r}, got "
                f"{record.fingerprint!r}: set trainer.accept_ledger to learn the same batches under this one; or, "
                "where one version wrote all that is left, start that one, let it end in peace, and go on from its "
                "snapshot"
            )
        else:
            todo.append(one)
            writer = record.writer
    return Recovery(todo=todo, hashes=hashes, writer=writer, passed_over=passed_over)
