"""A growing table of counts by key: whole ones, ones that fade, and those of the window that is not over yet.

Counts of the current window are whole numbers until the window ends, so the same log counts to the same bit however it
is cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.cores.tracks import Audience

Key = tuple[str, str, str, str, str]
"""Kind, item, language, segment, surface."""
FLUSH_AT: Final = 500_000
WEAK: Final = 0.5
"""A cell with fewer chances, faded, is dropped."""


def audience_of(key: Key) -> Audience:
    """The audience in a key."""
    return key[2], key[3], key[4]


class Cells:
    """The table; at most ``2 x most`` rows at any time, ``most`` after a pruning.

    Attributes:
      keys: of the rows, in the order in which they began. whole: since each began; faded: up to the last window's end.
      pruned: how many were dropped for want of room.
    """

    def __init__(self, columns: int, *, most: int) -> None:
        self.columns, self.most = columns, most
        self.keys: list[Key] = []
        self.whole: NDArray[np.int64] = np.zeros((0, columns), np.int64)
        self.window: NDArray[np.int64] = np.zeros((0, columns), np.int64)
        self.faded: NDArray[np.float64] = np.zeros((0, columns))
        self.pruned = 0
        self.pending: list[int] = []
        """Row x columns + column of each count that is not in the table yet."""
        self._row_of: dict[Key, int] = {}
        self._of_item: dict[str, list[Key]] = {}

    def find(self, key: Key) -> int | None:
        """Its row; None where it is not there."""
        return self._row_of.get(key)

    def has_room(self, count: int) -> bool:
        """Whether so many may be added before :meth:`prune`."""
        return len(self.keys) + count <= 2 * self.most

    def row(self, key: Key) -> int:
        """Its row, made if needed."""
        row = self._row_of.get(key)
        if row is None:
            row = self._row_of[key] = len(self.keys)
            self.keys.append(key)
            self._of_item.setdefault(key[1], []).append(key)
            if row >= len(self.whole):
                more = max(1_024, len(self.whole))
                self.whole = np.concatenate([self.whole, np.zeros((more, self.columns), np.int64)])
                self.window = np.concatenate([self.window, np.zeros((more, self.columns), np.int64)])
                self.faded = np.concatenate([self.faded, np.zeros((more, self.columns))])
        return row

    def of_item(self, item_id: str) -> tuple[Key, ...]:
        """Keys of an item's cells."""
        return tuple(self._of_item.get(item_id, ()))

    def flush(self) -> None:
        """Puts what is pending into the table."""
        if self.pending:
            added = np.asarray(self.pending, np.int64)
            self.pending.clear()
            np.add.at(self.window.reshape(-1), added, 1)
            np.add.at(self.whole.reshape(-1), added, 1)

    def void(self, keys: Iterable[Key]) -> None:
        """Sets cells to nothing; the window's end drops them."""
        rows = [self._row_of[key] for key in keys]
        if rows:
            self.flush()
            self.whole[rows] = 0
            self.window[rows] = 0
            self.faded[rows] = 0.0

    def end_window(self, keep: float) -> bool:
        """Earlier counts fade to the share ``keep``, the window's join them; True where weak cells were dropped."""
        self.flush()
        self.faded *= keep
        self.faded += self.window
        self.window[:] = 0
        weak = self.faded[: len(self.keys)].sum(axis=1) < WEAK
        return self._drop(weak)

    def prune(self) -> None:
        """Keeps the ``most`` cells that count most; among equals those that began first."""
        self.flush()
        size = len(self.keys)
        weight = (self.faded[:size] + self.window[:size]).sum(axis=1)
        gone = np.zeros(size, bool)
        gone[np.argsort(-weight, kind="stable")[self.most :]] = True
        self.pruned += int(gone.sum())
        self._drop(gone)

    def restore(
        self, keys: list[Key], whole: NDArray[np.int64], window: NDArray[np.int64], faded: NDArray[np.float64]
    ) -> None:
        """Puts saved cells in place of all."""
        self.keys, self.whole, self.window, self.faded = list(keys), whole, window, faded
        self.pending.clear()
        self._index()

    def _drop(self, gone: NDArray[np.bool_]) -> bool:
        if not gone.any():
            return False
        kept = np.flatnonzero(~gone)
        size = len(kept)
        self.keys = [self.keys[row] for row in kept.tolist()]
        for counts in (self.whole, self.window, self.faded):
            counts[:size] = counts[kept]
            counts[size:] = 0
        self._index()
        return True

    def _index(self) -> None:
        self._row_of = {key: row for row, key in enumerate(self.keys)}
        self._of_item = {}
        for key in self.keys:
            self._of_item.setdefault(key[1], []).append(key)
