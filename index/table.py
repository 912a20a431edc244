"""The vectors themselves, by row: what an index is rebuilt from and judged by."""

from typing import Any

import numpy as np
import numpy.typing as npt

from index.exact import capacity_for, score_rows
from index.protocol import Hits, IndexConfig, check_rows, check_search, check_upsert, no_hits
from index.topk import best_of, block_size, select_on_host

CHUNK_ROWS_COUNT = 65_536
"""Rows scored at a time in a search; 64 queries take 16 MiB of scores."""


class VectorTable:
    """One growing float32 array by row on the host, and which rows are live.

    It keeps the promises of a `VectorIndex` but one: a search during a write may see half of it. Searching is slow and
    takes no second copy of the vectors; it is meant for judging an approximate index on a few queries.
    """

    def __init__(self, config: IndexConfig) -> None:
        """An empty table with room for ``config.min_capacity`` rows."""
        capacity = capacity_for(config.min_capacity)
        self._vectors = np.zeros((capacity, config.dim), np.float32)
        self._live = np.zeros(capacity, np.bool_)

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        return int(self._vectors.shape[1])

    def __len__(self) -> int:
        """Live rows."""
        return int(np.count_nonzero(self._live))

    def search(self, queries: npt.NDArray[Any], k: int, *, mask: npt.NDArray[Any] | None = None) -> Hits:
        """The ``k`` best rows for each query, exactly; see `index.protocol.Searchable.search`."""
        queries = check_search(queries, k, mask, self.dim)
        best = no_hits(len(queries), k)
        if not len(queries):
            return best
        vectors, allowed = self._vectors, self._live.copy()
        if mask is not None:
            allowed[: len(mask)] &= mask[: len(allowed)]
            allowed[len(mask) :] = False
        for first in range(0, len(allowed), CHUNK_ROWS_COUNT):
            chunk = slice(first, first + CHUNK_ROWS_COUNT)
            block = block_size(len(allowed[chunk]), k)
            scores, maxima = score_rows(vectors[chunk], queries, allowed[chunk], block=block)
            hits = select_on_host(np.asarray(scores), np.asarray(maxima), k)
            rows = np.where(hits.rows >= 0, hits.rows + np.int32(first), hits.rows)
            best = best_of(
                np.concatenate([best.rows, rows], axis=1), np.concatenate([best.scores, hits.scores], axis=1), k
            )
        return best

    def upsert(self, rows: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> None:
        """Write ``vectors`` at ``rows``; see `index.protocol.VectorIndex.upsert`."""
        rows, vectors = check_upsert(rows, vectors, self.dim)
        if not len(rows):
            return
        capacity = max(len(self._live), capacity_for(int(rows.max()) + 1))
        if capacity > len(self._live):
            grown, grown_live = np.zeros((capacity, self.dim), np.float32), np.zeros(capacity, np.bool_)
            grown[: len(self._live)], grown_live[: len(self._live)] = self._vectors, self._live
            self._vectors, self._live = grown, grown_live
        self._vectors[rows] = vectors
        self._live[rows] = True

    def remove(self, rows: npt.NDArray[Any]) -> None:
        """Forget ``rows``; see `index.protocol.VectorIndex.remove`."""
        rows = check_rows(rows, unique=False)
        rows = rows[rows < len(self._live)]
        self._live[rows] = False
        self._vectors[rows] = 0

    def snapshot(self, rows: npt.NDArray[Any] | None = None) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Copies of the live rows, rising, and of their vectors: all of them, or those among ``rows``.

        Args:
          rows: integers [M], repeats are fine; None for all.

        Returns:
          int32 [N] and float32 [N, D].
        """
        if rows is None:
            live = np.flatnonzero(self._live).astype(np.int32)
        else:
            named = np.unique(check_rows(rows, unique=False))
            named = named[named < len(self._live)]
            live = named[self._live[named]]
        return live, self._vectors[live]
