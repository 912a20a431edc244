"""Subtitles as pure data: times and words in, cues out that a viewer can read; and the two text formats.

The rules are those of the large broadcasters: at most 42 characters by 2 lines, 5/6 s to 7 s, at most 17 characters a
second (20 in fast talk), two frames between cues, breaks where a clause ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from streams.contract.errors import CueError


class Cue(NamedTuple):
    """A text from ``start_ms`` to ``end_ms``; its lines are parted by newlines."""

    start_ms: int
    end_ms: int
    text: str


class Word(NamedTuple):
    """A spoken word."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, kw_only=True)
class CueRules:
    """What a cue may be.

    Attributes:
      line_chars, lines: of one cue.
      least_ms, most_ms: how long it stands.
      cps, fast_cps: characters a second aimed at, and never passed.
      frame_ms: length of a picture; gap_frames: between two cues.
      snap_ms: a cue's edge this near to a change of shot goes there.
    """

    line_chars: int = 42
    lines: int = 2
    least_ms: int = 834
    most_ms: int = 7_000
    cps: float = 17.0
    fast_cps: float = 20.0
    frame_ms: float = 40.0
    gap_frames: int = 2
    snap_ms: int = 200

    @property
    def gap_ms(self) -> int:
        """Least time between two cues."""
        return round(self.gap_frames * self.frame_ms)

    @property
    def most_chars(self) -> int:
        """Of one cue."""
        return self.line_chars * self.lines


CLAUSE_END: Final = re.compile(r"[,;:.!?…—]['\"”’)]*$")
SENTENCE_END: Final = re.compile(r"[.!?…]['\"”’)]*$")
PAUSE_MS: Final = 700
"""A silence this long ends a cue."""
JOINERS: Final = frozenset({
    "and", "or", "but", "that", "which", "who", "because", "when", "while", "if", "as", "so", "then", "with", "for",
    "to", "of", "in", "on", "at", "by", "from",
})  # fmt: skip
"""A line may well begin with one of these, and should not end with it."""
MAX_CUES: Final = 20_000
_TIME: Final = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[,.](\d{3})"
_ARROW: Final = re.compile(rf"^\s*{_TIME}\s+-->\s+{_TIME}")
_TAG: Final = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


def build(words: Sequence[Word], rules: CueRules | None = None, *, shots_ms: Sequence[int] = ()) -> list[Cue]:
    """Cues of spoken words, which keep every rule of `faults`.

    A word too long for a line is cut. Where talk is faster than may be read, cues run on into the silence behind, and
    what then still does not fit stands in fewer, fuller cues; if even these would be too fast the rest moves later.

    Args:
      words: in the order of their times.
      rules: the limits.
      shots_ms: changes of shot; a cue's edge near one goes there.
    """
    rules = rules or CueRules()
    groups = _groups(_bounded(words, rules), rules)
    cues: list[Cue] = []
    free_ms = 0
    for place, group in enumerate(groups):
        text = lay_out(" ".join(word.text for word in group), rules)
        start = _snapped(max(group[0].start_ms, free_ms), shots_ms, rules, least=free_ms)
        needed = max(rules.least_ms, _ceil(len(text.replace("\n", " ")) * 1000 / rules.cps))
        fastest = max(rules.least_ms, _ceil(len(text.replace("\n", " ")) * 1000 / rules.fast_cps))
        nxt = groups[place + 1][0].start_ms - rules.gap_ms if place + 1 < len(groups) else start + rules.most_ms
        end = min(max(group[-1].end_ms, start + needed), max(nxt, start + fastest), start + rules.most_ms)
        end = max(end, start + fastest)
        snapped = _snapped(end, shots_ms, rules, least=start + fastest)
        end = snapped if snapped - start <= rules.most_ms and snapped <= max(nxt, end) else end
        cues.append(Cue(start, end, text))
        free_ms = end + rules.gap_ms
    return cues


def rebuild(cues: Iterable[Cue], rules: CueRules | None = None, *, shots_ms: Sequence[int] = ()) -> list[Cue]:
    """Cues of other cues, by the rules: their words are spread evenly over their times."""
    words: list[Word] = []
    for cue in sorted(cues):
        texts = clean(cue.text).split()
        total = sum(map(len, texts)) or 1
        at, span = float(cue.start_ms), max(1, cue.end_ms - cue.start_ms)
        for text in texts:
            step = span * len(text) / total
            words.append(Word(round(at), round(at + step), text))
            at += step
    return build(words, rules, shots_ms=shots_ms)


def lay_out(text: str, rules: CueRules) -> str:
    """A text of at most ``most_chars`` in lines: broken at a clause, else before a joining word, else in the middle.

    Where no break leaves both lines short enough the text is filled from the first line on.
    """
    if len(text) <= rules.line_chars:
        return text
    words = text.split()
    best: tuple[float, str] | None = None
    for place in range(1, len(words)):
        above, below = " ".join(words[:place]), " ".join(words[place:])
        if len(above) > rules.line_chars or len(below) > rules.line_chars:
            continue
        cost = abs(len(above) - len(below)) / rules.line_chars
        cost -= 0.6 * bool(CLAUSE_END.search(words[place - 1])) + 0.3 * (words[place].lower() in JOINERS)
        cost += 0.3 * (words[place - 1].lower() in JOINERS)
        if best is None or cost < best[0]:
            best = (cost, f"{above}\n{below}")
    return best[1] if best is not None else "\n".join(_filled(words, rules.line_chars))


def faults(cues: Sequence[Cue], rules: CueRules | None = None) -> list[str]:
    """What breaks the rules, in words; nothing where all is well."""
    rules = rules or CueRules()
    found: list[str] = []
    for number, cue in enumerate(cues, start=1):
        lines, span = cue.text.split("\n"), cue.end_ms - cue.start_ms
        if not cue.text.strip():
            found.append(f"cue {number} is empty")
        if len(lines) > rules.lines or max(map(len, lines)) > rules.line_chars:
            found.append(f"cue {number} has {len(lines)} lines, the longest of {max(map(len, lines))} characters")
        if not rules.least_ms <= span <= rules.most_ms:
            found.append(f"cue {number} stands for {span} ms")
        elif len(cue.text.replace("\n", " ")) * 1000 / span > rules.fast_cps + 1e-9:
            found.append(f"cue {number} has {len(cue.text) * 1000 / span:.1f} characters a second")
    for number, (one, other) in enumerate(pairwise(cues), start=1):
        if other.start_ms - one.end_ms < rules.gap_ms:
            found.append(f"cue {number} ends {other.start_ms - one.end_ms} ms before the next begins")
    return found


def clean(text: str) -> str:
    """A text without marks of format and without control characters, blanks made one."""
    text = _TAG.sub("", text).replace("-->", "→").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip."""
    blocks = [
        f"{number}\n{_stamp(cue.start_ms, ',')} --> {_stamp(cue.end_ms, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n".join(blocks)


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT."""
    blocks = [
        f"{_stamp(c.start_ms, '.')} --> {_stamp(c.end_ms, '.')}\n"
        + c.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") + "\n"
        for c in cues
    ]  # fmt: skip
    return "\n".join(["WEBVTT\n", *blocks])


def parse(text: str) -> list[Cue]:
    """Cues of SubRip or WebVTT.

    Raises:
      CueError: it has none, too many, or one that ends before it begins.
    """
    cues: list[Cue] = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")):
        lines = block.strip("\n").split("\n")
        for place, line in enumerate(lines[:2]):
            if match := _ARROW.match(line):
                start, end = _ms(match.groups()[:4]), _ms(match.groups()[4:])
                if end < start:
                    raise CueError(f"expected a cue to end after it begins, got {line.strip()[:80]!r}; mend its times")
                cues.append(Cue(start, end, "\n".join(filter(None, map(clean, lines[place + 1 :])))))
                break
    cues = [cue for cue in cues if cue.text]
    if not 0 < len(cues) <= MAX_CUES:
        raise CueError(f"expected SubRip or WebVTT with 1 to {MAX_CUES} cues, got {len(cues)}")
    return sorted(cues)


def _bounded(words: Iterable[Word], rules: CueRules) -> list[Word]:
    """Words that fit a line and a reader, in rising times."""
    fitting: list[Word] = []
    at = 0
    for word in words:
        text = clean(word.text)
        start = max(at, word.start_ms)
        for place in range(0, len(text), rules.line_chars):
            fitting.append(Word(start, max(start, word.end_ms), text[place : place + rules.line_chars]))
        at = start
    return [Word(word.start_ms, word.end_ms, part) for word in fitting for part in word.text.split()]


def _groups(words: Sequence[Word], rules: CueRules) -> list[list[Word]]:
    """Words by cue: ended by a sentence's end, a pause, or for want of room, then best at a clause's end."""
    groups: list[list[Word]] = []
    current: list[Word] = []
    for word in words:
        if current and (
            not _fits([*current, word], rules)
            or word.start_ms - current[-1].end_ms >= PAUSE_MS
            or (SENTENCE_END.search(current[-1].text) and len(_joined(current)) >= rules.line_chars // 2)
        ):
            keep = current
            if not _fits([*current, word], rules):
                keep = _to_clause(current, rules)
            groups.append(keep)
            current = current[len(keep) :]
            if current and not _fits([*current, word], rules):
                groups.append(current)
                current = []
        current.append(word)
    if current:
        groups.append(current)
    return groups


def _to_clause(words: list[Word], rules: CueRules) -> list[Word]:
    """The words up to the last end of a clause in their second half, or all."""
    for place in range(len(words) - 1, len(words) // 2 - 1, -1):
        if place and CLAUSE_END.search(words[place - 1].text) and len(_joined(words[:place])) >= rules.line_chars // 2:
            return words[:place]
    return words


def _fits(words: Sequence[Word], rules: CueRules) -> bool:
    text = _joined(words)
    if words[-1].end_ms - words[0].start_ms > rules.most_ms or len(text) * 1000 / rules.fast_cps > rules.most_ms:
        return False
    lines = lay_out(text, rules).split("\n")
    return len(lines) <= rules.lines and max(map(len, lines)) <= rules.line_chars


def _joined(words: Iterable[Word]) -> str:
    return " ".join(word.text for word in words)


def _filled(words: Sequence[str], width: int) -> list[str]:
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _snapped(at_ms: int, shots_ms: Sequence[int], rules: CueRules, *, least: int) -> int:
    near = [shot for shot in shots_ms if abs(shot - at_ms) <= rules.snap_ms and shot >= least]
    return min(near, key=lambda shot: (abs(shot - at_ms), shot)) if near else at_ms


def _ceil(number: float) -> int:
    return int(-(-number // 1))


def _stamp(ms: int, comma: str) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{comma}{ms % 1000:03d}"


def _ms(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, ms = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
