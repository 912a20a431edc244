"""Content features of an item: hashed words, n-grams and labels, one unit vector an item; and its words as one text.

Each group (tags, title, text, creator, language, year) is hashed with signs and brought to a length of its own
before the whole is normalised, so that a long text does not drown three tags. Where a text encoder is in use, its
vector of `text_of` stands beside the hashed features: labels such as a creator's name mean nothing to an encoder.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from models.errors import ShapeError
from models.typing import F32

_WORD = re.compile(r"\w+")
_YEAR = re.compile(r"\((\d{4})\)")
_MIX = 2_654_435_761
_GROUP_LENGTHS = {"tag": 1.0, "creator": 0.7, "title": 0.5, "text": 0.5, "year": 0.5, "language": 0.3}
_TEXT_WORDS = 200


def _ngrams(word: str, size: int = 4) -> Iterator[str]:
    padded = f"<{word}>"
    yield padded
    for at in range(max(0, len(padded) - size + 1)):
        yield padded[at : at + size]


def _words(text: str) -> list[str]:
    return [gram for word in _WORD.findall(text.lower())[:_TEXT_WORDS] for gram in _ngrams(word)]


def year_in(title: str) -> str | None:
    """The year of a title such as ``Alien (1979)``.

    >>> year_in("Alien (1979)"), year_in("1984")
    ('1979', None)
    """
    found = _YEAR.search(title)
    return found[1] if found else None


def tokens(
    *,
    title: str = "",
    text: str = "",
    tags: Sequence[str] = (),
    creator: str | None = None,
    language: str | None = None,
) -> dict[str, list[str]]:
    """The features of each group before hashing; a year is read from a title such as ``Alien (1979)``."""
    year = year_in(title)
    return {
        "tag": [tag.lower() for tag in tags],
        "creator": [creator] if creator else [],
        "title": _words(_YEAR.sub("", title)),
        "text": _words(text),
        "year": [year, f"{year[:3]}0s"] if year else [],
        "language": [language.lower()] if language else [],
    }


def content_features(groups: dict[str, list[str]], *, dim: int) -> F32:
    """Signed feature hashing of the groups of `tokens`.

    Returns:
      float32 [dim] of length 1, or all zero where there is nothing to tell.

    References:
      Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
    """
    whole = np.zeros(dim, np.float32)
    for group, features in groups.items():
        part = np.zeros(dim, np.float32)
        for feature in features:
            name = f"{group}:{feature}".encode()
            digest = hashlib.blake2b(name, digest_size=16).digest()
            for code in (int.from_bytes(digest[:8]), int.from_bytes(digest[8:])):
                part[(code >> 1) % dim] += 1.0 if code & 1 else -1.0
        length = np.linalg.norm(part)
        if length > 0:
            whole += np.float32(_GROUP_LENGTHS[group]) * part / length
    length = np.linalg.norm(whole)
    return whole if length == 0 else (whole / length).astype(np.float32)


def text_of(*, title: str = "", text: str = "", tags: Sequence[str] = ()) -> str:
    """What an encoder reads of an item: title, tags and text as sentences; empty where there is nothing.

    Tags come before the text, which may be cut.
    """
    return ". ".join(part for part in (title.strip(), ", ".join(tags), text.strip()) if part)


def folded(vectors: F32, dim: int) -> F32:
    """Vectors of an encoder in fewer numbers: each new number is a signed sum of every ``dim``-th old one.

    Angles stay what they were up to a spread of about 1 / sqrt(dim), and a row of content costs less memory and the
    item tower less time.

    Args:
      vectors: float32 [M, E]; E is a multiple of ``dim``.

    Returns:
      float32 [M, dim] of length 1; zero where the vector is zero.

    References:
      Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
    """
    count, size = vectors.shape
    if size % dim:
        raise ShapeError(f"vectors must have a multiple of {dim} numbers to be folded into so many, got {size}")
    codes = np.arange(size, dtype=np.uint64) * np.uint64(_MIX) >> np.uint64(16)
    signs = np.where(codes & np.uint64(1), np.float32(1.0), np.float32(-1.0))
    sums = (vectors * signs[None]).reshape(count, size // dim, dim).sum(axis=1)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    unit: F32 = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
    return unit
