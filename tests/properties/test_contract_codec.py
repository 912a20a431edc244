"""Codec, whatever the event and whatever the bytes: round trips, totality, and a verdict that says something."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import msgspec.inspect as mi
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.contract import arrays, codec, events, ids, rules, topics
from tests.factories import NOW_MS

EVENT_TYPES = [spec.event_type for spec in topics.TOPICS if spec.event_type is not None]
TEXT = st.characters(codec="utf-8")
FEW = 3


def strategy(kind: mi.Type) -> st.SearchStrategy[Any]:
    """Values within the limits that a type declares: a new field is covered without a word here."""
    match kind:
        case mi.StructType():
            return _structs(kind)
        case mi.UnionType():
            return st.one_of([strategy(option) for option in kind.types])
        case mi.StrType():
            high = min(kind.max_length or FEW, (kind.min_length or 0) + 8)
            return st.text(TEXT, min_size=kind.min_length or 0, max_size=high)
        case mi.IntType():
            return st.integers(kind.ge, kind.le)
        case mi.FloatType():
            return st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)
        case mi.LiteralType():
            return st.sampled_from(kind.values)
        case mi.ListType():
            return st.lists(strategy(kind.item_type), max_size=FEW)
        case mi.TupleType():
            return st.tuples(*(strategy(item) for item in kind.item_types))
        case mi.DictType():
            return st.dictionaries(strategy(kind.key_type), strategy(kind.value_type), max_size=FEW)
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
        case mi.BytesType():
            return st.binary(max_size=8)
    raise AssertionError(f"no strategy for {kind}")


def _structs(kind: mi.StructType) -> st.SearchStrategy[Any]:
    special = SPECIAL.get(kind.cls, _any_struct)
    return special(kind)


def _any_struct(kind: mi.StructType) -> st.SearchStrategy[Any]:
    required = {f.name: strategy(f.type) for f in kind.fields if f.required}
    optional = {f.name: strategy(f.type) for f in kind.fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: kind.cls(**values))


FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=FEW)
Edges = list[tuple[int, float]]
EDGES = st.lists(st.tuples(st.integers(1, rules.MAX_ROW), st.floats(0, 1, width=32)), max_size=FEW)


def _item_states(_kind: mi.StructType) -> st.SearchStrategy[events.ItemState]:
    def build(vector: list[float], after: Edges, before: Edges, company: Edges, live: bool) -> Any:
        return events.ItemState(
            item_id="i",
            row=1,
            version=1,
            clock_events=1,
            clock_ms=NOW_MS,
            first_seen_ms=NOW_MS,
            live=live,
            vector=arrays.floats_to_bytes(vector),
            successors=arrays.rows_to_bytes([row for row, _ in after]),
            successor_weights=arrays.floats_to_bytes([weight for _, weight in after]),
            predecessors=arrays.rows_to_bytes([row for row, _ in before]),
            predecessor_weights=arrays.floats_to_bytes([weight for _, weight in before]),
            company=arrays.rows_to_bytes([row for row, _ in company]),
            company_weights=arrays.floats_to_bytes([weight for _, weight in company]),
            successor_lags=arrays.floats_to_bytes([weight / 2 for _, weight in after]) if live else b"",
            successor_gains=arrays.floats_to_bytes([-weight for _, weight in after]) if live else b"",
            company_gains=arrays.floats_to_bytes([-weight for _, weight in company]) if live else b"",
            surface_bias=arrays.floats_to_bytes(vector),
            surface_popularity=arrays.floats_to_bytes(vector),
            value_sum=float(len(vector)),
        )

    return st.builds(build, FLOATS, EDGES, EDGES, EDGES, st.booleans())


def _tensors(_kind: mi.StructType) -> st.SearchStrategy[events.Tensor]:
    def build(values: list[float]) -> events.Tensor:
        return events.Tensor(shape=[len(values), 1], dtype="float32", data=arrays.floats_to_bytes(values))

    return st.builds(build, FLOATS)


def _ranges(_kind: mi.StructType) -> st.SearchStrategy[events.OffsetRange]:
    def build(first: int, more: int) -> events.OffsetRange:
        return events.OffsetRange(topic="t", partition=0, first=first, last=first + more)

    return st.builds(build, st.integers(0, 2**40), st.integers(0, 2**40))


def _gains(_kind: mi.StructType) -> st.SearchStrategy[events.Gain]:
    bounds = st.lists(st.floats(-1e15, 1e15), min_size=2, max_size=2).map(sorted)
    return bounds.map(lambda pair: events.Gain(metric="m", value=0.5, interval=(pair[0], pair[1])))


def _content_assets(_kind: mi.StructType) -> st.SearchStrategy[events.ContentAsset]:
    asset = strategy(mi.type_info(events.Asset))
    done = asset.map(lambda a: events.ContentAsset(task_id="t", item_id="i", status="done", asset=a))
    failed = st.text(TEXT, max_size=8).map(
        lambda why: events.ContentAsset(task_id="t", item_id="i", status="failed", error=why)
    )
    return done | failed


def _slate_items(kind: mi.StructType) -> st.SearchStrategy[events.SlateItem]:
    def with_one_each(item: events.SlateItem) -> events.SlateItem:
        chances = [0.25] * len(item.asset_ids) if item.asset_propensities else []
        return msgspec.structs.replace(item, asset_propensities=chances)

    return _any_struct(kind).map(with_one_each)


SPECIAL: dict[type[Any], Callable[[mi.StructType], st.SearchStrategy[Any]]] = {
    events.ItemState: _item_states,
    events.Tensor: _tensors,
    events.OffsetRange: _ranges,
    events.Gain: _gains,
    events.ContentAsset: _content_assets,
    events.SlateItem: _slate_items,
}
ANY_EVENT = st.one_of([strategy(mi.type_info(event_type)) for event_type in EVENT_TYPES])
ANY_TYPE = st.sampled_from(EVENT_TYPES)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(TEXT, max_size=8),
    lambda inner: st.lists(inner, max_size=FEW) | st.dictionaries(st.text(TEXT, max_size=8), inner, max_size=FEW),
    max_leaves=8,
)


def assert_total(event_type: type[events.Record], payload: bytes, timestamp_ms: int = NOW_MS) -> None:
    """The codec answers, with an event or with a refusal that keeps the bytes and says why in a few words."""
    result = codec.decode(event_type, payload, timestamp_ms=timestamp_ms)
    if isinstance(result, codec.Rejected):
        assert result.payload == payload
        assert 0 < len(result.reason) <= rules.MAX_REASON_CHARS
        assert result.reason.isprintable()
        assert result.stage in {codec.STAGE_SIZE, codec.STAGE_SYNTAX, codec.STAGE_SCHEMA, codec.STAGE_RULE}
    else:
        assert isinstance(result, event_type)
        again = codec.decode(event_type, codec.encode(result), timestamp_ms=timestamp_ms)
        assert again == result


@given(ANY_EVENT)
def test_decode_undoes_encode(event: events.Record) -> None:
    assert codec.decode(type(event), codec.encode(event), timestamp_ms=rules.MAX_TIME_MS) == event


@given(ANY_EVENT, st.dictionaries(st.text(TEXT, max_size=8).map("x_{}".format), JSON, max_size=FEW))
def test_fields_added_later_change_nothing(event: events.Record, later: dict[str, Any]) -> None:
    fields = msgspec.json.decode(codec.encode(event))
    payload = msgspec.json.encode(later | fields)
    assert codec.decode(type(event), payload, timestamp_ms=rules.MAX_TIME_MS) == event


@given(ANY_EVENT)
def test_any_json_writer_will_do(event: events.Record) -> None:
    fields = json.loads(codec.encode(event))
    for payload in (json.dumps(fields, indent=1), json.dumps(fields, ensure_ascii=False, sort_keys=True)):
        assert codec.decode(type(event), payload.encode(), timestamp_ms=rules.MAX_TIME_MS) == event


@given(ANY_TYPE, st.binary(max_size=200), st.integers(-(2**63), 2**63 - 1))
def test_any_bytes_get_an_answer(event_type: type[events.Record], payload: bytes, timestamp_ms: int) -> None:
    assert_total(event_type, payload, timestamp_ms)


@given(ANY_EVENT, st.data())
def test_damaged_bytes_get_an_answer(event: events.Record, data: st.DataObject) -> None:
    payload = bytearray(codec.encode(event))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload)))
        payload[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    assert_total(type(event), bytes(payload))


@settings(max_examples=300)
@given(ANY_EVENT, st.data())
def test_a_field_of_another_type_gets_an_answer(event: events.Record, data: st.DataObject) -> None:
    fields = msgspec.json.decode(codec.encode(event))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
    assert_total(type(event), msgspec.json.encode(fields))


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.__name__)
@given(JSON)
def test_any_json_gets_an_answer(event_type: type[events.Record], value: Any) -> None:
    assert_total(event_type, msgspec.json.encode(value))


def slow_depth(value: Any) -> int:
    """Nesting of a parsed value, the plain way."""
    if isinstance(value, dict):
        return 1 + max((slow_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((slow_depth(inner) for inner in value), default=0)
    return 0


@given(JSON, st.text(st.sampled_from('[]{}"\\'), max_size=12), st.booleans())
@example([], '\\"[', True)
def test_nesting_agrees_with_the_parsed_value(value: Any, noise: str, ensure_ascii: bool) -> None:
    value = [value, {noise: noise}]
    assert codec.nesting(json.dumps(value, ensure_ascii=ensure_ascii).encode()) == slow_depth(value)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_causes_have_different_ids(one: list[str], other: list[str]) -> None:
    assert (ids.derive(*one) == ids.derive(*other)) == (one == other)
