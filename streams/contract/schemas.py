"""The wire records as JSON Schema (2020-12), for registries and code generators of other languages.

The types say most of it, and msgspec writes that down; what ``checks.py`` refuses is added as far as JSON Schema has
words for it. Whatever the codec takes is valid, always. The other way there are gaps, since JSON Schema knows neither
a record's timestamp, nor what base64 stands for, nor how a number is spelt: `UNSAID` names those of each record.
Unknown fields are allowed. ``asyncapi.py`` puts the same schemas into one document of all topics.
"""

import inspect
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from streams.contract import events, rules
from streams.contract.topics import TOPICS, TopicSpec

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
LOCAL: Final = "#/$defs/{name}"
"""Where a schema that stands alone keeps its parts."""
_CHAR: Final = "[A-Za-z0-9+/]"
BASE64: Final = f"^(?:{_CHAR}{{4}})*(?:{_CHAR}{{2}}==|{_CHAR}{{3}}=)?$"
"""RFC 4648 with padding. No look-ahead, which the engines of some languages lack."""
BASE64_OF_4_BYTES: Final = f"^(?:{_CHAR}{{16}})*(?:{_CHAR}{{6}}==|{_CHAR}{{11}}=)?$"
"""The same of whole 4-byte numbers: three of them are 16 characters, one is 6 and two are 11."""

_END_OF_LONGEST: Final = "=" * (-4 * rules.MAX_DIM % 3) + "$"
"""How base64 of exactly the limit ends: in characters it would have room for a byte or two more."""

UNSAID: Final[dict[type[events.Record], str]] = {
    events.Interaction: f"`occurred_at_ms` is at most {rules.MAX_CLOCK_SKEW_MS} ms after the record's timestamp.",
    events.ItemState: "Rows and what belongs to them are of one length; rows are >= 1; float32 numbers are finite.",
    events.ModelWeights: "The bytes of an array fill its shape, and its numbers are finite.",
    events.ContentTask: "`expected_gain.interval` does not fall.",
    events.ContentAsset: "",
    events.Slate: "There are as many `asset_propensities` as `asset_ids`, or none.",
    events.LedgerRecord: "`first` <= `last` in each range.",
}
"""Record -> what the codec asks for that its schema cannot say; one entry for each of ``checks.CHECKS``."""
UNSAID_OF_ALL: Final = (
    f"A value has at most {rules.MAX_RECORD_BYTES} bytes and {rules.MAX_NESTING} arrays and objects within each "
    "other; integers have neither a decimal point nor an exponent."
)


def json_schemas() -> dict[str, Schema]:
    """Topic -> schema of its values, each complete in itself; topics of raw bytes are left out."""
    return {spec.name: json_schema(spec, spec.event_type) for spec in TOPICS if spec.event_type is not None}


def json_schema(spec: TopicSpec, event_type: type[events.Record]) -> Schema:
    """The schema of one topic's values, with the parts that it needs under ``$defs``."""
    parts = components([event_type])
    whole = parts.pop(event_type.__name__)
    head = {"$schema": DIALECT, "$id": f"urn:marquee:{spec.name}"}
    return head | whole | ({"$defs": parts} if parts else {})


def components(event_types: Iterable[type[events.Record]], *, ref: str = LOCAL) -> dict[str, Schema]:
    """These records and all their parts, by the names of their types.

    Args:
      event_types: records of the contract.
      ref: where one refers to another: a template with ``{name}``.

    Returns:
      Schemas in words that drafts 7 and 2020-12 share, so that they serve in both.
    """
    _, found = msgspec.json.schema_components(event_types, ref_template=ref)
    return {name: _complete(_OF_NAME[name], _mended(schema)) for name, schema in found.items()}


def _complete(kind: type[events.Record], schema: Schema) -> Schema:
    """With the rules that take several fields, and a word on those that cannot be said."""
    if kind is events.ItemState:
        for name in _WHOLE_NUMBERS:
            schema["properties"][name] |= {"pattern": BASE64_OF_4_BYTES}
            del schema["properties"][name]["anyOf"]
    if kind in _RULES:
        schema["allOf"] = _RULES[kind]
    if kind in _ON_TOPICS:
        schema["$comment"] = f"Not said here: {UNSAID.get(kind, '')} {UNSAID_OF_ALL}".replace("  ", " ")
    return schema


def _mended(schema: Schema) -> Schema:
    """A schema as msgspec writes it, with base64 and pairs in full and descriptions without markup."""
    made = dict(schema)
    for name in ("items", "additionalProperties"):
        if isinstance(made.get(name), dict):
            made[name] = _mended(made[name])
    if "anyOf" in made:
        made["anyOf"] = [_mended(one) for one in made["anyOf"]]
    if "properties" in made:
        made["properties"] = {name: _mended(one) for name, one in made["properties"].items()}
    if "description" in made:
        made["description"] = inspect.cleandoc(made["description"]).replace("``", "`")
    if pair := made.pop("prefixItems", None):  # drafts 7 and 2020-12 write it differently, but not where all are alike
        if any(one != pair[0] for one in pair):
            raise TypeError(f"expected a tuple of one type, got {pair}; say it in the words of both drafts")
        made["items"] = pair[0]
    if made.get("contentEncoding") == "base64":
        made["pattern"] = BASE64
        if "maxLength" in made:
            made["anyOf"] = [{"maxLength": made["maxLength"] - 1}, {"pattern": _END_OF_LONGEST}]
    return made


def _filled(name: str, *, by: str = "minLength") -> Schema:
    return {"required": [name], "properties": {name: {by: 1}}}


def _with(one: str, other: str, *, by: str = "minLength") -> Schema:
    """Where ``one`` is not empty, ``other`` is not either."""
    return {"if": _filled(one, by=by), "then": _filled(other, by=by)}


def _is(name: str, value: Any) -> Schema:
    return {"required": [name], "properties": {name: {"const": value}}}


_PAIRS: Final = ("successors", "predecessors", "company")
_SINGULAR: Final = {"successors": "successor", "predecessors": "predecessor", "company": "company"}
_RULES: Final[dict[type[events.Record], list[Schema]]] = {
    events.ContentAsset: [
        {"if": _is("status", "done"), "then": {"required": ["asset"], "properties": {"asset": {"type": "object"}}}}
    ],
    events.SlateItem: [_with("asset_propensities", "asset_ids", by="minItems")],
    events.ItemState: [
        {"if": {"not": _is("live", False)}, "then": _filled("vector")},
        *(_with(rows, f"{_SINGULAR[rows]}_weights") for rows in _PAIRS),
        *(_with(f"{_SINGULAR[rows]}_weights", rows) for rows in _PAIRS),
        _with("successor_lags", "successors"),
        _with("successor_gains", "successors"),
        _with("company_gains", "company"),
    ],
}
_OF_NAME: Final = {kind.__name__: kind for kind in events.Record.__subclasses__()}
_ON_TOPICS: Final = {spec.event_type for spec in TOPICS}
_WHOLE_NUMBERS: Final = [
    field.encode_name
    for field in msgspec.structs.fields(events.ItemState)
    if field.type in (events.Floats, events.Rows) and field.name != "feedback"  # which no check looks into
]
