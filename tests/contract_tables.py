"""The contract's types as rows of a table, in the words of ``docs/events.md``: what that page must say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import msgspec.inspect as mi

from streams.contract import arms, events

NESTED: tuple[type[events.Record], ...] = (
    events.Asset,
    events.AsOf,
    events.ModelRef,
    events.SlateItem,
    arms.ItemArm,
    events.Gain,
    events.Tensor,
    events.OffsetRange,
)


@dataclass(frozen=True, kw_only=True)
class FieldRow:
    """One field: wire name, type, "required" or its default as JSON, and its limits."""

    name: str
    type: str
    default: str
    limits: str

    def markdown(self) -> str:
        """The start of the field's line; its meaning follows."""
        return f"| `{self.name}` | {self.type} | {self.default} | {self.limits} |"


def rows(event_type: type[events.Record]) -> list[FieldRow]:
    """The fields of a type in wire order."""
    info = mi.type_info(event_type)
    assert isinstance(info, mi.StructType)
    return [
        FieldRow(name=f.encode_name, type=_type(f.type), default=_default(f), limits=_limits(f.type) or "-")
        for f in info.fields
    ]


def _default(field: mi.Field) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(value).decode()}`"


def _options(kind: mi.UnionType) -> list[mi.Type]:
    return [option for option in kind.types if not isinstance(option, mi.NoneType)]


def _is_scalar(kind: mi.Type) -> bool:
    return isinstance(kind, mi.UnionType) and {type(t) for t in _options(kind)} == {
        mi.StrType,
        mi.IntType,
        mi.FloatType,
        mi.BoolType,
    }


def _type(kind: mi.Type) -> str:
    match kind:
        case mi.UnionType() if _is_scalar(kind):
            return "scalar"
        case mi.UnionType() if any(isinstance(t, mi.ListType) for t in _options(kind)):
            return "scalar or array of string"
        case mi.UnionType():
            return " or ".join([*(_type(t) for t in _options(kind)), "null"])
        case mi.ListType():
            return f"array of {_type(kind.item_type)}"
        case mi.DictType():
            return f"object of {_type(kind.value_type)}"
        case mi.TupleType():
            return f"array of {len(kind.item_types)} {_type(kind.item_types[0])}s"
        case mi.StructType():
            return f"[{kind.cls.__name__}](#{kind.cls.__name__.lower()})"
        case _:
            return _PLAIN[type(kind)]


_PLAIN: dict[type[Any], str] = {
    mi.StrType: "string",
    mi.IntType: "integer",
    mi.FloatType: "number",
    mi.BoolType: "boolean",
    mi.BytesType: "base64",
    mi.LiteralType: "word",
}


def _limits(kind: mi.Type) -> str:
    match kind:
        case mi.UnionType() if _is_scalar(kind):
            return ""
        case mi.UnionType() if any(isinstance(t, mi.ListType) for t in _options(kind)):
            return "; ".join(f"arrays {_limits(t)}" for t in _options(kind) if isinstance(t, mi.ListType))
        case mi.UnionType():
            return "; ".join(filter(None, (_limits(t) for t in _options(kind))))
        case mi.StrType() | mi.BytesType():
            unit = "characters" if isinstance(kind, mi.StrType) else "bytes"
            return _span(kind.min_length, kind.max_length, unit)
        case mi.IntType() | mi.FloatType():
            return _span(kind.ge, kind.le, "")
        case mi.LiteralType():
            return "one of " + ", ".join(f"`{word}`" for word in _in_order(kind.values))
        case mi.ListType():
            own = _span(kind.min_length, kind.max_length, "entries")
            return "; ".join(filter(None, (own, _each(_limits(kind.item_type)))))
        case mi.TupleType():
            return _each(_limits(kind.item_types[0]))
        case mi.DictType():
            own = _span(kind.min_length, kind.max_length, "entries")
            keys = _limits(kind.key_type)
            return "; ".join(filter(None, (own, keys and f"keys {keys}", _each(_limits(kind.value_type)))))
        case _:
            return ""


def _each(limits: str) -> str:
    return limits and f"each {limits}"


def _span(low: float | None, high: float | None, unit: str) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f"<= {_number(high)} {unit}".rstrip()
    return f"{_number(low)}..{_number(high)} {unit}".rstrip()


def _number(value: float | None) -> str:
    return f"{value:.8g}".replace("e+", "e") if isinstance(value, float) else str(value)


def _in_order(values: tuple[Any, ...]) -> list[str]:
    return sorted(str(value) for value in values)
