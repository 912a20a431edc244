"""The best of few rows, against sorting."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommend.masked import best_of


@pytest.mark.parametrize("seed", range(5))
def test_the_best_rows_come_in_order_and_the_rest_is_padded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, (50, 4)).astype(np.float32)  # whole numbers, so that there are ties
    queries = rng.integers(-3, 4, (3, 4)).astype(np.float32)
    rows = np.flatnonzero(rng.random(50) < 0.4).astype(np.int32)
    for k in (1, 7, 60):
        found, scores = best_of(vectors, rows, queries, k)
        for b in range(3):
            order = sorted(rows.tolist(), key=lambda row: (-float(queries[b] @ vectors[row]), row))[:k]
            assert found[b].tolist() == order + [-1] * (k - len(order))
            assert scores[b, : len(order)].tolist() == [float(queries[b] @ vectors[row]) for row in order]
            assert np.isneginf(scores[b, len(order) :]).all()


def test_nothing_allowed_is_nothing_found() -> None:
    found, _ = best_of(np.ones((4, 2), np.float32), np.zeros(0, np.int32), np.ones((1, 2), np.float32), 3)
    assert found.tolist() == [[-1, -1, -1]]
