"""What is learned next: the ledger's batches first, then new ones, each told; and where a reassignment reads on."""

import asyncio
from typing import Any

import pytest

from streams.durability import ledger
from streams.durability.ledger import Place, Placed, Recovery
from streams.errors import LedgerError, SecondTrainerError
from streams.roles.batches import REMIND_MS, Batches
from streams.roles.restoring import Reached
from streams.settings import TrainerSettings
from streams.transport.errors import MergeError
from streams.transport.merge import Merger, Stamped

SOURCE = ("interactions.v1", 0)
LATER_MS = 10_000


class Writer:
    """Acknowledges at once."""

    def __init__(self):
        self.records = []

    async def append(self, record):
        self.records.append(record)
        told = asyncio.get_running_loop().create_future()
        told.set_result(Place(len(self.records), "w"))
        return told


def records(first, last):
    return [Stamped(SOURCE, offset, offset, None) for offset in range(first, last + 1)]


def batches(step=0, offsets=None, compacted=()):
    merger: Merger[Any] = Merger(1_000)
    made = Batches(
        merger, TrainerSettings(batch_size=4, linger_ms=50), step=step, reached=Reached(offsets or {}, {}),
        fingerprint="us", compacted=compacted,
    )  # fmt: skip
    made.begin({SOURCE: (offsets or {}).get(SOURCE, 0)})
    return made


def recovery(*spans, step=0, hashes=None):
    todo = [
        Placed(at, ledger.record_of(records(*span), step=step + at + 1, seed=0, fingerprint="us", writer="old"))
        for at, span in enumerate(spans)
    ]
    return Recovery(todo=todo, hashes=hashes or {}, writer="old", passed_over=0)


def offer(made, first, last, end=None):
    made.merger.offer(SOURCE, records(first, last))
    made.merger.position(SOURCE, 0, last + 1 if end is None else end)


def offsets_of(batch):
    return [record.offset for record in batch.records]


async def test_nothing_before_the_ledger_was_read():
    made = batches()
    offer(made, 0, 9)
    assert await made.next(LATER_MS) is None


async def test_the_ledgers_batches_come_first_whatever_size_new_ones_have():
    made, writer = batches(), Writer()
    made.open(writer, recovery((0, 1), (2, 8), hashes={2: "beef"}))
    assert await made.next(LATER_MS) is None
    offer(made, 0, 5, end=14)
    first = await made.next(LATER_MS)
    assert (first.step, offsets_of(first), first.state_hash, first.told.result()) == (1, [0, 1], None, Place(1, "old"))
    assert await made.next(LATER_MS) is None
    assert made.recovering == 1
    offer(made, 6, 13)
    second = await made.next(LATER_MS)
    assert (second.step, offsets_of(second), second.state_hash) == (2, list(range(2, 9)), "beef")
    assert second.reached.offsets == {SOURCE: 9}
    assert (made.recovering, writer.records) == (0, [])
    new = await made.next(LATER_MS)
    assert (new.step, offsets_of(new), new.told.result()) == (3, [9, 10, 11, 12], Place(1, "w"))
    assert [(one.step, ledger.spans_of(one)) for one in writer.records] == [(3, {SOURCE: (9, 12)})]


async def test_a_batch_that_is_not_full_waits_a_little():
    made = batches()
    made.open(Writer(), recovery())
    offer(made, 0, 1)
    assert await made.next(LATER_MS) is None
    assert await made.next(LATER_MS + 49) is None
    assert offsets_of(await made.next(LATER_MS + 50)) == [0, 1]


async def test_a_reassignment_reads_on_behind_what_was_cut():
    made = batches()
    made.open(Writer(), recovery((0, 3), (4, 5)))
    offer(made, 0, 9)
    await made.next(LATER_MS)
    assert made.offsets == {SOURCE: 4}
    made.begin({SOURCE: 4})
    offer(made, 4, 9)
    assert offsets_of(await made.next(LATER_MS)) == [4, 5]
    assert offsets_of(await made.next(LATER_MS)) == [6, 7, 8, 9]


async def test_records_that_are_gone_stop_and_those_of_a_compacted_topic_end_the_comparing():
    named = recovery((0, 3), (4, 5), hashes={1: "a", 2: "b"})
    made = batches()
    made.open(Writer(), named)
    made.merger.offer(SOURCE, [*records(0, 1), *records(3, 5)])
    with pytest.raises(LedgerError, match=r"expected the 1 more records .* for step 1, got none"):
        await made.next(LATER_MS)
    made = batches(compacted=[SOURCE[0]])
    made.open(Writer(), named)
    made.merger.offer(SOURCE, [*records(0, 1), *records(3, 5)])
    first, second = await made.next(LATER_MS), await made.next(LATER_MS)
    assert (offsets_of(first), first.state_hash, second.state_hash) == ([0, 1, 3], None, None)


async def test_a_ledger_of_another_state_stops():
    made = batches(step=1, offsets={SOURCE: 4})
    made.open(Writer(), recovery((6, 8), step=1))
    offer(made, 4, 9)
    with pytest.raises(LedgerError, match="in step 2 are not the next ones of the log"):
        await made.next(LATER_MS)


async def test_who_waits_long_says_for_what(caplog):
    made = batches()
    made.open(Writer(), recovery((0, 3)))
    for at_ms in (0, REMIND_MS - 1, REMIND_MS, REMIND_MS + 1):
        assert await made.next(at_ms) is None
    assert caplog.messages == ["waiting for the records that the ledger names for step 1 in interactions.v1/0"]


async def test_a_log_that_ends_before_what_the_ledger_names_stops():
    made = batches()
    made.open(Writer(), recovery((0, 3)))
    assert await made.next(LATER_MS) is None  # where the log ends is not known yet
    offer(made, 0, 1)
    assert await made.next(LATER_MS + 1) is None
    with pytest.raises(LedgerError, match=r"interactions.v1/0 to reach offset 3, .* for step 1, got an end at 2"):
        await made.next(LATER_MS + REMIND_MS)


async def test_partitions_that_another_trainer_reads_are_noticed():
    made = batches()
    made.open(Writer(), recovery((0, 3)))
    made.begin({})
    for at_ms in (0, REMIND_MS):  # nothing is assigned: the group is on its way
        assert await made.next(at_ms) is None
    made.begin({(SOURCE[0], 1): 0})
    with pytest.raises(SecondTrainerError, match="got none of .*interactions.v1"):
        await made.next(2 * REMIND_MS)


async def test_a_batch_that_compaction_emptied_is_a_step_without_records():
    made = batches(compacted=[SOURCE[0]])
    made.open(Writer(), recovery((0, 3), (4, 5)))
    offer(made, 4, 9)
    first, second = await made.next(LATER_MS), await made.next(LATER_MS)
    assert (first.step, first.records, second.step, offsets_of(second)) == (1, [], 2, [4, 5])


def test_partitions_that_the_ledger_waits_for_are_named():
    made = batches()
    assert made.needed() == frozenset()
    made.open(Writer(), recovery((0, 3)))
    assert made.needed() == {SOURCE}


async def test_the_clock_of_a_partition_that_is_elsewhere_stays():
    made = batches()
    made.clocks[SOURCE[0], 1] = 77
    made.open(Writer(), recovery())
    offer(made, 0, 3)
    assert (await made.next(LATER_MS)).reached.clocks == {SOURCE: 3, (SOURCE[0], 1): 77}


def test_nothing_is_read_again_from_before_what_was_cut():
    made = batches(offsets={SOURCE: 4})
    with pytest.raises(MergeError, match="is read from 3, and was cut up to 4"):
        made.begin({SOURCE: 3})
