"""Which dead letters there are, and which of them may go back to where they came from; decides, and touches nothing.

``dead-letters.v1`` holds letters, and marks: records without a value that say that a letter was redriven. A letter is
known by its origin (place and timestamp), so copies that a restarted reader wrote are one, and one mark settles them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from streams.contract import topics
from streams.contract.codec import Decode, Rejected, decoder
from streams.contract.dead_letters import (
    MAX_KEY_BYTES,
    REDRIVE_COUNT,
    REDRIVEN_LETTER,
    Headers,
    Origin,
    Redrive,
    last_of,
    origin_of,
    text_of,
)
from streams.contract.events import Record
from streams.contract.explain import without_particulars

Verdict = Literal["ready", "redriven", "tries", "refused", "cut", "foreign", "superseded", "erased"]

WHY: Final[Mapping[Verdict, str]] = {
    "ready": "goes back to its topic",
    "redriven": "was redriven before; --again sends it once more",
    "tries": "failed after as many redrives as --most allows; --again sends it once more",
    "refused": "this version would refuse it again; mend it (--value), or --again sends it as it is",
    "cut": "only the beginning of its value or key was kept",
    "foreign": "it has no origin, or one that producers of this installation do not write",
    "superseded": "its topic holds a newer record of the same key, which it would overwrite",
    "erased": "its user was erased since",
}
"""What each verdict means, for people."""

FIELDS: Final = ("reason", "topic", "stage", "key")
"""What ``--where`` can ask for."""


class Read(NamedTuple):
    """One record of ``dead-letters.v1`` as it was read."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Newest(NamedTuple):
    """The last record of a key on a compacted topic."""

    partition: int
    offset: int
    timestamp_ms: int
    is_tombstone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, without its bytes.

    Attributes:
      partition, offset: where it stands on ``dead-letters.v1``; together its id.
      origin: where its record stood; None if the headers do not say.
      reason, stage: why it was refused, and by which test.
      size_bytes: of the value that is kept. original_bytes: of the value that came.
      timestamp_ms: of the record that was refused.
      copies: letters of the same record; the others were written by readers that started again.
      is_redriven: a mark says so.
      refusal: what this version says of the bytes; None: it takes them.
    """

    partition: int
    offset: int
    origin: Origin | None
    reason: str
    stage: str
    size_bytes: int
    original_bytes: int
    timestamp_ms: int
    copies: int = 1
    is_redriven: bool = False
    refusal: str | None = None

    @property
    def id(self) -> str:
        """As "partition/offset"."""
        return f"{self.partition}/{self.offset}"

    @property
    def redrives(self) -> int:
        """How often these bytes were redriven before they were refused here."""
        return 0 if self.origin is None or self.origin.redrive is None else self.origin.redrive.count

    @property
    def first_origin(self) -> str:
        """Place of the record that was refused first; empty if there is none."""
        if self.origin is None:
            return ""
        return self.origin.place if self.origin.redrive is None else self.origin.redrive.first

    @property
    def kind(self) -> tuple[str, str]:
        """Stage, and the reason without the values that differ from record to record."""
        return self.stage, without_particulars(self.reason)


class Wish(NamedTuple):
    """A record to publish, as data: the core knows no client."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    partition: int | None = None


Judge = Callable[[Origin, bytes], str | None]


def judge_of(
    names: Mapping[str, topics.TopicSpec], *, at_ms: int | None = None,
    decoder_of: Callable[[type[Record]], Decode] = decoder,  # type: ignore[assignment]
) -> Judge:  # fmt: skip
    """What this version would say of a letter's bytes: None if it takes them, else the reason.

    Args:
      names: full topic names of the installation.
      at_ms: the record timestamp that they will have; None: the origin's.
      decoder_of: how the configuration reads records of a kind.
    """

    def judge(origin: Origin, value: bytes) -> str | None:
        spec = names.get(origin.topic)
        if spec is None or spec.event_type is None:
            return None
        decode = decoder_of(spec.event_type)
        found = decode(value, origin.timestamp_ms if at_ms is None else at_ms, origin.key, ())
        return found.reason if isinstance(found, Rejected) else None

    return judge


def letters_of(records: Iterable[Read], judge: Judge, *, mended: Mapping[str, bytes] | None = None) -> list[Letter]:
    """The letters, one a refused record, in the order of the topic, each with what marks and copies say of it.

    Args:
      records: of ``dead-letters.v1``, in order.
      judge: see :func:`judge_of`.
      mended: letter id -> the value that it is to go back with.
    """
    found: dict[object, Letter] = {}
    for read in records:
        origin = origin_of(read.headers)
        known = (read.partition, read.offset) if origin is None else (origin.place, origin.timestamp_ms)
        before = found.get(known)
        if read.value is None:
            if before is not None and origin is not None:
                found[known] = replace(before, is_redriven=True)
        elif before is not None:
            found[known] = replace(before, copies=before.copies + 1)
        else:
            found[known] = _letter(read, read.value, origin, judge, mended or {})
    return list(found.values())


def _letter(read: Read, value: bytes, origin: Origin | None, judge: Judge, mended: Mapping[str, bytes]) -> Letter:
    named = last_of(read.headers)
    whole = text_of(named, "original-bytes")
    letter = Letter(
        partition=read.partition,
        offset=read.offset,
        origin=origin,
        reason=text_of(named, "reason"),
        stage=text_of(named, "stage"),
        size_bytes=len(value),
        original_bytes=int(whole) if re.fullmatch(r"[0-9]{1,12}", whole) else len(value),
        timestamp_ms=read.timestamp_ms if origin is None else origin.timestamp_ms,
    )
    if origin is None:
        return letter
    new = mended.get(letter.id)
    if new is None:
        return replace(letter, refusal=judge(origin, value))
    return replace(letter, refusal=judge(origin, new), original_bytes=letter.size_bytes)  # no longer cut


def keys_of(users: Iterable[str]) -> frozenset[bytes]:
    """Keys of records of these users."""
    return frozenset(user.encode() for user in users)


def named_in(users: Collection[str], *, fields: Collection[str] = ("user_id",)) -> re.Pattern[bytes]:
    """Finds one of them where a record that cannot be read names its user.

    ``fields``: names of the field that has the id.
    """
    spelt = {json.dumps(user, ensure_ascii=ascii).encode() for user in users for ascii in (True, False)}
    ids = [re.escape(one) for one in sorted(spelt)]
    ids += [re.escape(user.encode()) + rb"(?![0-9.])" for user in sorted(users) if re.fullmatch(r"-?[0-9]+", user)]
    named = b"|".join(re.escape(json.dumps(field).encode()) for field in sorted(fields))
    return re.compile(rb"(?:" + named + rb")\s*:\s*(?:" + b"|".join(ids) + rb")")


def is_of(read: Read, keys: Collection[bytes], named: re.Pattern[bytes]) -> bool:
    """Whether a letter, or the mark of one, is of a record of these users, as far as its bytes tell."""
    key = last_of(read.headers).get("origin-key")
    return (key is not None and key in keys) or (read.value is not None and named.search(read.value) is not None)


def matches(
    letter: Letter, where: Sequence[tuple[str, str]], *, since_ms: int | None = None, ids: Collection[str] = ()
) -> bool:
    """Whether a letter is one of those asked for.

    Args:
      letter: the letter.
      where: field of :data:`FIELDS`, and text. A reason and a key must hold the text, a topic must be it or end with
        "." and it, a stage must be it. Texts of one field are alternatives; every field named must agree.
      since_ms: only letters of records from then on.
      ids: only these; none: all.
    """
    if ids and letter.id not in ids:
        return False
    if since_ms is not None and letter.timestamp_ms < since_ms:
        return False
    return all(
        any(_agrees(letter, name, text) for one, text in where if one == name) for name in {one for one, _ in where}
    )


def _agrees(letter: Letter, field: str, text: str) -> bool:
    if field == "reason":
        return text.lower() in letter.reason.lower()
    if field == "stage":
        return text == letter.stage
    if letter.origin is None:
        return False
    if field == "topic":
        return f".{letter.origin.topic}".endswith(f".{text}")
    return letter.origin.key is not None and text.encode() in letter.origin.key


def count_kinds(letters: Iterable[Letter]) -> list[tuple[tuple[str, str], int]]:
    """Stage and reason without particulars -> how many letters, most first."""
    return Counter(letter.kind for letter in letters).most_common()


def keys_to_look_up(letters: Iterable[Letter], names: Mapping[str, topics.TopicSpec]) -> dict[str, set[bytes]]:
    """Compacted topic's spec name -> the keys whose newest record :func:`plan` has to know."""
    wanted: dict[str, set[bytes]] = {}
    for letter in letters:
        origin = letter.origin
        spec = None if origin is None else names.get(origin.topic)
        if origin is None or spec is None or origin.key is None:
            continue
        if spec.cleanup == "compact":
            wanted.setdefault(spec.name, set()).add(origin.key)
        if spec.user_keyed:
            wanted.setdefault(topics.USERS.name, set()).add(origin.key)
    return wanted


def plan(
    letter: Letter,
    names: Mapping[str, topics.TopicSpec],
    newest: Mapping[tuple[str, bytes], Newest],
    *,
    most: int,
    again: bool,
) -> Verdict:
    """May this letter go back?

    Args:
      letter: the letter.
      names: full name of each topic that letters may go back to; nothing is ever published elsewhere.
      newest: (spec name, key) -> its newest record, for the keys of :func:`keys_to_look_up`.
      most: redrives after which a letter is left alone.
      again: also those that were redriven, have failed ``most`` times, or would be refused.
    """
    origin = letter.origin
    spec = None if origin is None else names.get(origin.topic)
    if origin is None or spec is None:
        return "foreign"
    if letter.original_bytes > letter.size_bytes or len(origin.key or b"") >= MAX_KEY_BYTES:
        return "cut"
    if letter.is_redriven and not again:
        return "redriven"
    if origin.key is not None:
        last = newest.get((spec.name, origin.key))
        if last is not None and last.partition == origin.partition and last.offset > origin.offset:
            return "superseded"
        user = newest.get((topics.USERS.name, origin.key)) if spec.user_keyed else None
        if user is not None and user.is_tombstone and user.timestamp_ms >= origin.timestamp_ms:
            return "erased"
    if again:
        return "ready"
    if letter.redrives >= most:
        return "tries"
    return "ready" if letter.refusal is None else "refused"


def redriven(letter: Letter, value: bytes, *, at_ms: int | None = None) -> Wish:
    """The record that goes back: same key and bytes, with headers that say where it stood first and how often it went.

    It goes to the partition of its key, as a producer's would; one without a key to the partition where it stood.
    """
    origin = _origin(letter)
    again = Redrive(first=letter.first_origin, count=letter.redrives + 1)
    return Wish(
        topic=origin.topic,
        key=origin.key,
        value=value,
        headers=(*again.headers(), (REDRIVEN_LETTER, letter.id.encode())),
        timestamp_ms=origin.timestamp_ms if at_ms is None else at_ms,
        partition=None if origin.key is not None else origin.partition,
    )


def mark(letter: Letter, topic: str) -> Wish:
    """The record that says that this letter went back: the letter's key and origin, and no value."""
    origin = _origin(letter)
    headers = (
        *origin.headers(),
        (REDRIVE_COUNT, b"%d" % (letter.redrives + 1)),
        (REDRIVEN_LETTER, letter.id.encode()),
    )
    return Wish(
        topic=topic,
        key=origin.place.encode(),
        value=None,
        headers=headers,
        timestamp_ms=origin.timestamp_ms,
        partition=letter.partition,
    )


def _origin(letter: Letter) -> Origin:
    if letter.origin is None:
        raise ValueError(f"expected a letter with an origin, got {letter.id}, whose headers name none; leave it out")
    return letter.origin
