"""The published schemas beside the codec: what it takes is valid; what it refuses is not, where a schema has words."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract import codec, events, rules, schemas, topics
from streams.contract.checks import CHECKS
from tests.factories import NOW_MS, make_content_asset, make_item_state, make_slate, make_slate_item
from tests.golden.cases import CASES
from tests.golden.test_versions import FILES, kind_of
from tests.properties.test_contract_codec import ANY_EVENT, JSON

OF_TYPE = {spec.event_type: spec.name for spec in topics.TOPICS if spec.event_type is not None}
VALIDATORS = {kind: jsonschema.Draft202012Validator(schemas.json_schemas()[name]) for kind, name in OF_TYPE.items()}


def is_valid(kind: type[events.Record], value: object) -> bool:
    return bool(VALIDATORS[kind].is_valid(value))


def is_taken(kind: type[events.Record], value: object) -> bool:
    return isinstance(codec.decode(kind, json.dumps(value).encode(), timestamp_ms=NOW_MS), kind)


@pytest.mark.parametrize("topic", OF_TYPE.values())
def test_each_is_a_schema_of_its_draft_complete_in_itself(topic: str) -> None:
    schema = schemas.json_schemas()[topic]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (schema["$schema"], schema["$id"]) == (schemas.DIALECT, f"urn:marquee:{topic}")
    refs = set(_refs(schema))
    assert refs == {f"#/$defs/{name}" for name in schema.get("$defs", {})}
    assert "additionalProperties" not in schema, "fields that are not known are allowed"
    assert "``" not in json.dumps(schema)


def _refs(node: Any) -> Any:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for inner in node.values():
            yield from _refs(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _refs(inner)


@pytest.mark.parametrize("name", CASES)
def test_golden_records_are_valid_with_unknown_fields_too(name: str) -> None:
    value = json.loads(codec.encode(CASES[name]))
    VALIDATORS[type(CASES[name])].validate(value)
    VALIDATORS[type(CASES[name])].validate(value | {"added_later": [1, {"deep": None}]})


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_released_versions_wrote_is_valid(path: Any) -> None:
    VALIDATORS[kind_of(path)].validate(json.loads(path.read_bytes()))


@given(ANY_EVENT)
def test_whatever_the_codec_writes_is_valid(event: events.Record) -> None:
    assert is_valid(type(event), json.loads(codec.encode(event)))


@settings(max_examples=300)
@given(ANY_EVENT, st.data())
def test_whatever_the_codec_takes_is_valid_and_types_and_ranges_that_it_refuses_are_not(
    event: events.Record, data: st.DataObject
) -> None:
    fields = msgspec.json.decode(codec.encode(event))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
    payload = msgspec.json.encode(fields)
    verdict = codec.decode(type(event), payload, timestamp_ms=rules.MAX_TIME_MS)
    if not isinstance(verdict, codec.Rejected):
        assert is_valid(type(event), json.loads(payload))
    elif (
        verdict.stage == codec.STAGE_SCHEMA
        and "got `float`" not in verdict.reason
        and "1000000000000000" not in verdict.reason
    ):
        assert not is_valid(type(event), json.loads(payload)), verdict.reason  # but for how a whole number is spelt


def _edges(schema: dict[str, Any]) -> list[tuple[bool, Any]]:
    """(is it inside?, value) at and beyond each limit that a field's schema states, written out by hand."""
    found: list[tuple[bool, Any]] = []
    for one in schema.get("anyOf", [schema]):
        fill = "A" * 4
        if one.get("type") == "string" and "contentEncoding" not in schema:
            low, high = one.get("minLength", 0), one["maxLength"]
            found += [(True, "é" * high), (False, "é" * (high + 1))] + [(False, "")] * low
        elif one.get("type") in ("integer", "number"):
            found += [(True, one["minimum"]), (True, one["maximum"]), (False, one["minimum"] - 1)]
            found += [(False, one["maximum"] * 1.5 if one["type"] == "number" else one["maximum"] + 1), (False, fill)]
        elif one.get("type") == "array" and "maxItems" in one and "$ref" not in one["items"]:
            item = next(value for inside, value in _edges(one["items"]) if inside)
            found += [(True, [item] * min(one["maxItems"], 100)), (False, "text")]
    return found


SIMPLE = [
    (kind, name)
    for kind in (events.Interaction, events.Item, events.User, events.Request, events.Metric, events.SnapshotNotice)
    for name in schemas.json_schemas()[OF_TYPE[kind]]["properties"]
]


@pytest.mark.parametrize(("kind", "name"), SIMPLE, ids=lambda part: getattr(part, "__name__", part))
def test_at_each_limit_and_beyond_it_both_say_the_same(kind: type[events.Record], name: str) -> None:
    case = next(case for case in CASES.values() if type(case) is kind)
    whole = json.loads(codec.encode(case))
    schema = schemas.json_schemas()[OF_TYPE[kind]]["properties"][name]
    for inside, value in [*_edges(schema), (False, {"an": ["object"]}), (False, [[]])]:
        if name == "occurred_at_ms" and value == rules.MAX_TIME_MS:
            continue  # ahead of the record's timestamp: no schema knows that
        taken = is_taken(kind, whole | {name: value})
        if name not in ("context", "filters", "values", "offsets"):
            assert taken == inside, value
        assert taken == is_valid(kind, whole | {name: value}), value
    if name in schemas.json_schemas()[OF_TYPE[kind]]["required"]:
        del whole[name]
        assert not is_taken(kind, whole)
        assert not is_valid(kind, whole)


CONTEXTS = [
    (True, {"k" * 128: "x" * 1_000}),
    (False, {"k" * 129: 1}),
    (False, {"k": "x" * 1_001}),
    (True, {str(n): n for n in range(64)}),
    (False, {str(n): n for n in range(65)}),
    (False, {"k": {"deep": 1}}),
    (False, {"k": 2**53}),
    (True, {"k": 2**53 - 1, "n": None, "b": True, "f": 1e15}),
    (False, {"k": 1.1e15 + 0.5}),
    (False, {"k": [1]}),
]


@pytest.mark.parametrize(("inside", "context"), CONTEXTS)
def test_maps_of_scalars_are_judged_alike(inside: bool, context: Any) -> None:
    whole = json.loads(codec.encode(CASES["interaction"])) | {"context": context}
    assert is_taken(events.Interaction, whole) == is_valid(events.Interaction, whole) == inside
    filters = json.loads(codec.encode(CASES["request"])) | {"filters": {"tags": ["x" * 1_000] * 100}}
    assert is_taken(events.Request, filters)
    assert is_valid(events.Request, filters)
    filters["filters"]["tags"].append("x")
    assert not is_taken(events.Request, filters)
    assert not is_valid(events.Request, filters)


@pytest.mark.parametrize("word", ["plays", "PLAY", "", "hide "])
def test_action_words_are_judged_alike(word: str) -> None:
    whole = json.loads(codec.encode(CASES["interaction"]))
    words = schemas.json_schemas()["interactions.v1"]["properties"]["action"]["enum"]
    assert set(words) == rules.ACTION_WORDS
    assert not is_taken(events.Interaction, whole | {"action": word})
    assert not is_valid(events.Interaction, whole | {"action": word})


FOUR = base64.b64encode(b"\0\0\x80?").decode()
"""One float32 of 1."""
ROW = base64.b64encode(b"\1\0\0\0").decode()
EIGHT = base64.b64encode(b"\0\0\x80?" * 2).decode()
STATES: list[tuple[bool, dict[str, Any]]] = [
    (True, {}),
    (False, {"vector": ""}),
    (True, {"vector": "", "live": False}),
    (False, {"vector": None}),
    *[(size % 4 == 0, {"popularity": base64.b64encode(bytes(size)).decode()}) for size in range(26)],
    (True, {"vector": base64.b64encode(bytes(65_536)).decode()}),
    (False, {"vector": base64.b64encode(bytes(65_540)).decode()}),
    (True, {"feedback": base64.b64encode(bytes(65_536)).decode()}),
    (False, {"feedback": base64.b64encode(bytes(65_537)).decode()}),
    (False, {"feedback": base64.b64encode(bytes(65_538)).decode()}),
    (True, {"successors": ROW, "successor_weights": FOUR, "successor_lags": FOUR, "successor_gains": FOUR}),
    (False, {"successors": ROW}),
    (False, {"successor_weights": FOUR}),
    (False, {"successor_lags": FOUR}),
    (False, {"successor_gains": FOUR}),
    (False, {"predecessors": ROW}),
    (False, {"predecessor_weights": FOUR}),
    (False, {"company": ROW}),
    (False, {"company_weights": FOUR}),
    (False, {"company_gains": FOUR}),
    (False, {"vector": "AA"}),
    (False, {"vector": "A-_A"}),
    (False, {"vector": "AAAA===="}),
    (False, {"vector": " " + FOUR}),
]


@pytest.mark.parametrize(("inside", "fields"), STATES)
def test_arrays_of_item_states_are_judged_alike(inside: bool, fields: dict[str, Any]) -> None:
    whole = json.loads(codec.encode(make_item_state())) | fields
    assert is_taken(events.ItemState, whole) == is_valid(events.ItemState, whole) == inside


@given(st.text("Aa+/=-_ ", max_size=18) | st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode()))
def test_base64_is_judged_alike(text: str) -> None:
    whole = json.loads(codec.encode(make_item_state())) | {"feedback": text}
    assert is_taken(events.ItemState, whole) == is_valid(events.ItemState, whole)


def test_rules_of_several_fields_are_judged_alike() -> None:
    done = json.loads(codec.encode(make_content_asset()))
    assert done["status"] == "done"
    for whole in (done | {"asset": None}, {name: one for name, one in done.items() if name != "asset"}):
        assert not is_taken(events.ContentAsset, whole)
        assert not is_valid(events.ContentAsset, whole)
        assert is_taken(events.ContentAsset, whole | {"status": "failed"})
        assert is_valid(events.ContentAsset, whole | {"status": "failed"})
    for ids, chances, inside in (([], [], True), (["a"], [], True), (["a"], [0.5], True), ([], [0.5], False)):
        slate = json.loads(codec.encode(make_slate(items=[make_slate_item()])))
        slate["items"][0] |= {"asset_ids": ids, "asset_propensities": chances}
        assert is_taken(events.Slate, slate) == is_valid(events.Slate, slate) == inside


def test_what_a_schema_cannot_say_is_said_of_every_record_with_a_rule() -> None:
    assert set(schemas.UNSAID) == set(CHECKS)
    for kind, name in OF_TYPE.items():
        comment = schemas.json_schemas()[name]["$comment"]
        assert schemas.UNSAID.get(kind, "") in comment
        assert schemas.UNSAID_OF_ALL in comment


def test_a_pair_is_written_as_both_drafts_understand_it() -> None:
    interval = schemas.json_schemas()["content-tasks.v1"]["$defs"]["Gain"]["properties"]["interval"]
    assert (interval["minItems"], interval["maxItems"], interval["items"]["type"]) == (2, 2, "number")
    assert "prefixItems" not in interval
