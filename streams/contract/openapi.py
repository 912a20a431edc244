"""One OpenAPI 3.1 document of the HTTP door, made of the same types as the topics' schemas.

Its dialect of JSON Schema is that of `schemas`, so a record reads alike here and there. What `streams/door` serves is
written down once more here as addresses and answers; a test holds the two together.
"""

import copy
from typing import Any, Final

import msgspec

from streams.contract import events
from streams.contract.problems import MEDIA_TYPE, Problem
from streams.contract.schemas import DIALECT, Schema, components

VERSION: Final = "3.1.1"
_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_RETRY: Final[Schema] = {
    "Retry-After": {"description": "Seconds after which it may go better.", "schema": {"type": "integer", "minimum": 1}}
}
REFUSALS: Final[dict[str, str]] = {
    "400": "The address or the body cannot be read.",
    "401": "The token is missing or wrong.",
    "403": "A page of another site asked.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "414": "The address is too long.",
    "415": "Another media type was expected.",
    "421": "The Host header names another host.",
    "422": "A record breaks the contract, or a wish cannot be met.",
    "429": "Too many requests of this address.",
    "503": "The broker is away, or too much is under way.",
    "504": "No slate came in time.",
}
"""Status -> what it means; each is answered with a problem."""
_ALWAYS: Final = ("400", "401", "403", "414", "421", "429", "503")


def document(*, version: str) -> Schema:
    """The OpenAPI document.

    Args:
      version: of Marquee.
    """
    return {
        "openapi": VERSION,
        "info": {
            "title": "Marquee's door",
            "version": version,
            "description": "Slates asked for and records posted over HTTP, by way of the topics: the same records and "
            "rules, no ranking of its own. Times are UTC epoch ms. Fields that a schema does not name are allowed.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": DIALECT,
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                status: {"description": said, "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
                | ({"headers": _RETRY} if status in ("429", "503", "504") else {})
                for status, said in REFUSALS.items()
            },
        },
    }


def _paths() -> dict[str, Schema]:
    return {
        "/slates/{user}": {"get": _operation(
            "slate_of", "A slate for a user", {"200": _slate()}, ("422", "504"), parameters=_parameters()
        )},
        "/slates": {"post": _operation(
            "slate", "The same, asked with a body", {"200": _slate()}, ("408", "413", "415", "422", "504"),
            body={_JSON: _ref("Question")},
        )},
        "/interactions": {"post": _posting("interactions", "Interaction", "event_ids")},
        "/items": {"post": _posting("items", "Item", "item_ids")},
        "/healthz": {"get": _open("health", "Does the process answer?", "It does.")},
        "/readyz": {"get": _open("ready", "Can slates be asked for?", "They can.", refusals=("503",))},
        "/openapi.json": {"get": _open("openapi", "This document", "It.")},
    }  # fmt: skip


def _operation(
    name: str, summary: str, answers: dict[str, Schema], refusals: tuple[str, ...], *,
    body: dict[str, Schema] | None = None, parameters: list[Schema] | None = None,
) -> Schema:  # fmt: skip
    made: Schema = {"operationId": name, "summary": summary}
    if parameters:
        made["parameters"] = parameters
    if body:
        made["requestBody"] = {"required": True, "content": {media: {"schema": one} for media, one in body.items()}}
    refused = {status: {"$ref": f"#/components/responses/{status}"} for status in sorted({*_ALWAYS, *refusals})}
    return made | {"responses": answers | refused}


def _posting(name: str, record: str, ids: str) -> Schema:
    one = _ref(record)
    told: Schema = {"type": "object", "required": [ids], "properties": {ids: {"type": "array", "items": _text()}}}
    accepted = {"description": "The broker has them all.", "content": {_JSON: {"schema": told}}}
    body = {_JSON: {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}, _LINES: one}
    return _operation(
        name, f"Publishes {name}: one, an array, or one a line", {"202": accepted}, ("408", "413", "415", "422"),
        body=body,
    )  # fmt: skip


def _open(name: str, summary: str, said: str, *, refusals: tuple[str, ...] = ()) -> Schema:
    answers: Schema = {"200": {"description": said, "content": {_JSON: {"schema": {"type": "object"}}}}}
    answers |= {status: {"$ref": f"#/components/responses/{status}"} for status in sorted({*refusals, "421", "429"})}
    return {"operationId": name, "summary": summary, "security": [], "responses": answers}


def _parameters() -> list[Schema]:
    fields = components([events.Request], ref=_REF)["Request"]["properties"]
    found: list[Schema] = [
        {"name": "user", "in": "path", "required": True, "schema": fields["user_id"], "description": "Who is asking."}
    ]
    for name in ("k", "surface", "exclude"):
        found.append({"name": name, "in": "query", "schema": _query(fields[name])})
    for name in ("filters", "context"):
        said = f"As {name}[NAME]=VALUE; docs/events.md has the names." + (
            " A name that comes again makes a list." if name == "filters" else ""
        )
        found.append({
            "name": name, "in": "query", "style": "deepObject", "explode": True, "description": said,
            "schema": {"type": "object"},
        })  # fmt: skip
    return found


def _query(schema: Schema) -> Schema:
    """A field as an address can say it: not null."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _schemas() -> dict[str, Schema]:
    found = components([events.Interaction, events.Item, events.Request, events.Slate], ref=_REF)
    question = copy.deepcopy(found.pop("Request"))
    del question["properties"]["request_id"]
    question["required"] = [name for name in question["required"] if name != "request_id"]
    question["title"] = "Question"
    _, problems = msgspec.json.schema_components([Problem], ref_template=_REF)
    return found | {"Question": question} | problems


def _slate() -> Schema:
    return {"description": "The slate, as it is on slates.v1.", "content": {_JSON: {"schema": _ref("Slate")}}}


def _ref(name: str) -> Schema:
    return {"$ref": _REF.format(name=name)}


def _text() -> dict[str, Any]:
    return {"type": "string"}
