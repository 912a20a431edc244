"""Records -> entries and dead letters, one for one and in order."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from streams.contract import codec, rules
from streams.contract.absent import Erased, Withdrawn
from streams.contract.events import Interaction, Item, User
from streams.roles.decoding import KINDS, entries_of
from streams.transport.ranges import LogRecord
from tests.factories import NOW_MS, make_interaction, make_item, make_user


def record(value: bytes | None, *, key: bytes | None = b"k", offset: int = 7, timestamp: int = NOW_MS, **more) -> Any:
    held = {"topic": "t", "partition": 3, "offset": offset, "timestamp": timestamp, "headers": ()}
    return SimpleNamespace(**held | {"key": key, "value": value} | more)


def test_good_records_become_entries_and_nothing_is_published() -> None:
    events = [make_interaction(event_id=f"e{n}") for n in range(3)]
    entries, letters, _ = entries_of(
        [record(codec.encode(event)) for event in events], Interaction, dead_letters="dead"
    )
    assert (entries, letters) == (events, [])
    assert entries_of([record(codec.encode(make_item()))], Item, dead_letters="dead") == ([make_item()], [], 0)
    assert entries_of([record(codec.encode(make_user()))], User, dead_letters="dead") == ([make_user()], [], 0)


def test_a_log_that_is_read_again_gives_the_same_places_and_no_letters() -> None:
    """Its records have no headers; `marquee verify` failed on the first one that breaks the contract."""
    good = make_interaction()
    values = (codec.encode(good), b"{", codec.encode(good))
    records = [LogRecord("t", 3, n, NOW_MS, b"k", value) for n, value in enumerate(values)]
    assert entries_of(records, Interaction, dead_letters=None) == ([good, None, good], [], 0)


POISON = [
    b"", b"\xff\xfe", b"{", b"null", b"[]", b'"text"', b"{}", codec.encode(make_item()), b"[" * 5_000, b"\x00" * 100,
    codec.encode(make_interaction()).replace(b'"play"', b'"teleport"'),
    codec.encode(make_interaction(occurred_at_ms=NOW_MS + rules.MAX_CLOCK_SKEW_MS + 1)),
]  # fmt: skip


@pytest.mark.parametrize("value", POISON)
def test_poison_becomes_a_letter_and_leaves_its_place_empty(value: bytes) -> None:
    good = make_interaction()
    records = [record(codec.encode(good), offset=1), record(value, offset=2), record(codec.encode(good), offset=3)]
    entries, letters, _ = entries_of(records, Interaction, dead_letters="dead")
    assert entries == [good, None, good]
    (letter,) = letters
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value, letter.timestamp_ms) == ("dead", b"t/3/2", value, NOW_MS)
    assert (headers["origin-topic"], headers["origin-partition"], headers["origin-offset"]) == (b"t", b"3", b"2")
    assert headers["origin-key"] == b"k"
    assert re.match(rb"expected|Expected|Object missing required field", headers["reason"])
    assert headers["stage"]


def test_a_redriven_record_that_is_refused_again_keeps_its_first_origin_and_its_count() -> None:
    headers = (("trace", b"1"), ("first-origin", b"t/0/4"), ("redrive-count", b"2"))
    _, (letter,), _ = entries_of([record(b"{", headers=headers)], Interaction, dead_letters="dead")
    kept = dict(letter.headers)
    assert (kept["first-origin"], kept["redrive-count"]) == (b"t/0/4", b"2")
    assert (letter.key, kept["origin-offset"]) == (b"t/3/7", b"7")
    assert "trace" not in kept


def test_clock_skew_is_judged_by_the_record_and_not_by_the_wall() -> None:
    old = make_interaction(occurred_at_ms=1_000)
    assert entries_of([record(codec.encode(old), timestamp=1_000)], Interaction, dead_letters="d") == ([old], [], 0)


@pytest.mark.parametrize(
    ("kind", "key", "entry"),
    [
        (Item, b"i1", Withdrawn("i1")),
        (User, "Zoë".encode(), Erased("Zoë")),
        (Interaction, b"u1", None),
        (Item, None, None),
        (User, None, None),
        (Item, b"\xff", Withdrawn("\ufffd")),
    ],
)
def test_tombstones_mean_what_the_topic_says_and_are_no_letters(kind: Any, key: bytes | None, entry: Any) -> None:
    assert entries_of([record(None, key=key)], kind, dead_letters="dead") == ([entry], [], 0)


def test_the_catalogue_and_the_users_are_learned_before_interactions_of_the_same_instant() -> None:
    assert list(KINDS) == ["items.v1", "users.v1", "interactions.v1"]
