"""One AsyncAPI 3.0 document of all topics: what is on them, under which key, and who sends and receives.

Made of the table of topics, the rights of each role and the schemas of the records, so that it cannot say anything
else than they do. The document's application is Marquee whole: "receive" is what a role of it reads.
"""

from typing import Any, Final

from streams.contract import dead_letters, rules, topics
from streams.contract.access import ACCESS
from streams.contract.schemas import Schema, components
from streams.contract.topics import JUDGED, TOPICS, TopicSpec, topic_name

VERSION: Final = "3.0.0"
BINDING: Final = "0.5.0"
"""Of AsyncAPI's Kafka bindings."""
PRODUCER: Final = "you"
"""Who writes the topics that Marquee does not."""
_REF: Final = "#/components/schemas/{name}"
_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "string", "pattern": "^-?[0-9]{1,19}$"}
_PLACE: Final[Schema] = {"type": "string", "pattern": "^[a-zA-Z0-9._-]{1,249}/[0-9]{1,10}/[0-9]{1,19}$"}
_LETTER_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,10}/[0-9]{1,19}$"}
_ORIGIN: Final[dict[str, Schema]] = {
    "origin-topic": _TEXT, "origin-partition": _NUMBER, "origin-offset": _NUMBER, "origin-timestamp-ms": _NUMBER,
}  # fmt: skip
_REDRIVE: Final[dict[str, Schema]] = {
    dead_letters.FIRST_ORIGIN: _PLACE,
    dead_letters.REDRIVE_COUNT: {"type": "string", "pattern": "^[1-9][0-9]{0,5}$"},
}
REDRIVEN_HEADERS: Final[dict[str, Schema]] = _REDRIVE | {dead_letters.REDRIVEN_LETTER: _LETTER_ID}
"""Headers of a record that `marquee dlq redrive` sent; another has none that mean anything."""
LETTER_HEADERS: Final[dict[str, Schema]] = (
    _ORIGIN
    | {"reason": {"type": "string", "maxLength": rules.MAX_REASON_CHARS}, "stage": _TEXT}
    | {"origin-key": _TEXT, "original-bytes": _NUMBER}
    | _REDRIVE
)
"""Headers of a dead letter; the last four need not be there."""
MARK_HEADERS: Final[dict[str, Schema]] = _ORIGIN | {
    dead_letters.REDRIVE_COUNT: _REDRIVE[dead_letters.REDRIVE_COUNT],
    dead_letters.REDRIVEN_LETTER: _LETTER_ID,
}
"""Headers of the mark that a letter was redriven."""


def document(*, version: str, prefix: str = "") -> Schema:
    """The AsyncAPI document of an installation.

    Args:
      version: of Marquee.
      prefix: before every topic's name; may be empty.

    Raises:
      TopicNameError: Kafka would refuse a topic of this prefix.
    """
    types = [spec.event_type for spec in TOPICS if spec.event_type is not None]
    return {
        "asyncapi": VERSION,
        "id": "urn:marquee",
        "info": {
            "title": "Marquee",
            "version": version,
            "description": "A streaming recommendation engine: interactions, items, users and requests in, slates "
            "out. Keys are UTF-8; partitions by murmur2 over the key; timestamps and times are UTC epoch ms. "
            "Fields that a schema does not name are allowed.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {spec.name: _channel(spec, prefix) for spec in TOPICS},
        "operations": {
            f"{who}.{action}.{spec.name}": _operation(who, action, spec)
            for who, access in ACCESS.items()
            for action, specs in (("receive", access.reads), ("send", access.writes))
            for spec in specs
        },
        "components": {
            "messages": {name: one for spec in TOPICS for name, one in _messages(spec).items()},
            "schemas": components(types, ref=_REF),
        },
    }


def senders(spec: TopicSpec) -> list[str]:
    """Who writes a topic: `PRODUCER`, and roles and commands of ours."""
    ours = [who for who, access in ACCESS.items() if spec in access.writes]
    return [PRODUCER, *ours] if spec in JUDGED else ours


def receivers(spec: TopicSpec) -> list[str]:
    """Roles and commands of ours that read a topic."""
    return [who for who, access in ACCESS.items() if spec in access.reads]


def _channel(spec: TopicSpec, prefix: str) -> Schema:
    unkeyed = "Records have no key." if spec.key is None else f"Keyed by `{spec.key}`."
    empty = "is skipped" if spec.tombstone is None else spec.tombstone
    users = " As many partitions as every other topic keyed by user." if spec.user_keyed else ""
    return {
        "address": topic_name(prefix, spec.name),
        "description": f"{unkeyed} A record without a value {empty}.{users}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(spec)},
        "bindings": {
            "kafka": {
                "partitions": spec.partitions,
                "topicConfiguration": {"cleanup.policy": [spec.cleanup], "retention.ms": spec.retention_ms},
                "bindingVersion": BINDING,
            }
        },
        "x-sent-by": senders(spec),
        "x-received-by": receivers(spec),
    }


def _operation(who: str, action: str, spec: TopicSpec) -> Schema:
    made: Schema = {
        "action": action,
        "channel": {"$ref": f"#/channels/{spec.name}"},
        "tags": [{"name": who}],
    }
    if (who, spec) == ("recommender", topics.REQUESTS):
        made["reply"] = {"channel": {"$ref": f"#/channels/{topics.SLATES.name}"}}
    return made


def _messages(spec: TopicSpec) -> dict[str, Schema]:
    """The kinds of record on a topic, by name."""
    binding = {"bindings": {"kafka": _key(spec)}}
    if spec.event_type is None:
        return {
            "DeadLetter": _message("DeadLetter", "A record that was refused: its bytes, as they came.")
            | {"contentType": "application/octet-stream", "headers": _headers(LETTER_HEADERS, optional=4)}
            | binding,
            "DeadLetterMark": _message("DeadLetterMark", f"A record without a value: {spec.tombstone}.")
            | {"payload": {"type": "null"}, "headers": _headers(MARK_HEADERS)}
            | binding,
        }
    name = spec.event_type.__name__
    value = _message(name, f"A value of `{spec.name}`.") | {"payload": {"$ref": _REF.format(name=name)}} | binding
    if spec in JUDGED:
        value["headers"] = _headers(REDRIVEN_HEADERS, optional=len(REDRIVEN_HEADERS))
    if spec in (topics.REQUESTS, topics.SLATES):
        value["correlationId"] = {"location": "$message.payload#/request_id"}
    found = {name: value}
    if spec.tombstone is not None:
        none = _message(f"{name}Tombstone", f"A record without a value: {spec.tombstone}.")
        found[f"{name}Tombstone"] = none | {"payload": {"type": "null"}} | binding
    return found


def _message(name: str, summary: str) -> Schema:
    return {"name": name, "summary": summary}


def _headers(named: dict[str, Schema], *, optional: int = 0) -> Schema:
    """Headers as an object: all but the last ``optional`` are always there."""
    required = list(named)[: len(named) - optional]
    return {"type": "object", "properties": named} | ({"required": required} if required else {})


def _key(spec: TopicSpec) -> Schema:
    """AsyncAPI's Kafka binding of a message: what the record's key is."""
    made: dict[str, Any] = {"bindingVersion": BINDING}
    if spec.key is None:
        return made
    if spec.event_type is None:
        return made | {"key": _PLACE}
    (whole,) = (components([spec.event_type])[spec.event_type.__name__],)
    field = whole["properties"].get(spec.key, _TEXT | {"minLength": 1})
    return made | {"key": field | {"description": f"`{spec.key}`, as UTF-8."}}
