"""Ranking for one request, with exactly the scores that the trainer learns by.

The combiner is linear, so a score splits into an inner product of a query with one augmented vector an item
(dense features, tower vector, tower bias, item bias) and a few transition terms. An index finds the best inner
products; the items that the user's history leads to are added exactly. Both kinds meet in `rank_user`.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.combiner import TOWER, Combiner, add_sparse, dot, weights_of
from models.recommend.sources import DENSE, SPARSE, Counts, dense_features, sparse_values
from models.typing import F32, I32, I64, Bools

POPULAR_PART, TOWER_PART, SUCCESSOR_PART = 0, 1, 2


class Ranked(NamedTuple):
    """The best items for one user, best first; equal scores in row order.

    Attributes:
      rows: item rows, int32 [K]. scores: float32 [K].
      parts: what popularity, tower and transitions gave, float32 [K, 3].
      because: the row of the user's own item that led there most, 0 where none did, int32 [K].
    """

    rows: I32
    scores: F32
    parts: F32
    because: I32


class Scratch(NamedTuple):
    """Work arrays for `rank_user`, sized for N item rows; one a thread. All but ``touched`` are zero between calls."""

    sparse: F32
    touched: I32
    is_touched: Bools
    done: Bools


def scratch_for(rows: int) -> Scratch:
    """Work arrays for ``rows`` item rows."""
    return Scratch(
        sparse=np.zeros((SPARSE + 1, rows), np.float32),
        touched=np.zeros(rows, np.int32),
        is_touched=np.zeros(rows, np.bool_),
        done=np.zeros(rows, np.bool_),
    )


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


def query(combiner: Combiner, state: F32, length: int, gap_ms: int) -> tuple[F32, F32]:
    """What to search the index with for one user.

    Args:
      state: the user tower's state, float32 [D].
      length: events in the user's history. gap_ms: since the last of them; -1: none.

    Returns:
      The query, float32 [`augmented_dim`], and all weights, float32 [F].
    """
    weights = weights_of(combiner, length, gap_ms)
    tower = weights[TOWER]
    return np.concatenate([weights[:DENSE], tower * state, np.array([tower, 1.0], np.float32)]), weights


@kernel()
def _insert(rows, scores, filled, row, score):  # type: ignore[no-untyped-def]
    """Keep the best, sorted by score and then row; gives how many places are filled."""
    k = len(rows)
    if filled == k and (score < scores[k - 1] or (score == scores[k - 1] and row > rows[k - 1])):
        return filled
    at = min(filled, k - 1)
    while at > 0 and (scores[at - 1] < score or (scores[at - 1] == score and rows[at - 1] > row)):
        rows[at], scores[at] = rows[at - 1], scores[at - 1]
        at -= 1
    rows[at], scores[at] = row, score
    return min(filled + 1, k)


@kernel(nogil=True)
def rank_user(  # type: ignore[no-untyped-def]
    counts, augmented, hit_rows, hit_scores, q, weights, history, times, had, now_ms, allowed, k, scratch
):
    """The ``k`` best allowed items for one user: the index's hits and everything that the history leads to.

    Exact when ``hit_rows`` hold at least k allowed items that the user has not had, or all there are.

    Args:
      hit_rows, hit_scores: what the index found for ``q``, best first; row -1 pads.
      q, weights: from `query`. history, times: the user's item rows and event times, oldest first.
      had: rows that must not come back, int32 [M].
      allowed: which rows may be shown at all, bool [>= N].

    Returns:
      (rows, scores, parts, because, filled): arrays of k, and how many of their places count.
    """
    sparse, touched, is_touched, done = scratch
    n = len(augmented)
    m = sparse_values(counts, history, times, len(history), now_ms, False, sparse, touched, is_touched)
    gain = sparse[SPARSE]
    add_sparse(weights, sparse, touched, m, gain)
    for row in had:
        done[row] = True

    rows = np.zeros(k, np.int32)
    scores = np.full(k, -np.inf, np.float32)
    filled = 0
    floor = np.float32(-np.inf)
    full = True
    for at in range(len(hit_rows)):
        row = hit_rows[at]
        if row < 0:
            full = False
            break
        floor = hit_scores[at]
        if row < n and not done[row] and allowed[row]:
            filled = _insert(rows, scores, filled, row, hit_scores[at] + gain[row])
            is_touched[row] = False
    for at in range(m):
        row = touched[at]
        if is_touched[row] and not done[row] and row < n and allowed[row]:
            if full and filled == k and floor + gain[row] < scores[k - 1]:
                continue
            filled = _insert(rows, scores, filled, row, dot(q, augmented[row]) + gain[row])

    parts = np.zeros((k, 3), np.float32)
    because = np.zeros(k, np.int32)
    for at in range(filled):
        row = rows[at]
        for d in range(len(q)):
            part = POPULAR_PART if d < DENSE or d == len(q) - 1 else TOWER_PART
            parts[at, part] += q[d] * augmented[row, d]
        parts[at, SUCCESSOR_PART] = gain[row]
        if gain[row] > 0:
            because[at] = _strongest(counts, history, row)

    for at in range(m):
        is_touched[touched[at]] = False
        sparse[:, touched[at]] = np.float32(0.0)
    for row in had:
        done[row] = False
    return rows, scores, parts, because, filled


@kernel()
def _strongest(counts, history, row):  # type: ignore[no-untyped-def]
    """Which of the user's last five items led to ``row`` most; 0 where none did."""
    best, best_weight = 0, np.float32(0.0)
    decay = np.float32(1.0)
    after = counts.after
    for lag in range(min(5, len(history))):
        item = history[len(history) - 1 - lag]
        start = after.start[item]
        for at in range(start, start + after.length[item]):
            if after.key[at] == row:
                weight = decay * after.weight[at] / (counts.seen[item] + np.float32(5.0))
                if weight > best_weight:
                    best, best_weight = item, weight
        decay *= np.float32(0.7)
    return best


@kernel()
def had_rows(history, actions, rewatchable, hidden):  # type: ignore[no-untyped-def]
    """Rows that must not come back to a user: hidden ones, and those had by an action that is not rewatchable.

    Args:
      history, actions: item rows and action codes. rewatchable: by code, bool [256]. hidden: item rows.
    """
    rows = np.empty(len(history) + len(hidden), np.int32)
    n = 0
    for at in range(len(history)):
        if not rewatchable[actions[at]]:
            rows[n] = history[at]
            n += 1
    for at in range(len(hidden)):
        rows[n] = hidden[at]
        n += 1
    return rows[:n]


def time_gap(times: I64, now_ms: int) -> int:
    """Milliseconds since the last of ``times``, never below 0; -1 where there is none."""
    return max(0, now_ms - int(times[-1])) if len(times) else -1
