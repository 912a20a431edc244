"""Who belongs to whom at the least cost: the Hungarian method over a small dense matrix, compiled.

SciPy has this too, but only the evaluation extra installs it; tracking must run where nothing but the engine is, and
the whole method is one loop. Tests hold it against brute force and against SciPy.

References:
  Kuhn, The Hungarian Method for the Assignment Problem, 1955; Jonker and Volgenant, A Shortest Augmenting Path
  Algorithm for Dense and Sparse Linear Assignment Problems, 1987.
"""

import numpy as np

from models.compiled import kernel
from models.errors import ShapeError
from models.typing import F64, I64

_OVER = 1e-5
"""How far beyond the most that a pair may cost the forbidden ones are, as in DeepSORT."""


def assign(cost: F64) -> I64:
    """The column of each row so that costs sum to the least; -1 for rows left over where columns are fewer.

    The same matrix gives the same answer; of equal sums one is taken by the order of rows and columns.

    Args:
      cost: [N, M], finite.

    Returns:
      int64 [N].

    Raises:
      ShapeError: another shape, or a cost that is not finite.
    """
    if cost.ndim != 2 or not np.isfinite(cost).all():
        raise ShapeError(f"expected finite costs [N, M], got shape {cost.shape} or a value that is not finite")
    columns = np.full(cost.shape[0], -1, np.int64)
    if cost.shape[0] <= cost.shape[1]:
        if cost.shape[0]:
            columns[:] = _least(np.ascontiguousarray(cost))
    elif cost.shape[1]:
        columns[_least(np.ascontiguousarray(cost.T))] = np.arange(cost.shape[1])
    return columns


def assign_within(cost: F64, most: float) -> I64:
    """The same, where no pair may cost more than ``most``: -1 for rows that find none.

    A pair that is forbidden counts as ``most``, so that leaving two apart is weighed against pairs that are dear.
    """
    columns = assign(np.minimum(cost, most + _OVER))
    found = columns >= 0
    columns[found] = np.where(cost[found, columns[found]] <= most, columns[found], -1)
    return columns


@kernel(nogil=True)
def _least(cost: F64) -> I64:
    """Column of each row, rows <= columns; each row is let in along the shortest path of exchanges."""
    rows, columns = cost.shape
    row_price = np.zeros(rows + 1)
    column_price = np.zeros(columns + 1)
    owner = np.zeros(columns + 1, np.int64)  # 1-based row of each 1-based column; 0 is free
    before = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        owner[0] = row
        at = 0
        least = np.full(columns + 1, np.inf)
        is_used = np.zeros(columns + 1, np.bool_)
        while owner[at] != 0:
            is_used[at] = True
            from_row = owner[at]
            delta = np.inf
            following = 0
            for column in range(1, columns + 1):
                if is_used[column]:
                    continue
                reduced = cost[from_row - 1, column - 1] - row_price[from_row] - column_price[column]
                if reduced < least[column]:
                    least[column] = reduced
                    before[column] = at
                if least[column] < delta:
                    delta = least[column]
                    following = column
            for column in range(columns + 1):
                if is_used[column]:
                    row_price[owner[column]] += delta
                    column_price[column] -= delta
                else:
                    least[column] -= delta
            at = following
        while at != 0:
            owner[at] = owner[before[at]]
            at = before[at]
    found = np.zeros(rows, np.int64)
    for column in range(1, columns + 1):
        if owner[column] != 0:
            found[owner[column] - 1] = column - 1
    return found
