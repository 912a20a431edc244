"""Text to piece ids and back, as byte-level BPE of GPT-2 does it, with every digit a piece of its own.

Marks such as ``<|im_end|>`` in a text are text: only whoever builds a prompt puts marks, by their ids.

References:
  Sennrich, Haddow and Birch, Neural Machine Translation of Rare Words with Subword Units, ACL 2016; Radford et al.,
  Language Models are Unsupervised Multitask Learners, 2019 (GPT-2: bytes as characters, and how text is split).
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from models.errors import ConfigError

_WORD: Final = re.compile(r"[0-9]|'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?![^\s0-9])|\s+", re.ASCII)
"""On a shadow of the text in which each character stands for its class. Digits are cut off before the rest is looked
at, so that space before one ends there, as at the end of a text."""
_CLASS: Final = {"L": "x", "N": "0", "Z": "\t"}


def _byte_characters() -> dict[int, str]:
    """Each byte as a character that can be seen; those that cannot are moved behind the others."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = [byte for byte in range(256) if byte not in set(seen)]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + at) for at, byte in enumerate(moved)}


CHARACTER_OF: Final = _byte_characters()
_BYTE_OF: Final = {character: byte for byte, character in CHARACTER_OF.items()}


class Bpe:
    """The pieces of one vocabulary.

    Args:
      pieces: every piece, bytes as characters; its place in the list is its id.
      merges: pairs ``"a b"`` that are joined, the first one first.
      marks: pieces that stand for no text.

    Raises:
      ConfigError: a printable byte of ASCII has no piece, or a merge is no pair.
    """

    def __init__(self, pieces: Sequence[str], merges: Iterable[str], marks: Iterable[int] = ()) -> None:
        self._pieces = pieces
        self.marks = frozenset(marks)
        self._id_of = {piece: at for at, piece in enumerate(pieces) if at not in self.marks}
        pairs = [tuple(merge.split(" ")) for merge in merges]
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(f"expected merges of two pieces each, got {next(p for p in pairs if len(p) != 2)}")
        self._rank = {pair: at for at, pair in enumerate(pairs)}
        missing = [byte for byte in range(32, 127) if CHARACTER_OF[byte] not in self._id_of]
        if missing:
            raise ConfigError(f"expected a piece for every printable byte of ASCII, got none for {missing[:3]}")
        self._ids_of_word = functools.lru_cache(maxsize=4_096)(self._merged)

    def __len__(self) -> int:
        return len(self._pieces)

    def ids(self, text: str) -> list[int]:
        """Ids of the text's pieces; a byte that has none is left out."""
        return [one for word in split(text) for one in self._ids_of_word(word)]

    def text(self, ids: Iterable[int]) -> str:
        """The text of ids, without marks; bytes that are no whole character become U+FFFD."""
        held = "".join(self._pieces[one] for one in ids if one not in self.marks)
        return bytes(_BYTE_OF[character] for character in held).decode("utf-8", errors="replace")

    def _merged(self, word: str) -> tuple[int, ...]:
        parts = [CHARACTER_OF[byte] for byte in word.encode("utf-8", "surrogatepass")]
        while len(parts) > 1:
            pairs = list(itertools.pairwise(parts))
            best = min(pairs, key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            joined: list[str] = []
            at = 0
            while at < len(parts):
                is_pair = tuple(parts[at : at + 2]) == best
                joined.append("".join(best) if is_pair else parts[at])
                at += 2 if is_pair else 1
            parts = joined
        return tuple(self._id_of[part] for part in parts if part in self._id_of)


def split(text: str) -> list[str]:
    """The words of a text, each with the space before it; digits stand alone, and nothing is lost."""
    shadow = "".join(map(_class_of, text))
    return [text[match.start() : match.end()] for match in _WORD.finditer(shadow)]


def _class_of(character: str) -> str:
    if character.isascii():
        return character
    return "\t" if character == "\x85" else _CLASS.get(unicodedata.category(character)[0], "#")
