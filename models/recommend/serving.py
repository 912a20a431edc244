"""What the index holds, so that serving ranks with exactly the scores that the trainer learns by.

The combiner is linear, so a score splits into an inner product of a query with one augmented vector an item
(dense features, tower vector, tower bias, item bias) and a few transition terms. An index finds the best inner
products; the items that the user's history leads to are added exactly, in `models.recommend.candidates`.
"""

import numpy as np

from models.recommend.sources import DENSE, Counts, dense_features
from models.typing import F32


def augmented_dim(dim: int) -> int:
    """Numbers in an augmented vector over tower vectors of ``dim``: features, vector, its bias, the item's bias."""
    return DENSE + dim + 2


def augment(counts: Counts, vectors: F32, bias: F32, n: int, now_ms: int) -> F32:
    """What the index holds of the first ``n`` rows at event time ``now_ms``.

    Args:
      vectors: the item tower's output with its scaled bias in the last column, float32 [N, D + 1].
      bias: the combiner's bias per item, float32 [N].

    Returns:
      float32 [n, `augmented_dim`].
    """
    dense = np.empty((DENSE, n), np.float32)
    dense_features(counts, n, now_ms, dense)
    return np.concatenate([dense.T, vectors[:n], bias[:n, None]], axis=1)
