"""Records of a chunk -> entries for a core, and dead letters for what breaks the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from streams.contract import topics
from streams.contract.codec import Rejected, decoder
from streams.contract.dead_letters import Origin, dead_letter, redrive_of
from streams.contract.events import Interaction, Item, Record, User
from streams.cores.learn import Entry, Erased, Withdrawn
from streams.durability.erasures import LEFT_OUT, NONE, Erasures, LeftOut
from streams.transport.merge import UNTIMED, Source, Stamped
from streams.transport.publish import Out

Decode = Callable[[bytes, int], Record | Rejected]

DECODERS: Final[dict[type[Record], Decode]] = {kind: decoder(kind) for kind in (Interaction, Item, User)}


def entries_of(
    records: Any, kind: type[Record], *, dead_letters: str | None, erasures: Erasures = NONE
) -> tuple[list[Entry | None], list[Out]]:
    """One entry a record, in order: None where there is nothing to learn, `LEFT_OUT` where a user was forgotten.

    Args:
      records: aiokafka's ``ConsumerRecord`` of one partition.
      kind: what the topic carries. dead_letters: full name of the topic for what is refused; None: it has its letters.
      erasures: who was forgotten: nothing of theirs is refused either.

    Returns:
      The entries, and what to publish: a dead letter for each refused record.
    """
    decode = DECODERS[kind]
    entries: list[Entry | None] = []
    letters: list[Out] = []
    for record in records:
        if record.value is None:
            entries.append(_tombstone(kind, record.key))
            continue
        entry = decode(record.value, record.timestamp)
        if isinstance(entry, Rejected):
            is_left_out = bool(erasures) and _is_erased(record, erasures)
            entries.append(LEFT_OUT if is_left_out else None)  # type: ignore[arg-type]
            if dead_letters is not None and not is_left_out:
                letters.append(letter_for(entry, record, topic=dead_letters))
        else:
            entries.append(entry)  # type: ignore[arg-type]
    return erasures.without(entries, records), letters


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
