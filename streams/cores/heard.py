"""What a recogniser heard, made fit for cues: words held to where a voice is active, and how far it is from a text.

Recognisers pin the first word after a silence to the silence's beginning. Voice activity knows better where speech
begins and ends, and nothing of words; together they give words with edges that can be trusted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from streams.cores.cues import Word

REACH_MS: Final = 300
"""A word this near to an edge of speech ends or begins there."""
LEAST_WORD_MS: Final = 40
LEAST_UNHEARD_MS: Final = 600
JOIN_MS: Final = 1_000
LEAST_NAME_CHARS: Final = 3
MOST_CHANGED: Final = 3
"""Words in one place that may become a name, and that it may have."""
MAX_HOT_CHARS: Final = 300
"""A longer list of names pulls the recogniser towards words that nobody said."""
ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SPELLINGS: Final = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay", "colour": "color", "grey": "gray",
    "favourite": "favorite", "theatre": "theater", "neighbour": "neighbor", "honour": "honor", "alright": "all right",
    "travelled": "traveled", "harbour": "harbor", "metre": "meter", "centre": "center", "percent": "per cent",
}  # fmt: skip
"""Words that are written in two ways and said in one."""


class Span(NamedTuple):
    """Somebody speaks, from ``start_ms`` to ``end_ms``."""

    start_ms: int
    end_ms: int


def hold_to_speech(words: Sequence[Word], spans: Sequence[Span]) -> list[Word]:
    """Words whose first and last of each span of speech begin and end where speech does.

    Args:
      words: as heard, by their times. spans: of voice activity, by their times, not overlapping.

    Returns:
      As many words, in their order, none that ends before it begins; those beside all speech as they were.
    """
    held = list(words)
    members: dict[int, list[int]] = {}
    for number, word in enumerate(words):
        place = _span_of(word, spans)
        if place is not None:
            members.setdefault(place, []).append(number)
    for place, numbers in members.items():
        span, first, last = spans[place], numbers[0], numbers[-1]
        if held[first].start_ms < span.start_ms + REACH_MS:
            start = min(span.start_ms, held[first].end_ms - LEAST_WORD_MS)
            held[first] = held[first]._replace(start_ms=max(0, start))
        if held[last].end_ms > span.end_ms - REACH_MS:
            held[last] = held[last]._replace(end_ms=max(span.end_ms, held[last].start_ms + LEAST_WORD_MS))
    return held


def unheard(words: Sequence[Word], spans: Sequence[Span]) -> list[Span]:
    """Speech of which hardly a word was heard: spans in which words take less than a third, near ones made one.

    Args:
      words: by their times. spans: of voice activity, by their times.

    Returns:
      Those of `LEAST_UNHEARD_MS` and more, not overlapping.
    """
    found: list[Span] = []
    for span in spans:
        covered = sum(
            max(0, min(word.end_ms, span.end_ms) - max(word.start_ms, span.start_ms)) for word in words
        )  # fmt: skip
        if 3 * covered >= span.end_ms - span.start_ms:
            continue
        if found and span.start_ms - found[-1].end_ms <= JOIN_MS:
            found[-1] = found[-1]._replace(end_ms=span.end_ms)
        else:
            found.append(span)
    return [span for span in found if span.end_ms - span.start_ms >= LEAST_UNHEARD_MS]


def _span_of(word: Word, spans: Sequence[Span]) -> int | None:
    """The span that a word overlaps most; the nearest within reach where it overlaps none."""
    best: tuple[int, int] | None = None
    for place, span in enumerate(spans):
        overlap = min(word.end_ms, span.end_ms) - max(word.start_ms, span.start_ms)
        if overlap > -REACH_MS and (best is None or overlap > best[0]):
            best = (overlap, place)
        if span.start_ms > word.end_ms + REACH_MS:
            break
    return None if best is None else best[1]


def hot_words(title: str, names: Iterable[str]) -> str:
    """Names that a recogniser should expect, each once, at most `MAX_HOT_CHARS` together."""
    kept: list[str] = []
    for name in (title, *names):
        name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        if name and name not in kept and len(", ".join([*kept, name])) <= MAX_HOT_CHARS:
            kept.append(name)
    return ", ".join(kept)


def with_names(plain: Sequence[Word], led: Sequence[Word], names: str) -> list[Word]:
    """Words of a hearing, with the names that a second one heard in their place.

    A recogniser that is told what to expect gets names right, and also hears them where nobody speaks, over and over.
    So a hearing that was led only ever changes words into names, a few for a few, and adds none.

    Args:
      plain: heard with nothing to expect. led: the same sound, heard with ``names`` to expect.
      names: as told to the recogniser.

    Returns:
      The words of ``plain``, those that became names with the times of what they replace.
    """
    wanted = {word for word in said(names) if len(word) >= LEAST_NAME_CHARS}
    keys = [" ".join(said(word.text)) for word in plain]
    other = [" ".join(said(word.text)) for word in led]
    found: list[Word] = []
    for kind, a, b, c, d in SequenceMatcher(None, keys, other, autojunk=False).get_opcodes():
        is_name = kind == "replace" and b - a <= MOST_CHANGED and d - c <= MOST_CHANGED
        if is_name and not wanted.isdisjoint(" ".join(other[c:d]).split()):
            start, end, count = plain[a].start_ms, plain[b - 1].end_ms, d - c
            edges = [start + (end - start) * n // count for n in range(count + 1)]
            found += [Word(edges[n], edges[n + 1], led[c + n].text) for n in range(count)]
        else:
            found += plain[a:b]
    return found


def said(text: str) -> list[str]:
    """The words of an English text as they are said: no case, no marks, numbers as words, one spelling."""
    text = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace("%", " percent ").replace("&", " and ")
    words: list[str] = []
    for word in re.findall(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*", text):
        words += number_words(int(word)) if word.isdigit() else SPELLINGS.get(word, word).split()
    return words


def number_words(number: int) -> list[str]:
    """A whole number in English words; from 1100 to 1999 as years are said; digits one by one above a million."""
    if number < 20:
        return [ONES[number]]
    if number < 100:
        return [TENS[number // 10], *([ONES[number % 10]] if number % 10 else [])]
    if 1100 <= number < 2000 and number % 100:
        return number_words(number // 100) + (["oh"] if number % 100 < 10 else []) + number_words(number % 100)
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if size <= number < 1_000_000:
            rest = number % size
            return [*number_words(number // size), name, *(number_words(rest) if rest else [])]
    return [ONES[int(digit)] for digit in str(number)]


def word_errors(wanted: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest words to change, add or take away so that one becomes the other (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(wanted, start=1):
        corner, row[0] = row[0], place
        for other, found in enumerate(heard, start=1):
            corner, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, corner + (word != found))
    return row[-1]
