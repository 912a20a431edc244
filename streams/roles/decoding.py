"""Records of a chunk -> entries for a core, and dead letters for what breaks the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from streams.contract import topics
from streams.contract.absent import Erased, Withdrawn
from streams.contract.codec import Decode, Rejected, Skipped
from streams.contract.dead_letters import Origin, dead_letter, redrive_of
from streams.contract.events import Interaction, Item, Record, User
from streams.cores.learn import Entry
from streams.durability.erasures import LEFT_OUT, NONE, Erasures, LeftOut
from streams.mapping.decoders import PLAIN, Decoders
from streams.transport.merge import UNTIMED, Source, Stamped
from streams.transport.publish import Out


class Taken(NamedTuple):
    """What records came to: an entry each, what to publish, and how many a mapping left out."""

    entries: list[Entry | None]
    letters: list[Out]
    skipped: int = 0


def entries_of(
    records: Any, kind: type[Record], *, dead_letters: str | None, erasures: Erasures = NONE,
    decoders: Decoders = PLAIN,
) -> Taken:  # fmt: skip
    """One entry a record, in order: None where there is nothing to learn, `LEFT_OUT` where a user was forgotten.

    Args:
      records: aiokafka's ``ConsumerRecord`` of one partition.
      kind: what the topic carries. dead_letters: full name of the topic for what is refused; None: it has its letters.
      erasures: who was forgotten: nothing of theirs is refused either. decoders: how the configuration reads records.

    Returns:
      The entries, and what to publish: a dead letter for each refused record.
    """
    decode = decoders[kind]
    entries: list[Entry | None] = []
    letters: list[Out] = []
    skipped = 0
    for record in records:
        if record.value is None:
            entries.append(_tombstone(kind, record.key))
            continue
        entry = decode(record.value, record.timestamp, record.key, record.headers)
        if isinstance(entry, Rejected | Skipped):
            is_left_out = bool(erasures) and _is_erased(record, erasures)
            entries.append(LEFT_OUT if is_left_out else None)  # type: ignore[arg-type]
            if isinstance(entry, Skipped):
                skipped += 1
            elif dead_letters is not None and not is_left_out:
                letters.append(letter_for(entry, record, topic=dead_letters))
        else:
            entries.append(entry)  # type: ignore[arg-type]
    return Taken(erasures.without(entries, records), letters, skipped)


def decode_message(decode: Decode, message: Message) -> Any:
    """What a record as librdkafka gives it decodes to; it has a value."""
    key, headers = message.key(), message.headers()
    value: Any = message.value()
    return decode(bytes(value), message.timestamp()[1], None if key is None else bytes(key), headers)  # type: ignore[arg-type]


def stamped(
    source: Source, records: Sequence[Any], entries: Sequence[Entry | LeftOut | None]
) -> list[Stamped[Entry | None]]:
    """Entries as the merger takes them; what is left out moves no clock, as if it had never been there."""
    return [
        Stamped(source, UNTIMED, record.offset, None)
        if isinstance(entry, LeftOut)
        else Stamped(source, record.timestamp, record.offset, entry)
        for record, entry in zip(records, entries, strict=True)
    ]


def _is_erased(record: Any, erasures: Erasures) -> bool:
    """Whether the key of a record that cannot be read names somebody who was forgotten."""
    return record.key is not None and erasures.leaves_out(
        record.key.decode("utf-8", "replace"), (record.topic, record.partition), offset=record.offset,
        timestamp_ms=record.timestamp,
    )  # fmt: skip


def letter_for(rejected: Rejected, record: Any, *, topic: str) -> Out:
    """The dead letter of one refused record."""
    origin = Origin(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        redrive=redrive_of(record.headers),
    )
    letter = dead_letter(rejected, origin)
    return Out(
        topic=topic, key=letter.key, value=letter.value, headers=letter.headers, timestamp_ms=letter.timestamp_ms
    )


def _tombstone(kind: type[Record], key: bytes | None) -> Entry | None:
    if key is None:
        return None
    name = key.decode("utf-8", "replace")
    if kind is Item:
        return Withdrawn(name)
    return Erased(name) if kind is User else None


KINDS: Final = {topics.ITEMS.name: Item, topics.USERS.name: User, topics.INTERACTIONS.name: Interaction}
"""What the trainer reads, in the order in which equal timestamps are learned."""
