"""What `marquee conform` finds: the codec's verdicts told by kind, keys, and names that nobody reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import codec, events, rules, topics
from streams.cores import conform as core
from streams.cores.conform import Came, Report
from tests.factories import NOW_MS, make_interaction, make_ledger_record, make_model_weights
from tests.properties.test_contract_codec import ANY_EVENT

GOOD = json.loads(codec.encode(make_interaction(user_id="Zoë")))
SCALAR = "`bool | int | float | str | null`"
SPEC_OF = {spec.event_type: spec for spec in topics.TOPICS if spec.event_type is not None}


def came(value: Any, *, line: int = 1, **more: Any) -> Came:
    payload = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return Came(place=f"line {line}", value=payload, **({"knows_key": False} | more))


def interactions(*records: Came) -> Report:
    return core.conform(topics.INTERACTIONS, events.Interaction, records)


def test_good_records_are_counted_and_nothing_is_said() -> None:
    report = interactions(came(GOOD), came(GOOD, line=2, knows_key=True, key="Zoë".encode()))
    assert report == Report(records=2)
    assert report.is_ok


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (GOOD | {"dwell_ms": -1}, ("schema", "dwell_ms", "`int` >= 0", "-1")),
        (GOOD | {"user_id": 7}, ("schema", "user_id", "`str`", "`int`")),
        ({"event_id": "e"}, ("schema", "user_id", "a value, as it is required", "none")),
        (GOOD | {"context": {"a": 1, "b": [2]}}, ("schema", 'context["b"]', SCALAR, "`array`")),
        (GOOD | {"context": {"k" * 129: 1}}, ("schema", "context", "a key that is `str` of length <= 128", "")),
        (b"{", ("syntax", "", "JSON", "Input data was truncated")),
        (b"", ("syntax", "", "a JSON object", "an empty value")),
        (b"\xff", ("syntax", "", "UTF-8", "invalid start byte at byte 0")),
        (b" " * 1_000_001, ("size", "", "a value of <= 1000000 bytes", "1000001")),
        (b"[" * 500, ("syntax", "", "<= 200 nested arrays and objects", "more")),
        (
            GOOD | {"occurred_at_ms": NOW_MS + 300_001},
            ("rule", "", f"`occurred_at_ms` at most 300000 ms after the record's timestamp {NOW_MS}", None),
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_told_as_field_expectation_and_what_came(value: Any, told: tuple[str, ...]) -> None:
    (problem,) = interactions(came(value, timestamp_ms=NOW_MS)).problems
    wrong = problem.wrong
    assert (wrong.stage, wrong.field, wrong.expected) == told[:3]
    assert told[3] is None or wrong.got.startswith(told[3])


def test_alike_ones_are_counted_together_most_first_with_the_first_as_example() -> None:
    broken = [GOOD | {"dwell_ms": -n} for n in (5, 6, 7)]
    report = interactions(came(b"x"), *(came(one, line=n) for n, one in enumerate(broken, start=2)), came(GOOD, line=9))
    assert [(one.count, one.wrong.got, one.place) for one in report.problems] == [
        (3, "-5", "line 2"),
        (1, "JSON is malformed: invalid character (byte 0)", "line 1"),
    ]
    assert json.loads(report.problems[0].value) == broken[0]
    assert (report.records, report.refused, report.is_ok) == (5, 4, False)


def test_entries_of_lists_and_maps_are_one_kind() -> None:
    records = [came(GOOD | {"context": {name: "x" * 1_001}, "asset_ids": ["a"] * n}) for n, name in enumerate("abc")]
    records += [came(GOOD | {"asset_ids": ["a"] * n + [""]}) for n in range(3)]
    assert [(one.count, one.wrong.field) for one in interactions(*records).problems] == [
        (3, 'context["a"]'),
        (3, "asset_ids[0]"),
    ]


@pytest.mark.parametrize(
    ("key", "got"),
    [
        (None, "none, where `user_id` is \"Zoë\""),
        (b"", '"", where'),
        (b'"Zo\xc3\xab"', r'"\"Zoë\"", where'),
        (b"Zo\xeb", r'"Zo\\xeb", where'),
        (b"\x1b[31m", r'"\u001b[31m", where'),
    ],
)  # fmt: skip
def test_a_key_that_is_not_the_field_s_bytes_is_wrong(key: bytes | None, got: str) -> None:
    report = interactions(came(GOOD, knows_key=True, key=key))
    (problem,) = report.problems
    assert (problem.wrong.stage, problem.wrong.expected) == ("key", "the bytes of `user_id` alone")
    assert problem.wrong.got.startswith(got)
    assert (report.refused, report.wrong_keys, report.is_ok) == (0, 1, False)


def test_keys_of_topics_that_name_no_field() -> None:
    weights, ledger = codec.encode(make_model_weights()), codec.encode(make_ledger_record())
    for key, is_ok in ((b"towers", True), (None, False), (b"", False), (b"\xff", False), (b"x" * 257, False)):
        record = came(weights, knows_key=True, key=key)
        assert core.conform(topics.MODEL_WEIGHTS, events.ModelWeights, [record]).is_ok == is_ok
    for key, is_ok in ((None, True), (b"1", False)):
        assert core.conform(topics.LEDGER, events.LedgerRecord, [came(ledger, knows_key=True, key=key)]).is_ok == is_ok


def test_a_record_without_a_value_needs_a_key_where_it_means_something() -> None:
    for spec, key, is_ok in (
        (topics.ITEMS, b"item-1", True),
        (topics.ITEMS, None, False),
        (topics.INTERACTIONS, None, True),
    ):
        assert spec.event_type is not None
        report = core.conform(spec, spec.event_type, [came(None, knows_key=True, key=key)])
        assert (report.is_ok, report.without_value, report.refused) == (is_ok, 1, 0)


def test_fields_that_nobody_reads_are_told_and_allowed() -> None:
    report = interactions(*(came(GOOD | {"dwellms": 1, "tenant\x1b": 2}, line=n) for n in (1, 2)))
    assert report.is_ok
    assert [(one.name, one.count, one.place, one.like) for one in report.unknown] == [
        ("dwellms", 2, "line 1", "dwell_ms"),
        (r"tenant\x1b", 2, "line 1", None),
    ]


@pytest.mark.parametrize("value", [b"1e400", b"1" * 5_000, b"[" * 150 + b"]" * 150, b'"\\u0000"'])
def test_what_nobody_reads_may_hold_anything(value: bytes) -> None:
    report = interactions(came(codec.encode(make_interaction())[:-1] + b',"x":' + value + b"}"))
    assert report.is_ok
    assert [one.name for one in report.unknown] == ["x"]


def test_memory_does_not_grow_with_the_kinds_of_wrong() -> None:
    names = [f"f{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}{chr(97 + n // 676)}" for n in range(1_000)]
    report = interactions(*(came(GOOD | {name: 1}) for name in names))
    assert len(report.unknown) == core.MOST_KINDS + 1
    assert sum(one.count for one in report.unknown) == 1_000
    arrays = [json.loads(codec.encode(make_model_weights())) for _ in names]
    for name, one in zip(names, arrays, strict=True):
        one["arrays"] = {name: {"shape": [2], "dtype": "int32", "data": ""}}
    report = core.conform(topics.MODEL_WEIGHTS, events.ModelWeights, map(came, arrays))
    assert len(report.problems) == core.MOST_KINDS + 1
    assert sum(one.count for one in report.problems) == report.refused == 1_000


@given(ANY_EVENT, st.binary(max_size=6), st.integers(0, 40))
def test_it_refuses_what_the_codec_refuses_and_what_it_says_can_be_printed(
    event: events.Record, noise: bytes, at: int
) -> None:
    payload = codec.encode(event)
    payload = payload[:at] + noise + payload[at + len(noise) :]
    verdict = codec.decode(type(event), payload, timestamp_ms=rules.MAX_TIME_MS)
    report = core.conform(SPEC_OF[type(event)], type(event), [came(payload, timestamp_ms=rules.MAX_TIME_MS)])
    assert report.refused == isinstance(verdict, codec.Rejected)
    for one in report.problems:
        assert isinstance(verdict, codec.Rejected)
        assert one.wrong.stage == verdict.stage
        assert all(text.isprintable() for text in (one.wrong.field, one.wrong.expected, one.wrong.got, one.value))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6), st.integers(1, 200))
def test_the_newest_are_as_many_as_asked_for_or_all_and_even(sizes: list[tuple[int, int]], most: int) -> None:
    edges = {n: (first, first + size) for n, (first, size) in enumerate(sizes)}
    begins = core.newest(edges, most)
    taken = {n: edges[n][1] - begins.get(n, edges[n][1]) for n in edges}
    assert all(0 <= taken[n] <= size for n, (_, size) in enumerate(sizes))
    assert sum(taken.values()) == min(most, sum(size for _, size in sizes))
    cut = [taken[n] for n, (_, size) in enumerate(sizes) if taken[n] < size]
    assert not cut or max(taken.values()) - min(cut) <= 1
