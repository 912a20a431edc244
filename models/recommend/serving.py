"""What the index holds, so that serving ranks with exactly the scores that the trainer learns by.

The combiner is linear, so a score splits into an inner product of a query with one augmented vector an item
(features of its own, popularity and bias on each surface, tower vector, tower bias, item bias) and a few terms for
items that the user's history leads to. An index finds the best inner products; those items are added exactly, in
`models.recommend.candidates`.
"""

import numpy as np

from models.recommend.combiner import Combiner
from models.recommend.features import OWN, dense_features, surface_popularity
from models.recommend.sources import SURFACES, Counts
from models.typing import F32, I32

VECTOR = OWN + 2 * SURFACES
"""Where the tower vector begins in an augmented vector; before it the item's own features, then popularity on each
surface, then the bias on each."""


def augmented_dim(dim: int) -> int:
    """Numbers in an augmented vector over tower vectors of ``dim``: features, vector, its bias, the item's bias."""
    width: int = VECTOR + dim + 2
    return width


def augment(counts: Counts, vectors: F32, combiner: Combiner, n: int, now_ms: int) -> F32:
    """What the index holds of the first ``n`` rows at event time ``now_ms``.

    Args:
      vectors: the item tower's output with its scaled bias in the last column, float32 [N, D + 1].
      combiner: its biases are read.

    Returns:
      float32 [n, `augmented_dim`].
    """
    features = np.empty((VECTOR, n), np.float32)
    dense_features(counts, n, now_ms, features)
    for surface in range(SURFACES):
        surface_popularity(counts, n, surface, features[OWN + surface])
    features[OWN + SURFACES :] = combiner.surface_bias[:, :n]
    return np.concatenate([features.T, vectors[:n], combiner.bias[:n, None]], axis=1)


def augment_rows(counts: Counts, vectors: F32, combiner: Combiner, rows: I32, now_ms: int) -> F32:
    """The same of ``rows`` alone, float32 [M, `augmented_dim`]."""
    part = counts._replace(
        seen=counts.seen[rows],
        decayed=np.ascontiguousarray(counts.decayed[:, rows]),
        last_event=counts.last_event[rows],
        last_ms=counts.last_ms[rows],
        first_ms=counts.first_ms[rows],
        surface=np.ascontiguousarray(counts.surface[:, rows]),
        passed=np.ascontiguousarray(counts.passed[:, rows]),
        passed_event=counts.passed_event[rows],
        passed_ms=counts.passed_ms[rows],
        appeal=counts.appeal[rows],
    )
    biases = combiner._replace(
        bias=combiner.bias[rows], surface_bias=np.ascontiguousarray(combiner.surface_bias[:, rows])
    )
    return augment(part, vectors[rows], biases, len(rows), now_ms)


def augment_some(counts: Counts, vectors: F32, combiner: Combiner, rows: I32, used: int, now_ms: int) -> F32:
    """The same; all rows in use but row 0 are not gathered first, which would cost more than all the rest."""
    if len(rows) == used - 1:
        return augment(counts, vectors, combiner, used, now_ms)[1:]
    return augment_rows(counts, vectors, combiner, rows, now_ms)
