"""An address or a body -> the request that is put on ``requests.v1``, and what status its slate has. Pure.

In an address a filter or an entry of the context is ``filters[tags]=comedy``, as OpenAPI's ``deepObject`` writes
it, and a name that comes again makes a list. Values are texts there, but `NUMBERS`; a body says the same in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from multidict import MultiMapping

from streams.contract import rules
from streams.contract.codec import STAGE_SYNTAX, Rejected, decoder
from streams.contract.events import Request
from streams.contract.problems import FieldError, field_error
from streams.door.refusals import RefusalError, refused_records

NUMBERS: Final = frozenset({"max_duration_s"})
"""Filters whose value is a number."""
LISTS: Final = frozenset({"tags"})
"""Filters whose value is a list, however many there are."""
NAMES: Final = "k, surface, exclude, filters[NAME] and context[NAME]"
_ENTRY: Final = re.compile(r"(?P<table>filters|context)\[(?P<name>[^\[\]]+)\]")
_WHOLE: Final = re.compile(r"-?[0-9]{1,16}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_DECODE: Final = decoder(Request)


def of_address(user_id: str, query: MultiMapping[str], *, request_id: str) -> Request:
    """The request that an address asks for.

    Raises:
      RefusalError: it has a name that is not known, or a value that the contract refuses.
    """
    tables: dict[str, dict[str, Any]] = {"filters": {}, "context": {}}
    fields: dict[str, Any] = {"request_id": request_id, "user_id": user_id}
    for name in dict.fromkeys(query):
        values = query.getall(name)
        if (entry := _ENTRY.fullmatch(name)) is not None:
            tables[entry["table"]][entry["name"]] = _value(entry["table"], entry["name"], values)
        elif name == "exclude":
            fields["exclude"] = values
        elif name not in ("k", "surface"):
            raise RefusalError(400, "query", f"expected {NAMES}, got {name[: rules.MAX_LABEL_CHARS]!r}")
        elif len(values) > 1:
            raise RefusalError(400, "query", f"expected {name} once, got it {len(values)} times")
        else:
            fields[name] = _whole(values[0]) if name == "k" else values[0]
    return _checked(fields | tables)


def of_body(body: bytes, *, request_id: str) -> Request:
    """The request that a body asks for: a record of ``requests.v1`` without ``request_id``.

    Raises:
      RefusalError: it is no such record.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused_records([FieldError(expected="a JSON object", got=str(error), stage=STAGE_SYNTAX)]) from None
    if "request_id" in fields:
        raise refused_records([FieldError(field="request_id", expected="none, since the door gives one", got="one")])
    return _checked(fields | {"request_id": request_id})


def refusal_of(request: Request, error: str | None) -> RefusalError | None:
    """The refusal that stands in place of a slate, where a wish was not met that no list of items can make good."""
    if error is None or (request.k >= 1 and set(request.filters) <= rules.KNOWN_FILTERS):
        return None
    return RefusalError(422, "request", error)


def _checked(fields: Mapping[str, Any]) -> Request:
    try:
        value = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        raise RefusalError(400, "query", "expected UTF-8 behind the percent signs, got other bytes") from None
    request = _DECODE(value, -1)
    if isinstance(request, Rejected):
        raise refused_records([field_error(request)])
    return request


def _value(table: str, name: str, values: list[str]) -> Any:
    if table == "context":
        if len(values) > 1:
            raise RefusalError(400, "query", f"expected context[{name}] once, got it {len(values)} times")
        return values[0]
    if name in NUMBERS:
        if len(values) > 1 or _NUMBER.fullmatch(values[0]) is None:
            got = repr(values[0][: rules.MAX_LABEL_CHARS]) if len(values) == 1 else f"{len(values)} values"
            raise refused_records([FieldError(field=f"filters.{name}", expected="a number", got=got)])
        return float(values[0])
    return values if len(values) > 1 or name in LISTS else values[0]


def _whole(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise refused_records([FieldError(field="k", expected="a whole number", got=repr(text[:80]))])
    return int(text)
