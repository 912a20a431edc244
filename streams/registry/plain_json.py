"""A decoded record -> the JSON that the codec reads. Numbers that JSON lacks are refused, not turned into nulls."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import msgspec

from streams.contract.framed import FrameError


def to_json(record: Any) -> bytes:
    """Compact JSON; a field that is null counts as left out, bytes are base64.

    Raises:
      FrameError: it is no object, or holds what JSON cannot.
    """
    if not isinstance(record, dict):
        raise FrameError(f"expected an object, got {type(record).__name__}")
    told = {name: value for name, value in record.items() if value is not None}
    try:
        value = _quick(told)
        # It writes null for a number that is none: where that may have been, one that refuses them looks again.
        return _strict(told).encode() if b"null" in value else value
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError(f"expected what JSON can hold, got: {error}") from None


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a value of type {type(value).__name__}")


_quick: Final = msgspec.json.Encoder().encode
_strict: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain, check_circular=False).encode
