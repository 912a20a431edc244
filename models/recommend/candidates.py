"""First stage of ranking, a batch of users at a time: the best items for each by the combiner's linear score.

The score is exactly the one that the trainer learns by (see `models.recommend.serving`): an index has found the best
inner products, and the items that a user's history leads to are added here, exactly. What comes out is a list of
candidates for each user, as wide as the caller likes; which of them a slate shows, and in which order, is decided from
that list (`models.recommend.slating`).
"""

from typing import Any, NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.combiner import TOWER, add_sparse, dot, weights_of
from models.recommend.sources import DENSE, SPARSE, sparse_values
from models.typing import F32, I32, I64, Bools

POPULAR_PART, TOWER_PART, SUCCESSOR_PART = 0, 1, 2
PARTS = 3
NO_MASK = -1
EIGHT = 8
"""Float32 numbers that never straddle a cache line."""


class Askers(NamedTuple):
    """Who asks, as columns of B users.

    Attributes:
      user: user rows, int32 [B]; 0 is unknown and has no history.
      length: events in the history, int32 [B]. gap_ms: since the last of them, int64 [B]; -1: none.
      had: rows that must not come back to the user, one user behind the other, int32. had_end: where each user's end
        in it, int64 [B].
      mask: which of the caller's masks holds for the user, int32 [B]; `NO_MASK`: none.
    """

    user: I32
    length: I32
    gap_ms: I64
    had: I32
    had_end: I64
    mask: I32


class Candidates(NamedTuple):
    """The best items for each of B users by linear score, best first; equal scores in row order.

    Attributes:
      rows: item rows, int32 [B, C]. scores: float32 [B, C].
      parts: what popularity, tower and transitions gave, float32 [B, C, PARTS].
      filled: how many places of each line count, int32 [B].
    """

    rows: I32
    scores: F32
    parts: F32
    filled: I32


class Scratch(NamedTuple):
    """Work arrays sized for N item rows; one a thread. All but ``touched`` are zero between calls.

    ``sparse`` is [SPARSE + 1, N] as `sparse_values` wants it, and lies in memory by item: one cache line for each.
    """

    sparse: F32
    touched: I32
    is_touched: Bools
    done: Bools


def scratch_for(rows: int) -> Scratch:
    """Work arrays for ``rows`` item rows."""
    return Scratch(
        sparse=np.zeros((rows, -(-(SPARSE + 1) // EIGHT) * EIGHT), np.float32).T[: SPARSE + 1],
        touched=np.zeros(rows, np.int32),
        is_touched=np.zeros(rows, np.bool_),
        done=np.zeros(rows, np.bool_),
    )


@kernel(nogil=True)
def askers_of(histories, hidden, users, masks, excluded, excluded_end, rewatchable, now_ms):  # type: ignore[no-untyped-def]
    """The columns of `Askers`: what a batch of users has had, and how long ago.

    A row must not come back if the user hid it, had it by an action that is not rewatchable, or excludes it now.

    Args:
      users, masks: int32 [B]. excluded: rows that the requests exclude, one request behind the other, int32;
        excluded_end: where each one's end, int64 [B].
      rewatchable: by action code, bool [256]. now_ms: event time.
    """
    count = len(users)
    length, gap_ms = np.zeros(count, np.int32), np.full(count, -1, np.int64)
    most = len(excluded)
    for b in range(count):
        user = users[b]
        if user > 0:
            length[b] = histories.length[user]
            most += length[b] + hidden.length[user]
    had, had_end = np.empty(most, np.int32), np.empty(count, np.int64)
    n, first = 0, 0
    for b in range(count):
        user = users[b]
        if user > 0:
            start = histories.start[user]
            if length[b] > 0:
                gap_ms[b] = max(0, now_ms - histories.at_ms[start + length[b] - 1])
            for k in range(start, start + length[b]):
                if not rewatchable[histories.action[k]]:
                    had[n] = histories.item[k]
                    n += 1
            start = hidden.start[user]
            for k in range(start, start + hidden.length[user]):
                had[n] = hidden.key[k]
                n += 1
        for k in range(first, excluded_end[b]):
            had[n] = excluded[k]
            n += 1
        first = excluded_end[b]
        had_end[b] = n
    return Askers(users, length, gap_ms, had[:n], had_end, masks)


@kernel(nogil=True)
def weights_for(combiner, askers):  # type: ignore[no-untyped-def]
    """The combiner's weights for each asker, float32 [B, F]."""
    out = np.empty((len(askers.user), len(combiner.shared)), np.float32)
    for b in range(len(out)):
        out[b] = weights_of(combiner, askers.length[b], askers.gap_ms[b])
    return out


def queries(weights: F32, states: F32) -> F32:
    """What to search the index with.

    Args:
      weights: from `weights_for`, float32 [B, F]. states: the user tower's, float32 [B, D].

    Returns:
      float32 [B, `models.recommend.serving.augmented_dim`].
    """
    tower = weights[:, TOWER : TOWER + 1]
    return np.concatenate([weights[:, :DENSE], tower * states, tower, np.ones_like(tower)], axis=1)


def find_candidates(
    counts: Any, histories: Any, augmented: F32, askers: Askers, weights: F32, q: F32, hit_rows: I32, hit_scores: F32,
    allowed: Bools, masks: Bools, now_ms: int, width: int, scratch: Scratch,
) -> Candidates:  # fmt: skip
    """The ``width`` best allowed items for each user: the index's hits and everything that the history leads to.

    Exact for users whose hits are all there are, or whose last candidate scores at least what the last hit scored: so
    it is when ``width`` hits are allowed and not had, unless transitions count against items.

    Args:
      counts, histories: `Counts` and `Histories`. augmented: what the index holds, float32 [N, A].
      weights, q: from `weights_for` and `queries`.
      hit_rows, hit_scores: what the index found, best first, int32 and float32 [B, K]; row -1 pads.
      allowed: which rows may be shown at all, bool [<= N]. masks: bool [M, <= N], see `Askers.mask`.
      now_ms: event time.
    """
    count = len(askers.user)
    out = Candidates(
        rows=np.zeros((count, width), np.int32),
        scores=np.full((count, width), -np.inf, np.float32),
        parts=np.zeros((count, width, PARTS), np.float32),
        filled=np.zeros(count, np.int32),
    )
    _find_all(
        counts, histories, augmented, askers, weights, q, hit_rows, hit_scores, allowed, masks, now_ms, scratch, out
    )
    return out


@kernel(nogil=True)
def _find_all(  # type: ignore[no-untyped-def]
    counts, histories, augmented, askers, weights, q, hit_rows, hit_scores, allowed, masks, now_ms, scratch, out
):
    first = 0
    for b in range(len(askers.user)):
        start = histories.start[askers.user[b]]
        end = start + askers.length[b]
        mask = allowed if askers.mask[b] < 0 else masks[askers.mask[b]]
        out.filled[b] = _find(
            counts, augmented, q[b], weights[b], histories.item[start:end], histories.at_ms[start:end],
            askers.had[first : askers.had_end[b]], hit_rows[b], hit_scores[b], allowed, mask, now_ms, scratch,
            out.rows[b], out.scores[b], out.parts[b],
        )  # fmt: skip
        first = askers.had_end[b]


@kernel()
def _find(  # type: ignore[no-untyped-def]
    counts, augmented, q, weights, history, times, had, hit_rows, hit_scores, allowed, mask, now_ms, scratch,
    rows, scores, parts,
):  # fmt: skip
    sparse, touched, is_touched, done = scratch
    n, k = min(len(allowed), len(mask), len(augmented)), len(rows)
    m = sparse_values(counts, history, times, len(history), now_ms, False, sparse, touched, is_touched)
    gain = sparse[SPARSE]
    add_sparse(weights, sparse, touched, m, gain)
    for row in had:
        done[row] = True

    filled = 0
    floor = np.float32(-np.inf)
    full = True
    for at in range(len(hit_rows)):
        row = hit_rows[at]
        if row < 0:
            full = False
            break
        floor = hit_scores[at]
        if row < n and not done[row] and allowed[row] and mask[row]:
            filled = _insert(rows, scores, filled, row, hit_scores[at] + gain[row])
            is_touched[row] = False
    for at in range(m):
        row = touched[at]
        if is_touched[row] and not done[row] and row < n and allowed[row] and mask[row]:
            if full and filled == k and floor + gain[row] < scores[k - 1]:
                continue
            filled = _insert(rows, scores, filled, row, dot(q, augmented[row]) + gain[row])

    for at in range(filled):
        row = rows[at]
        for d in range(len(q)):
            part = POPULAR_PART if d < DENSE or d == len(q) - 1 else TOWER_PART
            parts[at, part] += q[d] * augmented[row, d]
        parts[at, SUCCESSOR_PART] = gain[row]

    for at in range(m):
        row = touched[at]
        is_touched[row] = False
        for s in range(SPARSE + 1):
            sparse[s, row] = np.float32(0.0)
    for row in had:
        done[row] = False
    return filled


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
