"""The best k of many scores, exactly, with ties in row order; on the host or inside a jitted search.

Both ways look at the maximum of every block of scores first, so that few scores need to be looked at again.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float, Int

from index.compiled import kernel
from index.protocol import NO_ROW, Hits, no_hits

BLOCKS = (32, 16, 8, 4, 2)
"""Block sizes to choose from, largest first. Measured: 16 best at 10 k rows and k = 150, 32 at 100 k and 1 M."""


def block_size(rows_count: int, k: int) -> int:
    """The largest block that leaves at least two blocks for each of the ``k`` wanted; 1 if none does."""
    return next((block for block in BLOCKS if rows_count % block == 0 and rows_count >= 2 * k * block), 1)


def block_maxima(scores: Float[Array, "B N"], block: int) -> Float[Array, "B M"]:
    """The largest score in each run of ``block`` columns; N is a multiple of ``block``."""
    return scores.reshape(scores.shape[0], -1, block).max(axis=2)


def select_on_host(scores: npt.NDArray[np.float32], maxima: npt.NDArray[np.float32], k: int) -> Hits:
    """The best ``k`` columns of each line of ``scores``, by a compiled loop that skips blocks without a chance.

    Args:
      scores: float32 [B, N], no nan; -inf can never be picked.
      maxima: float32 [B, M], the maxima of equal blocks of ``scores`` (`block_maxima`).
      k: places in the answer.
    """
    hits = no_hits(len(scores), k)
    if scores.size:
        _select_all(scores, maxima, hits.rows, hits.scores)
    return hits


@kernel
def _select_all(scores, maxima, rows, best):  # type: ignore[no-untyped-def]
    """Fill ``rows`` and ``best`` [B, K], which hold `NO_ROW` and -inf.

    The k-th largest maximum is a lower bound of the k-th largest score: only what reaches it is sorted, and where many
    equal scores do, only the first k of those that equal the k-th.
    """
    count, size = scores.shape[1], scores.shape[1] // maxima.shape[1]
    k = rows.shape[1]
    keys, work = np.empty(count, np.int64), np.empty(max(count, maxima.shape[1]), np.float32)
    for b in range(len(scores)):
        bound = np.float32(-np.inf)
        if k <= maxima.shape[1]:
            work[: maxima.shape[1]] = maxima[b]
            bound = _nth_largest(work, maxima.shape[1], k)
        n = 0
        for block in range(maxima.shape[1]):
            if maxima[b, block] >= bound:
                for row in range(block * size, (block + 1) * size):
                    if scores[b, row] >= bound and scores[b, row] > -np.inf:
                        work[n] = scores[b, row]
                        keys[n] = row
                        n += 1
        if n > 2 * k:
            values = work[:n].copy()
            least = _nth_largest(values, n, k)
            above = 0
            for at in range(n):
                above += work[at] > least
            n = _kept(work, keys, n, least, k - above)
        for at in range(n):
            keys[at] |= _falling(work[at]) << 32
        ordered = np.sort(keys[:n])
        for at in range(min(k, n)):
            row = ordered[at] & 0xFFFFFFFF
            rows[b, at], best[b, at] = row, scores[b, row]


@kernel
def _kept(scores, rows, n, least, ties):  # type: ignore[no-untyped-def]
    """Keep what is above ``least`` and the first ``ties`` that equal it, in place; gives how many."""
    kept = 0
    for at in range(n):
        if scores[at] > least or (scores[at] == least and ties > 0):
            ties -= scores[at] == least
            scores[kept], rows[kept] = scores[at], rows[at]
            kept += 1
    return kept


@kernel
def _falling(score):  # type: ignore[no-untyped-def]
    """A number from 0 to 2^31 - 1 or below 0 in the opposite order of float32 scores; -0.0 and 0.0 are one."""
    bits = np.int64(np.float32(score + np.float32(0.0)).view(np.int32))
    return ~(bits ^ 0x7FFFFFFF if bits < 0 else bits)


@kernel
def _nth_largest(values, count, n):  # type: ignore[no-untyped-def]
    """The ``n``-th largest of the first ``count`` values, by quickselect; their order is lost."""
    first, last, at = 0, count - 1, n - 1
    while first < last:
        pivot = values[(first + last) // 2]
        left, right = first, last
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if at <= right:
            last = right
        elif at >= left:
            first = left
        else:
            break
    return values[at]


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
