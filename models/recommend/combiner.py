"""The combiner: a softmax over a linear sum of log-counts and the tower's score, learned online.

``z_j = (shared + by_history[bucket] + by_gap[bucket]) . x_j + bias_j``. It decides the ranking; a tower
never ranks by itself. Each scored event is ranked against the whole catalogue first and then moves the
weights one online Newton step up the log-likelihood of what the user really took.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.fastmath import exp2_in_place, log1p_scaled
from models.recommend.features import DENSE, DENSE_NAMES, HOTNESS, LEARNED, SPARSE, SPARSE_NAMES
from models.recommend.sources import SURFACES
from models.typing import F32

TOWER = DENSE + SPARSE
FEATURES = DENSE + SPARSE + 1
FEATURE_NAMES = (*DENSE_NAMES, *SPARSE_NAMES, "tower")
SPARSE_GAIN = np.float32(100.0)
AT_ONCE, LANES = 32, -(-SPARSE // 16) * 16
"""Items whose features are turned at once: so many stay in the nearest cache. Numbers of one of them: whole vectors."""

HISTORY_EDGES = np.array([1, 3, 10, 30, 100], np.int64)
GAP_EDGES_MS = np.array([60_000, 600_000, 3_600_000, 86_400_000, 604_800_000], np.int64)
HISTORY_BUCKETS = len(HISTORY_EDGES) + 1
GAP_BUCKETS = len(GAP_EDGES_MS) + 2

BLOCKS = 1 + HISTORY_BUCKETS + GAP_BUCKETS
FIRST_SQUARES = np.float32(100.0)
"""Evidence that the weights start with, in squared gradients: first steps stay small."""
CONTEXTS = HISTORY_BUCKETS + GAP_BUCKETS + 2
"""Inputs of the context: one of each kind of bucket, and the logarithms of length and gap."""


class Combiner(NamedTuple):
    """The learned weights (F features, N item rows).

    Attributes:
      shared: float32 [F]. by_history: [HISTORY_BUCKETS, F]. by_gap: [GAP_BUCKETS, F].
      inverse: of the sum of outer products of gradients, per block of weights, float32 [BLOCKS, F, F].
      bias: per item, float32 [N].
      surface_bias: by surface, float32 [SURFACES, N]; 0 for no surface.
    """

    shared: F32
    by_history: F32
    by_gap: F32
    inverse: F32
    bias: F32
    surface_bias: F32


def empty_combiner(rows: int) -> Combiner:
    """Ranks by decayed popularity and successors until it has learned better."""
    shared = np.zeros(FEATURES, np.float32)
    shared[HOTNESS] = 0.5
    shared[DENSE] = 0.5
    return Combiner(
        shared,
        np.zeros((HISTORY_BUCKETS, FEATURES), np.float32),
        np.zeros((GAP_BUCKETS, FEATURES), np.float32),
        np.tile(np.eye(FEATURES, dtype=np.float32) / FIRST_SQUARES, (BLOCKS, 1, 1)),
        np.zeros(rows, np.float32),
        np.zeros((SURFACES, rows), np.float32),
    )


def grown_combiner(combiner: Combiner, rows: int) -> Combiner:
    """The same combiner for at least ``rows`` item rows."""
    missing = rows - len(combiner.bias)
    if missing <= 0:
        return combiner
    return combiner._replace(
        bias=np.pad(combiner.bias, (0, missing)),
        surface_bias=np.pad(combiner.surface_bias, ((0, 0), (0, missing))),
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
def axpy(weight, x, z):  # type: ignore[no-untyped-def]
    """z += weight * x, float32 of one length."""
    for j in range(len(z)):
        z[j] += weight * x[j]


@kernel(fastmath=True)
def softmax_in_place(z, bits):  # type: ignore[no-untyped-def]
    """z = softmax(z), float32 [n]; bits: int32 [n], overwritten."""
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
    """Turn raw transition values into features, in place, and add their part to ``z``; quickest if they lie by item."""
    value = np.zeros(AT_ONCE * LANES, np.float32)
    feature = np.empty(AT_ONCE * LANES, np.float32)
    bits = np.empty(AT_ONCE * LANES, np.int32)
    for first in range(0, m, AT_ONCE):
        count = min(AT_ONCE, m - first)
        for k in range(count):
            j = np.uint64(touched[first + k])
            for s in range(SPARSE):
                value[k * LANES + s] = sparse[s, j]
        log1p_scaled(value[: count * LANES], SPARSE_GAIN, bits, feature)
        for k in range(count):
            j, total = np.uint64(touched[first + k]), np.float32(0.0)
            for s in range(SPARSE):
                sparse[s, j] = feature[k * LANES + s]
                total += weights[DENSE + s] * feature[k * LANES + s]
            z[j] += total + sparse[LEARNED, j]


@kernel(fastmath=True)
def _newton(inverse, gradient, rate, weights):  # type: ignore[no-untyped-def]
    """One online Newton step of one block, in place; the inverse takes in the gradient by Sherman and Morrison."""
    along = np.zeros(FEATURES, np.float32)
    for f in range(FEATURES):
        for g in range(FEATURES):
            along[f] += inverse[f, g] * gradient[g]
    scale = np.float32(1.0) + dot(along, gradient)
    for f in range(FEATURES):
        for g in range(FEATURES):
            inverse[f, g] -= along[f] * along[g] / scale
        weights[f] += rate * along[f] / scale


@kernel()
def step_up(combiner, length, gap_ms, gradient, rate):  # type: ignore[no-untyped-def]
    """One step up the log-likelihood along ``gradient``, float32 [F], for a user with this history and gap.

    References:
      Hazan, Agarwal, Kale: Logarithmic Regret Algorithms for Online Convex Optimization, 2007 (online Newton step).
    """
    hb, gb = _history_bucket(length), _gap_bucket(gap_ms)
    _newton(combiner.inverse[0], gradient, rate, combiner.shared)
    _newton(combiner.inverse[1 + hb], gradient, rate, combiner.by_history[hb])
    _newton(combiner.inverse[1 + HISTORY_BUCKETS + gb], gradient, rate, combiner.by_gap[gb])


@kernel()
def context_of(length, gap_ms, out):  # type: ignore[no-untyped-def]
    """What the re-ranker is told of the user and the moment, float32 [CONTEXTS]."""
    out[:] = np.float32(0.0)
    out[_history_bucket(length)] = np.float32(1.0)
    out[HISTORY_BUCKETS + _gap_bucket(gap_ms)] = np.float32(1.0)
    out[CONTEXTS - 2] = np.float32(0.3 * np.log(1.0 + length))
    out[CONTEXTS - 1] = np.float32(0.1 * np.log(1.0 + max(gap_ms, 0) / 1000.0))
