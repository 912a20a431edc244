"""The best k of many scores, exactly, with ties in row order; on the host or inside a jitted search.

Both ways rest on one fact: if every block of scores is represented by its maximum, then the k-th largest maximum is a
lower bound of the k-th largest score. So few scores need to be looked at again.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float, Int

from index.protocol import NO_ROW, Hits, no_hits

BLOCKS = (32, 16, 8, 4, 2)
"""Block sizes to choose from, largest first. Measured: 16 best at 10 k rows and k = 150, 32 at 100 k and 1 M."""

_LOWEST = np.finfo(np.float32).min


def block_size(rows_count: int, k: int) -> int:
    """The largest block that leaves at least two blocks for each of the ``k`` wanted; 1 if none does."""
    return next((block for block in BLOCKS if rows_count % block == 0 and rows_count >= 2 * k * block), 1)


def block_maxima(scores: Float[Array, "B N"], block: int) -> Float[Array, "B M"]:
    """The largest score in each run of ``block`` columns; N is a multiple of ``block``."""
    return scores.reshape(scores.shape[0], -1, block).max(axis=2)


def select_on_host(scores: npt.NDArray[np.float32], maxima: npt.NDArray[np.float32], k: int) -> Hits:
    """The best ``k`` columns of each line of ``scores``, by NumPy.

    Args:
      scores: float32 [B, N], no nan; -inf can never be picked.
      maxima: float32 [B, M], the maxima of equal blocks of ``scores`` (`block_maxima`).
      k: places in the answer.
    """
    batch, rows_count = scores.shape
    if not batch:
        return no_hits(batch, k)
    bound = np.full(batch, _LOWEST, np.float32)
    blocks_count = maxima.shape[1]
    if k <= blocks_count:
        np.maximum(bound, np.partition(maxima, blocks_count - k, axis=1)[:, blocks_count - k], out=bound)
    places = np.flatnonzero(scores >= bound[:, None])
    query, row = np.divmod(places, rows_count)
    counts = np.bincount(query, minlength=batch)
    most = 2 * k * (rows_count // blocks_count)
    if counts.max() > most:  # a crowd of equal scores: of those only the first k can matter
        query, row = _without_crowd(scores, bound, k)
        counts = np.bincount(query, minlength=batch)
    value = scores[query, row] + np.float32(0)  # -0.0 becomes 0.0: they are equal, so they must tie
    bits = value.view(np.int32).astype(np.int64)
    falling = ~np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # integers in the opposite order of the scores
    width = max(int(counts.max()), k)
    keys = np.full((batch, width), np.iinfo(np.int64).max)
    starts = np.cumsum(counts) - counts
    keys[query, np.arange(len(query)) - starts[query]] = (falling << 32) | row
    keys.sort(axis=1)
    rows = (keys[:, :k] & 0xFFFFFFFF).astype(np.int32)
    found = np.arange(k) < counts[:, None]
    best = np.take_along_axis(scores, np.where(found, rows, 0), axis=1)
    return Hits(np.where(found, rows, np.int32(NO_ROW)), np.where(found, best, np.float32(-np.inf)))


def _without_crowd(
    scores: npt.NDArray[np.float32], bound: npt.NDArray[np.float32], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    queries, rows = [], []
    for query, (line, low) in enumerate(zip(scores, bound, strict=True)):
        kept = np.concatenate([np.flatnonzero(line > low), np.flatnonzero(line == low)[:k]])
        queries.append(np.full(len(kept), query))
        rows.append(kept)
    return np.concatenate(queries), np.concatenate(rows)


@partial(jax.jit, static_argnames=("k", "block"))
def select_on_device(
    scores: Float[Array, "B N"], *, k: int, block: int
) -> tuple[Int[Array, "B K"], Float[Array, "B K"]]:
    """The best ``k`` columns of each line, in XLA: the best k blocks first, then the best k inside those.

    Args:
      scores: float32, no nan; N >= ``k``, and a multiple of ``block``.
      k, block: static; ``block`` from `block_size`.
    """
    scores = jnp.where(scores == 0, 0.0, scores)  # -0.0 becomes 0.0: they are equal, so they must tie
    if block == 1:
        best, row = jax.lax.top_k(scores, k)
    else:
        batch = scores.shape[0]
        _, chosen = jax.lax.top_k(block_maxima(scores, block), k)
        chosen = jnp.sort(chosen, axis=1)  # so that places among the candidates are in row order
        blocks = scores.reshape(batch, -1, block)
        candidates = jnp.take_along_axis(blocks, chosen[:, :, None], axis=1).reshape(batch, -1)
        best, place = jax.lax.top_k(candidates, k)
        row = jnp.take_along_axis(chosen, place // block, axis=1) * block + place % block
    return jnp.where(best == -jnp.inf, NO_ROW, row), best


def best_of(rows: npt.NDArray[np.int32], scores: npt.NDArray[np.float32], k: int) -> Hits:
    """The best ``k`` of some hits in any order: by falling score, then rising row, with what is missing at the end.

    Args:
      rows: int32 [B, M]; ``NO_ROW`` where there is none.
      scores: float32 [B, M]; -inf there.
      k: places in the answer; M may be smaller.
    """
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    hits = no_hits(len(rows), k)
    width = order.shape[1]
    hits.rows[:, :width] = np.take_along_axis(rows, order, axis=1)
    hits.scores[:, :width] = np.take_along_axis(scores, order, axis=1)
    return hits


def allowed_rows(mask: npt.NDArray[Any], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """bool [N]: which of ``rows`` a mask by row allows; rows beyond its end are not allowed."""
    if not len(mask):
        return np.zeros(len(rows), np.bool_)
    inside: npt.NDArray[np.bool_] = (rows < len(mask)) & mask[np.minimum(rows, len(mask) - 1)]
    return inside
