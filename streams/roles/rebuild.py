"""Rebuilds a past state: the nearest snapshot before it, and the ledger's batches from there on.

Nothing is written and no role has to run. What decides where to stop is `Moment`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from models.recommend import metrics
from models.recommend.state import to_arrays
from streams.connect import connection_of
from streams.contract import topics
from streams.cores.learn import Learner
from streams.durability import ledger, snapshots
from streams.durability.erasure_log import read_erasures
from streams.durability.erasures import Erasures
from streams.durability.ledger import Place, Placed
from streams.durability.ledger_log import read_ledger
from streams.durability.manifest import entries_of
from streams.durability.snapshots import SnapshotRef
from streams.errors import SettingsError
from streams.mapping.decoders import Decoders, decoders_of
from streams.roles.decoding import KINDS, stamped
from streams.roles.decoding import entries_of as decoded
from streams.roles.moments import Moment
from streams.roles.restoring import Reached, Restored, mark_of, reached_of, restored
from streams.settings import Settings
from streams.transport.merge import Merger, Source, Stamped
from streams.transport.ranges import RangeReader, open_ranges
from streams.transport.refusals import require_answer

Heard = Callable[[int], None]


class Check(NamedTuple):
    """A step whose hash the ledger knows."""

    step: int
    expected: str
    found: str

    @property
    def is_same(self) -> bool:
        """Whether the rebuilt state is the one that was learned."""
        return self.expected == self.found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """A past state, and how it was come by.

    Attributes:
      start: the step of the snapshot that it was rebuilt from; 0: from the log's beginning.
      place: in the ledger, behind the state's step. fingerprint: of what learned.
      erasures: whom it was learned without.
      checks: of every step on the way whose hash the ledger has. is_whole: no record was missing.
      sums: `metrics.sums` of the events ranked on the way.
    """

    learner: Learner
    reached: Reached
    start: int
    place: Place
    fingerprint: str
    erasures: Erasures
    checks: list[Check]
    is_whole: bool
    sums: Any

    @property
    def step(self) -> int:
        """The step that it stands behind."""
        return self.learner.state.step


def rebuild(
    settings: Settings,
    moment: Moment,
    *,
    start: int | None = None,
    accepts_other: bool = False,
    compares: bool = True,
    heard: Heard = lambda _: None,
) -> Rebuilt:
    """The state at ``moment``.

    Args:
      start: begin with the newest snapshot of at most this step; None: with the newest before ``moment``.
      accepts_other: take batches that were learned under another fingerprint, and compare no hashes of theirs.
      compares: hash the state where the ledger knows its hash.
      heard: told after each step.

    Raises:
      SettingsError: nobody has learned what ``moment`` names.
      BrokerUnavailableError: nobody answers. BrokerRefusedError: the broker does not let us in.
      LedgerError: ledger, log and configuration do not belong together.
      SnapshotError: the snapshot does not fit this version or configuration.
      BrokerError: the log does not have what the ledger names.
    """
    connection = connection_of(settings)
    require_answer(connection)
    erasures = read_erasures(connection, _named(settings, topics.ERASURES))

    def fits(ref: SnapshotRef) -> bool:
        is_early = (start is None or ref.version <= start) and moment.is_behind(ref.version, *reached_of(ref))
        return is_early and mark_of(ref) == erasures.mark

    return rebuild_from(
        settings, restored(settings, snapshots.load_newest(settings.snapshot_dir, fits=fits)), moment,
        erasures=erasures, accepts_other=accepts_other, compares=compares, heard=heard,
    )  # fmt: skip


def rebuild_from(
    settings: Settings, first: Restored, moment: Moment, *, erasures: Erasures, accepts_other: bool, compares: bool,
    heard: Heard,
) -> Rebuilt:  # fmt: skip
    """As `rebuild`, on from a learner, without the users who were forgotten."""
    learner, start = first.learner, first.learner.state.step
    placed, _ = asyncio.run(read_ledger(connection_of(settings), _named(settings, topics.LEDGER), first.place.offset))
    recovery = ledger.recovery_of(
        placed, step=start, writer=first.place.writer, fingerprint=first.fingerprint, accepts_other=accepts_other,
        until=moment.step, erasures=erasures.mark.digest,
    )  # fmt: skip
    todo = moment.steps_of(recovery.todo)
    checks: list[Check] = []
    is_whole, sums = True, np.zeros(metrics.SUMS)
    reached, place = first.reached, first.place
    for batch in _batches(settings, first.reached, todo, erasures):
        if moment.is_before([record.timestamp_ms for record in batch.records]):
            break
        learned = learner.learn([record.value for record in batch.records if record.value is not None])
        sums, reached, place = sums + learned.learnt.sums, batch.reached, batch.place
        is_whole &= batch.is_whole
        expected = recovery.hashes.get(learner.state.step)
        if compares and is_whole and expected is not None:
            found = ledger.learned_hash(entries_of(to_arrays(learner.state)))
            checks.append(Check(learner.state.step, expected, found))
        heard(learner.state.step)
    if moment.step is not None and learner.state.step < moment.step:
        raise SettingsError(
            f"expected a step that was learned, got {moment.step}: the ledger ends with step {learner.state.step}"
        )
    return Rebuilt(
        learner=learner, reached=reached, start=start, place=place, fingerprint=first.fingerprint,
        erasures=erasures, checks=checks,
        is_whole=is_whole, sums=sums,
    )  # fmt: skip


class _Batch(NamedTuple):
    records: list[Stamped[Any]]
    reached: Reached
    place: Place
    is_whole: bool


def _batches(settings: Settings, reached: Reached, todo: list[Placed], erasures: Erasures) -> Iterator[_Batch]:
    """The records of each step, in the order in which it learned them."""
    if not todo:
        return
    kinds = {settings.topic_names[name]: kind for name, kind in KINDS.items()}
    decoders = decoders_of(settings.mapping)
    compacted = [_named(settings, spec) for spec in topics.TOPICS if spec.cleanup == "compact"]
    merger: Merger[Any] = Merger(settings.trainer.merge_bound_count, topic_order=list(kinds))
    starts: dict[Source, int] = {}
    for one in todo:
        for source, (first, _) in ledger.spans_of(one.record).items():
            starts.setdefault(source, reached.offsets.get(source, first))
    for source, offset in starts.items():
        merger.position(source, offset, None, clock_ms=reached.clocks.get(source))
    offsets = dict(reached.offsets)
    with open_ranges(connection_of(settings), starts) as reader:
        for one in todo:
            spans = ledger.spans_of(one.record)
            while (records := merger.take_ranges(spans)) is None:
                reader.hold(merger.over_bound() - frozenset(spans))
                _offer(reader, merger, kinds, erasures, decoders)
            for record in records:
                offsets[record.source] = record.offset + 1
            is_whole = ledger.is_whole(one.record, records, compacted=compacted)
            clocks = {**reached.clocks, **merger.clocks()}
            place = Place(one.offset + 1, one.record.writer)
            yield _Batch(records, Reached(dict(offsets), clocks), place, is_whole)


def _offer(
    reader: RangeReader, merger: Merger[Any], kinds: Mapping[str, Any], erasures: Erasures, decoders: Decoders
) -> None:
    for source, records in reader.read().items():
        taken = decoded(records, kinds[source[0]], dead_letters=None, erasures=erasures, decoders=decoders)
        merger.offer(source, stamped(source, records, taken.entries))


def _named(settings: Settings, spec: topics.TopicSpec) -> str:
    return settings.topic_names[spec.name]
