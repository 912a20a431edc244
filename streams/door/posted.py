"""A body -> the records in it, each held to the rules that its topic's readers hold it to. Pure.

All or nothing: one record that breaks the contract refuses the body, so that a client knows what was published.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from streams.contract import topics
from streams.contract.codec import STAGE_SIZE, STAGE_SYNTAX, Rejected, decoder
from streams.contract.events import Interaction, Item
from streams.contract.problems import FieldError, field_error
from streams.contract.topics import TopicSpec
from streams.door.refusals import refused_records

LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
"""Media types of one JSON object a line."""
JSON: Final = "application/json"
MOST_RECORDS: Final = 10_000
MOST_ERRORS: Final = 20
"""After so many no more is looked at."""
IDS: Final = {topics.INTERACTIONS.name: "event_id", topics.ITEMS.name: "item_id"}
"""Topic that may be posted to -> the field that makes a repeat harmless."""
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Posted(NamedTuple):
    """A record to publish, its bytes as they came."""

    id: str
    key: bytes
    value: bytes


def parts_of(body: bytes, media_type: str) -> list[bytes]:
    """The values of a body: one object, an array of them, or one a line.

    Raises:
      RefusalError: it is empty, no JSON, or holds too many.
    """
    if media_type in LINES:
        parts = [line for line in body.split(b"\n") if line.strip()]
    elif body.lstrip()[:1] == b"[":
        try:
            parts = [bytes(part) for part in _PARTS.decode(body)]
        except (msgspec.DecodeError, RecursionError) as error:
            raise refused_records([FieldError(expected="JSON", got=str(error), stage=STAGE_SYNTAX)]) from None
    else:
        parts = [body]
    if not parts:
        raise refused_records([FieldError(expected="at least one record", got="none", stage=STAGE_SYNTAX)])
    if len(parts) > MOST_RECORDS:
        raise refused_records([
            FieldError(expected=f"at most {MOST_RECORDS} records in a body", got=str(len(parts)), stage=STAGE_SIZE)
        ])  # fmt: skip
    return parts


def checked(spec: TopicSpec, parts: list[bytes], *, now_ms: int) -> list[Posted]:
    """The records of the values.

    Args:
      spec: the topic, one of `IDS`. now_ms: the timestamp that they will have.

    Raises:
      RefusalError: one of them would be refused there.
    """
    if spec.event_type is None:
        raise TypeError(f"expected a topic of records, got {spec.name}")
    decode, name, found, errors = decoder(spec.event_type), IDS[spec.name], [], []
    for at, value in enumerate(parts):
        event = decode(value, now_ms)
        if isinstance(event, Rejected):
            errors.append(field_error(event, record=at if len(parts) > 1 else None))
            if len(errors) == MOST_ERRORS:
                break
        elif isinstance(event, Interaction | Item):
            key = event.user_id if isinstance(event, Interaction) else event.item_id
            found.append(Posted(getattr(event, name), key.encode(), value))
    if errors:
        raise refused_records(errors, more=len(errors) == MOST_ERRORS)
    return found
