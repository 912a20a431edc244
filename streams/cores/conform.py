"""What a producer gets wrong: each record judged by the engine's own decoder, and told by kind, with an example.

Refusals are the codec's, to the letter. Two things that it does not refuse are told besides: keys that send a record to
the wrong process, which are as bad, and names of fields that nobody reads, which may be meant.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from streams.contract import codec, events, framed, rules
from streams.contract.explain import without_particulars
from streams.contract.topics import TopicSpec
from streams.printable import printable

STAGE_KEY: Final = "key"
"""The value may be fine, the record's key is not what the topic asks for."""
MOST_KINDS: Final = 200
"""Kinds of problem, and names of unknown fields, that are told apart; the rest is counted together."""
REST: Final = "of other kinds"
SHOWN_BYTES: Final = 400
"""How much of an example's value is kept, bytes."""
_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""Raw: the codec does not look into fields that it does not know, and 1e400 there is nobody's fault."""
_AT: Final = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<field>[^`]*)`?)?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_SYNTAX: Final = re.compile(r"expected (?P<expected>JSON|UTF-8): (?P<got>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """One record as it came.

    Attributes:
      place: where it stands, in words: "line 3", "partition 0, offset 17".
      value, key: its bytes; None: it has none. knows_key: whether the source tells keys at all.
      timestamp_ms: UTC epoch ms; negative if it has none.
      size_bytes: of the value, where only its beginning was kept.
    """

    place: str
    value: bytes | None
    key: bytes | None = None
    knows_key: bool = True
    timestamp_ms: int = -1
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong with one record; ``field`` is empty where it is the whole."""

    stage: str
    field: str
    expected: str
    got: str


@dataclass(slots=True, kw_only=True)
class Problem:
    """One kind of what is wrong: how often, with the first record of it as the example; texts are safe to print."""

    wrong: Wrong
    place: str
    value: str
    count: int = 0


@dataclass(slots=True, kw_only=True)
class Unknown:
    """A field that no reader knows: how often, where first, and the known name that it looks like, if any."""

    name: str
    place: str
    like: str | None
    count: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    """Counts of records, and what was found, most frequent first.

    ``refused`` is what the engine refuses; ``wrong_keys`` counts other records, and those without a value.
    """

    records: int = 0
    refused: int = 0
    wrong_keys: int = 0
    without_value: int = 0
    problems: list[Problem] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Whether a producer may go on like this."""
        return not self.problems


def conform(spec: TopicSpec, event_type: type[events.Record], records: Iterable[Came]) -> Report:
    """Judges records as the engine would on this topic; memory does not grow with their number.

    Args:
      spec: the topic that they are for. event_type: what it carries.
      records: in any order.
    """
    report, decode = Report(), codec.decoder(event_type)
    known = {one.encode_name for one in msgspec.structs.fields(event_type)}
    problems: dict[tuple[str, str, str], Problem] = {}
    unknown: dict[str, Unknown] = {}
    for came in records:
        report.records += 1
        verdict = None if came.value is None else decode(came.value, came.timestamp_ms)
        if isinstance(verdict, codec.Rejected):
            report.refused += 1
            wrong: Wrong | None = _told(verdict, came.size_bytes)
        else:
            report.without_value += verdict is None
            wrong = _wrong_key(spec, came, verdict)
            for name in () if came.value is None else _NAMES.decode(framed.plain(came.value)):
                if name not in known:
                    _count_name(unknown, name, came.place, known)
        if wrong is not None:
            report.wrong_keys += wrong.stage == STAGE_KEY
            _count(problems, wrong, came)
    report.problems = sorted(problems.values(), key=lambda one: -one.count)
    report.unknown = sorted(unknown.values(), key=lambda one: -one.count)
    return report


def newest(edges: dict[int, tuple[int, int]], most: int) -> dict[int, int]:
    """Where to begin on each partition, so that about ``most`` records are read, evenly; what one lacks, others give.

    Args:
      edges: partition -> (first offset that is there, end).
      most: >= 1.

    >>> newest({0: (0, 100), 1: (5, 8), 2: (0, 0)}, 10)
    {0: 93, 1: 5}
    """
    begins: dict[int, int] = {}
    left = most
    by_size = sorted(edges.items(), key=lambda one: one[1][1] - one[1][0])
    for done, (partition, (first, end)) in enumerate(by_size):
        share = min(end - first, -(-left // (len(by_size) - done)))
        left -= share
        if share:
            begins[partition] = end - share
    return dict(sorted(begins.items()))


def told(reason: str) -> tuple[str, str, str]:
    """A reason of the codec in its parts: field, what was expected, what came.

    >>> told("Expected `int` >= 0, got -1 - at `$.dwell_ms`")
    ('dwell_ms', '`int` >= 0', '-1')
    >>> told("Object missing required field `id` - at `$.assets[0]`")
    ('assets[0].id', 'a value, as it is required', 'none')
    """
    match = _AT.fullmatch(reason)
    what, place = (match["what"], match["field"] or "") if match else (reason, "")
    if missing := _MISSING.fullmatch(what):
        return ".".join(filter(None, (place, missing["field"]))), "a value, as it is required", "none"
    if syntax := _SYNTAX.fullmatch(what):
        return "", syntax["expected"], syntax["got"]
    expected, _, got = re.sub("^[Ee]xpected ", "", what).partition(", got ")
    if match and match["key"]:
        expected = f"a key that is {expected}"
    return place, expected, got


def _told(rejected: codec.Rejected, size_bytes: int | None) -> Wrong:
    place, expected, got = told(rejected.reason)
    if rejected.stage == codec.STAGE_SIZE and size_bytes is not None:
        got = str(size_bytes)
    return Wrong(stage=rejected.stage, field=place, expected=expected, got=got)


def _wrong_key(spec: TopicSpec, came: Came, event: Any) -> Wrong | None:
    """Refuses a key that is not the field that the topic names; where there is no such field, an empty one."""
    if not came.knows_key:
        return None
    if spec.key is None:
        return None if came.key is None else _key_is("no key", came.key)
    if came.value is None and spec.tombstone is None:
        return None  # it is skipped, whatever its key
    wanted = getattr(event, spec.key, None)
    if isinstance(wanted, str):
        if came.key == wanted.encode():
            return None
        return _key_is(f"the bytes of `{spec.key}` alone", came.key, f", where `{spec.key}` is {_shown(wanted)}")
    if came.key is None or not 0 < len(came.key) <= 4 * rules.MAX_ID_CHARS or not _is_text(came.key):
        return _key_is(f"{spec.key} as UTF-8, 1..{rules.MAX_ID_CHARS} characters", came.key)
    return None


def _key_is(expected: str, key: bytes | None, more: str = "") -> Wrong:
    got = "none" if key is None else _shown(key.decode("utf-8", "backslashreplace"))
    return Wrong(stage=STAGE_KEY, field="", expected=expected, got=got + more)


def _is_text(key: bytes) -> bool:
    try:
        return len(key.decode()) <= rules.MAX_ID_CHARS
    except UnicodeDecodeError:
        return False


def _shown(text: str) -> str:
    return printable(json.dumps(text[:80], ensure_ascii=False), most=500)


def _count(problems: dict[tuple[str, str, str], Problem], wrong: Wrong, came: Came) -> None:
    kind = (wrong.stage, without_particulars(wrong.field), without_particulars(wrong.expected))
    if kind not in problems and len(problems) >= MOST_KINDS:
        kind, wrong = ("", "", REST), Wrong(stage=wrong.stage, field="", expected=REST, got=wrong.got)
    if kind not in problems:
        value = (came.value or b"")[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
        problems[kind] = Problem(wrong=wrong, place=came.place, value=printable(value, most=SHOWN_BYTES))
    problems[kind].count += 1


def _count_name(unknown: dict[str, Unknown], name: str, place: str, known: set[str]) -> None:
    if name not in unknown and len(unknown) >= MOST_KINDS:
        name = REST
    if name not in unknown:
        like = None if name == REST else next(iter(difflib.get_close_matches(name[:200], sorted(known), 1, 0.8)), None)
        unknown[name] = Unknown(name=printable(name), place=place, like=like)
    unknown[name].count += 1
