"""The AsyncAPI document: valid by AsyncAPI's own schema, and saying what the topics and the rights say.

`tests/asyncapi` has that schema as the AsyncAPI Initiative publishes it, under the Apache License 2.0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streams.contract import asyncapi, codec, events, topics
from streams.contract.access import ACCESS
from streams.contract.dead_letters import Origin, Redrive, dead_letter
from streams.contract.errors import TopicNameError
from tests.golden.cases import CASES

OFFICIAL = json.loads((Path(__file__).parents[3] / "asyncapi" / "3.0.0.json").read_bytes())
DOCUMENT = asyncapi.document(version="1.2.3", prefix="prod")


def at(ref: str, document: Any = DOCUMENT) -> Any:
    """What a reference inside the document points to."""
    for part in ref.removeprefix("#/").split("/"):
        document = document[part]
    return document


def test_it_is_valid_by_the_official_schema_which_refuses_what_is_not() -> None:
    validator = jsonschema.Draft7Validator(OFFICIAL)
    validator.validate(DOCUMENT)
    for part, value in (("channels", {"x": {"adress": "y"}}), ("operations", {"x": {"action": "read"}})):
        assert not validator.is_valid(DOCUMENT | {part: value})


def test_every_reference_leads_somewhere() -> None:
    def follow(node: Any) -> int:
        if isinstance(node, list):
            return sum(map(follow, node))
        if not isinstance(node, dict):
            return 0
        if isinstance(node.get("$ref"), str):
            assert at(node["$ref"]) is not None
            return 1
        return sum(map(follow, node.values()))

    assert follow(DOCUMENT) > 100


def test_each_topic_is_a_channel_as_it_is_made() -> None:
    assert list(DOCUMENT["channels"]) == [spec.name for spec in topics.TOPICS]
    items = DOCUMENT["channels"]["items.v1"]
    assert items["address"] == "prod.items.v1"
    assert items["bindings"]["kafka"] == {
        "partitions": 4,
        "topicConfiguration": {"cleanup.policy": ["compact"], "retention.ms": -1},
        "bindingVersion": "0.5.0",
    }
    assert list(items["messages"]) == ["Item", "ItemTombstone"]
    assert items["description"] == "Keyed by `item_id`. A record without a value withdraws the item at once."
    assert DOCUMENT["channels"]["ledger.v1"]["description"].startswith("Records have no key.")
    assert asyncapi.document(version="1")["channels"]["items.v1"]["address"] == "items.v1"


def test_who_sends_and_receives_is_what_the_rights_allow() -> None:
    interactions = DOCUMENT["channels"]["interactions.v1"]
    assert interactions["x-sent-by"] == ["you", "door", "replay", "import", "dlq"]
    assert interactions["x-received-by"][:3] == ["trainer", "recommender", "planner"]
    assert DOCUMENT["channels"]["slates.v1"]["x-sent-by"] == ["recommender"]
    found = {name: (one["action"], one["channel"]["$ref"]) for name, one in DOCUMENT["operations"].items()}
    assert found["trainer.send.ledger.v1"] == ("send", "#/channels/ledger.v1")
    assert len(found) == sum(len(one.reads) + len(one.writes) for one in ACCESS.values())
    assert DOCUMENT["operations"]["recommender.receive.requests.v1"]["reply"]["channel"]["$ref"].endswith("slates.v1")


@pytest.mark.parametrize("name", CASES)
def test_golden_records_and_their_keys_are_valid_by_the_payloads_in_it(name: str) -> None:
    message = DOCUMENT["components"]["messages"][type(CASES[name]).__name__]
    value = json.loads(codec.encode(CASES[name]))
    validator = jsonschema.Draft7Validator({"$ref": message["payload"]["$ref"], "components": DOCUMENT["components"]})
    validator.validate(value)
    spec = next(spec for spec in topics.TOPICS if spec.event_type is type(CASES[name]))
    key = message["bindings"]["kafka"].get("key")
    assert (key is None) == (spec.key is None)
    if key is not None:
        jsonschema.Draft7Validator(key).validate(value.get(spec.key, "tower"))
        assert not jsonschema.Draft7Validator(key).is_valid("") or type(CASES[name]) is events.Erasure


def test_the_headers_of_letters_are_those_that_are_written() -> None:
    headers = DOCUMENT["components"]["messages"]["DeadLetter"]["headers"]
    redrive = Redrive(first="interactions.v1/0/7", count=2)
    origin = Origin(topic="t", partition=0, offset=1, timestamp_ms=-1, key=b"u", redrive=redrive)
    plain = Origin(topic="t", partition=0, offset=1, timestamp_ms=1)
    for where, payload in ((origin, b"x" * 1_000_001), (plain, b"x")):
        letter = dead_letter(codec.Rejected(payload, "expected", "syntax"), where)
        written = {name: value.decode() for name, value in letter.headers}
        assert written.keys() <= headers["properties"].keys()
        jsonschema.Draft7Validator(headers).validate(written)
        if where is origin:
            assert written.keys() == headers["properties"].keys()
    assert not jsonschema.Draft7Validator(headers).is_valid({"reason": "expected"})


def test_a_prefix_that_kafka_refuses_is_refused() -> None:
    with pytest.raises(TopicNameError):
        asyncapi.document(version="1", prefix="a b")
