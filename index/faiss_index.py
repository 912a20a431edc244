"""Approximate search with FAISS: an index that is built once, searched, and replaced. The only file that imports faiss.

Rows written later are kept beside it (`index.overlay`), so nothing here is updated or removed in place; the GPU indexes
of FAISS can do neither. Inner product does not partition space, so plain IVF loses most of its recall once vectors
differ in length (as with popularity among their numbers). Two changes, neither of which alters a score, give it back:
numbers are weighed by how large they usually are in queries, and lists are chosen by Euclidean distance after every
vector was lifted to the same length by one more number (Bachrach et al. 2014).

References:
  Bachrach et al., Speeding Up the Xbox Recommender System Using a Euclidean Transformation for Inner-Product Spaces,
  RecSys 2014. Johnson, Douze, Jegou, Billion-scale similarity search with GPUs, 2017.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import faiss as typed_faiss
import numpy as np
import numpy.typing as npt

from index.errors import BadSearchError, NotEnoughVectorsError
from index.protocol import NO_ROW, Hits, check_search, check_upsert, no_hits
from index.topk import allowed_rows, best_of

faiss: Any = typed_faiss  # its own type stubs describe an older interface

MIN_VECTORS_PER_LIST = 39
"""Below this FAISS itself warns that lists are trained on too little."""

GPU_MAX_K = 2048
"""FAISS on a GPU finds no more than this for a query."""


@dataclass(frozen=True, kw_only=True)
class FaissConfig:
    """How an approximate index is built and searched.

    Attributes:
      kind: "ivf" (inverted lists) or "flat" (every vector is scored).
      probes_count: lists looked into for a query; more find more and cost more.
      lists_per_root: lists are this times the square root of the vectors, as far as training allows.
      train_vectors_per_list: k-means sees this many vectors a list; its time is proportional to them.
      train_rounds_count: rounds of k-means.
      seed: of k-means; the same vectors and seed give the same lists.
      threads_count: OpenMP threads; 1, since more are many times slower wherever cores are shared.
      device: "auto" takes a GPU if FAISS sees one.
      mask_by: how hidden rows are left out: "selector" (inside FAISS), "overfetch" (found, then dropped), "auto"
        (selector on a CPU; GPU indexes have none).
    """

    kind: Literal["ivf", "flat"] = "ivf"
    probes_count: int = 64
    lists_per_root: float = 4.0
    train_vectors_per_list: int = 64
    train_rounds_count: int = 10
    seed: int = 1234
    threads_count: int = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    mask_by: Literal["auto", "selector", "overfetch"] = "auto"


class FaissIndex:
    """A FAISS index over fixed rows; `build` makes one."""

    def __init__(
        self,
        *,
        inner: Any,
        quantizer: Any,
        rows: npt.NDArray[np.int32],
        scale: npt.NDArray[np.float32],
        radius: float,
        config: FaissConfig,
        on_gpu: bool,
        probes_count: int,
    ) -> None:
        """Parts that `build` and `with_probes` put together."""
        self._inner = inner
        self._quantizer = quantizer
        self._rows = rows
        self._scale = scale
        self._radius = radius
        self._config = config
        self._on_gpu = on_gpu
        self.probes_count = probes_count

    @classmethod
    def build(
        cls,
        rows: npt.NDArray[Any],
        vectors: npt.NDArray[Any],
        config: FaissConfig,
        *,
        query_rms: npt.NDArray[np.float32] | None = None,
        like: "FaissIndex | None" = None,
    ) -> "FaissIndex":
        """An index over ``vectors``.

        Args:
          rows: integers [N], each once.
          vectors: float32 [N, D], finite; N >= 1.
          config: kind and sizes.
          query_rms: float32 [D], root mean square of each number in recent queries; None weighs all alike.
          like: keep the lists, the weights and the probes of this index, and only fill it anew: no training.

        Raises:
          NotEnoughVectorsError: there is no vector.
          BadRowsError, BadVectorsError: as for an upsert.
        """
        rows, vectors = check_upsert(rows, vectors, vectors.shape[-1])
        if not len(rows):
            raise NotEnoughVectorsError(
                "a FAISS index needs at least 1 vector, got 0; use ExactIndex until there are some"
            )
        faiss.omp_set_num_threads(config.threads_count)
        order = np.argsort(rows)
        rows, vectors = rows[order], vectors[order]
        on_gpu = config.device != "cpu" and faiss.get_num_gpus() > 0
        if config.device == "gpu" and not on_gpu:
            raise BadSearchError("device 'gpu' needs a GPU that FAISS sees, got none; install faiss-gpu or use 'auto'")
        dim = vectors.shape[1]
        scale, radius = (like._scale, like._radius) if like is not None else (_weights(query_rms, dim), 0.0)
        quantizer = None
        if config.kind == "flat":
            inner: Any = faiss.IndexFlatIP(dim)
            probes_count = 1
            scale = np.ones(dim, np.float32)
            stored = vectors
        else:
            stored = vectors * scale
            radius = radius or 1.1 * float(np.sqrt(np.einsum("nd,nd->n", stored, stored).max()))
            stored = _lifted(stored, radius)
            quantizer = faiss.IndexFlatL2(dim + 1) if like is None else like._quantizer
            lists_count = lists_for(len(rows), config) if like is None else int(quantizer.ntotal)
            inner = faiss.IndexIVFFlat(quantizer, dim + 1, lists_count, faiss.METRIC_INNER_PRODUCT)
            probes_count = min(lists_count, config.probes_count if like is None else like.probes_count)
            if like is None:
                inner.cp.seed, inner.cp.niter, inner.cp.spherical = config.seed, config.train_rounds_count, False
                inner.cp.max_points_per_centroid = max(MIN_VECTORS_PER_LIST, config.train_vectors_per_list)
                inner.train(stored)
        if on_gpu:
            inner = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, inner)
        inner.add(stored)
        return cls(
            inner=inner, quantizer=quantizer, rows=rows, scale=scale, radius=radius, config=config, on_gpu=on_gpu,
            probes_count=probes_count,
        )  # fmt: skip

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        return len(self._scale)

    @property
    def lists_count(self) -> int:
        """Inverted lists; 1 for a flat index."""
        return 1 if self._quantizer is None else int(self._quantizer.ntotal)

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """int32 [N], the rows that it was built over, rising; not to be written."""
        return self._rows

    def __len__(self) -> int:
        """Rows that can be found."""
        return len(self._rows)

    def with_probes(self, probes_count: int) -> "FaissIndex":
        """The same index looking into ``probes_count`` lists a query; nothing is copied."""
        return FaissIndex(
            inner=self._inner, quantizer=self._quantizer, rows=self._rows, scale=self._scale, radius=self._radius,
            config=self._config, on_gpu=self._on_gpu, probes_count=min(probes_count, self.lists_count),
        )  # fmt: skip

    def search(self, queries: npt.NDArray[Any], k: int, *, mask: npt.NDArray[Any] | None = None) -> Hits:
        """The ``k`` best rows that the probed lists hold; see `index.protocol.Searchable.search`.

        Equal scores are in row order among those found; which of them are found is FAISS's choice.
        """
        queries = check_search(queries, k, mask, self.dim)
        if not len(queries):
            return no_hits(0, k)
        faiss.omp_set_num_threads(self._config.threads_count)  # a setting of each thread, so it is set in each
        asked = queries / self._scale
        if self._quantizer is not None:
            asked = np.concatenate([asked, np.zeros((len(asked), 1), np.float32)], axis=1)
        allowed = None if mask is None else allowed_rows(mask, self._rows)
        if allowed is None or allowed.all():
            return self._ranked(*self._ask(asked, k, None), k)
        by_selector = self._config.mask_by == "selector" or (self._config.mask_by == "auto" and not self._on_gpu)
        if by_selector:
            bits = np.packbits(allowed, bitorder="little")
            return self._ranked(*self._ask(asked, k, faiss.IDSelectorBitmap(bits)), k)
        most = min(len(self), GPU_MAX_K) if self._on_gpu else len(self)
        fetch, enough = min(2 * k, most), min(k, int(np.count_nonzero(allowed)))
        while True:
            scores, places = self._ask(asked, fetch, None)
            places = np.where((places >= 0) & allowed[places], places, -1)
            if fetch >= most or (np.count_nonzero(places >= 0, axis=1) >= enough).all():
                return self._ranked(scores, places, k)
            fetch = min(4 * fetch, most)

    def _ask(
        self, asked: npt.NDArray[np.float32], k: int, selector: Any
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        k = min(k, GPU_MAX_K) if self._on_gpu else k
        given = {} if selector is None else {"sel": selector}
        if self._quantizer is None:
            params = faiss.SearchParameters(**given)
        else:
            params = faiss.SearchParametersIVF(nprobe=self.probes_count, **given)
        scores, places = self._inner.search(np.ascontiguousarray(asked), k, params=params)
        return scores, places

    def _ranked(self, scores: npt.NDArray[np.float32], places: npt.NDArray[np.int64], k: int) -> Hits:
        found = places >= 0
        rows = np.where(found, self._rows[places], np.int32(NO_ROW))
        return best_of(rows, np.where(found, scores, np.float32(-np.inf)), k)


def lists_for(vectors_count: int, config: FaissConfig) -> int:
    """How many inverted lists that many vectors get: at least 1, each with enough vectors to be trained on."""
    return max(1, min(int(config.lists_per_root * math.sqrt(vectors_count)), vectors_count // MIN_VECTORS_PER_LIST))


def _weights(query_rms: npt.NDArray[np.float32] | None, dim: int) -> npt.NDArray[np.float32]:
    if query_rms is None or not query_rms.max() > 0:
        return np.ones(dim, np.float32)
    floor = 1e-3 * query_rms.max()  # a number that no query used yet may be used by the next
    nearest = np.round(np.log2(np.maximum(query_rms, floor)))
    weights: npt.NDArray[np.float32] = np.exp2(nearest).astype(
        np.float32
    )  # by powers of two, so that nothing is rounded
    return weights


def _lifted(vectors: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.float32]:
    missing = np.float32(radius**2) - np.einsum("nd,nd->n", vectors, vectors)
    lift = np.sqrt(np.maximum(missing, np.float32(0)))  # longer than the radius since training: it stays as it is
    return np.ascontiguousarray(np.concatenate([vectors, lift[:, None]], axis=1))
