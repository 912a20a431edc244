"""Which letters there are, which may go back, and what is published for them; without a broker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.contract import codec, rules, topics
from streams.contract.codec import Rejected
from streams.contract.dead_letters import Origin, Redrive, dead_letter, origin_of, redrive_of
from streams.cores import redrive
from streams.cores.redrive import Letter, Newest, Read
from streams.roles.decoding import KINDS
from streams.roles.letters import origins_of
from tests.factories import NOW_MS, make_interaction, make_item

NAMES = origins_of("prod")
GOOD = codec.encode(make_interaction())
EARLY = codec.encode(make_interaction(occurred_at_ms=NOW_MS + rules.MAX_CLOCK_SKEW_MS + 1))
JUDGE = redrive.judge_of(NAMES)


def origin(**changes: Any) -> Origin:
    place: dict[str, Any] = {
        "topic": "prod.interactions.v1",
        "partition": 3,
        "offset": 7,
        "timestamp_ms": NOW_MS,
        "key": b"user-1",
    }
    return Origin(**place | changes)


def read(value: bytes = b"{", *, at: int = 0, stage: str = "syntax", reason: str = "expected JSON", **of: Any) -> Read:
    letter = dead_letter(Rejected(value, reason, stage), origin(**of))
    return Read(0, at, letter.timestamp_ms, letter.key, letter.value, letter.headers)


def letters(*reads: Read, **wishes: Any) -> list[Letter]:
    return redrive.letters_of(reads, JUDGE, **wishes)


def as_read(wish: redrive.Wish, *, at: int) -> Read:
    return Read(wish.partition or 0, at, wish.timestamp_ms, wish.key, wish.value, wish.headers)


def verdict(letter: Letter, newest: dict[tuple[str, bytes], Newest] | None = None, **wishes: Any) -> str:
    return redrive.plan(letter, NAMES, newest or {}, **{"most": 3, "again": False} | wishes)


def test_a_letter_says_what_came_from_where_and_why() -> None:
    (letter,) = letters(read(b"{", at=5, reason="expected JSON: broken"))
    assert (letter.id, letter.stage, letter.reason) == ("0/5", "syntax", "expected JSON: broken")
    assert letter.origin == origin()
    assert (letter.size_bytes, letter.original_bytes, letter.timestamp_ms) == (1, 1, NOW_MS)
    assert (letter.redrives, letter.first_origin, letter.is_redriven) == (0, "prod.interactions.v1/3/7", False)


def test_copies_are_one_letter_and_one_mark_settles_them() -> None:
    first = read(at=0)
    (letter,) = letters(first, read(at=1))
    assert (letter.id, letter.copies) == ("0/0", 2)
    mark = as_read(redrive.mark(letter, "prod.dead-letters.v1"), at=2)
    (settled,) = letters(first, read(at=1), mark, read(at=3))  # a reader that went back still writes copies
    assert (settled.is_redriven, settled.copies, verdict(settled)) == (True, 3, "redriven")
    assert verdict(settled, again=True) == "ready"


def test_the_same_place_of_a_topic_that_was_made_anew_is_another_letter() -> None:
    old, new = read(at=0), read(at=2, timestamp_ms=NOW_MS + 1)
    mark = as_read(redrive.mark(letters(old)[0], "prod.dead-letters.v1"), at=1)
    assert [one.is_redriven for one in letters(old, mark, new)] == [True, False]


def test_a_mark_without_its_letter_and_a_tombstone_of_somebody_else_s_are_nothing() -> None:
    mark = as_read(redrive.mark(letters(read())[0], "prod.dead-letters.v1"), at=1)
    assert letters(mark, Read(0, 2, NOW_MS, b"x", None, ())) == []


def test_what_this_version_takes_is_ready_and_what_it_refuses_is_not() -> None:
    taken, refused, early = letters(read(GOOD, at=0), read(b"{", at=1, offset=8), read(EARLY, at=2, offset=9))
    assert [verdict(one) for one in (taken, refused, early)] == ["ready", "refused", "refused"]
    assert verdict(refused, again=True) == "ready"
    assert "expected JSON" in (refused.refusal or "")
    later = redrive.judge_of(NAMES, at_ms=NOW_MS + 60_000)  # what came ahead of its time is on time now
    assert [verdict(one) for one in redrive.letters_of([read(EARLY)], later)] == ["ready"]


def test_mended_bytes_are_judged_in_place_of_those_that_came() -> None:
    cut = read(b"x" * (rules.MAX_RECORD_BYTES + 1), at=4)
    assert verdict(letters(cut)[0]) == "cut"
    assert verdict(letters(cut, mended={"0/4": GOOD})[0]) == "ready"
    assert verdict(letters(cut, mended={"0/4": b"["})[0]) == "refused"


@pytest.mark.parametrize(
    "letter",
    [
        Read(0, 0, NOW_MS, None, b"{", ()),
        read(topic="prod.dead-letters.v1"),
        read(topic="prod.ledger.v1"),
        read(topic="prod.item-states.v1"),
        read(topic="staging.interactions.v1"),
        read(topic="__consumer_offsets"),
        read()._replace(headers=(("origin-topic", b"prod.interactions.v1"), ("origin-partition", b"x"))),
        read()._replace(headers=tuple((name, None) for name, _ in read().headers)),
    ],
)
def test_nothing_is_published_where_the_installation_does_not_read(letter: Read) -> None:
    assert verdict(letters(letter)[0], again=True) == "foreign"


def test_a_key_that_may_have_been_cut_keeps_its_letter_here() -> None:
    assert verdict(letters(read(GOOD, key=b"k" * 2_000))[0], again=True) == "cut"


def test_a_failed_redrive_carries_first_origin_and_count_until_it_is_left_alone() -> None:
    (letter,) = letters(read(GOOD))
    for count in (1, 2, 3):
        assert verdict(letter) == "ready"
        wish = redrive.redriven(letter, GOOD)
        assert (wish.topic, wish.key, wish.value, wish.partition) == ("prod.interactions.v1", b"user-1", GOOD, None)
        again = redrive_of(wish.headers)
        assert again == Redrive(first="prod.interactions.v1/3/7", count=count)
        refused = read(GOOD, at=count, offset=7 + count, redrive=again)
        (letter,) = letters(refused)
        assert (letter.first_origin, letter.redrives) == ("prod.interactions.v1/3/7", count)
    assert (verdict(letter), verdict(letter, most=4), verdict(letter, again=True)) == ("tries", "ready", "ready")


def test_a_record_goes_back_with_its_own_time_or_the_present_one() -> None:
    (letter,) = letters(read(GOOD))
    assert redrive.redriven(letter, GOOD).timestamp_ms == NOW_MS
    assert redrive.redriven(letter, GOOD, at_ms=NOW_MS + 5).timestamp_ms == NOW_MS + 5


def test_one_without_a_key_goes_back_to_its_partition() -> None:
    (letter,) = letters(read(GOOD, key=None))
    wish = redrive.redriven(letter, GOOD)
    assert (wish.key, wish.partition) == (None, 3)


def test_a_letter_never_overwrites_a_newer_record_of_its_key() -> None:
    (letter,) = letters(read(codec.encode(make_item()), topic="prod.items.v1", key=b"item-1"))
    assert redrive.keys_to_look_up([letter], NAMES) == {"items.v1": {b"item-1"}}
    newer = {("items.v1", b"item-1"): Newest(3, 8, NOW_MS, is_tombstone=False)}
    itself = {("items.v1", b"item-1"): Newest(3, 7, NOW_MS, is_tombstone=False)}
    assert (verdict(letter, newer, again=True), verdict(letter, itself)) == ("superseded", "ready")


def test_what_an_erased_user_did_before_stays_away() -> None:
    (letter,) = letters(read(GOOD))
    assert redrive.keys_to_look_up([letter], NAMES) == {"users.v1": {b"user-1"}}
    gone = Newest(0, 5, NOW_MS, is_tombstone=True)
    assert verdict(letter, {("users.v1", b"user-1"): gone}, again=True) == "erased"
    for fine in (gone._replace(timestamp_ms=NOW_MS - 1), gone._replace(is_tombstone=False)):
        assert verdict(letter, {("users.v1", b"user-1"): fine}) == "ready"


def test_texts_of_one_field_are_alternatives_and_fields_must_agree() -> None:
    schema = letters(read(GOOD, stage="schema", reason="Expected `int` >= 0, got -1 - at `$.dwell_ms`"))[0]
    syntax = letters(read(topic="prod.items.v1", key=None))[0]
    where = (("reason", "DWELL_MS"), ("reason", "nothing"), ("topic", "interactions.v1"))
    assert redrive.matches(schema, where)
    assert not redrive.matches(schema, (*where, ("stage", "syntax")))
    assert [redrive.matches(one, [("topic", "items.v1")]) for one in (schema, syntax)] == [False, True]
    assert not redrive.matches(syntax, [("topic", "tems.v1")])
    assert [redrive.matches(one, [("key", "user")]) for one in (schema, syntax)] == [True, False]
    assert [redrive.matches(schema, (), since_ms=at) for at in (NOW_MS, NOW_MS + 1)] == [True, False]
    assert [redrive.matches(schema, (), ids=ids) for ids in (("0/0",), ("0/1",))] == [True, False]
    assert not redrive.matches(replace(schema, origin=None), [("topic", "interactions.v1")])


def test_reasons_are_counted_without_what_differs_from_record_to_record() -> None:
    reasons = ["Expected `int` >= 0, got -1 - at `$.dwell_ms`", "Expected `int` >= 0, got -25 - at `$.dwell_ms`"]
    words = ['Expected one of a, b, got "x" - at `$.action`', 'Expected one of a, b, got "yz" - at `$.action`']
    found = letters(*(read(at=n, offset=n, reason=r, stage="schema") for n, r in enumerate([*reasons, *words, "odd"])))
    assert redrive.count_kinds(found) == [
        (("schema", "Expected `int` >= #, got -# - at `$.dwell_ms`"), 2),
        (("schema", 'Expected one of a, b, got "…" - at `$.action`'), 2),
        (("schema", "odd"), 1),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("first-origin", b"t/0/1"),),
        (("first-origin", b"t/0/1"), ("redrive-count", b"0")),
        (("first-origin", b"t/0/1"), ("redrive-count", b"-1")),
        (("first-origin", b"t/0/1"), ("redrive-count", b"9999999")),
        (("first-origin", b"t/0/1"), ("redrive-count", None)),
        (("first-origin", b"t/0/\xd9\xa3"), ("redrive-count", b"1")),
        (("first-origin", b"\xff" * 9_999), ("redrive-count", b"1")),
        (("first-origin", b"a b/0/1"), ("redrive-count", b"1")),
    ],
)
def test_headers_that_we_did_not_write_say_nothing(headers: Any) -> None:
    assert redrive_of(headers) is None


def test_letters_come_from_what_roles_judge() -> None:
    assert {spec.name for spec in topics.JUDGED} == {*KINDS, topics.REQUESTS.name}


def test_every_verdict_has_its_words() -> None:
    assert all(redrive.WHY.values())
    assert set(redrive.WHY) == set(redrive.Verdict.__args__)  # type: ignore[attr-defined]


def test_an_origin_survives_its_headers() -> None:
    for one in (origin(), origin(key=None), origin(timestamp_ms=-1), origin(redrive=Redrive(first="t/0/1", count=2))):
        assert origin_of(dead_letter(Rejected(b"", "r", "s"), one).headers) == one
