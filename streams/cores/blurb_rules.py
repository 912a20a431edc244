"""What a text that somebody else wrote must show before it is an item's blurb; and the words that it may not have.

A writer that can be steered is given its words beforehand (`vocabulary`); whatever it writes is judged the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.contract.events import Item
from streams.cores import blurb
from streams.cores import blurb_prompts as prompts
from streams.cores.blurb_words import CLAIMS, COARSE, FIRST_PERSON, FUNCTION, MOODS, NEUTRAL, NUMBERS, PEOPLE

LEAST_CHARS: Final = 40
ENGLISH_SHARE: Final = 0.3
"""Of a text's words that are among the commonest ones."""
FRESH_SHARE: Final = 0.55
"""Of a text's words that are different ones."""
LEAST_STEM: Final = 4
LONGEST_ENDING: Final = 4
"""Letters that two words share from their beginning, and most that either has beyond them."""
_PLAIN: Final = re.compile(r"[\w\s.,;:!?'’…()&-]*", re.UNICODE)
_END: Final = re.compile(r"[.!?…](?=\s|$)")
_VOWEL_AS_CONSONANT: Final = re.compile(r"one|once|uni|us[eu]|eu|ut")


class Verdict(NamedTuple):
    """One rule: what was measured, whether that is well, and what was expected, in words."""

    name: str
    value: float
    is_ok: bool
    expected: str


def judge(text: str, item: Item, *, most_chars: int, is_closed: bool = False) -> list[Verdict]:
    """Every rule, on an English text.

    Args:
      text: as it would be shown. item: the record that it is about. most_chars: the longest that it may be.
      is_closed: only the record's own words are allowed, and such as say nothing; for a writer that makes things up.
    """
    words = blurb.words_of(text)
    lower = [word.casefold() for word in words]
    unfounded = invented(text, item)
    alien = untold(text, item) if is_closed else []
    crossed = swapped(text, item)
    title = {word.casefold() for word in blurb.words_of(item.title)}
    coarse = (set(lower) & COARSE) - title
    common = sum(word in FUNCTION for word in lower) / max(1, len(lower))
    again = repeats(text)
    joined = misjoined(text)
    fresh = len(set(lower)) / max(1, len(lower))
    own = {word for word in blurb.record_words(item) if word not in FUNCTION and len(word) > 2}
    told = {word for word in lower if any(_is_kin(word, one) for one in own)}
    is_whole = _END.search(text[-1:]) is not None and _PLAIN.fullmatch(text) is not None
    return [
        Verdict("chars", len(text), LEAST_CHARS <= len(text) <= most_chars, f"{LEAST_CHARS} to {most_chars}"),
        Verdict("unfounded", len(unfounded), not unfounded, _names("only what the record says", unfounded)),
        Verdict("untold", len(alien), not alien, _names("words of the record or of its moods", alien)),
        Verdict("swapped", len(crossed), not crossed, _names("names in the record's order", crossed)),
        Verdict("coarse", len(coarse), not coarse, f"no coarse words, got {len(coarse)}"),
        Verdict("repeats", len(again), not again and fresh >= FRESH_SHARE, _names("nothing said twice", again)),
        Verdict("articles", len(joined), not joined, _names("a and an as they are said", joined)),
        Verdict("english", round(common, 3), common >= ENGLISH_SHARE, f"at least {ENGLISH_SHARE:.0%} common words"),
        Verdict("founded", len(told), bool(told) or not own, "a word of the record"),
        Verdict("whole", float(is_whole), is_whole, "whole sentences of plain words"),
    ]


def invented(text: str, item: Item) -> list[str]:
    """Names, numbers, people and claims of an English text that are not in the item's record.

    A first word of a sentence that many sentences begin with is no name. Numbers count in words too; whoever is told
    of, and what is claimed of the work, must be in the record by the same word.
    """
    known = blurb.record_words(item)
    plain_words = vocabulary(item)
    listed = (NUMBERS | PEOPLE | CLAIMS) - _moods(item)
    found = []
    for sentence in blurb.sentences_of(text):
        for at, word in enumerate(blurb.words_of(sentence)):
            plain = word.casefold()
            starts = at == 0 and plain in plain_words
            parts = [word] if plain in known or plain in listed else word.split("-")
            for part in parts:
                is_named = (part[0].isupper() or any(map(str.isdigit, part))) and not starts
                if (is_named or part.casefold() in listed) and not blurb.is_known(part, known):
                    found.append(part)
    return found


def repeats(text: str) -> list[str]:
    """What a text says twice: three words in the same order, a word and the same word, a whole sentence."""
    words = [word.casefold() for word in blurb.words_of(text)]
    threes = [" ".join(words[at : at + 3]) for at in range(len(words) - 2)]
    found = [three for at, three in enumerate(threes) if three in threes[:at]]
    found += [one for one, two in itertools.pairwise(words) if one == two]
    sentences = [" ".join(blurb.words_of(one)).casefold() for one in blurb.sentences_of(text)]
    return found + [one for at, one in enumerate(sentences) if one in sentences[:at]]


def misjoined(text: str) -> list[str]:
    """Words after "a" that sound like "an", and the other way round, as far as letters tell."""
    pairs = itertools.pairwise(word.casefold() for word in blurb.words_of(text))
    return [
        f"{article} {word}"
        for article, word in pairs
        if (article == "a" and word[0] in "aeiou" and _VOWEL_AS_CONSONANT.match(word) is None)
        or (article == "an" and word[0].isalpha() and word[0] not in "aeiouh")
    ]


def trimmed(text: str, most_chars: int) -> str:
    """The whole sentences that a text begins with and that fit; empty where there is none."""
    plain = " ".join(text.split())
    ends = [match.end() for match in _END.finditer(plain) if match.end() <= most_chars]
    return plain[: ends[-1]] if ends else ""


def vocabulary(item: Item) -> frozenset[str]:
    """Words in lower case that tell nothing of an item but its tags: the commonest, those of moods, the tags' own."""
    return ((FUNCTION | NEUTRAL) - (NUMBERS | PEOPLE | CLAIMS | FIRST_PERSON)) | _moods(item)


def untold(text: str, item: Item) -> list[str]:
    """Words of a text that neither the record has, in this form or a near one, nor `vocabulary`."""
    own, plain = blurb.record_words(item), vocabulary(item)
    near = [one for one in own if len(one) >= LEAST_STEM and one not in FUNCTION]
    return [
        word
        for word in blurb.words_of(text)
        if not blurb.is_known(word, plain)
        and not blurb.is_known(word, own)
        and not any(_is_kin(word.casefold(), one) for one in near)
    ]


def swapped(text: str, item: Item) -> list[str]:
    """Names of the record's text that come in another order than there: who did what to whom may be another, then."""
    told = [word for word in blurb.words_of(item.text) if word[0].isupper() or word[0].isdigit()]
    names = [word for word in dict.fromkeys(told) if word.casefold() not in FUNCTION]
    words = dict.fromkeys(blurb.words_of(text))
    places = [names.index(word) for word in words if word in names]
    return [names[two] for one, two in itertools.pairwise(places) if two < one]


def words_for(item: Item) -> frozenset[str]:
    """The words that a writer who makes things up may use about an item, names as the record writes them."""
    record = " ".join([prompts.title_of(item)[0], item.text, " ".join(item.tags), item.creator or ""])
    return vocabulary(item) | frozenset(blurb.words_of(record))


def _moods(item: Item) -> frozenset[str]:
    """What an item's tags let a text speak of."""
    return frozenset().union(*(MOODS.get(tag.casefold(), frozenset()) for tag in item.tags))


def _is_kin(word: str, other: str) -> bool:
    """Whether two words are one but for an ending: "scatters" and "scatter", "carried" and "carry"."""
    short = min(len(word), len(other))
    stem = max(LEAST_STEM, short - (2 if short > 6 else 1))
    return word == other or (word[:stem] == other[:stem] and max(len(word), len(other)) - stem <= LONGEST_ENDING)


def _names(expected: str, found: Sequence[str]) -> str:
    return f"{expected}, got {', '.join(found[:5]) or 'none else'}"


def why_not_english(item: Item, locale: str | None, *, translates: bool = False) -> str | None:
    """Why a writer of English may not write about an item for a locale; None: it may.

    Args:
      locale: who it is for; None: whoever the item is for. Where neither says a language, it is taken for English.
      translates: whether the writer reads other languages.
    """
    own, wanted = blurb.language_of(item.language), blurb.language_of(locale or item.language)
    if wanted not in ("", "en"):
        return (
            f"expected an audience that reads English, got {wanted!r}; the rules that its texts are held to are English"
        )
    if item.text and own not in ("", "en") and not translates:
        return f"expected a record in English, got one in {own!r}; this engine does not translate"
    return None
