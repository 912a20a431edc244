"""Which records are left out of every state, and which states were made under which erasures."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from streams.contract.absent import Erased, Withdrawn
from streams.contract.events import Erasure
from streams.durability.erasures import LEFT_OUT, NONE, UNMARKED, Erasures, Placed, digest_of
from tests.factories import make_erasure, make_interaction, make_item, make_user

SOURCE = ("interactions.v1", 2)


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int


def erased(user_id: str = "user-1", **changes: Any) -> Erasure:
    return make_erasure(user=digest_of(user_id), **changes)


def of(*erasures: Erasure) -> Erasures:
    return Erasures(Placed(at, one) for at, one in enumerate(erasures))


@pytest.mark.parametrize(
    ("offset", "timestamp_ms", "is_left_out"),
    [(6, 101, True), (7, 101, False), (7, 100, True), (900, 100, True), (900, 101, False)],
)
def test_all_that_stood_in_the_log_or_is_no_younger_is_left_out(
    offset: int, timestamp_ms: int, is_left_out: bool
) -> None:
    erasures = of(erased(until_ms=100, ends={"interactions.v1/2": 7}))
    assert erasures.leaves_out("user-1", SOURCE, offset=offset, timestamp_ms=timestamp_ms) is is_left_out
    assert not erasures.leaves_out("user-2", SOURCE, offset=offset, timestamp_ms=timestamp_ms)


def test_another_partition_has_its_own_end() -> None:
    erasures = of(erased(until_ms=0, ends={"interactions.v1/2": 7}))
    assert not erasures.leaves_out("user-1", ("interactions.v1", 1), offset=3, timestamp_ms=50)


def test_only_what_a_user_did_or_is_goes() -> None:
    erasures = of(erased(until_ms=100, ends={}))
    entries = [
        make_interaction(), make_interaction(user_id="user-2"), make_user(), Erased("user-1"), make_item(),
        Withdrawn("user-1"), None,
    ]  # fmt: skip
    records = [Record(*SOURCE, at, 100) for at in range(len(entries))]
    expected = [LEFT_OUT, entries[1], LEFT_OUT, LEFT_OUT, entries[4], entries[5], None]
    assert erasures.without(entries, records) == expected


def test_of_two_erasures_of_a_user_the_later_says_it_all() -> None:
    erasures = of(erased(until_ms=100, lead=5), erased(until_ms=300, lead=9))
    assert erasures.leaves_out("user-1", SOURCE, offset=50, timestamp_ms=200)
    assert (len(erasures), erasures.lead, erasures.next_offset) == (1, 9, 2)


def test_the_mark_is_of_what_is_left_out_and_not_of_offsets_or_hashes() -> None:
    one, other = erased(), erased("user-2", lead=7)
    assert NONE.mark == UNMARKED
    assert of(one).mark != of(one, other).mark != of(other).mark
    assert of(one, other).mark == of(other, one).mark
    assert Erasures([Placed(40, one)]).mark == of(one).mark  # compaction leaves holes
    assert of(erased(step=9, state_hash="f00")).mark == of(one).mark
    assert of(erased(until_ms=1)).mark != of(one).mark
    assert of(one).plus([other]).mark == of(one, other).mark


def test_a_digest_tells_nothing_but_itself() -> None:
    assert digest_of("user-1") == digest_of("user-1") != digest_of("user-2")
    assert "user" not in digest_of("user-1")
    assert len(digest_of("\ud800 a lone surrogate")) == 32
