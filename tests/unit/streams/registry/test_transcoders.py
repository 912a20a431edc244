"""Values behind a registry's header mean the JSON that they stand for: by the producers' own libraries, and broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from streams.console.catalogue import Catalogue
from streams.contract import codec, framed, languages, topics
from streams.contract.codec import Rejected
from streams.contract.events import Asset, Interaction, Item, Request
from streams.contract.framed import FrameError
from streams.cores.conform import Came, conform
from streams.registry import avro, protobuf
from tests import framed as write
from tests.factories import make_interaction
from tests.golden.cases import CASES

OF_TYPE = {spec.event_type: spec for spec in topics.JUDGED}
WRITTEN = [name for name, record in CASES.items() if type(record) in OF_TYPE]
INDEX = {topics.INTERACTIONS: 0, topics.ITEMS: 1, topics.USERS: 2, topics.REQUESTS: 3}
AVRO_ID, PROTO_ID, BROKEN_ID, ABSENT_ID = 71, 72, 73, 74


@pytest.fixture(scope="module")
def proto(tmp_path_factory: pytest.TempPathFactory) -> write.Proto:
    return write.Proto(languages.proto_file(), tmp_path_factory.mktemp("proto"))


@pytest.fixture(scope="module")
def read_proto() -> Callable[[bytes], bytes]:
    found = protobuf.transcoder(languages.proto_file())
    assert callable(found)
    return found


@pytest.fixture
def known(read_proto: Callable[[bytes], bytes]) -> Iterator[None]:
    made = avro.transcoder(json.dumps(languages.avro_schema(topics.INTERACTIONS)))
    framed.KNOWN.update({AVRO_ID: made, PROTO_ID: read_proto, BROKEN_ID: "schema 73: it is broken"})
    yield
    for number in (AVRO_ID, PROTO_ID, BROKEN_ID):
        del framed.KNOWN[number]


@pytest.mark.parametrize("name", WRITTEN)
def test_avro_of_our_schema_is_the_record_that_json_is(name: str):
    record = CASES[name]
    spec = OF_TYPE[type(record)]
    read = avro.transcoder(json.dumps(languages.avro_schema(spec)))
    assert callable(read)
    body = write.avro(spec, 1, record)[framed.HEADER_BYTES :]
    assert codec.decode(type(record), read(body), timestamp_ms=-1) == record


@pytest.mark.parametrize("name", WRITTEN)
def test_protobuf_of_our_file_is_the_record_that_json_is(
    name: str, proto: write.Proto, read_proto: Callable[[bytes], bytes]
):
    record = CASES[name]
    at = INDEX[OF_TYPE[type(record)]]
    body = proto.body(f"marquee.{type(record).__name__}", write.plain(record))
    indices = bytes([0]) if at == 0 else bytes([2, 2 * at])
    assert codec.decode(type(record), read_proto(indices + body), timestamp_ms=-1) == record


def test_the_numbers_of_the_proto_file_are_those_that_were_released():
    lines = [line.strip() for line in languages.proto_file().splitlines()]
    for line in (
        "optional string event_id = 1;", "optional int64 occurred_at_ms = 5;", "google.protobuf.Struct context = 13;",
        "repeated string asset_ids = 14;", "repeated Asset assets = 13;", "google.protobuf.Struct filters = 5;",
    ):  # fmt: skip
        assert line in lines
    assert Asset.__struct_encode_fields__[0] == "id"


def test_framed_values_are_decoded_and_refused_with_their_own_bytes(known: None):
    event = make_interaction(context={"n": 1, "s": "[" * 300})
    value = write.avro(topics.INTERACTIONS, AVRO_ID, event)
    assert codec.decode(Interaction, value, timestamp_ms=event.occurred_at_ms) == event
    late = codec.decode(Interaction, value, timestamp_ms=event.occurred_at_ms - 10**6)
    assert isinstance(late, Rejected)
    assert (late.payload, late.stage) == (value, "rule")
    short = codec.decode(Interaction, value[:-3], timestamp_ms=-1)
    assert isinstance(short, Rejected)
    assert (short.payload, short.stage) == (value[:-3], "registry")
    wrong = codec.decode(Request, value, timestamp_ms=-1)
    assert isinstance(wrong, Rejected)
    assert (wrong.stage, "request_id" in wrong.reason) == ("schema", True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (write.header(BROKEN_ID) + b"x", "it is broken"),
        (write.header(ABSENT_ID) + b"x", "set registry.url"),
        (b"\0", "header of 5 bytes"),
        (b"\0\0\0\0", "header of 5 bytes"),
        (write.header(AVRO_ID), "schema 71"),
        (write.header(PROTO_ID), "index"),
        (write.header(PROTO_ID) + bytes([2, 126]), "indices [63]"),
        (write.header(PROTO_ID) + bytes([1]), "indices of a message, got -1"),
        (write.header(PROTO_ID) + b"\xff" * 9, "too long a number"),
        (write.header(PROTO_ID) + b"\0\x0a\xff", "Protobuf cannot be read"),
        (b"\0" * 3_000, "set registry.url"),
        (b"\0" + b"[" * 3_000, "set registry.url"),
    ],
)
def test_each_refusal_says_why(known: None, value: bytes, words: str):
    refused = codec.decode(Interaction, value, timestamp_ms=-1)
    assert isinstance(refused, Rejected)
    is_known = words not in ("set registry.url", "header of 5 bytes")
    assert (refused.payload, refused.stage) == (value, "registry" if is_known else "syntax")
    assert words in refused.reason


def test_who_looks_into_values_beside_the_decoder_sees_the_json(known: None):
    item = Item(item_id="i-1", title="Gravity")
    framed.KNOWN[BROKEN_ID] = avro.transcoder(json.dumps(languages.avro_schema(topics.ITEMS)))
    value = write.avro(topics.ITEMS, BROKEN_ID, item)
    catalogue = Catalogue()
    catalogue.take(b"i-1", value)
    catalogue.take(b"i-2", write.header(ABSENT_ID) + b"x")
    assert (catalogue.title("i-1"), catalogue.item("i-1"), len(catalogue)) == ("Gravity", item, 1)
    came = Came(place="1", value=value, key=b"i-1", knows_key=True)
    assert conform(topics.ITEMS, Item, [came, Came(place="2", value=write.header(ABSENT_ID))]).refused == 1
    assert framed.plain(b"{}") == b"{}"


def test_random_bytes_never_raise_anything_else(known: None):
    import random

    draw = random.Random(7)
    whole = write.avro(topics.INTERACTIONS, AVRO_ID, CASES["interaction-full"])
    for at in range(600):
        body = bytearray(whole[5:]) if at % 2 else bytearray(draw.randbytes(draw.randrange(60)))
        for _ in range(draw.randrange(4)):
            if body:
                body[draw.randrange(len(body))] = draw.randrange(256)
        for number in (AVRO_ID, PROTO_ID):
            codec.decode(Interaction, write.header(number) + bytes(body), timestamp_ms=-1)


# --- schemas of others ---------------------------------------------------------------------------------------------


def schema_of(**types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Theirs", "fields": [{"name": name, "type": one} for name, one in types.items()]}


def test_a_schema_of_theirs_may_have_other_fields_and_types():
    theirs = schema_of(
        event_id={"type": "string", "logicalType": "uuid"}, user_id=["null", "string"], item_id="string",
        action={"type": "enum", "name": "Act", "symbols": ["play", "like"]}, value="float",
        completion=["null", "float"], occurred_at_ms={"type": "long", "logicalType": "timestamp-millis"},
        of_theirs={"type": "map", "values": "bytes"},
    )  # fmt: skip
    read = avro.transcoder(json.dumps(theirs))
    assert callable(read)
    told = {"event_id": "e", "user_id": "u", "item_id": "i", "action": "like", "value": 4.5, "occurred_at_ms": 1_700}
    theirs["fields"][6]["type"] = "long"  # fastavro would want a datetime
    value = read(write.avro_body(theirs, told | {"completion": None, "of_theirs": {"a": b"\xff"}}))
    assert msgspec.json.decode(value) == told | {"of_theirs": {"a": "/w=="}}
    event = codec.decode(Interaction, value, timestamp_ms=-1)
    assert isinstance(event, Interaction)
    assert (event.occurred_at_ms, event.value, event.completion) == (1_700, 4.5, None)


def test_numbers_that_json_lacks_are_refused_and_not_left_out():
    read = avro.transcoder(json.dumps(schema_of(value="double")))
    assert callable(read)
    for number in (float("nan"), float("inf")):
        with pytest.raises(FrameError, match="JSON can hold"):
            read(write.avro_body(schema_of(value="double"), {"value": number}))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "can be read"),
        ('"string"', "of a record"),
        ("[]", "of a record"),
        (json.dumps(schema_of(a={"type": "array", "items": "null"})), "no bytes"),
        (
            json.dumps(schema_of(a={"type": "array", "items": {"type": "record", "name": "N", "fields": []}})),
            "no bytes",
        ),
        (json.dumps(schema_of(a={"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}})), "no bytes"),
        (json.dumps(schema_of(a=["null", "Theirs"])), "within itself"),
        (json.dumps(schema_of(a="no.such.Type")), "can be read"),
        ('{"type":' * 2_000 + '"x"' + "}" * 2_000, "can be read"),
    ],
)
def test_schemas_that_a_few_bytes_could_blow_up_are_not_taken(schema: str, words: str):
    found = avro.transcoder(schema)
    assert isinstance(found, str)
    assert words in found


def test_protobuf_files_of_theirs_may_nest_and_name_and_map():
    text = """
    syntax = "proto3";
    import "google/protobuf/struct.proto";
    message Outer {
      message Inner {
        enum Act { none = 0; play = 1; }
        string event_id = 1; string user_id = 2; string item_id = 3; Act action = 4; int64 occurred_at_ms = 5;
        map<string, string> context = 6; bytes raw = 7; repeated bytes raws = 8; google.protobuf.Value any = 9;
      }
    }
    message Empty {}
    """
    read = protobuf.transcoder(text)
    assert callable(read)
    body = b"\x0a\x01e\x12\x01u\x1a\x01i\x20\x01\x28\x07\x32\x06\x0a\x01a\x12\x01b\x3a\x01\xff\x42\x01\x00"
    value = read(bytes([4, 0, 0]) + body + b"\x4a\x02\x20\x01")
    assert msgspec.json.decode(value) == {
        "event_id": "e", "user_id": "u", "item_id": "i", "action": "play", "occurred_at_ms": 7, "context": {"a": "b"},
        "raw": "/w==", "raws": ["AA=="], "any": True,
    }  # fmt: skip
    assert read(bytes([2, 2])) == b"{}"


@pytest.mark.parametrize("text", ["nonsense", 'syntax = "proto3"; import "no/such.proto"; message A {}', ""])
def test_a_file_that_protoc_does_not_read_is_said_to_be_none(text: str):
    found = protobuf.transcoder(text)
    if text:
        assert isinstance(found, str)
        assert "protoc" in found
    else:  # an empty file is one, without messages
        assert callable(found)
        with pytest.raises(FrameError, match="indices"):
            found(b"\0")
