"""The combiner: a softmax over a linear sum of log-counts and the tower's score, learned online.

``z_j = (shared + by_history[bucket] + by_gap[bucket]) . x_j + bias_j``. It decides the ranking; a tower
never ranks by itself. Each scored event is ranked against the whole catalogue first and then moves the
weights one step of Adagrad up the log-likelihood of what the user really took.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.ranking import rank_of, top_of
from models.recommend.sources import (
    BASELINE,
    BASELINE_DECAY,
    DENSE,
    DENSE_NAMES,
    HALF_LIVES_EVENTS,
    SPARSE,
    SPARSE_NAMES,
    dense_features,
    exp2_in_place,
    log1p_scaled,
    observe,
    sparse_values,
)
from models.typing import F32, I32, I64, U8, Bools

TOWER = DENSE + SPARSE
FEATURES = DENSE + SPARSE + 1
FEATURE_NAMES = (*DENSE_NAMES, *SPARSE_NAMES, "tower")
SPARSE_GAIN = np.float32(100.0)

HISTORY_EDGES = np.array([1, 3, 10, 30, 100], np.int64)
GAP_EDGES_MS = np.array([60_000, 600_000, 3_600_000, 86_400_000, 604_800_000], np.int64)
HISTORY_BUCKETS = len(HISTORY_EDGES) + 1
GAP_BUCKETS = len(GAP_EDGES_MS) + 2

UNRANKED = np.float32(np.inf)
MODEL, DECAYED_POPULARITY, TRANSITIONS = 0, 1, 2
RANKERS = ("model", "decayed_popularity", "transitions")


class Combiner(NamedTuple):
    """The learned weights (F features, N item rows).

    Attributes:
      shared: float32 [F]. by_history: [HISTORY_BUCKETS, F]. by_gap: [GAP_BUCKETS, F].
      squares: Adagrad's sums of squared gradients, float32 [F].
      bias: per item, float32 [N].
    """

    shared: F32
    by_history: F32
    by_gap: F32
    squares: F32
    bias: F32


class Events(NamedTuple):
    """One batch in arrival order, as columns of B.

    Attributes:
      user, item: rows, int32. at_ms: event time, int64. value: float32, NaN where none.
      action: code, uint8.
      scored: whether it is ranked before it is learned. pos: place in the user's history (`append`), int32.
    """

    user: I32
    item: I32
    at_ms: I64
    value: F32
    action: U8
    scored: Bools
    pos: I32


def empty_combiner(rows: int) -> Combiner:
    """Ranks by decayed popularity and successors until it has learned better."""
    shared = np.zeros(FEATURES, np.float32)
    shared[1 + HALF_LIVES_EVENTS.index(1_000.0)] = 0.5
    shared[DENSE] = 0.5
    return Combiner(
        shared,
        np.zeros((HISTORY_BUCKETS, FEATURES), np.float32),
        np.zeros((GAP_BUCKETS, FEATURES), np.float32),
        np.full(FEATURES, 1e-6, np.float32),
        np.zeros(rows, np.float32),
    )


def history_bucket(length):  # type: ignore[no-untyped-def]
    """Bucket of a history of ``length`` events: none, 1-2, 3-9, 10-29, 30-99, more."""
    return np.searchsorted(HISTORY_EDGES, length, side="right")


def gap_bucket(gap_ms):  # type: ignore[no-untyped-def]
    """Bucket of the time since the user's last event, ms; -1 stands for a user without one."""
    return 0 if gap_ms < 0 else 1 + np.searchsorted(GAP_EDGES_MS, gap_ms, side="right")


_history_bucket = kernel()(history_bucket)
_gap_bucket = kernel()(gap_bucket)


@kernel(fastmath=True)
def _axpy(weight, x, z):  # type: ignore[no-untyped-def]
    for j in range(len(z)):
        z[j] += weight * x[j]


@kernel(fastmath=True)
def _softmax_in_place(z, bits):  # type: ignore[no-untyped-def]
    top = z[0]
    for j in range(len(z)):
        top = max(top, z[j])
    for j in range(len(z)):
        z[j] = max((z[j] - top) * np.float32(1.44269504), np.float32(-126.0))
    exp2_in_place(z, bits)
    total = np.float32(0.0)
    for j in range(len(z)):
        total += z[j]
    inverse = np.float32(1.0) / total
    for j in range(len(z)):
        z[j] *= inverse


@kernel(fastmath=True)
def dot(a, b):  # type: ignore[no-untyped-def]
    """Inner product of two float32 vectors of one length."""
    total = np.float32(0.0)
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@kernel()
def weights_of(combiner, length, gap_ms):  # type: ignore[no-untyped-def]
    """The weights for a user with ``length`` events, the last of them ``gap_ms`` ago (-1: none), float32 [F]."""
    return combiner.shared + combiner.by_history[_history_bucket(length)] + combiner.by_gap[_gap_bucket(gap_ms)]


@kernel()
def add_sparse(weights, sparse, touched, m, z):  # type: ignore[no-untyped-def]
    """Turn raw transition values into features, in place, and add their part to ``z``."""
    value = np.empty(m, np.float32)
    feature = np.empty(m, np.float32)
    bits = np.empty(m, np.int32)
    for s in range(SPARSE):
        w = weights[DENSE + s]
        for k in range(m):
            value[k] = sparse[s, touched[k]]
        log1p_scaled(value, SPARSE_GAIN, bits, feature)
        for k in range(m):
            j = touched[k]
            sparse[s, j] = feature[k]
            z[j] += w * feature[k]


@kernel()
def _learn(combiner, length, gap_ms, gradient, rate):  # type: ignore[no-untyped-def]
    hb, gb = _history_bucket(length), _gap_bucket(gap_ms)
    for f in range(FEATURES):
        combiner.squares[f] += gradient[f] * gradient[f]
        step = rate * gradient[f] / np.sqrt(combiner.squares[f])
        combiner.shared[f] += step
        combiner.by_history[hb, f] += step
        combiner.by_gap[gb, f] += step


@kernel(nogil=True)
def learn_events(  # type: ignore[no-untyped-def]
    events, histories, counts, combiner, tower, n, successors, rate, bias_rate, learns, repeats, ranks, tops
):
    """Rank each scored event against all seen items, learn the combiner from it, then count the event.

    Args:
      events: `Events`; every event that is learned stands already in ``histories`` at its ``pos``.
      tower: the tower's logits of the scored events in order, float32 [scored, >= n].
      n: item rows in use.
      successors: most entries of a sparse row. rate, bias_rate: learning rates.
      learns: False only ranks, on the state as it is: ``pos`` is then the length of the user's history.
      repeats: whether items that the user has had are ranked too, and events on them scored.
      ranks: float32 [B, 3], filled for scored events with the ranks by `RANKERS`; inf is a first-ever item.
        0 stays where an event was not scored or repeats an item that the user has had.
      tops: int32 [B, 3, K], filled with each ranker's first K items where an event has a finite rank; or [0, 3, K].
    """
    n = n if events.scored.any() else 0  # work arrays cost by the catalogue, counting alone does not
    dense = np.empty((DENSE, n), np.float32)
    sparse = np.zeros((SPARSE + 1, n), np.float32)
    touched = np.empty(n, np.int32)
    is_touched = np.zeros(n, np.bool_)
    allowed = np.empty(n, np.bool_)
    z = np.empty(n, np.float32)
    bits = np.empty(n, np.int32)
    gradient = np.empty(FEATURES, np.float32)
    judged = 0
    for b in range(len(events.user)):
        user, item, at_ms, pos = events.user[b], events.item[b], events.at_ms[b], events.pos[b]
        start = histories.start[user]
        history = histories.item[start : start + pos]
        times = histories.at_ms[start : start + pos]
        if events.scored[b]:
            logits = tower[judged, :n]
            judged += 1
            repeat = False
            for k in range(0 if repeats else pos):
                if history[k] == item:
                    repeat = True
                    break
            if not repeat and counts.seen[item] == 0:
                ranks[b, :] = UNRANKED
            elif not repeat:
                for j in range(n):
                    allowed[j] = counts.seen[j] > 0
                for k in range(0 if repeats else pos):
                    allowed[history[k]] = False
                gap_ms = max(0, at_ms - times[pos - 1]) if pos > 0 else -1
                weights = weights_of(combiner, pos, gap_ms)
                dense_features(counts, n, at_ms, dense)
                m = sparse_values(counts, history, times, pos, at_ms, True, sparse, touched, is_touched)
                ranks[b, DECAYED_POPULARITY] = rank_of(dense[1 + BASELINE_DECAY], allowed, item)
                if len(tops) > 0:
                    top_of(dense[1 + BASELINE_DECAY], allowed, tops[b, DECAYED_POPULARITY])
                for j in range(n):
                    z[j] = sparse[BASELINE, j] + np.float32(1e-6) * counts.seen[j]
                ranks[b, TRANSITIONS] = rank_of(z, allowed, item)
                if len(tops) > 0:
                    top_of(z, allowed, tops[b, TRANSITIONS])

                z[:] = combiner.bias[:n]
                for f in range(DENSE):
                    _axpy(weights[f], dense[f], z)
                _axpy(weights[TOWER], logits, z)
                add_sparse(weights, sparse, touched, m, z)
                ranks[b, MODEL] = rank_of(z, allowed, item)
                if len(tops) > 0:
                    top_of(z, allowed, tops[b, MODEL])

                if learns:
                    for j in range(n):
                        if not allowed[j]:
                            z[j] = np.float32(-1e30)
                    _softmax_in_place(z, bits)
                    for f in range(DENSE):
                        gradient[f] = dense[f, item] - dot(z, dense[f])
                    for s in range(SPARSE):
                        expected = np.float32(0.0)
                        for k in range(m):
                            expected += z[touched[k]] * sparse[s, touched[k]]
                        gradient[DENSE + s] = sparse[s, item] - expected
                    gradient[TOWER] = logits[item] - dot(z, logits)
                    _learn(combiner, pos, gap_ms, gradient, rate)
                    _axpy(-bias_rate, z, combiner.bias[:n])
                    combiner.bias[item] += bias_rate
                for k in range(m):
                    is_touched[touched[k]] = False
                    sparse[:, touched[k]] = np.float32(0.0)
        if learns:
            observe(counts, history, pos, item, at_ms, successors)
