"""Text to piece ids as BERT's uncased models were trained with them: normalise, split, longest piece first.

The words ``[CLS]`` and ``[SEP]`` in a text are text: only the encoder's own marks at begin and end are marks.

References:
  Schuster and Nakajima, Japanese and Korean Voice Search, ICASSP 2012; the tokenization of Devlin et al., BERT.
"""

import string
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from models.errors import ConfigError
from models.typing import I32

BEGIN, END, UNKNOWN, PADDING = "[CLS]", "[SEP]", "[UNK]", "[PAD]"
LONGEST_WORD = 100
"""Characters; a longer word is unknown."""
_CHARS_A_PIECE = 32
"""Characters read of a text for each piece wanted: far more than pieces are long, far less than a book."""
_LEFT_OUT = frozenset({"Mn", "Cc", "Cf", "Co", "Cs"})
"""Categories of characters that leave nothing: accents, controls, format codes, private ones."""
_KEPT_CONTROLS = frozenset("\t\n\r")
_ASCII_PUNCTUATION = frozenset(string.punctuation)
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
"""Blocks whose every character is a word of its own, first and last code point."""


class WordPiece:
    """The pieces of one vocabulary.

    Args:
      pieces: every piece; its place in the list is its id. A piece inside a word begins with ``##``.

    Raises:
      ConfigError: a mark is missing.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._id_of = {piece: at for at, piece in enumerate(pieces)}
        missing = [mark for mark in (BEGIN, END, UNKNOWN) if mark not in self._id_of]
        if missing:
            raise ConfigError(f"expected the pieces {BEGIN}, {END} and {UNKNOWN}, got none of {', '.join(missing)}")
        self._begin, self._end, self._unknown = (self._id_of[mark] for mark in (BEGIN, END, UNKNOWN))
        self._longest = max(map(len, pieces))

    def ids(self, text: str, *, most: int) -> I32:
        """Ids of the first pieces of ``text`` between the two marks, int32 [at most ``most``].

        Raises:
          ConfigError: there is no room for the marks.
        """
        if most < 2:
            raise ConfigError(f"most must be >= 2, for the marks alone, got {most}")
        found = [self._begin]
        for word in words(text[: _CHARS_A_PIECE * most]):
            if len(found) >= most - 1:
                break
            found += self._of_word(word)
        return np.array([*found[: most - 1], self._end], np.int32)

    def _of_word(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        begin = 0
        while begin < len(word):
            prefix = "##" if begin else ""
            for end in range(min(len(word), begin + self._longest), begin, -1):
                piece = self._id_of.get(prefix + word[begin:end])
                if piece is not None:
                    break
            else:
                return [self._unknown]
            found.append(piece)
            begin = end
        return found


def words(text: str) -> Iterator[str]:
    """The words of a text: lower case, without accents; punctuation and ideographs stand alone."""
    word: list[str] = []
    for char in _normal(text):
        if char.isspace():
            stands_alone = ""
        elif char in _ASCII_PUNCTUATION or unicodedata.category(char)[0] == "P" or _is_ideograph(char):
            stands_alone = char
        else:
            word.append(char)
            continue
        if word:
            yield "".join(word)
            word.clear()
        if stands_alone:
            yield stands_alone
    if word:
        yield "".join(word)


def _normal(text: str) -> Iterator[str]:
    """Characters without control codes and accents, in lower case, each by itself (no rule for a final sigma)."""
    for char in unicodedata.normalize("NFD", text):
        if char == "\ufffd" or (unicodedata.category(char) in _LEFT_OUT and char not in _KEPT_CONTROLS):
            continue
        yield from char.lower()


def _is_ideograph(char: str) -> bool:
    code = ord(char)
    return code >= 0x3400 and any(first <= code <= last for first, last in _IDEOGRAPHS)
