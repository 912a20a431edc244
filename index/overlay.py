"""A fixed index made current: the rows changed since it was built are searched exactly, removed ones are hidden."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from index.exact import ExactIndex, capacity_for
from index.faiss_index import FaissIndex
from index.protocol import Hits, IndexConfig, check_rows, check_search, check_upsert
from index.topk import allowed_rows, best_of


class OverlaidIndex:
    """A `FaissIndex`, an exact list of changed rows, and tombstones, searched as one index.

    A search reads one version of all three: it sees an upsert whole or not at all.
    """

    def __init__(self, main: FaissIndex, config: IndexConfig) -> None:
        """Nothing changed yet.

        Args:
          main: what was built.
          config: layout of the list of changed rows; its ``dim`` is ``main``'s.
        """
        self._main = main
        self._capacity = capacity_for(int(main.rows[-1]) + 1)
        self._in_main = np.zeros(
            self._capacity, np.bool_
        )  # by row: built into main, and neither changed nor removed since
        self._in_main[main.rows] = True
        self._changed = ExactIndex(config)  # by slot, so that few changed rows need little room
        self._slot_of_row: dict[int, int] = {}  # kept for removed rows too: a row that returns takes its old slot
        self._row_of_slot = np.zeros(0, np.int32)
        self._lock = threading.Lock()

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        return self._main.dim

    @property
    def main(self) -> FaissIndex:
        """What was built."""
        return self._main

    @property
    def changed_count(self) -> int:
        """Slots in the exact list."""
        return len(self._row_of_slot)

    @property
    def hidden_count(self) -> int:
        """Rows of ``main`` that are searched for in vain: changed or removed since."""
        return len(self._main) - int(np.count_nonzero(self._in_main))

    def __len__(self) -> int:
        """Rows that can be found."""
        return int(np.count_nonzero(self._in_main)) + len(self._changed)

    def search(self, queries: npt.NDArray[Any], k: int, *, mask: npt.NDArray[Any] | None = None) -> Hits:
        """The ``k`` best rows of ``main`` and of the changed ones; see `index.protocol.Searchable.search`."""
        queries = check_search(queries, k, mask, self.dim)
        with self._lock:  # only the short list is searched inside
            main, in_main, row_of_slot = self._main, self._in_main, self._row_of_slot
            slot_mask = None if mask is None else allowed_rows(mask, row_of_slot)
            changed = self._changed.search(queries, k, mask=slot_mask)
        main_mask = None
        if mask is not None or np.count_nonzero(in_main) < len(main):
            main_mask = in_main if mask is None else _both(in_main, mask)
        found = main.search(queries, k, mask=main_mask)
        if not len(row_of_slot):
            return found
        rows = np.where(changed.rows >= 0, row_of_slot[changed.rows], changed.rows)
        return best_of(
            np.concatenate([found.rows, rows], axis=1), np.concatenate([found.scores, changed.scores], axis=1), k
        )

    def upsert(self, rows: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> None:
        """Write ``vectors`` at ``rows``; see `index.protocol.VectorIndex.upsert`."""
        rows, vectors = check_upsert(rows, vectors, self.dim)
        if not len(rows):
            return
        new = [int(row) for row in rows if int(row) not in self._slot_of_row]
        row_of_slot = np.concatenate([self._row_of_slot, np.array(new, np.int32)])
        self._slot_of_row.update(zip(new, range(len(self._row_of_slot), len(row_of_slot)), strict=True))
        slots = np.array([self._slot_of_row[int(row)] for row in rows], np.int32)
        in_main = self._without(rows)
        with self._lock:
            self._changed.upsert(slots, vectors)
            self._in_main, self._row_of_slot = in_main, row_of_slot

    def remove(self, rows: npt.NDArray[Any]) -> None:
        """Make ``rows`` unfindable at once; see `index.protocol.VectorIndex.remove`."""
        rows = check_rows(rows, unique=False)
        slots = [self._slot_of_row[int(row)] for row in rows if int(row) in self._slot_of_row]
        in_main = self._without(rows)
        with self._lock:
            self._changed.remove(np.array(slots, np.int32))
            self._in_main = in_main

    def widen(self, probes_count: int) -> None:
        """Look into ``probes_count`` lists of ``main`` from now on."""
        main = self._main.with_probes(probes_count)
        with self._lock:
            self._main = main

    def _without(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        in_main = self._in_main.copy()
        in_main[rows[rows < self._capacity]] = False
        return in_main


def _both(in_main: npt.NDArray[np.bool_], mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    shared = min(len(in_main), len(mask))
    allowed: npt.NDArray[np.bool_] = np.logical_and(in_main[:shared], mask[:shared])
    return allowed
