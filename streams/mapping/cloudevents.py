"""CloudEvents on a topic: unwrapped before anything else looks at a record, in either content mode.

Binary: attributes in headers ``ce_...``, the data is the value. Structured: all of it is one JSON object, whose
``data`` is the data; its attributes are handed on as if they had been headers. A record that is neither is taken as it
is, so a topic may change over, and a dead letter, which keeps no headers, may go back.
Kafka protocol binding: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from streams.contract.codec import STAGE_SCHEMA, Decode, Headers, Rejected
from streams.mapping.values import CE

STRUCTURED: Final = b"application/cloudevents"
VERSION: Final = "specversion"
_ATTRIBUTES: Final = ("id", "source", "type", "subject", "time", "dataschema", "datacontenttype")


class _Event(msgspec.Struct, frozen=True, gc=False):
    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    subject: str | None = None
    time: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    data_base64: str | None = None


_DECODE: Final = msgspec.json.Decoder(_Event).decode


def unwrapping(decode: Decode) -> Decode:
    """A decoder of CloudEvents whose data ``decode`` takes."""

    def run(payload: bytes, at_ms: int, key: bytes | None = None, headers: Headers = None, /) -> Any:
        found = dict(headers or ())
        if CE + VERSION in found:
            return decode(payload, at_ms, key, headers)
        kind = found.get("content-type")
        is_said = kind is not None and kind.lstrip().lower().startswith(STRUCTURED)
        try:
            event = _DECODE(payload)
        except msgspec.MsgspecError as error:
            if is_said and isinstance(error, msgspec.ValidationError):
                return Rejected(payload, f"expected a CloudEvent in JSON: {error}", STAGE_SCHEMA)
            return decode(payload, at_ms, key, headers)  # which says what is wrong with it
        except (UnicodeDecodeError, RecursionError):
            return decode(payload, at_ms, key, headers)
        if event.specversion is None:
            if is_said:
                return Rejected(payload, "expected a CloudEvent with `specversion`, got none", STAGE_SCHEMA)
            return decode(payload, at_ms, key, headers)
        data = _data(event)
        if isinstance(data, str):
            return Rejected(payload, data, STAGE_SCHEMA)
        told = [(CE + name, value.encode()) for name in _ATTRIBUTES if (value := getattr(event, name)) is not None]
        result = decode(data, at_ms, key, [*(headers or ()), *told])
        return Rejected(payload, result.reason, result.stage) if isinstance(result, Rejected) else result

    return run


def _data(event: _Event) -> bytes | str:
    """The data, or what is wrong with it."""
    raw = bytes(event.data)
    if raw and raw != b"null":
        return raw
    if event.data_base64 is None:
        return "expected `data` in the CloudEvent, got none"
    try:
        return base64.b64decode(event.data_base64, validate=True)
    except (binascii.Error, ValueError):
        return "expected base64 in `data_base64` of the CloudEvent, got something else"
