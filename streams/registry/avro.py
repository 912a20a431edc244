"""Avro: a writer's schema -> how its values become JSON. Read as they were written; the contract's rules come after.

A schema is somebody else's, so one that a few bytes could blow up (a list of nothings, a record within itself) is not
taken.
"""

from __future__ import annotations

import io
import json
from typing import Any, Final

from streams.contract import rules
from streams.contract.framed import FrameError, Transcode
from streams.registry.plain_json import to_json

NAMED: Final = ("record", "enum", "fixed")
MOST_SCHEMA_BYTES: Final = 1 << 20


def transcoder(text: str) -> Transcode | str:
    """How values of this schema are read, or why they cannot be."""
    import fastavro

    try:
        schema = _checked(json.loads(text), {}, frozenset())
        if not (isinstance(schema, dict) and schema.get("type") == "record"):
            return "expected a schema of a record, got another"
        parsed = fastavro.parse_schema(schema, named_schemas={})
    except (ValueError, KeyError, TypeError, RecursionError, fastavro.schema.SchemaParseException) as error:
        return f"expected an Avro schema that can be read, got: {error}"[: rules.MAX_REASON_CHARS]
    read = fastavro.schemaless_reader

    def run(body: bytes) -> bytes:
        source = io.BytesIO(body)
        try:
            record = read(source, parsed, None)
        except (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, StopIteration,
                RecursionError) as error:  # fmt: skip
            raise FrameError(f"Avro cannot be read: {error or type(error).__name__}") from None
        if source.tell() != len(body):
            raise FrameError(f"expected {source.tell()} bytes of Avro, got {len(body)}")
        return to_json(record)

    return run


def _checked(schema: Any, sizes: dict[str, bool], within: frozenset[str]) -> Any:
    """The schema without logical types, whose values are then the plain ones that the contract has.

    ``sizes``: named type -> whether its values may have no bytes. ``within``: names of what this stands in.

    Raises:
      ValueError: it is not taken.
    """
    if isinstance(schema, list):
        return [_checked(one, sizes, within) for one in schema]
    if isinstance(schema, str):
        if schema in within:
            raise ValueError(f"{schema} within itself")
        return schema
    if not isinstance(schema, dict):
        raise ValueError(f"a type, got {type(schema).__name__}")
    kind = schema.get("type")
    made = {name: value for name, value in schema.items() if name not in ("logicalType", "precision", "scale")}
    if isinstance(kind, dict | list):  # a type in parentheses
        return made | {"type": _checked(kind, sizes, within)}
    if kind in NAMED and isinstance(name := schema.get("name"), str):
        full = name if "." in name or not schema.get("namespace") else f"{schema['namespace']}.{name}"
        inside = within | {name, full}
        if kind == "record":
            made["fields"] = [one | {"type": _checked(one["type"], sizes, inside)} for one in schema["fields"]]
        sizes[name] = sizes[full] = _may_be_nothing(made, sizes)
    elif kind == "array":
        made["items"] = _checked(schema["items"], sizes, within)
        if _may_be_nothing(made["items"], sizes):
            raise ValueError("a list whose entries have no bytes")
    elif kind == "map":
        made["values"] = _checked(schema["values"], sizes, within)
    return made


def _may_be_nothing(schema: Any, sizes: dict[str, bool]) -> bool:
    """Whether a value can be written in no bytes."""
    if isinstance(schema, list):
        return False  # the number of the branch
    if isinstance(schema, str):
        return schema == "null" or sizes.get(schema, False)
    kind = schema.get("type")
    if kind == "record":
        return all(_may_be_nothing(one["type"], sizes) for one in schema["fields"])
    if kind == "fixed":
        return not schema.get("size")
    return kind == "null" or (isinstance(kind, dict | str) and kind not in NAMED and _may_be_nothing(kind, sizes))
