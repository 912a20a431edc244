"""The parts of forgetting that decide: at which step the new state stands, and what a copy of the log names."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
import pytest

from streams.contract.events import OffsetRange
from streams.durability import snapshots
from streams.durability.erasures import NONE, Erasures, Placed
from streams.durability.stores import MANIFEST
from streams.errors import ErasureError
from streams.roles.forgetting import _refuse_expired, free_step
from streams.roles.proof import _Copied, _moved, _stand_ins
from streams.roles.restoring import ERASURES, PENDING, mark_of, newest_without
from tests.factories import make_erasure, make_ledger_record

SOURCE = ("interactions.v1", 0)
RENAMED = {"interactions.v1": "copy.interactions.v1", "items.v1": "copy.items.v1"}


def span(first: int, last: int, *, topic: str = "interactions.v1", records: int | None = None) -> OffsetRange:
    return OffsetRange(
        topic=topic, partition=0, first=first, last=last, records=last - first + 1 if records is None else records
    )


@pytest.mark.parametrize(
    ("last", "taken", "every", "step"),
    [(9, (), 4, 9), (9, (9,), 4, 7), (10, (10,), 4, 9), (8, (), 4, 7), (8, (), 0, 8), (8, (8, 7), 0, 6), (1, (), 1, 1)],
)
def test_a_step_is_chosen_that_no_snapshot_of_the_trainer_has(
    last: int, taken: tuple[int, ...], every: int, step: int
) -> None:
    assert free_step(last, taken=taken, every=every) == step


def test_a_batch_that_held_only_theirs_keeps_one_empty_record() -> None:
    records = [
        make_ledger_record(step=1, ranges=[span(0, 3)]),
        make_ledger_record(step=2, ranges=[span(4, 5), span(0, 0, topic="users.v1")]),
        make_ledger_record(step=3, ranges=[span(6, 9, records=3)]),
    ]
    gone = {SOURCE: [1, 4, 5, 6, 7, 9], ("users.v1", 0): [0]}
    assert _stand_ins(records, gone) == {(SOURCE, 4), (SOURCE, 6)}


def test_the_copy_s_ledger_names_the_same_records_at_their_new_places() -> None:
    record = make_ledger_record(ranges=[span(10, 20), span(3, 3, topic="items.v1")])
    kept = {SOURCE: _Copied(array("q", [8, 11, 12, 20, 21])), ("items.v1", 0): _Copied(array("q", [0, 1]))}
    moved = _moved(record, kept, RENAMED)
    assert moved.ranges == [OffsetRange(topic="copy.interactions.v1", partition=0, first=1, last=3, records=3)]
    assert (moved.step, moved.batch_size, moved.fingerprint) == (record.step, 3, record.fingerprint)


def test_a_batch_that_compaction_emptied_cannot_be_proven() -> None:
    with pytest.raises(ErasureError, match=r"records of step 120 .* run without --prove"):
        _moved(make_ledger_record(ranges=[span(0, 1)]), {SOURCE: _Copied(array("q"))}, RENAMED)


def save(root: Path, version: int, erasures: Erasures, *, is_beside: bool = False) -> None:
    meta = {ERASURES: list(erasures.mark)} if erasures else {}
    snapshots.save(
        root, version, {"a": np.full(3, version)}, offsets={}, meta=meta, keep=9, is_beside=is_beside
    )  # fmt: skip


ONE = Erasures([Placed(0, make_erasure(lead=5))])
TWO = ONE.plus([make_erasure(user="another", lead=9)])


def test_only_a_snapshot_made_without_all_of_them_is_taken(tmp_path: Path) -> None:
    for version, erasures in ((4, NONE), (7, ONE), (8, NONE)):
        save(tmp_path, version, erasures)
    for erasures, version in ((NONE, 8), (ONE, 7)):
        found = newest_without(tmp_path, erasures)
        assert found is not None
        assert found[0].version == version
    assert newest_without(tmp_path, TWO) is None


def test_snapshots_of_erasures_that_the_log_does_not_have_are_refused_where_no_other_is_there(tmp_path: Path) -> None:
    save(tmp_path, 7, TWO)
    with pytest.raises(ErasureError, match=r"the topic was made anew; restore it"):
        newest_without(tmp_path, ONE)
    save(tmp_path, 4, ONE)  # one of a command that was ended before it said so
    found = newest_without(tmp_path, ONE)
    assert found is not None
    assert found[0].version == 4


def test_a_snapshot_whose_erasure_was_never_told_stops_nobody(tmp_path: Path) -> None:
    meta = {ERASURES: list(TWO.mark), PENDING: ONE.mark.digest}
    snapshots.save(tmp_path, 7, {"a": np.full(3, 7)}, offsets={}, meta=meta, is_beside=True)
    assert newest_without(tmp_path, ONE) is None  # one begins with the log, and does not end
    found = newest_without(tmp_path, TWO)
    assert found is not None
    assert found[0].version == 7


def test_the_trainer_s_retention_spares_what_waits_to_be_adopted(tmp_path: Path) -> None:
    save(tmp_path, 7, ONE, is_beside=True)
    for version in (8, 9, 10):
        snapshots.save(
            tmp_path, version, {"a": np.full(3, version)}, offsets={}, meta={}, keep=1,
            spares=lambda ref: mark_of(ref).lead > NONE.lead,
        )  # fmt: skip
    assert snapshots.versions(tmp_path) == [7, 10]


def test_a_log_whose_beginning_is_gone_is_refused() -> None:
    _refuse_expired({("interactions.v1", 0): (0, 9), ("users.v1", 0): (4, 9)}, "interactions.v1")
    with pytest.raises(ErasureError, match=r"got no beginning of interactions.v1/1: retention .* what is left"):
        _refuse_expired({("interactions.v1", 0): (0, 9), ("interactions.v1", 1): (4, 9)}, "interactions.v1")


def test_one_saved_beside_the_writer_removes_nothing_but_its_own_version(tmp_path: Path) -> None:
    for version in (4, 8):
        save(tmp_path, version, NONE)
    (tmp_path / ".aside-of-the-writer").mkdir()
    (tmp_path / ".beside-of-one-that-was-ended").mkdir()
    save(tmp_path, 8, ONE, is_beside=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [".aside-of-the-writer", snapshots.path_of(tmp_path, 4).name, snapshots.path_of(tmp_path, 8).name]
    )
    assert mark_of(snapshots.open_ref(tmp_path, 8)) == ONE.mark


def test_those_that_may_not_stay_are_removed_and_broken_ones(tmp_path: Path) -> None:
    for version, erasures in ((1, NONE), (2, ONE), (3, NONE)):
        save(tmp_path, version, erasures)
    (snapshots.path_of(tmp_path, 3) / MANIFEST).write_text("torn")
    assert snapshots.remove(tmp_path, lambda ref: mark_of(ref) == ONE.mark) == [1, 3]
    assert snapshots.versions(tmp_path) == [2]
