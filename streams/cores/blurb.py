"""A few lines about an item, out of its own record: nothing is invented, and a check of names and numbers says so."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final

from streams.contract.events import Item

LEAST_CHARS: Final = 20
MOST_CHARS: Final = 280
_SENTENCE: Final = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+")
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*", re.UNICODE)
_JOINT: Final = re.compile(r"['’-]")
_OWNER: Final = re.compile(r"['’]s?$")
WORDS: Final = {"en": ("By", "Also"), "de": ("Von", "Auch"), "fr": ("De", "Aussi"), "es": ("De", "También")}
"""The only words that are not the record's own, by language; what stands before a creator."""


def language_of(locale: str | None) -> str:
    """The language of a locale such as "pt-BR": "pt"; empty for none."""
    return re.split(r"[-_]", locale or "", maxsplit=1)[0].lower()


def write(item: Item, *, locale: str | None = None, most_chars: int = MOST_CHARS) -> str:
    """The sentences of the item's text that say most of it, in their order, and its creator; else title and tags.

    Args:
      item: the record. locale: what the blurb is for; only chooses the word before a creator.
      most_chars: the longest it may be.

    Returns:
      A text of at most ``most_chars``; empty where the record says nothing.
    """
    by = WORDS.get(language_of(locale or item.language), WORDS["en"])[0]
    text = " ".join(item.text.split())
    sentences = sentences_of(text)
    credit = f"{by} {item.creator}." if item.creator and item.creator not in text else ""
    room = most_chars - (len(credit) + 1 if credit else 0)
    chosen: list[int] = []
    for place in sorted(range(len(sentences)), key=lambda at: (-_worth(sentences[at], at, item), at)):
        if sum(len(sentences[at]) + 1 for at in chosen) + len(sentences[place]) <= room:
            chosen.append(place)
        if len(chosen) == 2:
            break
    parts = [sentences[at] for at in sorted(chosen)]
    if not parts:
        parts = [": ".join(filter(None, (" ".join(item.title.split()), ", ".join(item.tags[:3]))))]
        parts = [part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part]
    whole = " ".join(filter(None, (*parts, credit)))
    return whole if len(whole) <= most_chars else _cut(parts[0] if parts else "", most_chars)


def unfounded(text: str, item: Item, *, locale: str | None = None) -> list[str]:
    """Names and numbers of a text that are not in the item's record; a fact is not made up where there is none.

    A name is a word with a capital that is not the first of its sentence, or that the record never has in any case.
    """
    known = record_words(item) | {
        word.casefold() for word in WORDS.get(language_of(locale or item.language), WORDS["en"])
    }
    return [
        token
        for token in words_of(text)
        if (token[0].isupper() or any(map(str.isdigit, token))) and not is_known(token, known)
    ]


def record_words(item: Item) -> frozenset[str]:
    """Every word and number of an item's record in lower case, parts of joined words too; its year where it has one."""
    words = words_of(" ".join([item.title, item.text, " ".join(item.tags), item.creator or ""]))
    known = {word.casefold() for word in words}
    known |= {part for word in known for part in _JOINT.split(word)}
    if item.published_at_ms is not None:
        known.add(str(1970 + item.published_at_ms // 31_556_952_000))
    return frozenset(known)


def is_known(word: str, known: AbstractSet[str]) -> bool:
    """Whether a word is among those of a record, itself or what it is the possessive of."""
    return bool({word.casefold(), _OWNER.sub("", word.casefold())} & known)


def words_of(text: str) -> list[str]:
    """The words of a text in their order; what an apostrophe or hyphen joins is one."""
    return _TOKEN.findall(text)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text."""
    return [one.strip() for one in _SENTENCE.split(text) if one.strip()]


def _worth(sentence: str, place: int, item: Item) -> float:
    """How much a sentence says: words of the title and tags, and being near the beginning."""
    words = {token.casefold() for token in words_of(sentence)}
    wanted = {token.casefold() for token in words_of(" ".join([item.title, *item.tags])) if len(token) > 3}
    return len(words & wanted) + 2.0 / (1 + place) - (2.0 if len(sentence) < LEAST_CHARS else 0.0)


def _cut(text: str, most: int) -> str:
    """A text cut between words, with an ellipsis."""
    if len(text) <= most:
        return text
    return text[: most - 1].rsplit(" ", 1)[0].rstrip(",;: ")[: most - 1] + "…"
