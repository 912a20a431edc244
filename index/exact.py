"""Exact search: every live row is scored. For catalogues up to about 100 k items, and the oracle of the other indexes.

One array by row, on JAX's default device. Shapes come in steps (capacity, batch, k), so that few programs are compiled;
when the array grows, those in use are compiled for its new size before a search can meet it.
"""

import threading
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Bool, Float, Int

from index.protocol import Hits, IndexConfig, check_rows, check_search, check_upsert, no_hits
from index.topk import block_maxima, block_size, select_on_device, select_on_host

MIN_HOST_BATCH = 8
"""Queries from which NumPy picks the best faster than XLA does on a CPU; below, its calls cost more than they save."""

MIN_WRITE_COUNT = 64
"""Rows of the smallest upsert that is compiled for; smaller ones are padded."""


class ExactIndex:
    """Brute force over one array of vectors.

    A search reads one version of the array: it sees an upsert whole or not at all.
    """

    def __init__(self, config: IndexConfig) -> None:
        """An empty index.

        Args:
          config: layout; ``config.dim`` fixes D.
        """
        self._config = config
        self._on_cpu = jax.default_backend() == "cpu"
        capacity = capacity_for(config.min_capacity)
        self._vectors: Float[Array, "N D"] = jnp.zeros((capacity, config.dim), jnp.float32)
        self._live = np.zeros(capacity, np.bool_)
        self._live_on_device: Bool[Array, " N"] = jnp.array(self._live)
        self._count = 0
        self._shapes: set[tuple[int, int]] = set()  # (batch, k) in steps, of the searches so far
        self._lock = threading.Lock()  # an upsert donates the array, so nobody may pick it up meanwhile

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        return self._config.dim

    @property
    def capacity(self) -> int:
        """Rows that there is room for without growing."""
        return len(self._live)

    def __len__(self) -> int:
        """Rows that can be found."""
        return self._count

    def search(self, queries: npt.NDArray[Any], k: int, *, mask: npt.NDArray[Any] | None = None) -> Hits:
        """The ``k`` best rows for each query, exactly; see `index.protocol.Searchable.search`."""
        queries = check_search(queries, k, mask, self.dim)
        if not len(queries) or not self._count:
            return no_hits(len(queries), k)
        part = max(1, 1 << (max(1, self._config.max_scores_count // self.capacity).bit_length() - 1))
        parts = [self._search_part(queries[at : at + part], k, mask) for at in range(0, len(queries), part)]
        if len(parts) == 1:
            return parts[0]
        return Hits(np.concatenate([hits.rows for hits in parts]), np.concatenate([hits.scores for hits in parts]))

    def _search_part(self, queries: npt.NDArray[np.float32], k: int, mask: npt.NDArray[Any] | None) -> Hits:
        batch = len(queries)
        padded = np.zeros((1 << (batch - 1).bit_length(), self.dim), np.float32)
        padded[:batch] = queries
        k_bucket = 1 << (k - 1).bit_length()
        with self._lock:
            self._shapes.add((len(padded), k_bucket))
            allowed = self._live_on_device if mask is None else _both(self._live, mask)
            on_device = self._dispatched(self._vectors, padded, allowed, k_bucket)
        first, second = (np.asarray(array)[:batch] for array in on_device)
        if self._selects_on_host(len(padded)):
            return select_on_host(first, second, k)
        hits = no_hits(batch, k)
        width = min(k, first.shape[1])
        hits.rows[:, :width], hits.scores[:, :width] = first[:, :width], second[:, :width]
        return hits

    def _selects_on_host(self, batch: int) -> bool:
        if self._config.select_on == "auto":
            return self._on_cpu and batch >= MIN_HOST_BATCH
        return self._config.select_on == "host"

    def _dispatched(
        self,
        vectors: Float[Array, "N D"],
        queries: npt.NDArray[np.float32],
        allowed: Array | npt.NDArray[np.bool_],
        k_bucket: int,
    ) -> tuple[Array, Array]:
        k = min(k_bucket, len(vectors))
        block = block_size(len(vectors), k)
        pair: tuple[Array, Array]
        if self._selects_on_host(len(queries)):
            pair = score_rows(vectors, queries, allowed, block=block)
        else:
            pair = _find(vectors, queries, allowed, k=k, block=block)
        return pair

    def upsert(self, rows: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> None:
        """Write ``vectors`` at ``rows``; see `index.protocol.VectorIndex.upsert`."""
        rows, vectors = check_upsert(rows, vectors, self.dim)
        if not len(rows):
            return
        capacity = max(self.capacity, capacity_for(int(rows.max()) + 1))
        bucket = max(MIN_WRITE_COUNT, 1 << (len(rows) - 1).bit_length())
        padded_rows = np.full(bucket, capacity, np.int32)  # beyond the array: dropped by the scatter
        padded_rows[: len(rows)] = rows
        padded_vectors = np.zeros((bucket, self.dim), np.float32)
        padded_vectors[: len(rows)] = vectors
        live = np.zeros(capacity, np.bool_)
        live[: self.capacity] = self._live
        live[rows] = True
        live_on_device = jnp.array(live)
        grown: Array | None = None
        if capacity > self.capacity:
            room = jnp.zeros((capacity, self.dim), jnp.float32).at[: self.capacity].set(self._vectors)
            grown = _write(room, padded_rows, padded_vectors)
            with self._lock:
                shapes = sorted(self._shapes)
            for batch, k_bucket in shapes:
                self._dispatched(grown, np.zeros((batch, self.dim), np.float32), live_on_device, k_bucket)
        with self._lock:
            self._vectors = _write(self._vectors, padded_rows, padded_vectors) if grown is None else grown
            self._live, self._live_on_device, self._count = live, live_on_device, int(np.count_nonzero(live))

    def remove(self, rows: npt.NDArray[Any]) -> None:
        """Make ``rows`` unfindable at once; see `index.protocol.VectorIndex.remove`."""
        rows = check_rows(rows, unique=False)
        live = self._live.copy()
        live[rows[rows < len(live)]] = False
        live_on_device = jnp.array(live)
        with self._lock:
            self._live, self._live_on_device, self._count = live, live_on_device, int(np.count_nonzero(live))


def capacity_for(rows_count: int) -> int:
    """The smallest of the fixed capacities with room for ``rows_count``: 4, 5, 6 or 7 quarters of a power of two.

    At most a quarter is wasted, every capacity from 128 on is a multiple of 32, and growing to N rows takes few steps.
    """
    quarter = max(32, 1 << max(0, (rows_count - 1).bit_length() - 3))
    return -(-max(rows_count, 4 * quarter if quarter == 32 else 1) // quarter) * quarter


def _both(live: npt.NDArray[np.bool_], mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    allowed = np.zeros_like(live)
    shared = min(len(live), len(mask))
    np.logical_and(live[:shared], mask[:shared], out=allowed[:shared])
    return allowed


def _allowed_scores(
    vectors: Float[Array, "N D"], queries: Float[Array, "B D"], allowed: Bool[Array, " N"]
) -> Float[Array, "B N"]:
    scores = jnp.matmul(queries, vectors.T, precision=jax.lax.Precision.HIGHEST)  # never TF32: this is the oracle
    return jnp.where(allowed[None, :], scores, -jnp.inf)


@partial(jax.jit, static_argnames=("block",))
def score_rows(
    vectors: Float[Array, "N D"], queries: Float[Array, "B D"], allowed: Bool[Array, " N"], *, block: int
) -> tuple[Float[Array, "B N"], Float[Array, "B M"]]:
    """Scores of every row, -inf where not allowed, and the largest of each ``block`` rows (see `index.topk`)."""
    scores = _allowed_scores(vectors, queries, allowed)
    return scores, block_maxima(scores, block)


@partial(jax.jit, static_argnames=("k", "block"))
def _find(
    vectors: Float[Array, "N D"], queries: Float[Array, "B D"], allowed: Bool[Array, " N"], *, k: int, block: int
) -> tuple[Int[Array, "B K"], Float[Array, "B K"]]:
    hits: tuple[Array, Array] = select_on_device(_allowed_scores(vectors, queries, allowed), k=k, block=block)
    return hits


@partial(jax.jit, donate_argnames=("table",))
def _write(table: Float[Array, "N D"], rows: Int[Array, " M"], vectors: Float[Array, "M D"]) -> Float[Array, "N D"]:
    written: Array = table.at[rows].set(vectors, mode="drop")
    return written
