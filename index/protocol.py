"""What every vector index promises, and the checks that make the promise the same for all of them.

Decides: the shape of an answer, what is refused and in which words. How to search is left to the implementations.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from index.errors import BadRowsError, BadSearchError, BadVectorsError

NO_ROW = -1
"""Row of a place in the answer that nothing filled; its score is -inf."""

MAX_ROW = 2**27
"""Rows stay below this: an index is an array by row, so one absurd row would take all memory."""

MAX_MAGNITUDE = 1e15
"""Largest absolute number in a vector; the inner product of two such vectors is still finite in float32."""


class Hits(NamedTuple):
    """The best rows for each query, best first; equal scores in row order.

    Attributes:
      rows: int32 [B, K]; ``NO_ROW`` where fewer than K rows could be found.
      scores: float32 [B, K], inner products; -inf where the row is ``NO_ROW``.
    """

    rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """How an index is laid out and searched.

    Attributes:
      dim: D, numbers in a vector.
      select_on: where the best K are picked from the scores: "host" (NumPy, fastest for a batch on a CPU), "device"
        (inside the jitted search, so that only the hits leave an accelerator), or "auto" (whichever is faster here).
      max_scores_count: scores held at once; a batch that needs more is searched in parts. 2**26 is 256 MiB.
      min_capacity: rows that an empty index has room for.
    """

    dim: int
    select_on: Literal["auto", "host", "device"] = "auto"
    max_scores_count: int = 2**26
    min_capacity: int = 1024

    def __post_init__(self) -> None:
        """Refuse what no index can be built from."""
        for name, value in (
            ("dim", self.dim),
            ("max_scores_count", self.max_scores_count),
            ("min_capacity", self.min_capacity),
        ):
            if value < 1:
                raise BadSearchError(f"IndexConfig.{name} must be a whole number >= 1, got {value}")


@runtime_checkable
class Searchable(Protocol):
    """Something that finds the rows with the largest inner product."""

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        ...

    def __len__(self) -> int:
        """Rows that can be found."""
        ...

    def search(self, queries: npt.NDArray[Any], k: int, *, mask: npt.NDArray[Any] | None = None) -> Hits:
        """The ``k`` rows with the largest inner product with each query.

        Args:
          queries: float32 [B, D], finite; B may be 0.
          k: places in the answer, >= 1; more than there are rows is fine.
          mask: bool [n], by row: False hides the row from the whole batch. Rows from n on are hidden too, so that a
            row newer than the mask is never shown unjudged; a mask may also be longer than the index.

        Returns:
          ``Hits`` of shape [B, k].

        Raises:
          BadVectorsError: ``queries`` are not float32 [B, D], or not finite.
          BadSearchError: ``k`` or ``mask`` is not as above.
        """
        ...


@runtime_checkable
class VectorIndex(Searchable, Protocol):
    """A `Searchable` whose rows can be written and removed. One thread writes; any number may search meanwhile."""

    def upsert(self, rows: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> None:
        """Write ``vectors`` at ``rows``, new or not; a search sees all of them or none.

        Args:
          rows: integers [M], 0 <= row < ``MAX_ROW``, each once.
          vectors: float32 [M, D], finite. Not normalised.

        Raises:
          BadRowsError: ``rows`` are not as above (a row named twice included).
          BadVectorsError: ``vectors`` are not as above.
        """
        ...

    def remove(self, rows: npt.NDArray[Any]) -> None:
        """Make ``rows`` unfindable at once; a row that is not there is passed over.

        Args:
          rows: integers [M]; repeats are fine.

        Raises:
          BadRowsError: ``rows`` are not integers [M] with 0 <= row < ``MAX_ROW``.
        """
        ...


def _described(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype.name} {list(array.shape)}"


def check_vectors(vectors: npt.NDArray[Any], dim: int, *, what: str) -> npt.NDArray[np.float32]:
    """``vectors`` as they are, if they can be searched; ``what`` names them in the error.

    Raises:
      BadVectorsError: not float32 [any, ``dim``], or a number is nan, infinite or beyond ``MAX_MAGNITUDE``.
    """
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != dim:
        raise BadVectorsError(f"{what} must be float32 [any, {dim}], got {_described(vectors)}; cast or reshape them")
    good = np.abs(vectors) <= MAX_MAGNITUDE  # False for nan
    if not good.all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        raise BadVectorsError(
            f"{what} must be finite and within +-{MAX_MAGNITUDE:g}, got {vectors[at]} at {list(at)}; "
            "leave such vectors out and find out where they come from"
        )
    return vectors


def check_rows(rows: npt.NDArray[Any], *, unique: bool) -> npt.NDArray[np.int32]:
    """``rows`` as int32.

    Raises:
      BadRowsError: not integers [any], a row outside 0 .. ``MAX_ROW`` - 1, or, where ``unique``, one named twice.
    """
    if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
        raise BadRowsError(f"rows must be integers [any], got {_described(rows)}; pass a flat array of int32")
    if rows.size and not (rows.min() >= 0 and rows.max() < MAX_ROW):
        wrong = rows[(rows < 0) | (rows >= MAX_ROW)][0]
        raise BadRowsError(f"rows must be within 0 .. {MAX_ROW - 1}, got {wrong}; give items rows from 0 on")
    if unique and rows.size:
        ordered = np.sort(rows)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if twice.size:
            raise BadRowsError(f"rows must each be named once, got row {twice[0]} again; keep its last vector only")
    return rows.astype(np.int32)


def check_upsert(
    rows: npt.NDArray[Any], vectors: npt.NDArray[Any], dim: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Rows and vectors of one upsert, if they belong together.

    Raises:
      BadRowsError, BadVectorsError: as `VectorIndex.upsert` says.
    """
    good_rows, good_vectors = check_rows(rows, unique=True), check_vectors(vectors, dim, what="vectors")
    if len(good_rows) != len(good_vectors):
        raise BadRowsError(f"rows and vectors must be equally many, got {len(rows)} rows and {len(vectors)} vectors")
    return good_rows, good_vectors


def check_search(queries: npt.NDArray[Any], k: int, mask: npt.NDArray[Any] | None, dim: int) -> npt.NDArray[np.float32]:
    """The queries of one search, if it can be done.

    Raises:
      BadVectorsError, BadSearchError: as `Searchable.search` says.
    """
    if k < 1:
        raise BadSearchError(f"k must be a whole number >= 1, got {k}")
    if mask is not None and (mask.dtype != np.bool_ or mask.ndim != 1):
        raise BadSearchError(
            f"mask must be bool [rows], got {_described(mask)}; pass one flag for each row, True to allow it"
        )
    return check_vectors(queries, dim, what="queries")


def no_hits(batch: int, k: int) -> Hits:
    """An answer in which nothing was found."""
    return Hits(np.full((batch, k), NO_ROW, np.int32), np.full((batch, k), -np.inf, np.float32))
