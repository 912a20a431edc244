"""Proves an erasure: a copy of the log is made that never held the users, and learned as any log is.

The copy and what learns from it know of no erasure: nothing is left out there, nothing is there. Its batches are those
of the ledger, as far as they hold records of others; where one held nothing else, a record with an empty key and no
value stands in its place, since a step is counted even where it learns nothing. Topics of its own, removed at the end.
"""

from __future__ import annotations

import asyncio
import bisect
import dataclasses
import secrets
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from models.recommend.state import to_arrays
from streams.connect import connection_of
from streams.contract import codec, topics
from streams.contract.events import LedgerRecord, OffsetRange
from streams.contract.topics import topic_name
from streams.durability import ledger
from streams.durability.erasures import NONE, Erasures
from streams.durability.ledger_log import read_ledger
from streams.durability.manifest import entries_of
from streams.errors import ErasureError
from streams.roles.decoding import KINDS
from streams.roles.moments import Moment
from streams.roles.rebuild import rebuild_from
from streams.roles.restoring import Reached, Restored
from streams.settings import Settings
from streams.topic_settings import TopicSettings
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.merge import Source
from streams.transport.publish import Out, PublishConfig, Publisher
from streams.transport.whole import read_whole

AT_ONCE: Final = 5_000


class Proof(NamedTuple):
    """What a log that never held the users makes of the state.

    Attributes:
      state_hash: after the same step. records: of the copy. left_out: those of the users, which it does not have.
    """

    state_hash: str
    records: int
    left_out: int


class _Copied(NamedTuple):
    """Offsets in the log of the records that were copied, rising: each one's place here is its offset in the copy."""

    offsets: array[int]


def clean_hash(
    settings: Settings, first: Restored, gone: Mapping[Source, Sequence[int]], erasures: Erasures, step: int, *,
    heard: Callable[[int], None],
) -> Proof:  # fmt: skip
    """Hash of the state after ``step``, learned from a copy of the log without the records ``gone``.

    Args:
      first: a state from before the first of them. erasures: those that the copy is to prove.

    Raises:
      ErasureError: compaction has removed so much that a batch cannot be copied.
      BrokerError: topics cannot be made, read or written.
    """
    connection = connection_of(settings)
    name = settings.topic_names[topics.LEDGER.name]
    placed, _ = asyncio.run(read_ledger(connection, name, first.place.offset))
    todo = ledger.recovery_of(
        placed, step=first.learner.state.step, writer=first.place.writer, fingerprint=first.fingerprint,
        accepts_other=settings.trainer.accept_ledger, until=step, erasures=erasures.mark.digest,
    ).todo  # fmt: skip
    records = [one.record for one in todo]
    with _copy_of_topics(settings, connection) as copy:
        renamed = {settings.topic_names[spec]: copy.topic_names[spec] for spec in KINDS}
        kept = asyncio.run(_copy(connection, records, first.reached, gone, renamed, copy))
        begun = first._replace(
            reached=Reached(
                {(renamed[topic], partition): 0 for topic, partition in first.reached.offsets},
                {(renamed[topic], partition): at for (topic, partition), at in first.reached.clocks.items()},
            ),
            place=ledger.Place(0, first.place.writer),
        )
        built = rebuild_from(
            copy, begun, Moment(step=max(step, begun.learner.state.step)), erasures=NONE,
            accepts_other=settings.trainer.accept_ledger, compares=False, heard=heard,
        )  # fmt: skip
    found = ledger.learned_hash(entries_of(to_arrays(built.learner.state)))
    return Proof(found, sum(len(one.offsets) for one in kept.values()), sum(map(len, gone.values())))


@contextmanager
def _copy_of_topics(settings: Settings, connection: Connection) -> Iterator[Settings]:
    """Settings of an installation of its own, with as many partitions and nothing in them."""
    copy = dataclasses.replace(
        settings, prefix=f"{settings.prefix or 'marquee'}.proof-{secrets.token_hex(4)}", topics=TopicSettings()
    )
    names = settings.topic_names
    specs = [*(spec for spec in topics.TOPICS if spec.name in KINDS), topics.LEDGER]
    found = admin.find_topics(connection, [names[spec.name] for spec in specs])
    wanted = [
        dataclasses.replace(
            spec, cleanup="delete", user_keyed=False,
            partitions=found[names[spec.name]].partitions,
        )
        for spec in specs
    ]  # fmt: skip
    admin.delete_topics_like(connection, f"{settings.prefix or 'marquee'}.proof-")  # of one that was ended
    try:
        admin.create_topics(connection, wanted, prefix=copy.prefix)
        yield copy
    finally:
        admin.delete_topics(connection, [topic_name(copy.prefix, spec.name) for spec in specs])


async def _copy(
    connection: Connection, records: Sequence[LedgerRecord], reached: Reached, gone: Mapping[Source, Sequence[int]],
    renamed: Mapping[str, str], copy: Settings,
) -> dict[Source, _Copied]:  # fmt: skip
    """Copies all that these steps learned but what is gone, and the ledger's records of them."""
    bounds = _bounds(records, reached)
    left_out = {source: frozenset(offsets) for source, offsets in gone.items()}
    stand_ins = _stand_ins(records, gone)
    kept = {source: _Copied(array("q")) for source in bounds}
    async with Publisher(connection, PublishConfig(linger_ms=5)) as publisher:
        for topic in sorted({topic for topic, _ in bounds}):
            first = {partition: start for (name, partition), (start, _) in bounds.items() if name == topic}
            outs: list[Out] = []
            for message in read_whole(connection, topic, first=first):
                source, offset = (topic, message.partition() or 0), message.offset() or 0
                is_left_out = offset in left_out.get(source, ())
                if offset > bounds[source][1] or (is_left_out and (source, offset) not in stand_ins):
                    continue
                outs.append(_copied(message, renamed[topic], source[1], is_empty=is_left_out))
                kept[source].offsets.append(offset)
                if len(outs) >= AT_ONCE:
                    await publisher.perform(outs)
                    outs = []
            await publisher.perform(outs)
        told = topic_name(copy.prefix, topics.LEDGER.name)
        steps = [_moved(record, kept, renamed) for record in records]
        await publisher.perform(Out(topic=told, key=None, value=codec.encode(one), partition=0) for one in steps)
        await publisher.flush()
    return kept


def _copied(message: Any, topic: str, partition: int, *, is_empty: bool) -> Out:
    if is_empty:  # its time is 0: it moves no clock
        return Out(topic=topic, key=b"", value=None, timestamp_ms=0, partition=partition)
    return Out(
        topic=topic, key=message.key(), value=message.value(), timestamp_ms=message.timestamp()[1],
        partition=partition, headers=message.headers() or (),
    )  # fmt: skip


def _bounds(records: Sequence[LedgerRecord], reached: Reached) -> dict[Source, tuple[int, int]]:
    """Of each partition the first offset that these steps may need, and the last one that they do."""
    bounds: dict[Source, tuple[int, int]] = {}
    for record in records:
        for source, (first, last) in ledger.spans_of(record).items():
            start, _ = bounds.get(source, (reached.offsets.get(source, first), last))
            bounds[source] = (start, last)
    return bounds


def _stand_ins(records: Sequence[LedgerRecord], gone: Mapping[Source, Sequence[int]]) -> set[tuple[Source, int]]:
    """One record of each batch that has no other ones."""
    found = set()
    for record in records:
        theirs = {
            source: gone.get(source, ())[slice(*_place(gone.get(source, ()), first, last))]
            for source, (first, last) in ledger.spans_of(record).items()
        }
        if sum(map(len, theirs.values())) >= sum(span.records or 0 for span in record.ranges):
            source = min(source for source, offsets in theirs.items() if offsets)
            found.add((source, theirs[source][0]))
    return found


def _moved(record: LedgerRecord, kept: Mapping[Source, _Copied], renamed: Mapping[str, str]) -> LedgerRecord:
    """What the copy's ledger says of a step."""
    ranges = []
    for (topic, partition), (first, last) in sorted(ledger.spans_of(record).items()):
        start, end = _place(kept[topic, partition].offsets, first, last)
        if end > start:
            ranges.append(
                OffsetRange(
                    topic=renamed[topic], partition=partition, first=start, last=end - 1, records=end - start
                )
            )  # fmt: skip
    if not ranges:
        raise ErasureError(
            f"expected records of step {record.step} in the log, got none: compaction has removed them since; the "
            "state can be rebuilt without the users, and cannot be proven from this log: run without --prove"
        )
    return msgspec.structs.replace(record, ranges=ranges, batch_size=sum(one.records or 0 for one in ranges))


def _place(offsets: Sequence[int], first: int, last: int) -> tuple[int, int]:
    """Where the offsets from ``first`` to ``last``, both included, begin and end."""
    return bisect.bisect_left(offsets, first), bisect.bisect_right(offsets, last)
