"""Records of other shapes as interactions: what is taken, what is left out, and what a refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import codec
from streams.contract.codec import SKIPPED, Rejected
from streams.contract.events import Interaction
from streams.errors import SettingsError
from streams.mapping.decoders import decoder_of
from streams.mapping.shapes import shape_of
from tests.factories import NOW_MS, make_interaction

NESTED = {
    "user": "user.id", "item": "video.id", "time": "ts", "time_unit": "s", "action": "type",
    "words": {"WATCHED": "play", "HEARTBEAT": ""}, "event_id": "uuid", "dwell_ms": "seen_s", "dwell_unit": "s",
    "completion": "percent", "completion_unit": "percent", "surface": "page", "surface_prefix": "tab",
    "position": "place", "position_from": 0, "context": {"device": "device.kind"}, "request_id": "trace.slate",
    "constants": {"context": {"app": "tv"}},
}  # fmt: skip
RECORD: dict[str, Any] = {
    "uuid": "e-1", "user": {"id": 712, "name": "x"}, "video": {"id": "v.1"}, "ts": NOW_MS / 1000, "type": "WATCHED",
    "seen_s": 12.5, "percent": 50, "page": 1, "place": 0, "device": {"kind": "phone"}, "trace": {"slate": "r-1"},
    "more": [1, {"a": None}],
}  # fmt: skip


def decoded(table: dict[str, Any], record: object, *, at_ms: int = NOW_MS, **beside: Any) -> Any:
    """What a record comes to under a mapping."""
    value = record if isinstance(record, bytes) else json.dumps(record).encode()
    shape = shape_of("interactions", table, where="test")
    return decoder_of(Interaction, shape)(value, at_ms, beside.get("key"), beside.get("headers"))


def reason(table: dict[str, Any], record: object, **beside: Any) -> str:
    found = decoded(table, record, **beside)
    assert isinstance(found, Rejected), found
    assert (found.payload if isinstance(record, bytes) else json.loads(found.payload)) == record
    return found.reason


def test_every_field_of_a_mapping_finds_its_value() -> None:
    assert decoded(NESTED, RECORD) == Interaction(
        event_id="e-1", user_id="712", item_id="v.1", action="play", occurred_at_ms=NOW_MS, dwell_ms=12_500,
        completion=0.5, surface="tab1", position=1, request_id="r-1", context={"app": "tv", "device": "phone"},
    )  # fmt: skip


def test_what_may_be_missing_may_be_null_at_any_depth() -> None:
    least = {"user": {"id": "u"}, "video": {"id": 3}, "ts": 5, "type": "click", "device": None, "trace": {}}
    event = decoded(NESTED, least)
    assert (event.user_id, event.item_id, event.action, event.occurred_at_ms) == ("u", "3", "click", 5_000)
    assert (event.request_id, event.context, event.dwell_ms) == (None, {"app": "tv"}, None)


@pytest.mark.parametrize("word", ["HEARTBEAT", "unheard-of", None, 7])
def test_a_record_that_means_no_action_is_left_out_whatever_else_is_in_it(word: object) -> None:
    assert decoded(NESTED, RECORD | {"type": word}) is SKIPPED
    assert decoded(NESTED, {"type": word, "user": [], "video": 7}) is SKIPPED


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"user": None}, "Expected text of 1 to 256 characters or a whole number, got nothing - at `$.user.id`"),
        ({"user": {"id": True}}, "Expected `int | str | null`, got `bool` - at `$.user.id`"),
        ({"user": {"id": ""}}, 'Expected `str` of length >= 1, got "" - at `$.user.id`'),
        ({"user": {"id": 1.5}}, "Expected `int | str | null`, got `float` - at `$.user.id`"),
        ({"user": [1]}, "Expected `object | null`, got `array` - at `$.user`"),
        ({"video": {}}, "Expected text of 1 to 256 characters or a whole number, got nothing - at `$.video.id`"),
        ({"ts": "noon"}, 'Expected epoch seconds, got "noon" - at `$.ts`'),
        ({"ts": NOW_MS}, "Expected epoch seconds from 1970 to 9999; are these milliseconds?, got "),
        ({"ts": -1}, "Expected epoch seconds from 1970 to 9999, got -1 - at `$.ts`"),
        ({"ts": None}, "Expected epoch seconds, got nothing - at `$.ts`"),
        ({"ts": NOW_MS / 1000 + 1e6}, "expected `occurred_at_ms` at most 300000 ms after the record's timestamp"),
        ({"seen_s": -1}, "Expected a number from 0 to 2,678,400, got -1.0 - at `$.seen_s`"),
        ({"seen_s": "long"}, "Expected `float | null`, got `str` - at `$.seen_s`"),
        ({"percent": 101}, "Expected a number from 0 to 100, got 101.0 - at `$.percent`"),
        ({"place": 0.5}, "Expected a whole number from 0 to 99999, got 0.5 - at `$.place`"),
        ({"page": "x" * 130}, "Expected a surface of at most 125 characters"),
    ],
)
def test_a_refusal_names_the_field_what_was_expected_and_what_came(change: dict[str, Any], expected: str) -> None:
    assert reason(NESTED, RECORD | change).startswith(expected)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"7", b"\xff", b"null", b"[" * 5_000])
def test_what_is_no_document_is_refused_as_the_contract_refuses_it(payload: bytes) -> None:
    assert reason(NESTED, payload)


RULES = {
    "user": "u", "item": "i", "time": "t_ms",
    "rules": [
        {"action": "hide", "when": {"is_hate": 1}},
        {"action": "like", "when": {"is_click": 1, "is_like": [1, True]}},
        {"action": "click", "column": "is_click", "equals": 1},
        {"action": "", "column": "bot", "equals": True},
        {"action": "impression"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"is_click": 1}, "click"), ({"is_click": "1"}, "click"), ({"is_click": 1.0}, "click"), ({}, "impression"),
        ({"is_click": 1, "is_like": True}, "like"), ({"is_hate": 1, "is_click": 1}, "hide"), ({"bot": True}, None),
        ({"bot": "true"}, None), ({"is_click": None}, "impression"),
    ],
)  # fmt: skip
def test_the_first_rule_that_fits_says_the_action(fields: dict[str, Any], action: str | None) -> None:
    found = decoded(RULES, {"u": 1, "i": 2, "t_ms": 3} | fields)
    assert (None if found is SKIPPED else found.action) == action


def test_without_action_and_rules_a_value_is_a_rating_and_anything_else_a_click() -> None:
    least = {"user": "u", "item": "i", "time": "t"}
    assert decoded(least, {"u": 1, "i": 2, "t": 3}).action == "click"
    rated = decoded(least | {"value": "stars"}, {"u": 1, "i": 2, "t": 3, "stars": "4.5"})
    assert (rated.action, rated.value) == ("rate", 4.5)


def test_what_lies_beside_the_document_and_alternatives() -> None:
    table = {
        "user": ["account", "$key"], "item": "ids.1", "time": "$timestamp", "time_unit": "ms",
        "surface": "$header.app", "event_id": r"meta\.id",
    }  # fmt: skip
    record = {"ids": [1, "second", 3], "meta.id": 9}
    found = decoded(table, record, key=b"u-7", headers=[("app", b"old"), ("app", b"tv"), ("other", None)])
    assert (found.user_id, found.item_id, found.surface, found.event_id) == ("u-7", "second", "tv", "9")
    assert found.occurred_at_ms == NOW_MS
    assert decoded(table, record | {"account": "a"}, key=b"u-7").user_id == "a"
    assert reason(table, record, at_ms=-1, key=b"k") == "Expected epoch milliseconds, got nothing - at `$timestamp`"
    assert "$.account or $key" in reason(table, record)


def test_ids_are_made_of_the_bytes_and_the_time_so_that_a_copy_of_the_topic_gives_the_same() -> None:
    table = {"user": "u", "item": "i", "time": "$timestamp", "time_unit": "ms"}
    first = decoded(table, {"u": 1, "i": 2})
    assert first.event_id == decoded(table, {"u": 1, "i": 2}).event_id
    others = [decoded(table, {"u": 1, "i": 3}), decoded(table, {"u": 1, "i": 2}, at_ms=NOW_MS - 1)]
    assert first.event_id not in {one.event_id for one in others}
    keyed = table | {"user": "$key"}
    assert decoded(keyed, {"i": 2}, key=b"a").event_id != decoded(keyed, {"i": 2}, key=b"b").event_id


def test_completion_is_dwell_time_by_duration_within_its_bounds() -> None:
    table = {"user": "u", "item": "i", "time": "t", "dwell_ms": "stay", "duration_ms": "whole"}
    for stay, whole, share in [(500, 1_000, 0.5), (3_000, 1_000, 1.0), (5, 0, None), (None, 10, None), (5, None, None)]:
        assert decoded(table, {"u": 1, "i": 2, "t": 3, "stay": stay, "whole": whole}).completion == share


@pytest.mark.parametrize(
    ("unit", "came", "at_ms"),
    [
        ("ms", 1_500, 1_500), ("ms", "1500", 1_500), ("ms", 1500.4, 1_500), ("s", 1.5, 1_500), ("s", "2", 2_000),
        ("us", 1_500_999, 1_500), ("ns", 1_500_999_999, 1_500), ("iso", "1970-01-01T00:00:01.5Z", 1_500),
        ("iso", "1970-01-01 01:00:01+01:00", 1_000), ("iso", "1970-01-02", 86_400_000),
        ("auto", "1970-01-02", 86_400_000),
        ("auto", 2, 2_000), ("auto", "2", 2_000),
    ],
)  # fmt: skip
def test_times_of_every_unit(unit: str, came: object, at_ms: int) -> None:
    table = {"user": "u", "item": "i", "time": "t", "time_unit": unit}
    assert decoded(table, {"u": 1, "i": 2, "t": came}).occurred_at_ms == at_ms


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"usr": "x"}, "did you mean user?"), ({"time_unit": "h"}, "time_unit"), ({"user": ""}, "a path"),
        ({"user": "a..b"}, "expected a path"), ({"user": "$offset"}, "expected $key"),
        ({"words": {"x": "y"}, "action": "a"}, "got y"), ({"words": {"x": "play"}}, "expected action"),
        ({"action": "a", "rules": [{"action": "play"}]}, "one of action, rules"),
        ({"item": "user.id.x", "user": "user.id"}, "end in values"), ({"item": "a.0", "user": "a.b"}, "say both"),
        ({"constants": {"user_id": "u"}}, "constants"), ({"constants": {"position": 0}}, "position"),
        ({"completion": "c", "duration_ms": "d", "dwell_ms": "e"}, "got both"), ({"item": "a.500"}, "up to 100"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_followed_says_so(change: dict[str, Any], hint: str) -> None:
    with pytest.raises(SettingsError) as error:
        decoded({"user": "u", "item": "i", "time": "t"} | change, {})
    assert hint in str(error.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(RECORD)), VALUES), st.booleans())
def test_whatever_comes_in_is_an_event_of_the_contract_or_refused(changes: dict[str, Any], is_whole: bool) -> None:
    found = decoded(NESTED, (RECORD if is_whole else {}) | changes)
    if isinstance(found, Interaction):
        assert codec.decode(Interaction, codec.encode(found), timestamp_ms=-1) == found
    else:
        assert found is SKIPPED or isinstance(found, Rejected)


def test_our_own_shape_by_a_mapping_is_what_the_contract_says() -> None:
    table = {
        "user": "user_id", "item": "item_id", "time": "occurred_at_ms", "event_id": "event_id", "action": "action",
        "value": "value", "surface": "surface",
    }  # fmt: skip
    event = make_interaction(value=3.5, surface="home")
    assert decoded(table, codec.encode(event)) == event
