"""The records that others write, as Avro schemas and as one .proto file: for producers that use a schema registry.

Made of the same types as the JSON Schema. Both say names and types; limits are the codec's, which reads what such a
value means in JSON (`framed`). A field is only ever added, with a default and behind the others, so Avro's resolution
and Protobuf's numbers hold between versions.
"""

import inspect
from typing import Any, Final

import msgspec
import msgspec.inspect as mi

from streams.contract import events
from streams.contract.topics import JUDGED, TopicSpec

NAMESPACE: Final = "marquee"
_SCALARS: Final = ["null", "string", "long", "double", "boolean"]
_AVRO: Final[dict[type[Any], str]] = {
    mi.StrType: "string", mi.LiteralType: "string", mi.IntType: "long", mi.FloatType: "double", mi.BoolType: "boolean",
}  # fmt: skip
_PROTO: Final[dict[type[Any], str]] = {
    mi.StrType: "string", mi.LiteralType: "string", mi.IntType: "int64", mi.FloatType: "double", mi.BoolType: "bool",
}  # fmt: skip
_STRUCT: Final = "google.protobuf.Struct"


def avro_schemas() -> dict[str, dict[str, Any]]:
    """Topic -> Avro schema of its values."""
    return {spec.name: avro_schema(spec) for spec in JUDGED}


def avro_schema(spec: TopicSpec) -> dict[str, Any]:
    """The Avro schema of a topic that others write."""
    schema: dict[str, Any] = _record(_info(_type_of(spec)), set())
    return schema


def proto_file() -> str:
    """One .proto file with a message for each record that others write."""
    lines = [
        "// Values of the topics that you write; a schema registry's header stands before each.",
        'syntax = "proto3";',
        "",
        f"package {NAMESPACE};",
        "",
        'import "google/protobuf/struct.proto";',
    ]
    todo: list[type[Any]] = [_type_of(spec) for spec in JUDGED]
    for kind in todo:
        info = _info(kind)
        lines += ["", *(f"// {line}".rstrip() for line in _first_line(kind)), f"message {kind.__name__} {{"]
        for number, field in enumerate(info.fields, start=1):
            lines.append(f"  {_proto_type(field.type, todo)} {field.encode_name} = {number};")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _type_of(spec: TopicSpec) -> type[events.Record]:
    if spec.event_type is None:
        raise TypeError(f"expected a topic of records, got {spec.name}")
    return spec.event_type


def _info(kind: type[Any]) -> mi.StructType:
    found = mi.type_info(kind)
    if not isinstance(found, mi.StructType):
        raise TypeError(f"expected a record, got {kind!r}")
    return found


def _first_line(kind: type[Any]) -> list[str]:
    return inspect.cleandoc(kind.__doc__ or "").replace("``", "").splitlines()[:1]


def _record(info: mi.StructType, said: set[str]) -> Any:
    """A record in full, or its name where it was said before."""
    name = info.cls.__name__
    if name in said:
        return name
    said.add(name)
    fields = [_avro_field(field, said) for field in info.fields]
    return {"type": "record", "name": name, "namespace": NAMESPACE, "doc": _first_line(info.cls)[0], "fields": fields}


def _avro_field(field: mi.Field, said: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": field.encode_name, "type": _avro(field.type, said)}
    if field.required:
        return made
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return made | {"default": value}


def _options(kind: mi.UnionType) -> list[mi.Type]:
    return [one for one in kind.types if not isinstance(one, mi.NoneType)]


def _avro(kind: mi.Type, said: set[str]) -> Any:
    match kind:
        case mi.UnionType() if any(isinstance(one, mi.BoolType) for one in kind.types):
            lists = [one for one in kind.types if isinstance(one, mi.ListType)]
            return [*_SCALARS, *(_avro(one, said) for one in lists)]
        case mi.UnionType():
            return ["null", *(_avro(one, said) for one in _options(kind))]
        case mi.ListType():
            return {"type": "array", "items": _avro(kind.item_type, said)}
        case mi.DictType():
            return {"type": "map", "values": _avro(kind.value_type, said)}
        case mi.StructType():
            return _record(kind, said)
        case _:
            return _AVRO[type(kind)]


def _proto_type(kind: mi.Type, todo: list[type[Any]]) -> str:
    match kind:
        case mi.UnionType():
            (one,) = _options(kind)
            return _proto_type(one, todo)
        case mi.ListType():
            return f"repeated {_proto_type(kind.item_type, todo).removeprefix('optional ')}"
        case mi.DictType():
            return _STRUCT
        case mi.StructType():
            if kind.cls not in todo:
                todo.append(kind.cls)
            return kind.cls.__name__
        case _:
            return f"optional {_PROTO[type(kind)]}"
