"""Merger: cases worked by hand."""

from __future__ import annotations

import pytest

from streams.transport.errors import MergeError
from streams.transport.merge import Merger, Source, Stamped

A: Source = ("interactions", 0)
B: Source = ("interactions", 1)
ITEMS: Source = ("items", 0)


def stamped(source: Source, *at: tuple[int, int]) -> list[Stamped[str]]:
    return [Stamped(source, timestamp_ms, offset, f"{source[1]}@{timestamp_ms}") for offset, timestamp_ms in at]


def values(records: list[Stamped[str]]) -> list[str]:
    return [record.value for record in records]


def test_two_partitions_leave_in_time_order_and_ties_by_partition() -> None:
    merger: Merger[str] = Merger(10, idle_ms=0)
    merger.position(B, 0, 3)
    merger.position(A, 0, 2)
    merger.offer(B, stamped(B, (0, 10), (1, 20), (2, 30)))
    merger.offer(A, stamped(A, (0, 20), (1, 25)))
    assert values(merger.take(3)) == ["1@10", "0@20", "1@20"]
    assert values(merger.take(9)) == ["0@25", "1@30"]
    assert merger.max_skew_ms == 0


def test_nothing_leaves_before_every_assigned_partition_has_spoken() -> None:
    merger: Merger[str] = Merger(10)
    merger.position(A, 0, 5)
    merger.position(B, 0, None)
    merger.offer(A, stamped(A, (0, 10)))
    assert merger.take(9, now_ms=10_000) == []
    assert merger.waiting_for(now_ms=10_000) == {B}
    merger.position(B, 0, 0)  # empty, now known
    assert values(merger.take(9, now_ms=10_000)) == ["0@10"]


def test_a_drained_partition_holds_the_rest_until_it_has_been_silent() -> None:
    merger: Merger[str] = Merger(10, idle_ms=100)
    merger.position(A, 0, 1)
    merger.position(B, 0, 9)
    merger.offer(A, stamped(A, (0, 10)), now_ms=1000)
    merger.offer(B, stamped(B, (0, 10), (1, 11)), now_ms=1000)
    assert values(merger.take(9, now_ms=1099)) == ["0@10"]  # A could still bring another record of 10 ms
    assert values(merger.take(9, now_ms=1100)) == ["1@10", "1@11"]


def test_the_first_events_after_a_silence_wait_for_every_drained_partition() -> None:
    merger: Merger[str] = Merger(10, idle_ms=100)
    merger.position(A, 0, 0)
    merger.position(B, 0, 0)
    merger.offer(A, stamped(A, (0, 50)), now_ms=9000)
    assert merger.take(9, now_ms=9099) == []
    merger.offer(B, stamped(B, (0, 40)), now_ms=9099)  # the replay reaches B a little later
    assert values(merger.take(9, now_ms=9199)) == ["1@40", "0@50"]
    merger.offer(B, stamped(B, (1, 60)), now_ms=9250)  # no silence of all since; A has been silent for long enough
    assert values(merger.take(9, now_ms=9350)) == ["1@60"]
    assert merger.max_skew_ms == 0


def test_a_long_silent_partition_gets_its_turn_after_a_silence_of_all() -> None:
    merger: Merger[str] = Merger(10, idle_ms=100)
    merger.position(A, 0, 1)
    merger.position(B, 0, 0)
    merger.offer(A, stamped(A, (0, 10)), now_ms=0)
    assert values(merger.take(9, now_ms=100)) == ["0@10"]
    merger.offer(B, stamped(B, (0, 30)), now_ms=5000)
    assert merger.take(9, now_ms=5099) == []  # A was silent for long, but so was B
    assert values(merger.take(9, now_ms=5100)) == ["1@30"]


def test_a_late_record_keeps_its_place_in_its_partition_and_shows_as_skew() -> None:
    merger: Merger[str] = Merger(10, idle_ms=0)
    merger.position(A, 0, 3)
    merger.position(B, 0, 1)
    merger.offer(A, stamped(A, (0, 50), (1, 20), (2, 60)))
    merger.offer(B, stamped(B, (0, 55)))
    assert values(merger.take(9)) == ["0@50", "0@20", "1@55", "0@60"]
    assert merger.max_skew_ms == 30


def test_a_late_record_of_an_idle_partition_leaves_late_and_shows_as_skew() -> None:
    merger: Merger[str] = Merger(10, idle_ms=0)
    merger.position(A, 0, 0)
    merger.position(B, 0, 1)
    merger.offer(B, stamped(B, (0, 70)))
    assert values(merger.take(9)) == ["1@70"]
    merger.offer(A, stamped(A, (0, 30)))
    assert values(merger.take(9)) == ["0@30"]
    assert merger.max_skew_ms == 40


def test_named_topics_come_first_among_equal_timestamps() -> None:
    merger: Merger[str] = Merger(10, idle_ms=0, topic_order=["items", "interactions"])
    for source in (A, ITEMS):
        merger.position(source, 0, 1)
        merger.offer(source, stamped(source, (0, 10)))
    assert [record.source for record in merger.take(9)] == [ITEMS, A]


def test_bounds_name_who_to_hold_and_who_to_let_go() -> None:
    merger: Merger[str] = Merger(4, idle_ms=0)
    merger.position(A, 0, 5)
    merger.position(B, 0, 5)
    merger.offer(A, stamped(A, *((i, i) for i in range(5))))
    assert (merger.over_bound(), merger.under_bound()) == ({A}, {B})
    merger.offer(B, stamped(B, (0, 2)))
    assert values(merger.take(9)) == ["0@0", "0@1", "0@2", "1@2"]  # then B has to speak
    assert (merger.over_bound(), merger.under_bound()) == (frozenset(), {A, B})


def test_available_counts_what_take_would_give() -> None:
    merger: Merger[str] = Merger(4, idle_ms=0)
    merger.position(A, 0, 3)
    merger.offer(A, stamped(A, (0, 1), (1, 2), (2, 3)))
    assert [merger.available(n) for n in (1, 2, 9)] == [1, 2, 3]
    assert len(merger.take(2)) == 2
    assert merger.available(9) == 1


def test_offsets_may_skip_but_not_repeat() -> None:
    merger: Merger[str] = Merger(4)
    merger.position(A, 7, 20)
    with pytest.raises(MergeError, match=r"rising offsets from 7 on, got 6\.\.6"):
        merger.offer(A, stamped(A, (6, 1)))
    merger.offer(A, stamped(A, (9, 1)))
    with pytest.raises(MergeError, match="rising offsets from 10 on"):
        merger.offer(A, stamped(A, (11, 1), (10, 1)))
    with pytest.raises(MergeError, match="rising offsets from 10 on"):
        merger.offer(A, stamped(A, (9, 1)))


def test_a_ledger_that_starts_elsewhere_is_refused() -> None:
    merger: Merger[str] = Merger(4)
    merger.position(A, 3, None)
    merger.offer(A, stamped(A, (3, 1), (4, 2)))
    assert merger.take_ranges({A: (3, 5)}) is None
    for first in (2, 4):
        with pytest.raises(MergeError, match=f"starts at offset {first} .* the reader at 3 .oldest waiting: 3"):
            merger.take_ranges({A: (first, 4)})


def test_a_batch_survives_compaction_of_some_of_its_records() -> None:
    merger: Merger[str] = Merger(4)
    merger.position(A, 3, None)
    merger.offer(A, stamped(A, (4, 1), (8, 2)))
    assert values(merger.take_ranges({A: (3, 6)}) or []) == ["0@1"]
    assert values(merger.take_ranges({A: (7, 8)}) or []) == ["0@2"]


def test_forgotten_sources_hold_nobody_and_keep_nothing() -> None:
    merger: Merger[str] = Merger(4, idle_ms=0)
    merger.position(A, 0, None)
    merger.position(B, 0, 1)
    merger.offer(B, stamped(B, (0, 1)))
    merger.forget([A])
    assert values(merger.take(9)) == ["1@1"]
    merger.clear()
    assert (merger.sources, len(merger)) == ((), 0)


@pytest.mark.parametrize(("bound", "idle_ms"), [(0, 1), (1, -1)])
def test_a_useless_bound_is_refused(bound: int, idle_ms: int) -> None:
    with pytest.raises(MergeError, match="bound must be >= 1 and idle_ms >= 0"):
        Merger(bound, idle_ms=idle_ms)
