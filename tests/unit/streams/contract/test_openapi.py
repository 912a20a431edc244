"""The door's document: valid for a parser of others, made of the same types, and true of what is served."""

from __future__ import annotations

import re

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from streams.contract import codec, openapi
from streams.contract.problems import FieldError, Problem
from streams.door.refusals import TITLES, RefusalError
from streams.door.serve import door_of
from streams.door_settings import DoorSettings
from streams.settings import Settings
from streams.transport.connection import Connection
from tests.factories import make_interaction, make_item, make_slate

DOCUMENT = openapi.document(version="1.2.3")


def test_a_parser_of_others_finds_nothing_wrong():
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_what_is_said_is_what_is_served():
    settings = Settings(door=DoorSettings(without_token=True))
    router = door_of(settings, Connection(bootstrap="127.0.0.1:1")).app.router
    served = {
        (re.sub(r":[^}]*", "", route.resource.canonical), route.method.lower())
        for route in router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served == {(path, method) for path, found in DOCUMENT["paths"].items() for method in found}


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("Interaction", make_interaction(context={"a": 1})),
        ("Item", make_item(tags=["a"])),
        ("Slate", make_slate()),
    ],
)
def test_records_are_valid_by_its_schemas(name: str, record: object):
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    value = msgspec.json.decode(codec.encode(record))  # type: ignore[arg-type]
    jsonschema.Draft202012Validator(schema).validate(value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate([value])


def test_a_question_is_a_request_whose_id_the_door_gives():
    question = DOCUMENT["components"]["schemas"]["Question"]
    assert question["required"] == ["user_id"]
    assert "request_id" not in question["properties"]
    assert {"k", "filters", "exclude", "context", "surface"} <= set(question["properties"])


@pytest.mark.parametrize("kind", TITLES)
def test_every_problem_is_one_by_the_schema(kind: str):
    refusal = RefusalError(422, kind, "expected a, got b", errors=[FieldError(field="a", expected="b", record=0)])
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    told = msgspec.json.encode(refusal.problem)
    jsonschema.Draft202012Validator(schema).validate(msgspec.json.decode(told))
    assert msgspec.json.decode(told, type=Problem) == refusal.problem
