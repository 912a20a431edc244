"""How alike an item and a user's last items are, the slow way: cosines in Python's floats."""

from __future__ import annotations

import math

import numpy as np

from tests.slow_counts import F64


def likenesses(vectors: F64, history: list[int], rows: list[int]) -> F64:
    """One line a candidate, [len(rows), 4]; ``vectors`` with the bias last, ``history`` newest first."""
    lines = []
    for row in rows:
        near = [_cosine(vectors, row, item) for item in history[:100]]
        if not near or not _is_known(vectors, row):
            lines.append([0.0] * 4)
            continue
        weights = [0.85**lag for lag in range(len(near[:20]))]
        lately = sum(weight * cosine for weight, cosine in zip(weights, near, strict=False)) / sum(weights)
        lines.append([near[0], lately, sum(near) / len(near), max(near[:8])])
    return np.array(lines)


def _is_known(vectors: F64, row: int) -> bool:
    return 0 < row < len(vectors)


def _cosine(vectors: F64, a: int, b: int) -> float:
    if not _is_known(vectors, a) or not _is_known(vectors, b):
        return 0.0
    x, y = vectors[a, :-1].astype(float).tolist(), vectors[b, :-1].astype(float).tolist()
    lengths = math.hypot(*x) * math.hypot(*y)
    return sum(p * q for p, q in zip(x, y, strict=True)) / lengths if lengths else 0.0
