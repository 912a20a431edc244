"""Bytes to events and back: the only place where somebody's bytes become values, and where the rules are enforced.

Bad bytes come back as ``Rejected``, never as an exception. Whether a record is accepted depends on its bytes and its
own timestamp alone, never on the wall clock or the call stack, so a replay decides as the first run did. Tombstones
(records without a value) are the reader's business and must not get here.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import msgspec
import numpy as np

from streams.contract import events, framed, rules
from streams.contract.checks import CHECKS
from streams.contract.errors import EventTypeError
from streams.contract.explain import explain, readable

STAGE_SIZE: Final = "size"
"""The value is longer than ``rules.MAX_RECORD_BYTES``."""
STAGE_SYNTAX: Final = "syntax"
"""Not UTF-8, not JSON, or nested too deep."""
STAGE_SCHEMA: Final = "schema"
"""JSON, but a field is missing, of the wrong type or outside its limits."""
STAGE_REGISTRY: Final = "registry"
"""A schema registry's header, and its schema is not known, or cannot be read, or the value is none of it."""
STAGE_RULE: Final = "rule"
"""Each field is fine, but not together, or not at the record's time."""

EventT = TypeVar("EventT", bound=events.Record)
Headers = Sequence[tuple[str, bytes | None]] | None
"""A record's headers, as clients give them."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are not an event: kept whole, with a readable reason and the stage that refused them."""

    payload: bytes
    reason: str
    stage: str


class Skipped:
    """What stands for a record that a mapping leaves out on purpose: nothing to learn, and nothing to refuse."""


SKIPPED: Final = Skipped()


class Decode(Protocol):
    """Bytes to an event; what stands beside the value matters only to mappings."""

    def __call__(
        self, payload: bytes, timestamp_ms: int, key: bytes | None = None, headers: Headers = None, /
    ) -> events.Record | Rejected | Skipped:
        """The event of a record's value, timestamp (UTC epoch ms, negative if it has none), key and headers."""


def decoder(event_type: type[EventT]) -> Callable[[bytes, int], EventT | Rejected]:
    """Fast decoder of one event type: call it with a record's value and its timestamp.

    Args:
      event_type: one of ``events``.

    Returns:
      A function of (value, record timestamp in UTC epoch ms) that gives the event, or ``Rejected``. A negative
      timestamp means that the record has none; clock skew is not judged then. It may be used from any thread.

    Raises:
      EventTypeError: ``event_type`` is not a record of the contract.
    """
    return _build(event_type)


def decode(event_type: type[EventT], payload: bytes, *, timestamp_ms: int) -> EventT | Rejected:
    """One record's value as an event, or ``Rejected``; ``decoder`` is the same, bound to its type once.

    Args:
      event_type: what the topic carries.
      payload: the record's value.
      timestamp_ms: the record's timestamp, UTC epoch ms; negative if it has none.

    Raises:
      EventTypeError: ``event_type`` is not a record of the contract.
    """
    return decoder(event_type)(payload, timestamp_ms)


def encode(event: events.Record) -> bytes:
    """The wire bytes of an event: compact UTF-8 JSON, fields in the order of the type, defaults left out.

    Limits are not checked here. JSON has no NaN and no infinity: they would become ``null`` and be refused by every
    reader, so a writer leaves such a figure out.
    """
    return _ENCODER.encode(event)


_ENCODER = msgspec.json.Encoder()


@functools.cache
def _build(event_type: type[Any]) -> Callable[[bytes, int], Any]:
    if not (isinstance(event_type, type) and issubclass(event_type, events.Record)):
        raise EventTypeError(f"an event type of streams.contract.events is expected, got {event_type!r}")
    return compiled(event_type, msgspec.json.Decoder(event_type).decode, check=CHECKS.get(event_type))


def compiled(
    document: type[Any],
    decode_json: Callable[[bytes], Any],
    *,
    check: Callable[[Any, int], str | None] | None = None,
    finish: Callable[[Any, bytes, int, bytes | None, Headers], Any] | None = None,
    leaves_out: Callable[[bytes, int, bytes | None, Headers], bool] | None = None,
) -> Callable[[bytes, int], Any]:
    """What every decoder does with somebody's bytes, around a parser of JSON: limits first, and reasons at the end.

    Args:
      document: what the parser gives, for the reasons.
      decode_json: the parser, msgspec's. check: a reason against what it gave, by the record's timestamp.
      finish: makes the event of what the parser gave, or `Rejected`, or `SKIPPED`; without it, that is the event.
      leaves_out: asked before JSON that is no ``document`` is refused: True: `SKIPPED`.
    """
    max_bytes, max_nesting, shallow_bytes = rules.MAX_RECORD_BYTES, rules.MAX_NESTING, 2 * rules.MAX_NESTING

    def run(payload: bytes, timestamp_ms: int, key: bytes | None = None, headers: Headers = None) -> Any:
        size_bytes = len(payload)
        if size_bytes > shallow_bytes:  # a shorter value cannot open and close more levels than are allowed
            if size_bytes > max_bytes:
                return Rejected(payload, f"expected a value of <= {max_bytes} bytes, got {size_bytes}", STAGE_SIZE)
            if (
                payload.count(b"[") + payload.count(b"{") > max_nesting
                and nesting(payload) > max_nesting
                and payload[0]
            ):
                return Rejected(payload, f"expected <= {max_nesting} nested arrays and objects, got more", STAGE_SYNTAX)
        try:
            if not payload.isascii():
                payload.decode()  # msgspec looks only into the fields that it knows
            event = decode_json(payload)
        except msgspec.ValidationError as error:
            if leaves_out is not None and leaves_out(payload, timestamp_ms, key, headers):
                return SKIPPED
            return Rejected(payload, explain(document, payload, str(error)), STAGE_SCHEMA)
        except msgspec.DecodeError as error:
            if payload[:1] == b"\0":
                return run_framed(payload, timestamp_ms)
            if not payload:
                return Rejected(payload, "expected a JSON object, got an empty value", STAGE_SYNTAX)
            return Rejected(payload, readable(f"expected JSON: {error}{_hint(payload)}"), STAGE_SYNTAX)
        except UnicodeDecodeError as error:
            if payload[0] == 0:
                return run_framed(payload, timestamp_ms)
            return Rejected(payload, f"expected UTF-8: {error.reason} at byte {error.start}", STAGE_SYNTAX)
        except RecursionError:
            return Rejected(payload, f"expected <= {max_nesting} nested arrays and objects, got more", STAGE_SYNTAX)
        if check is not None and (reason := check(event, timestamp_ms)) is not None:
            return Rejected(payload, readable(reason), STAGE_RULE)
        return event if finish is None else finish(event, payload, timestamp_ms, key, headers)

    def run_framed(payload: bytes, timestamp_ms: int) -> Any:
        """A value behind a registry's header; only what is no JSON gets here, so plain JSON pays nothing."""
        value = framed.json_of(payload)
        if isinstance(value, str):
            is_known = framed.schema_id(payload) in framed.KNOWN
            return Rejected(payload, readable(value), STAGE_REGISTRY if is_known else STAGE_SYNTAX)
        found = run(value, timestamp_ms)
        return Rejected(payload, found.reason, found.stage) if isinstance(found, Rejected) else found

    return run


def _hint(payload: bytes) -> str:
    return "; a \\u escape may lack its other half" if b"\\u" in payload else ""


def nesting(payload: bytes) -> int:
    """Deepest nesting of arrays and objects in JSON text; brackets inside strings don't count.

    Broken JSON gets some number: the parser, which comes next, refuses it. Linear in the length, whatever it holds.
    """
    unescaped = payload.replace(b"\\\\", b"").replace(b'\\"', b"")  # what is left of '"' opens or closes a string
    chars = np.frombuffer(unescaped, np.uint8)
    outside = (np.cumsum(chars == ord('"'), dtype=np.int32) & 1) == 0
    opens = ((chars == ord("[")) | (chars == ord("{"))) & outside
    closes = ((chars == ord("]")) | (chars == ord("}"))) & outside
    return int(np.cumsum(opens.astype(np.int32) - closes, dtype=np.int32).max(initial=0))
