"""The index that serving uses: exact while the catalogue is small, approximate and kept current above.

Decides how a rebuild happens beside the live index without losing what is written meanwhile. When to rebuild is
`index.refresh`'s decision; who calls `maintain`, and how often, is the caller's.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from index.errors import BadSearchError
from index.exact import ExactIndex
from index.faiss_index import FaissConfig, FaissIndex
from index.holder import Holder
from index.overlay import OverlaidIndex
from index.protocol import Hits, IndexConfig, check_rows, check_search, check_upsert
from index.recall import measured_recall
from index.refresh import IndexHealth, Plan, RefreshConfig, plan_refresh
from index.table import VectorTable

SAMPLED_PER_SEARCH = 4
"""Queries of one batch that are remembered, so that the sample isn't all of one moment."""


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """A live index: its layout, its approximate part, and when that is replaced.

    Attributes:
      index: layout and D.
      faiss: the approximate part.
      refresh: when it is replaced, and the least recall.
      sample_count: recent queries kept; recall is measured on them, and lists are weighed by them.
      recall_k: K at which recall is measured.
    """

    index: IndexConfig
    faiss: FaissConfig = field(default_factory=FaissConfig)
    refresh: RefreshConfig = field(default_factory=RefreshConfig)
    sample_count: int = 64
    recall_k: int = 100

    def __post_init__(self) -> None:
        """Refuse a sample that says nothing."""
        if self.sample_count < 1 or self.recall_k < 1:
            raise BadSearchError(
                "LiveConfig.sample_count and recall_k must be whole numbers >= 1, "
                f"got {self.sample_count} and {self.recall_k}"
            )


@dataclass(frozen=True)
class Generation:
    """One index from its building to its replacement.

    Attributes:
      version: rises by one with every rebuild.
      index: what is searched.
      trained_count: rows that its lists were trained on; 0 when exact.
      trained_at_count: rows ever written when they were.
    """

    version: int
    index: ExactIndex | OverlaidIndex
    trained_count: int = 0
    trained_at_count: int = 0


class LiveIndex:
    """A `VectorIndex` that stays fast and right while it grows and changes.

    Any number of threads search, one writes, and one may call `maintain` meanwhile.
    """

    def __init__(self, config: LiveConfig, *, build: Callable[..., FaissIndex] = FaissIndex.build) -> None:
        """An empty index, which is exact.

        Args:
          config: layout, approximate part, and when that is replaced.
          build: makes the approximate part, with the arguments of `FaissIndex.build`.
        """
        self._config = config
        self._build = build
        self._table = VectorTable(config.index)
        self._holder = Holder(Generation(0, ExactIndex(config.index)))
        self._written_count = 0
        self._touched: list[npt.NDArray[np.int32]] | None = None  # rows written since a rebuild began
        self._writing = threading.Lock()
        self._maintaining = threading.Lock()
        self._sampling = threading.Lock()
        self._sample: deque[npt.NDArray[np.float32]] = deque(maxlen=config.sample_count)

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        return self._config.index.dim

    @property
    def version(self) -> int:
        """Of the index that is live: rebuilds so far."""
        return self._holder.current.version

    def __len__(self) -> int:
        """Rows that can be found."""
        return len(self._holder.current.index)

    def search(self, queries: npt.NDArray[Any], k: int, *, mask: npt.NDArray[Any] | None = None) -> Hits:
        """The ``k`` best rows for each query; see `index.protocol.Searchable.search`."""
        hits = self._holder.current.index.search(queries, k, mask=mask)
        with self._sampling:
            self._sample.extend(queries[:SAMPLED_PER_SEARCH].copy())
        return hits

    def upsert(self, rows: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> None:
        """Write ``vectors`` at ``rows``; see `index.protocol.VectorIndex.upsert`."""
        rows, vectors = check_upsert(rows, vectors, self.dim)
        with self._writing:
            self._table.upsert(rows, vectors)
            self._holder.current.index.upsert(rows, vectors)
            self._written_count += len(rows)
            if self._touched is not None:
                self._touched.append(rows)

    def remove(self, rows: npt.NDArray[Any]) -> None:
        """Make ``rows`` unfindable at once; see `index.protocol.VectorIndex.remove`."""
        rows = check_rows(rows, unique=False)
        with self._writing:
            self._table.remove(rows)
            self._holder.current.index.remove(rows)
            if self._touched is not None:
                self._touched.append(rows)

    def maintain(self) -> Plan:
        """Measure, decide, and do what was decided. Call it now and then from a thread that may take its time.

        Returns:
          What was done, and why.
        """
        with self._maintaining:
            plan = plan_refresh(self.health(), self._config.refresh)
            self._carry_out(plan)
            return plan

    def health(self) -> IndexHealth:
        """What is known of the live index, its recall on recent queries included.

        The recall is an estimate: rows written during the measurement may count against it.
        """
        generation = self._holder.current
        index = generation.index
        if isinstance(index, ExactIndex):
            return IndexHealth(kind="exact", rows_count=len(index))
        sample = self._recent_queries()
        return IndexHealth(
            kind="approximate",
            rows_count=len(index),
            filled_count=len(index.main),
            changed_count=index.changed_count,
            hidden_count=index.hidden_count,
            trained_count=generation.trained_count,
            written_count=self._written_count - generation.trained_at_count,
            probes_count=index.main.probes_count,
            lists_count=index.main.lists_count,
            recall=self._recall_of(index, sample) if len(sample) else None,
        )

    def _recent_queries(self) -> npt.NDArray[np.float32]:
        with self._sampling:
            return np.array(self._sample, np.float32).reshape(-1, self.dim)

    def _recall_of(self, index: OverlaidIndex | FaissIndex, sample: npt.NDArray[np.float32]) -> float:
        return measured_recall(index, self._table, check_search(sample, 1, None, self.dim), self._config.recall_k)

    def _carry_out(self, plan: Plan) -> None:
        current = self._holder.current
        if plan.action == "upsert":
            return
        if plan.action == "widen" and isinstance(current.index, OverlaidIndex):
            current.index.widen(2 * current.index.main.probes_count)
            return
        with self._writing:
            rows, vectors = self._table.snapshot()
            written_count, self._touched = self._written_count, []
        try:
            new = self._built(plan, current, rows, vectors, written_count)
            with self._writing:
                self._catch_up(new.index)
                self._holder.swap(new)
        finally:
            self._touched = None

    def _built(
        self,
        plan: Plan,
        current: Generation,
        rows: npt.NDArray[np.int32],
        vectors: npt.NDArray[np.float32],
        written_count: int,
    ) -> Generation:
        version = current.version + 1
        if plan.action == "exact" or not len(rows):
            exact = ExactIndex(self._config.index)
            exact.upsert(rows, vectors)
            return Generation(version, exact)
        sample = self._recent_queries()
        if plan.action == "refill" and isinstance(current.index, OverlaidIndex):
            main = self._build(rows, vectors, self._config.faiss, like=current.index.main)
            trained_count, trained_at_count = current.trained_count, current.trained_at_count
        else:
            query_rms = np.sqrt(np.mean(np.square(sample), axis=0)) if len(sample) else None
            main = self._build(rows, vectors, self._config.faiss, query_rms=query_rms)
            trained_count, trained_at_count = len(rows), written_count
        index = OverlaidIndex(self._widened(main, sample), self._config.index)
        return Generation(version, index, trained_count, trained_at_count)

    def _widened(self, main: FaissIndex, sample: npt.NDArray[np.float32]) -> FaissIndex:
        """``main`` with as many probes as recent queries need, before anyone is answered by it."""
        while len(sample) and main.probes_count < main.lists_count:
            if self._recall_of(main, sample) >= self._config.refresh.recall_min:
                break
            main = main.with_probes(2 * main.probes_count)
        return main

    def _catch_up(self, index: ExactIndex | OverlaidIndex) -> None:
        touched = np.unique(np.concatenate([np.zeros(0, np.int32), *(self._touched or [])]))
        rows, vectors = self._table.snapshot(touched)
        index.upsert(rows, vectors)
        index.remove(np.setdiff1d(touched, rows))
