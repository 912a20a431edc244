"""CloudEvents in both content modes, and records that are none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from streams.contract import codec
from streams.contract.codec import Rejected
from streams.contract.events import Interaction, Item, Record, Request, User
from streams.mapping.decoders import decoder_of
from streams.mapping.shapes import shape_of
from tests.factories import NOW_MS, make_interaction, make_item, make_request, make_user

ENVELOPE = {"envelope": "cloudevents"}
KINDS = [
    ("interactions", Interaction, make_interaction()), ("items", Item, make_item()), ("users", User, make_user()),
    ("requests", Request, make_request()),
]  # fmt: skip
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"7"), ("ce_source", b"/app"), ("ce_time", b"2023-11-14T22:13:20Z")]


def structured(data: bytes, **more: Any) -> bytes:
    event = {"specversion": "1.0", "id": "7", "source": "/app", "type": "t", "time": "2023-11-14T22:13:20Z"}
    return json.dumps(event | {"data": json.loads(data)} | more).encode()


@pytest.mark.parametrize(("name", "kind", "event"), KINDS)
def test_the_data_of_either_mode_is_the_record(name: str, kind: type[Record], event: Record) -> None:
    decode, value = decoder_of(kind, shape_of(name, ENVELOPE, where="test")), codec.encode(event)
    assert decode(structured(value), NOW_MS, None, STRUCTURED) == event
    assert decode(structured(value), NOW_MS) == event  # as it lies in a file
    assert decode(value, NOW_MS, None, BINARY) == event
    assert decode(value, NOW_MS) == event  # no CloudEvent: as it is
    told = json.dumps({"specversion": "1.0", "data_base64": base64.b64encode(value).decode()}).encode()
    assert decode(told, NOW_MS, None, STRUCTURED) == event


def test_attributes_can_be_mapped_in_either_mode() -> None:
    table = ENVELOPE | {"user": "$ce.subject", "item": "video", "time": "$ce.time", "event_id": "$ce.id"}
    decode = decoder_of(Interaction, shape_of("interactions", table, where="test"))
    one = decode(structured(b'{"video": 9}', subject="u-1"), NOW_MS, None, STRUCTURED)
    assert one == decode(b'{"video": 9}', NOW_MS, None, [*BINARY, ("ce_subject", b"u-1")])
    assert isinstance(one, Interaction)
    assert (one.user_id, one.item_id, one.event_id, one.occurred_at_ms) == ("u-1", "9", "7", NOW_MS)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b'{"specversion": "1.0", "id": "1"}', "expected `data`"), (b'{"id": "1"}', "`specversion`, got none"),
        (b'{"specversion": 1}', "expected a CloudEvent in JSON"), (b"[]", "expected a CloudEvent in JSON"),
        (b'{"specversion": "1.0", "data_base64": "?"}', "expected base64"), (b"{", "expected JSON"), (b"\xff", "UTF-8"),
        (b'{"specversion": "1.0", "data": {"event_id": 7}}', "at `$.event_id`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_whole_record_is_kept(value: bytes, said: str) -> None:
    decode = decoder_of(Interaction, shape_of("interactions", ENVELOPE, where="test"))
    found = decode(value, NOW_MS, None, STRUCTURED)
    assert isinstance(found, Rejected)
    assert said in found.reason
    assert found.payload == value
