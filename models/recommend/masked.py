"""The best of few rows, each scored: for requests whose rules leave little, where an index would look in vain."""

import numpy as np

from models.compiled import kernel
from models.recommend.combiner import dot
from models.typing import F32, I32


def best_of(vectors: F32, rows: I32, queries: F32, k: int) -> tuple[I32, F32]:
    """The ``k`` of ``rows`` with the largest inner product with each query, as an index gives them.

    Args:
      vectors: by row, float32 [N, A]. rows: rising, int32 [M]. queries: float32 [B, A].

    Returns:
      Rows, int32 [B, k], -1 where there are no more, and scores, float32 [B, k]; equal ones in row order.
    """
    found = np.full((len(queries), k), -1, np.int32), np.full((len(queries), k), -np.inf, np.float32)
    _best_of(vectors, rows, queries, *found)
    return found


@kernel(nogil=True)
def _best_of(vectors, rows, queries, best, scores):  # type: ignore[no-untyped-def]
    k = best.shape[1]
    filled = np.zeros(len(queries), np.int32)
    for row in rows:
        vector = vectors[row]
        for b in range(len(queries)):
            score = dot(queries[b], vector)
            if filled[b] == k and not score > scores[b, k - 1]:
                continue
            at = min(filled[b], k - 1)
            while at > 0 and scores[b, at - 1] < score:
                best[b, at], scores[b, at] = best[b, at - 1], scores[b, at - 1]
                at -= 1
            best[b, at], scores[b, at] = row, score
            filled[b] = min(filled[b] + 1, k)
