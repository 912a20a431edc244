"""Cells of vectors, against looking at all of them."""

import numpy as np
import pytest

from models.recommend import cells as celling

ROWS, DIM = 600, 8


def clustered(seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, DIM + 1))
    return (centres[rng.integers(0, 12, rows)] + 0.2 * rng.normal(size=(rows, DIM + 1))).astype(np.float32)


def rng():
    return np.random.default_rng(1)


def found(cells, vectors, query, *, most=20, scanned=10**6, seen=None, taken=None):
    rows, scores = np.empty(most, np.int32), np.empty(most, np.float32)
    seen = np.ones(len(vectors), np.float32) if seen is None else seen
    taken = np.zeros(len(vectors), np.uint8) if taken is None else taken
    count = celling.search(cells, vectors, query, seen, taken, scanned, rows, scores)
    return rows[:count].tolist(), scores[:count]


def test_every_row_lies_in_one_cell_and_that_is_its_nearest():
    vectors = clustered()
    cells = celling.built(vectors, ROWS, rng())
    assert sorted(cells.order.tolist()) == list(range(1, ROWS))
    top, low = cells.tree
    for cell, (first, last) in enumerate(zip(cells.starts[:-1], cells.starts[1:], strict=True)):
        for row in cells.order[first:last]:
            above = np.linalg.norm(top - vectors[row], axis=1).argmin()
            below = low[above * len(top) : (above + 1) * len(top)]
            distance = np.linalg.norm(below - vectors[row], axis=1)
            assert distance[cell - above * len(top)] == pytest.approx(distance.min(), rel=1e-4)


def test_looking_everywhere_finds_the_best():
    vectors, query = clustered(), np.random.default_rng(5).normal(size=DIM).astype(np.float32)
    scores = vectors[:, :-1] @ query + vectors[:, -1]
    seen, taken = (np.random.default_rng(6).random(ROWS) < 0.8).astype(np.float32), np.zeros(ROWS, np.uint8)
    taken[::7] = 1
    allowed = (seen > 0) & (taken == 0)
    allowed[0] = False
    rows, got = found(celling.built(vectors, ROWS, rng()), vectors, query, seen=seen, taken=taken)
    best = np.flatnonzero(allowed)[np.argsort(-scores[allowed], kind="stable")][:20]
    assert rows == best.tolist()
    np.testing.assert_allclose(got, scores[best], rtol=1e-4)


def test_a_part_of_the_rows_holds_most_of_the_best():
    vectors = clustered(rows=5_000)
    cells = celling.built(vectors, 5_000, rng())
    hits = []
    for seed in range(20):
        query = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
        all_of_them, _ = found(cells, vectors, query)
        some, _ = found(cells, vectors, query, scanned=1_000)
        hits.append(len(set(all_of_them) & set(some)) / 20)
    assert np.mean(hits) > 0.8, "a fifth of them by chance"


def test_a_round_of_stripes_makes_them_anew():
    old, new = clustered(), clustered(seed=9)
    cells = celling.built(old, ROWS, rng())
    first = cells
    for at in range(1, ROWS, 100):
        assert cells.order is first.order, "until the round is done"
        cells = celling.advanced(cells, new, at, min(ROWS, at + 100), ROWS, rng())
    assert sorted(cells.order.tolist()) == list(range(1, ROWS))
    assert cells.order.tolist() != first.order.tolist()
    assert cells.turn[0] == 1
    assert cells.tree is first.next_tree
    want = np.zeros(ROWS, np.int32)
    celling.assign(new, 1, ROWS, cells.tree, want)
    np.testing.assert_array_equal(celling.sort_by_cell(want, ROWS, len(cells.tree.low))[0], cells.order)


@pytest.mark.parametrize("rows", [2, 3, 10])
def test_few_rows(rows):
    vectors = clustered()[:rows]
    cells = celling.built(vectors, rows, rng())
    got, _ = found(cells, vectors, np.ones(DIM, np.float32))
    assert sorted(got) == list(range(1, rows))


def test_equal_vectors_and_no_candidates_wanted():
    vectors = np.ones((50, DIM + 1), np.float32)
    cells = celling.built(vectors, 50, rng())
    assert len(found(cells, vectors, np.ones(DIM, np.float32), most=30)[0]) == 30
    assert found(cells, vectors, np.ones(DIM, np.float32), most=0)[0] == []
