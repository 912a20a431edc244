"""The ledger's decisions: what is written of a batch, and what a state has to learn again."""

import itertools

import numpy as np
import pytest

from models.recommend.state import UNHASHED, to_arrays
from streams.contract.events import OffsetRange
from streams.cores.learn import Learner
from streams.durability import ledger
from streams.durability.ledger import Placed
from streams.durability.manifest import entries_of
from streams.errors import LedgerError
from streams.transport.merge import Merger, Stamped
from tests.factories import make_ledger_record
from tests.planted import SMALL, interactions, random_log

A, B = ("interactions.v1", 0), ("interactions.v1", 1)


def stamped(source, offset, at_ms=None):
    return Stamped(source, offset if at_ms is None else at_ms, offset, f"{source[1]}-{offset}")


def batch(step, first, last, **changes):
    span = OffsetRange(topic="t", partition=0, first=first, last=last, records=last - first + 1)
    return make_ledger_record(**{"step": step, "ranges": [span], "fingerprint": "us"} | changes)


def placed(*records):
    return [Placed(offset, record) for offset, record in enumerate(records)]


def steps(recovery):
    return [one.record.step for one in recovery.todo]


def test_a_batch_is_told_by_its_ranges_and_their_counts():
    told = ledger.record_of([stamped(B, 7), stamped(A, 3), stamped(A, 5)], step=4, seed=9, fingerprint="us")
    assert told.ranges == [
        OffsetRange(topic="interactions.v1", partition=0, first=3, last=5, records=2),
        OffsetRange(topic="interactions.v1", partition=1, first=7, last=7, records=1),
    ]
    assert (told.step, told.seed, told.batch_size, told.fingerprint, told.state_hash) == (4, 9, 3, "us", None)


def test_what_is_told_gives_the_same_batches_again_however_the_records_come():
    generator = np.random.default_rng(3)
    logs = {source: [stamped(source, at, int(ms)) for at, ms in enumerate(np.cumsum(generator.integers(0, 9, 200)))]
            for source in (A, B)}  # fmt: skip
    first: Merger[str] = Merger(1_000)
    again: Merger[str] = Merger(1_000)
    for source, records in logs.items():
        first.offer(source, records)
        first.position(source, 0, 200)
    cut = []
    while records := first.take(int(generator.integers(1, 40)), now_ms=10_000):
        cut.append(records)
    told = [ledger.record_of(records, step=at, seed=0, fingerprint="us") for at, records in enumerate(cut, start=1)]
    chunks = [(source, logs[source][at : at + 17]) for at in range(0, 200, 17) for source in (B, A)]
    learned: list[list[Stamped[str]]] = []
    for source, records in chunks:
        again.offer(source, records)
        while (
            len(learned) < len(told) and (taken := again.take_ranges(ledger.spans_of(told[len(learned)]))) is not None
        ):
            learned.append(taken)
    assert learned == cut
    assert all(ledger.is_whole(record, records, compacted=()) for record, records in zip(told, learned, strict=True))


def test_what_the_log_lost_is_noticed(caplog):
    records = [stamped(A, 3), stamped(A, 5), stamped(B, 7)]
    told = ledger.record_of(records, step=1, seed=0, fingerprint="us")
    assert ledger.is_whole(told, records, compacted=())
    with pytest.raises(LedgerError, match="expected the 1 more records that the ledger names in interactions.v1/0"):
        ledger.is_whole(told, records[1:], compacted=("items.v1",))
    assert not caplog.messages
    assert not ledger.is_whole(told, records[:2], compacted=("interactions.v1",))
    assert "compaction removed 1 records" in caplog.text


def test_a_state_learns_what_is_behind_it():
    log = placed(batch(1, 0, 9), batch(2, 10, 19), batch(3, 20, 29))
    assert steps(ledger.recovery_of(log, step=0, writer="", fingerprint="us")) == [1, 2, 3]
    assert steps(ledger.recovery_of(log, step=2, writer="", fingerprint="us")) == [3]
    assert steps(ledger.recovery_of(log, step=3, writer="", fingerprint="us")) == []
    assert steps(ledger.recovery_of(log, step=0, writer="", fingerprint="us", until=2)) == [1, 2]
    assert [one.offset for one in ledger.recovery_of(log, step=1, writer="", fingerprint="us").todo] == [1, 2]


def test_hashes_are_told_beside_the_batches():
    told = ledger.hash_record(2, "beef", seed=0, fingerprint="us")
    log = placed(batch(1, 0, 9), batch(2, 10, 19), batch(3, 20, 29), told)
    found = ledger.recovery_of(log, step=0, writer="", fingerprint="us")
    assert (steps(found), found.hashes) == ([1, 2, 3], {2: "beef"})
    assert ledger.recovery_of(log, step=2, writer="", fingerprint="us").hashes == {}


def test_of_two_trainers_the_one_that_wrote_first_is_right_to_its_end():
    def by(writer, follows, step, last):
        return batch(step, 10 * step, 10 * step + last, writer=writer, follows=follows)

    log = placed(
        by("a", "", 1, 9), by("b", "a", 2, 4), by("a", "a", 2, 9), by("a", "a", 3, 9), by("b", "b", 3, 4),
        by("c", "b", 4, 9),
    )  # fmt: skip
    found = ledger.recovery_of(log, step=0, writer="", fingerprint="us")
    assert [one.offset for one in found.todo] == [0, 1, 4, 5]
    assert (found.passed_over, found.writer) == (2, "c")
    known = ledger.recovery_of(log[2:], step=2, writer="b", fingerprint="us")
    assert [one.offset for one in known.todo] == [4, 5]


def test_a_gap_stops():
    with pytest.raises(LedgerError, match="expected step 2 at offset 1 of the ledger, got step 3"):
        ledger.recovery_of(placed(batch(1, 0, 9), batch(3, 20, 29)), step=0, writer="", fingerprint="us")


def test_another_fingerprint_stops_where_it_would_be_learned_again():
    log = placed(
        batch(1, 0, 9, fingerprint="them"), batch(2, 10, 19), ledger.hash_record(1, "h", seed=0, fingerprint="them")
    )
    assert steps(ledger.recovery_of(log, step=1, writer="", fingerprint="us")) == [2]
    with pytest.raises(LedgerError, match=r"step 1 .* by 'us', got 'them': set trainer.accept_ledger"):
        ledger.recovery_of(log, step=0, writer="", fingerprint="us")
    accepted = ledger.recovery_of(log, step=0, writer="", fingerprint="us", accepts_other=True)
    assert (steps(accepted), accepted.hashes) == ([1, 2], {})


@pytest.mark.parametrize("stops", [[], [3], [1, 2, 5]])
def test_the_same_batches_make_the_same_bytes_wherever_a_learner_was_restored(stops):
    from models.recommend.state import from_arrays

    log = interactions(random_log(700, users=20, seed=5))
    cuts = [0, 64, 200, 264, 300, 500, 640, 700]

    def learned_hash(state):
        return ledger.learned_hash(entries_of(to_arrays(state)))

    whole, parted = Learner(SMALL), Learner(SMALL)
    for step, (begin, end) in enumerate(itertools.pairwise(cuts)):
        whole.learn(log[begin:end])
        if step in stops:
            parted = Learner(SMALL, first=from_arrays(to_arrays(parted.state), SMALL))
        if step % 2:
            parted.state.counts.changed[:] = False  # told at another time
        parted.learn(log[begin:end])
        assert learned_hash(parted.state) == learned_hash(whole.state)
    assert whole.state.step == len(cuts) - 1
    assert set(to_arrays(whole.state)) >= UNHASHED
