"""How near an item's vector is to those of what a user had: to the last, to the last few as one, to the nearest.

The user tower makes one vector of a history, so two tastes are blurred into their middle; here each of the last items
counts for itself. Read for the candidates of the re-ranker only.

References:
  Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018 (the history as the candidate sees it).
"""

import numpy as np

from models.compiled import kernel

LIKENESS_NAMES = ("like the last", "like the last 20", "like the last 100", "most alike of the last 8")
LIKENESSES = len(LIKENESS_NAMES)
NEAR, LATELY, ALL = 8, 20, 100
"""Events of the history that are looked at one by one, that make up what was taken lately, and all that are read."""
_DECAY = np.float32(0.85)
"""What an event further back counts for among those of lately."""
_LEAST = np.float32(1e-6)
"""Square of the shortest length that a vector is taken to have: one that is zero is like nothing."""


@kernel(fastmath=True)
def _scale_of(vectors, row, dim):  # type: ignore[no-untyped-def]
    """What brings a row's vector to length 1; 0 for row 0 and for rows that have none yet."""
    if row == 0 or row >= len(vectors):
        return np.float32(0.0)
    total, vector = _LEAST, vectors[row]
    for k in range(dim):
        total += vector[k] * vector[k]
    return np.float32(1.0) / np.sqrt(total)


@kernel(fastmath=True)
def likenesses(vectors, history, pos, rows, count, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with cosines of each candidate's vector and those of the user's last items, -1 to 1.

    Args:
      vectors: of all item rows, bias last, float32 [N, D + 1]; or of no row.
      history: item rows of the user, oldest first; the first ``pos`` count.
      rows: candidates, of which the first ``count`` are read.
      out: float32 [>= count, LIKENESSES]; the middle two are means of cosines, the first of them decayed.
    """
    near, dim = min(pos, NEAR), vectors.shape[1] - 1
    unit = np.zeros((NEAR, dim), np.float32)
    lately, every = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    weight, weights = np.float32(1.0), _LEAST
    for lag in range(min(pos, ALL)):
        row = history[pos - 1 - lag]
        scale = _scale_of(vectors, row, dim)
        if scale > 0:
            vector = vectors[row]
            for k in range(dim):
                every[k] += scale * vector[k]
            if lag < LATELY:
                for k in range(dim):
                    lately[k] += weight * scale * vector[k]
            if lag < near:
                for k in range(dim):
                    unit[lag, k] = scale * vector[k]
        if lag < LATELY:
            weights += weight
            weight *= _DECAY
    for x in range(count):
        scale = _scale_of(vectors, rows[x], dim)
        out[x, :LIKENESSES] = np.float32(0.0)
        if scale == 0 or near == 0:
            continue
        vector = vectors[rows[x]]
        to_lately, to_every, most = np.float32(0.0), np.float32(0.0), np.float32(-1.0)
        for k in range(dim):
            to_lately += vector[k] * lately[k]
            to_every += vector[k] * every[k]
        for lag in range(near):
            cosine = np.float32(0.0)
            for k in range(dim):
                cosine += vector[k] * unit[lag, k]
            cosine *= scale
            most = max(most, cosine)
            if lag == 0:
                out[x, 0] = cosine
        out[x, 1] = scale * to_lately / weights
        out[x, 2] = scale * to_every / np.float32(min(pos, ALL))
        out[x, 3] = most
