"""Where reading starts, which chunks count, and when a reader is ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from streams.transport.errors import RepeatedDeliveryError
from streams.transport.merge import Source
from streams.transport.offsets import Positions, plan_seeks

A: Source = ("interactions", 0)
B: Source = ("interactions", 1)


@dataclass(frozen=True)
class Rec:
    offset: int


def recs(*offsets: int) -> list[Rec]:
    return [Rec(offset) for offset in offsets]


def started(starts: dict[Source, int], ends: dict[Source, int]) -> Positions:
    """Positions whose first seeks have been made."""
    positions = Positions()
    positions.start(starts, ends)
    positions.refetched(list(positions.to_refetch()))
    return positions


LOG: Final = {"earliest": {A: 10, B: 10}, "ends": {A: 90, B: 90}}


class TestPlanSeeks:
    @pytest.mark.parametrize(
        ("wanted", "start"),
        [(50, 50), (10, 10), (90, 90), ("earliest", 10), ("latest", 90), ("committed", 70)],
    )
    def test_a_partition_starts_where_it_is_wanted(self, wanted, start):
        plan = plan_seeks([A], {A: wanted}, committed={A: 70}, **LOG)
        assert (plan.starts, plan.expired, plan.beyond) == ({A: start}, {}, {})

    def test_an_unknown_partition_starts_at_the_log_and_never_at_the_commit(self):
        assert plan_seeks([A, B], {A: 20}, committed={A: 70, B: 70}, **LOG).starts == {A: 20, B: 10}

    @pytest.mark.parametrize("commit", [None, -1])
    def test_committed_without_a_commit_is_the_beginning(self, commit):
        assert plan_seeks([A], {A: "committed"}, committed={A: commit}, **LOG).starts == {A: 10}

    def test_what_retention_took_is_counted(self):
        plan = plan_seeks([A], {A: 3}, committed={}, **LOG)
        assert (plan.starts, plan.expired) == ({A: 10}, {A: 7})

    def test_a_place_beyond_the_log_is_named(self):
        assert plan_seeks([A], {A: 91}, committed={}, **LOG).beyond == {A: (91, 90)}


class TestPositions:
    def test_everything_is_sought_before_the_first_fetch(self):
        positions = Positions()
        positions.start({A: 5, B: 0}, {A: 5, B: 0})
        assert positions.to_refetch() == {A: 5, B: 0}
        assert positions.cut(A, recs(5), chunk_records=9) == []  # not before the seek
        positions.refetched([A, B])
        assert (positions.to_refetch(), positions.refetched_count) == ({}, 0)

    def test_chunks_are_linked_over_gaps(self):
        positions = started({A: 2}, {A: 9})
        chunks = positions.cut(A, recs(4, 5, 8), chunk_records=2)
        assert [(c.start, [r.offset for r in c.records], c.next_offset) for c in chunks] == [
            (2, [4, 5], 6),
            (6, [8], 9),
        ]
        assert [positions.deliver(chunk) for chunk in chunks] == [True, True]
        assert positions.to_refetch() == {}

    def test_what_follows_a_lost_chunk_is_refused_and_fetched_again(self):
        positions = started({A: 0}, {A: 6})
        first, lost, after = positions.cut(A, recs(0, 1, 2, 3, 4, 5), chunk_records=2)
        assert (positions.deliver(first), positions.deliver(after)) == (True, False)
        assert positions.to_refetch() == {A: 2}
        positions.refetched([A])
        assert positions.refetched_count == 1
        assert positions.deliver(lost)

    def test_a_chunk_of_an_earlier_epoch_is_stale(self):
        positions = started({A: 0}, {A: 2})
        (chunk,) = positions.cut(A, recs(0, 1), chunk_records=9)
        assert positions.is_current(chunk)
        positions.start({A: 0}, {A: 2})
        assert (positions.is_current(chunk), positions.deliver(chunk)) == (False, False)
        positions.done(A, 1)
        positions.start({}, {})
        positions.done(A, 2)
        assert (positions.sources, positions.done_offsets()) == (frozenset(), {})

    def test_a_broker_that_keeps_stepping_back_is_an_error(self):
        positions = started({A: 100}, {A: 200})
        for _ in range(3):
            assert positions.cut(A, recs(3), chunk_records=9) == []
            assert positions.to_refetch() == {A: 100}
            positions.refetched([A])
        with pytest.raises(RepeatedDeliveryError, match="interactions/0 from offset 100, got offset 3 for the 4th"):
            positions.cut(A, recs(3), chunk_records=9)

    def test_ready_once_all_are_done_up_to_the_end_at_the_start(self):
        positions = started({A: 0, B: 4}, {A: 2, B: 4})
        assert (positions.is_ready(), positions.lag()) == (False, {A: 2})
        positions.done(A, 1)
        assert positions.lag() == {A: 1}
        positions.done(A, 2)
        assert positions.is_ready()

    def test_ready_although_the_log_ends_with_transaction_markers(self):
        positions = started({A: 0}, {A: 5})
        (chunk,) = positions.cut(A, recs(0, 1), chunk_records=9)
        positions.deliver(chunk)
        positions.note_end(A, position=2, end=5)
        assert positions.end(A) == 5
        positions.note_end(A, position=5, end=5)
        assert positions.end(A) == 2
        assert positions.lag() == {A: 5}
        positions.done(A, 2)
        assert positions.is_ready()

    def test_nothing_assigned_is_ready_but_not_before_the_first_assignment(self):
        positions = Positions()
        assert not positions.is_ready()
        positions.start({}, {})
        assert positions.is_ready()
