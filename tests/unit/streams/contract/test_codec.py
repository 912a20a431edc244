"""What the codec takes and refuses, record by record; hostile bytes above all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.contract import codec, events, rules
from streams.contract.errors import EventTypeError
from tests.factories import NOW_MS, make_interaction, make_item, make_request, make_slate

DECODE = codec.decoder(events.Interaction)


def payload(**changes: Any) -> bytes:
    """A valid interaction as a producer in another language would write it, with changes."""
    event = {"event_id": "e", "user_id": "u", "item_id": "i", "action": "play", "occurred_at_ms": NOW_MS}
    return json.dumps(event | changes).encode()


def with_raw(fragment: bytes) -> bytes:
    """The same with JSON text in front of its other fields, so that it comes first and may be broken."""
    return b"{" + fragment + b"," + payload()[1:]


def refused(value: bytes, *, timestamp_ms: int = NOW_MS) -> codec.Rejected:
    """The refusal of ``value``, with what holds for every refusal checked."""
    result = DECODE(value, timestamp_ms)
    assert isinstance(result, codec.Rejected), result
    assert result.payload is value
    assert 0 < len(result.reason) <= rules.MAX_REASON_CHARS
    assert result.reason.isprintable()
    return result


def test_a_plain_interaction_is_an_event_with_its_defaults() -> None:
    event = DECODE(payload(value=4), NOW_MS)
    assert event == events.Interaction(
        event_id="e", user_id="u", item_id="i", action="play", occurred_at_ms=NOW_MS, value=4.0, context={}
    )
    assert isinstance(event, events.Interaction)
    assert type(event.value) is float


def test_encode_leaves_defaults_out_and_keeps_the_order_of_fields() -> None:
    assert codec.encode(make_interaction(user_id="ü")).decode() == (
        '{"event_id":"event-1","user_id":"ü","item_id":"item-1","action":"play","occurred_at_ms":1700000000000}'
    )


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    extra = b'"later":{"a":[1,2,{"b":null}]},"big":1e999,"new_text":"\xc3\xbc"'
    assert DECODE(with_raw(extra), NOW_MS) == DECODE(payload(), NOW_MS)


def test_the_last_of_two_equal_names_counts() -> None:
    event = DECODE(with_raw(b'"item_id":"first"'), NOW_MS)
    assert isinstance(event, events.Interaction)
    assert event.item_id == "i"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"item_id": ""}, 'Expected `str` of length >= 1, got "" - at `$.item_id`'),
        ({"item_id": 7}, "Expected `str`, got `int` - at `$.item_id`"),
        ({"item_id": None}, "Expected `str`, got `null` - at `$.item_id`"),
        ({"item_id": ["i"]}, "Expected `str`, got `array` - at `$.item_id`"),
        ({"dwell_ms": -1}, "Expected `int` >= 0, got -1 - at `$.dwell_ms`"),
        ({"dwell_ms": True}, "Expected `int | null`, got `bool` - at `$.dwell_ms`"),
        ({"dwell_ms": rules.MAX_DWELL_MS + 1}, "Expected `int` <= 2678400000, got 2678400001 - at `$.dwell_ms`"),
        ({"occurred_at_ms": 1.5}, "Expected `int`, got `float` - at `$.occurred_at_ms`"),
        ({"occurred_at_ms": "1700000000000"}, "Expected `int`, got `str` - at `$.occurred_at_ms`"),
        ({"occurred_at_ms": -1}, "Expected `int` >= 0, got -1 - at `$.occurred_at_ms`"),
        ({"completion": 1.01}, "Expected `float` <= 1.0, got 1.01 - at `$.completion`"),
        ({"position": 0}, "Expected `int` >= 1, got 0 - at `$.position`"),
        ({"context": None}, "Expected `object`, got `null` - at `$.context`"),
        (
            {"context": {"fine": 1, "bad": {"deeper": 1}}},
            'Expected `bool | int | float | str | null`, got `object` - at `$.context["bad"]`',
        ),
        ({"context": {"fine": 1, "bad": 2**60}}, f'<= 9007199254740991, got {2**60} - at `$.context["bad"]`'),
        ({"context": {"k" * 129: 1}}, "Expected `str` of length <= 128 - at `key` in `$.context`"),
    ],
)
def test_a_field_outside_the_contract_says_what_was_expected_what_came_and_where(
    changes: dict[str, Any], reason: str
) -> None:
    result = refused(payload(**changes))
    assert result.stage == codec.STAGE_SCHEMA
    assert reason in result.reason


def test_an_unknown_action_is_refused_with_the_words_that_are_known() -> None:
    result = refused(payload(action="binge"))
    assert result.stage == codec.STAGE_SCHEMA
    assert '"binge"' in result.reason
    assert all(word in result.reason for word in rules.ACTION_WORDS)


def test_a_missing_field_is_named() -> None:
    assert "`event_id`" in refused(b"{}").reason


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        payload()[:-1],
        payload() + b"{}",
        b"\xef\xbb\xbf" + payload(),
        with_raw(b'"value":NaN'),
        with_raw(b'"value":Infinity'),
        with_raw(b'"value":01'),
        with_raw(b"\"surface\":'home'"),
        with_raw(b'"surface":"a\nb"'),
        with_raw(b'"surface":"\\ud800"'),
        with_raw(b'"surface":"\\udc00"'),
        with_raw(b'"later":"\\ud800x"'),
        with_raw(b'"surface":"\xed\xa0\x80"'),
        with_raw(b'"surface":"\xff"'),
        with_raw(b'"later":"\xff"'),
        with_raw(b'"context":{"\xc0\x80":1}'),
        json.dumps({"event_id": "e"}).encode("utf-16"),
        bytes(range(256)),
    ],
)
def test_what_is_not_utf_8_json_is_refused(value: bytes) -> None:
    assert refused(value).stage == codec.STAGE_SYNTAX


@pytest.mark.parametrize("value", [b"null", b"[]", b"1", b'"text"', b"true"])
def test_json_that_is_not_an_object_is_refused(value: bytes) -> None:
    assert refused(value).stage == codec.STAGE_SCHEMA


def test_an_empty_value_and_a_registry_header_are_told_apart() -> None:
    assert "empty value" in refused(b"").reason
    assert "schema registry" in refused(b"\x00\x00\x00\x00\x07" + payload()).reason


@pytest.mark.parametrize("digits", [20, 400, 4_300, 4_301, 900_000])
@pytest.mark.parametrize("field", [b'"occurred_at_ms":', b'"value":', b'"context":{"n":'])
def test_huge_numbers_are_refused(field: bytes, digits: int) -> None:
    closing = b"}" if field.endswith(b'"n":') else b""
    value = payload()[:-1] + b"," + field + b"9" * digits + closing + b"}"
    assert refused(value).stage == codec.STAGE_SCHEMA


def test_a_number_beyond_a_double_is_refused() -> None:
    assert refused(with_raw(b'"value":1e999')).stage == codec.STAGE_SCHEMA


def test_a_huge_id_is_refused_and_its_reason_stays_short() -> None:
    result = refused(payload(item_id="x" * 30_000))
    assert result.stage == codec.STAGE_SCHEMA
    assert "(30002 characters)" in result.reason
    assert len(result.reason) < 200


def test_an_id_counts_characters_not_bytes() -> None:
    assert isinstance(DECODE(payload(item_id="🎬" * 256), NOW_MS), events.Interaction)
    assert refused(payload(item_id="🎬" * 257)).stage == codec.STAGE_SCHEMA


def test_the_largest_value_is_taken_and_one_byte_more_is_not() -> None:
    filler = rules.MAX_RECORD_BYTES - len(payload(later=""))
    assert isinstance(DECODE(payload(later="x" * filler), NOW_MS), events.Interaction)
    result = refused(payload(later="x" * (filler + 1)))
    assert (result.stage, result.reason) == (codec.STAGE_SIZE, "expected a value of <= 1000000 bytes, got 1000001")


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded_by_a_fixed_number(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return with_raw(b'"later":' + opening * depth + b"1" + closing * depth)

    assert isinstance(DECODE(nested(rules.MAX_NESTING - 1), NOW_MS), events.Interaction)
    for depth in (rules.MAX_NESTING, 1_000, 150_000):
        result = refused(nested(depth))
        assert (result.stage, result.reason) == (
            codec.STAGE_SYNTAX,
            "expected <= 200 nested arrays and objects, got more",
        )


def test_nesting_without_an_end_is_refused() -> None:
    assert refused(b"[" * 900_000).stage == codec.STAGE_SYNTAX


def test_the_verdict_does_not_depend_on_the_callers_stack() -> None:
    value = with_raw(b'"later":' + b"[" * 199 + b"]" * 199)

    def deep(levels: int) -> object:
        return DECODE(value, NOW_MS) if levels == 0 else deep(levels - 1)

    assert deep(500) == DECODE(value, NOW_MS)
    assert isinstance(deep(0), events.Interaction)


def test_brackets_inside_text_are_not_nesting() -> None:
    item = make_item(text='[{"' * 10_000)
    assert codec.decode(events.Item, codec.encode(item), timestamp_ms=NOW_MS) == item


def test_event_time_may_run_ahead_of_the_record_by_the_skew_and_no_more() -> None:
    at_limit = payload(occurred_at_ms=NOW_MS + rules.MAX_CLOCK_SKEW_MS)
    beyond = payload(occurred_at_ms=NOW_MS + rules.MAX_CLOCK_SKEW_MS + 1)
    assert isinstance(DECODE(at_limit, NOW_MS), events.Interaction)
    result = refused(beyond)
    assert result.stage == codec.STAGE_RULE
    assert "300001 ms after it" in result.reason


def test_event_time_may_lie_long_before_the_record_and_a_record_may_lack_a_timestamp() -> None:
    assert isinstance(DECODE(payload(occurred_at_ms=0), NOW_MS), events.Interaction)
    assert isinstance(DECODE(payload(occurred_at_ms=NOW_MS), -1), events.Interaction)
    assert isinstance(DECODE(payload(occurred_at_ms=NOW_MS), 2**63 - 1), events.Interaction)


@pytest.mark.parametrize("k", [0, -1, 10_000, rules.MAX_SAFE_INT, -rules.MAX_SAFE_INT])
def test_any_k_is_a_request(k: int) -> None:
    request = make_request(k=k, filters={"never heard of": ["x", "y"], "max_duration_s": 60})
    assert codec.decode(events.Request, codec.encode(request), timestamp_ms=NOW_MS) == request


def test_a_filter_is_flat() -> None:
    value = b'{"request_id":"r","user_id":"u","filters":{"language":"fr","tags":["a",["b"]]}}'
    result = codec.decode(events.Request, value, timestamp_ms=NOW_MS)
    assert isinstance(result, codec.Rejected)
    assert result.reason == 'Expected `str`, got `array` - at `$.filters["tags"][1]`'


def test_control_characters_from_outside_do_not_reach_a_reason() -> None:
    result = refused(payload(context={"\x1b[31m\u202e": [], "\x7f\x9b": 1}))
    assert "\x1b" not in result.reason


def test_a_nested_record_is_checked_too() -> None:
    value = codec.encode(make_slate()).replace(b'"rank":1', b'"rank":0')
    result = codec.decode(events.Slate, value, timestamp_ms=NOW_MS)
    assert isinstance(result, codec.Rejected)
    assert result.reason == "Expected `int` >= 1, got 0 - at `$.items[0].rank`"


@pytest.mark.parametrize("wrong", [dict, int, "Interaction", None])
def test_only_events_have_a_decoder(wrong: Any) -> None:
    with pytest.raises(EventTypeError, match=r"streams\.contract\.events"):
        codec.decoder(wrong)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"1", 0),
        (b"[]", 1),
        (b'{"a":[{}]}', 3),
        (b"[[],[],[[]]]", 3),
        (b'["[[[[", "\\"[[[", "\\\\", ["]"], "\\\\\\"[["]', 2),
        (b"]]]][[", 0),
        (b'"[[[', 0),
    ],
)
def test_nesting_counts_levels_outside_strings(text: bytes, depth: int) -> None:
    assert codec.nesting(text) == depth
