"""Reads dead letters, and sends those back that the core lets go; `streams.cores.redrive` decides."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.errors import KafkaError
from confluent_kafka import Message

from streams.contract import topics
from streams.cores import redrive
from streams.cores.redrive import Judge, Letter, Newest, Read, Wish
from streams.errors import BrokerUnavailableError, DeadLetterError
from streams.mapping.decoders import PLAIN, Decoders, decoders_of
from streams.mapping.shapes import Mappings
from streams.topic_settings import TopicSettings
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.publish import Out, PublishConfig, Publisher, send_all
from streams.transport.whole import read_whole

_PLACE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")
TOGETHER: Final = 50
"""Letters sent before their marks are: what a crash may send twice, and at most 50 MB."""


def topic_of(prefix: str) -> str:
    """Full name of ``dead-letters.v1``."""
    return topics.topic_name(prefix, topics.DEAD_LETTERS.name)


def origins_of(prefix: str, specs: Iterable[topics.TopicSpec] = topics.TOPICS) -> dict[str, topics.TopicSpec]:
    """The topics that letters may go back to; never one that roles alone write, least of all the ledger.

    ``specs``: of the installation, with topics of others in their places.
    """
    judged = {spec.name for spec in topics.JUDGED}
    return {spec.named(prefix): spec for spec in specs if spec.name in judged}


class Desk(NamedTuple):
    """Where letters of an installation may go back to, by full name, and how records of each kind are read."""

    origins: Mapping[str, topics.TopicSpec]
    decoders: Decoders

    @classmethod
    def of(cls, prefix: str, own: TopicSettings, mapping: Mappings) -> Desk:
        """That of a configuration."""
        return cls(origins_of(prefix, own.specs()), decoders_of(mapping))

    def judge(self, *, at_ms: int | None = None) -> Judge:
        """What this version and configuration say of bytes."""
        return redrive.judge_of(self.origins, at_ms=at_ms, decoder_of=self.decoders.__getitem__)


def letters_in(
    connection: Connection, *, prefix: str, desk: Desk | None = None, at_ms: int | None = None,
    mended: Mapping[str, bytes] | None = None,
) -> list[Letter]:  # fmt: skip
    """All letters of an installation; see `streams.cores.redrive.letters_of`."""
    judge = (desk or Desk(origins_of(prefix), PLAIN)).judge(at_ms=at_ms)
    return redrive.letters_of(map(_read, read_whole(connection, topic_of(prefix))), judge, mended=mended)


def one_letter(connection: Connection, letter_id: str, *, prefix: str) -> Read:
    """One letter as it stands on its topic.

    Raises:
      DeadLetterError: there is none of this id.
    """
    for read in _reads(connection, prefix, [place_of(letter_id)]):
        if read.value is not None:
            return read
    raise DeadLetterError(f"expected a letter {letter_id} on {topic_of(prefix)}, got none; see `marquee dlq ls`")


async def erase_letters(
    connection: Connection, users: Collection[str], *, prefix: str, fields: Collection[str] = ("user_id",)
) -> int:
    """Removes the letters of these users for good; gives how many.

    A broker deletes from the beginning of a topic only: the letters of others that stand there are written again, as
    they are, at its end. A crash between the two leaves copies, which readers know as such.

    Raises:
      BrokerError: the broker refuses.
    """
    topic = topic_of(prefix)
    reads = await asyncio.to_thread(lambda: [_read(message) for message in read_whole(connection, topic)])
    keys, theirs = redrive.keys_of(users), redrive.named_in(users, fields=fields)
    places = [at for at, read in enumerate(reads) if redrive.is_of(read, keys, theirs)]
    if not places:
        return 0
    others = [read for at, read in enumerate(reads) if at not in set(places)]  # to the end: marks follow their letters
    outs = [
        Out(
            topic=topic, key=read.key, value=read.value, timestamp_ms=read.timestamp_ms, partition=read.partition,
            headers=[(name, value or b"") for name, value in read.headers],
        )
        for read in others
    ]  # fmt: skip
    await send_all(connection, outs)
    last = reads[-1]
    await asyncio.to_thread(admin.delete_before, connection, topic, last.partition, last.offset + 1)
    return sum(reads[at].value is not None for at in places)


def place_of(letter_id: str) -> tuple[int, int]:
    """Partition and offset of a letter's id.

    Raises:
      DeadLetterError: it is not one.
    """
    found = _PLACE.fullmatch(letter_id)
    if found is None:
        raise DeadLetterError(f"a letter's id must be partition/offset, got {letter_id[:80]!r}; see `marquee dlq ls`")
    return int(found[1]), int(found[2])


def newest_in(
    connection: Connection, wanted: Mapping[str, Collection[bytes]], *, prefix: str, desk: Desk | None = None
) -> dict[tuple[str, bytes], Newest]:
    """(spec name, key) -> the newest record of that key; reads these topics whole."""
    found: dict[tuple[str, bytes], Newest] = {}
    full = {spec.name: name for name, spec in (desk.origins if desk else origins_of(prefix)).items()}
    for name, keys in wanted.items():
        for message in read_whole(connection, full.get(name) or topics.topic_name(prefix, name)):
            key = _bytes(message.key())
            if key is not None and key in keys:
                read = _read(message)
                found[name, key] = Newest(read.partition, read.offset, read.timestamp_ms, read.value is None)
    return found


async def send_back(
    connection: Connection,
    letters: Sequence[Letter],
    *,
    prefix: str,
    at_ms: int | None = None,
    mended: Mapping[str, bytes] | None = None,
) -> int:
    """Publishes letters to where they came from, then a mark for each; gives how many.

    A mark follows its record's acknowledgement: a crash between the two lets a letter go twice, and none is lost.

    Raises:
      BrokerUnavailableError: nobody answers any more.
      PublishError: a record was not acknowledged; the groups before its own are sent and marked.
    """
    wanted = {(letter.partition, letter.offset): letter for letter in letters}
    new, sent = mended or {}, 0
    reads = (read for read in _reads(connection, prefix, wanted) if read.value is not None)
    publisher = Publisher(connection, PublishConfig(linger_ms=5))
    try:
        await publisher.start()
    except KafkaError as error:
        raise BrokerUnavailableError(
            f"no Kafka broker answers at {connection.bootstrap}: {error!r}; try again"
        ) from error
    try:
        while group := await asyncio.to_thread(lambda: list(itertools.islice(reads, TOGETHER))):
            pairs = [(wanted[read.partition, read.offset], read.value or b"") for read in group]
            await _perform(publisher, (redrive.redriven(one, new.get(one.id, v), at_ms=at_ms) for one, v in pairs))
            await _perform(publisher, (redrive.mark(one, topic_of(prefix)) for one, _ in pairs))
            sent += len(pairs)
    finally:
        await publisher.stop()
    return sent


async def _perform(publisher: Publisher, wishes: Iterable[Wish]) -> None:
    await publisher.perform(Out(**wish._asdict()) for wish in wishes)
    await publisher.flush()


def _reads(connection: Connection, prefix: str, places: Collection[tuple[int, int]]) -> Iterator[Read]:
    """The records at these places, as far as they are there."""
    first: dict[int, int] = {}
    for partition, offset in places:
        first[partition] = min(offset, first.get(partition, offset))
    left = set(places)
    for message in read_whole(connection, topic_of(prefix), first=first) if left else ():
        place = (message.partition() or 0, message.offset() or 0)
        if place in left:
            left.discard(place)
            yield _read(message)
        if not left:
            return


def _read(message: Message) -> Read:
    headers: Any = message.headers() or ()
    return Read(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple((name, _bytes(value)) for name, value in headers),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
