"""What filters and profiles ask about the catalogue's items, as columns by row, so that a rule is a few array lookups.

An item's tags, say, are one code: equal sets of words share it, and a filter is decided once for each code.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.typing import F64, I32, Bools
from streams.contract.events import Item


class _Sets:
    """Sets of words and their codes; 0 is the empty one. A set that no item has any more keeps its code."""

    def __init__(self) -> None:
        self._code_of: dict[tuple[str, ...], int] = {(): 0}
        self._with: dict[str, list[int]] = {}

    def code(self, words: Sequence[str]) -> int:
        key = tuple(sorted(set(words)))
        if key not in self._code_of:
            self._code_of[key] = len(self._code_of)
            for word in key:
                self._with.setdefault(word, []).append(self._code_of[key])
        return self._code_of[key]

    def with_any(self, words: Sequence[str]) -> Bools:
        """By code: does the set have one of the words?"""
        found = np.zeros(len(self._code_of), np.bool_)
        for word in words:
            found[self._with.get(word, [])] = True
        return found

    @property
    def words(self) -> list[list[str]]:
        """The sets, in the order of their codes."""
        return [list(words) for words in self._code_of]

    def learn(self, words: Sequence[Sequence[str]]) -> None:
        """Take over the codes of others, before any of ours was given."""
        for one in words:
            self.code(one)


class Filed(NamedTuple):
    """What is known of M items: codes of the four sets, int32 [4, M], least age, int32 [M], and length, float64 [M]."""

    codes: I32
    maturity: I32
    duration_s: F64


class Facets:
    """Tags, language, creator, regions, least age and length, by row.

    A row without a record passes no filter and no limit of age: nobody knows for whom it is. Reading is for rows below
    some number, which the columns may not have reached yet.

    Attributes:
      version: rises with every record: masks that were read before are to be made anew.
    """

    def __init__(self) -> None:
        self.version = 0
        self._sets = {name: _Sets() for name in ("tags", "language", "creator", "regions")}
        self._codes: dict[str, I32] = {name: np.zeros(0, np.int32) for name in self._sets}
        self._maturity: I32 = np.zeros(0, np.int32)
        self._duration_s = np.zeros(0, np.float64)
        self._is_listed: Bools = np.zeros(0, np.bool_)

    def put(self, row: int, item: Item | None) -> None:
        """The record of the item in ``row``; None: there is none."""
        self._fit(row + 1)
        self.version += 1
        self._is_listed[row] = item is not None
        words = _words_of(item) if item is not None else {}
        for name, codes in self._codes.items():
            codes[row] = self._sets[name].code(words.get(name, ()))
        self._maturity[row] = item.maturity if item is not None else 0
        has_length = item is not None and item.duration_s is not None
        self._duration_s[row] = item.duration_s if has_length else np.inf  # type: ignore[union-attr]

    def has(self, rows: I32) -> Bools:
        """Which of the rows have a record."""
        self._fit(int(rows.max(initial=0)) + 1)
        return self._is_listed[rows]

    def filed(self, rows: I32) -> Filed:
        """What is known of the rows."""
        self._fit(int(rows.max(initial=0)) + 1)
        codes = np.stack([self._codes[name][rows] for name in self._sets])
        return Filed(codes, self._maturity[rows], self._duration_s[rows])

    def file(self, rows: I32, filed: Filed, places: NDArray[np.int64]) -> None:
        """Put what stands at these places of ``filed`` into the rows; its codes are those of `learn_words`."""
        self._fit(int(rows.max()) + 1)
        self.version += 1
        self._is_listed[rows] = True
        for name, codes in zip(self._sets, filed.codes, strict=True):
            self._codes[name][rows] = codes[places]
        self._maturity[rows], self._duration_s[rows] = filed.maturity[places], filed.duration_s[places]

    @property
    def words(self) -> dict[str, list[list[str]]]:
        """The sets of each kind, in the order of their codes."""
        return {name: one.words for name, one in self._sets.items()}

    def learn_words(self, words: Mapping[str, Sequence[Sequence[str]]]) -> None:
        """Take over what `words` gave elsewhere, before anything is put here."""
        for name, sets in words.items():
            self._sets[name].learn(sets)

    def within(self, n: int, *, maturity: int | None, region: str | None) -> Bools:
        """Which of the first ``n`` rows a profile's limits let through, bool [n]; None sets no limit."""
        self._fit(n)
        mask = np.ones(n, np.bool_)
        if maturity is not None:
            mask &= self._is_listed[:n] & (self._maturity[:n] <= maturity)
        if region is not None:
            passing = self._sets["regions"].with_any([region])
            passing[0] = True  # no regions are all regions
            mask &= passing[self._codes["regions"][:n]]
        return mask

    def meeting(self, n: int, filters: Mapping[str, Any]) -> Bools:
        """Which of the first ``n`` rows meet all of these known filters, bool [n]; a filter on None asks nothing."""
        self._fit(n)
        mask = self._is_listed[:n].copy()
        for name, wanted in filters.items():
            if wanted is None:
                continue
            if name == "max_duration_s":
                mask &= self._duration_s[:n] <= (wanted if isinstance(wanted, int | float) else -np.inf)
                continue
            words = [str(word) for word in wanted] if isinstance(wanted, list) else [str(wanted)]
            mask &= self._sets[name].with_any(words)[self._codes[name][:n]]
        return mask

    def _fit(self, n: int) -> None:
        missing = n - len(self._is_listed)
        if missing <= 0:
            return
        missing += n // 2  # so that growing row by row costs little
        self._codes = {
            name: np.concatenate([codes, np.zeros(missing, np.int32)]) for name, codes in self._codes.items()
        }
        self._maturity = np.concatenate([self._maturity, np.zeros(missing, np.int32)])
        self._duration_s = np.concatenate([self._duration_s, np.full(missing, np.inf)])
        self._is_listed = np.concatenate([self._is_listed, np.zeros(missing, np.bool_)])


def _words_of(item: Item) -> dict[str, Sequence[str]]:
    return {
        "tags": item.tags,
        "language": [] if item.language is None else [item.language],
        "creator": [] if item.creator is None else [item.creator],
        "regions": item.regions,
    }
