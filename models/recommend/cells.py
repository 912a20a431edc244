"""Item vectors in cells of neighbours, so that the best inner products are found without looking at all of them.

Two levels of centroids; a row lies in the cell of its nearest one. The cells are made again all the time, a stripe of
rows at each batch, beside those that are searched, and swapped whole when the round is done: what a batch costs does
not grow with the catalogue, and everything follows from the vectors and the order of batches.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.combiner import dot
from models.typing import F32, I32, I64

SAMPLE_A_CELL = 16
"""Vectors that the centroids are made of, for each cell."""
ROUNDS = 4
BRANCH_LEAST, BRANCH_MOST = 2, 48


class Tree(NamedTuple):
    """Centroids: ``top`` float32 [T, D], and T below each, ``low`` float32 [T * T, D]."""

    top: F32
    low: F32


class Cells(NamedTuple):
    """Rows by cell, and the round that is under way (N rows of capacity).

    Attributes:
      tree: what the cells are made by. order: rows, cell by cell, int32 [rows].
      starts: of each cell in it, int64 [T * T + 1].
      next_tree: of the round under way. next_cell: cell of each row that had its turn, int32 [N].
      turn: the next row, int64 [1].
    """

    tree: Tree
    order: I32
    starts: I64
    next_tree: Tree
    next_cell: I32
    turn: I64


def branch_of(rows: int) -> int:
    """T for so many rows: about as many cells as rows in a cell."""
    return int(np.clip(round(rows**0.25), BRANCH_LEAST, BRANCH_MOST))


def built(vectors: F32, rows: int, generator: np.random.Generator) -> Cells:
    """Cells of rows 1 to ``rows`` - 1, and a round that has just begun."""
    tree = tree_of(vectors, rows, generator)
    cell = np.zeros(len(vectors), np.int32)
    assign(vectors, 1, rows, tree, cell)
    order, starts = sort_by_cell(cell, rows, len(tree.low))
    return Cells(tree, order, starts, tree_of(vectors, rows, generator), cell, np.ones(1, np.int64))


def advanced(cells: Cells, vectors: F32, first: int, last: int, rows: int, generator: np.random.Generator) -> Cells:
    """The cells after rows ``first`` to ``last`` - 1 had their turn; swapped if these were the last of ``rows``."""
    assign(vectors, first, last, cells.next_tree, cells.next_cell)
    if last < rows:
        cells.turn[0] = last
        return cells
    order, starts = sort_by_cell(cells.next_cell, rows, len(cells.next_tree.low))
    tree = tree_of(vectors, rows, generator)
    return Cells(cells.next_tree, order, starts, tree, cells.next_cell, np.ones(1, np.int64))


def grown_cells(cells: Cells, rows: int) -> Cells:
    """The same cells for at least ``rows`` rows of capacity."""
    missing = rows - len(cells.next_cell)
    return cells if missing <= 0 else cells._replace(next_cell=np.pad(cells.next_cell, (0, missing)))


def tree_of(vectors: F32, rows: int, generator: np.random.Generator) -> Tree:
    """Centroids by k-means of a sample of rows 1 to ``rows`` - 1."""
    branch = branch_of(rows)
    count = min(rows - 1, SAMPLE_A_CELL * branch * branch)
    sample = vectors[np.sort(generator.integers(1, max(rows, 2), max(count, 1)))]
    top = _means(sample, branch, generator)
    nearest = _nearest(sample, top)
    low = [_means(sample[nearest == at], branch, generator, empty=top[at]) for at in range(branch)]
    return Tree(top, np.concatenate(low))


def _means(sample: F32, count: int, generator: np.random.Generator, empty: F32 | None = None) -> F32:
    if not len(sample):
        return np.tile(empty, (count, 1)) if empty is not None else np.zeros((count, sample.shape[1]), np.float32)
    means: F32 = sample[generator.permutation(max(len(sample), count))[:count] % len(sample)].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(sample, means)
        order = np.argsort(nearest, kind="stable")
        held, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        means[held] = sums / np.diff([*starts.tolist(), len(sample)])[:, None].astype(np.float32)
    return means


def _nearest(sample: F32, means: F32) -> I64:
    nearest: I64 = (sample @ means.T - 0.5 * (means * means).sum(axis=1)[None]).argmax(axis=1)
    return nearest


@kernel()
def _closest(vector, means, halves, first, count):  # type: ignore[no-untyped-def]
    best, at = np.float32(-np.inf), first
    for k in range(first, first + count):
        near = dot(vector, means[k]) - halves[k]
        if near > best:
            best, at = near, k
    return at


@kernel(nogil=True)
def assign(vectors, first, last, tree, cell):  # type: ignore[no-untyped-def]
    """Note the cell of rows ``first`` to ``last`` - 1 in ``cell``, int32 [>= last]."""
    branch = len(tree.top)
    top, low = np.empty(branch, np.float32), np.empty(branch * branch, np.float32)
    for k in range(branch):
        top[k] = np.float32(0.5) * dot(tree.top[k], tree.top[k])
    for k in range(branch * branch):
        low[k] = np.float32(0.5) * dot(tree.low[k], tree.low[k])
    for row in range(first, last):
        above = _closest(vectors[row], tree.top, top, 0, branch)
        cell[row] = _closest(vectors[row], tree.low, low, branch * above, branch)


@kernel()
def sort_by_cell(cell, rows, cells):  # type: ignore[no-untyped-def]
    """Rows 1 to ``rows`` - 1 in the order of their cells, int32, and where each cell starts, int64 [cells + 1]."""
    starts, order = np.zeros(cells + 1, np.int64), np.empty(rows - 1, np.int32)
    for row in range(1, rows):
        starts[cell[row] + 1] += 1
    for k in range(cells):
        starts[k + 1] += starts[k]
    at = starts.copy()
    for row in range(1, rows):
        order[at[cell[row]]] = row
        at[cell[row]] += 1
    return order, starts


@kernel()
def search(cells, vectors, query, seen, taken, scanned, rows, scores):  # type: ignore[no-untyped-def]
    """Fill ``rows`` and ``scores`` [K] with the best inner products of the cells that ``query`` points to, best first.

    Args:
      vectors: float32 [N, D + 1], the last column a bias. query: float32 [D].
      seen, taken: rows without sightings or with a mark are left out, float32 and uint8 [N].
      scanned: rows to look at; the cell that reaches it is the last.

    Returns:
      How many were found.
    """
    dim, most, count, looked = len(query), len(rows), 0, 0
    low = cells.tree.low
    promise = np.empty(len(low), np.float32)
    for k in range(len(low)):
        promise[k] = dot(query, low[k, :dim]) + low[k, dim]
    for _ in range(len(low)):
        if looked >= scanned or most == 0:
            break
        cell = np.argmax(promise)
        promise[cell] = -np.inf
        for at in range(cells.starts[cell], cells.starts[cell + 1]):
            row = cells.order[at]
            looked += 1
            score = dot(query, vectors[row, :dim]) + vectors[row, dim]
            if count == most and not score > scores[most - 1]:
                continue
            if taken[row] != 0 or seen[row] == 0:  # few get here, and each of the two is a cache miss
                continue
            place = count if count < most else most - 1
            while place > 0 and score > scores[place - 1]:
                scores[place], rows[place] = scores[place - 1], rows[place - 1]
                place -= 1
            scores[place], rows[place] = score, row
            count = min(count + 1, most)
    return count
