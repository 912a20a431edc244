"""Baselines that are refitted now and then: strict histories, a model of some thousand events ago.

What a fit gives is one of two shapes, and a kernel for each ranks the events until the next fit. Items that no model
scores, and events before the first fit, are ranked by popularity, which also breaks ties.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.evaluate.counted import judge
from models.evaluate.passage import FIRST_EVER, RANKED, Passage, candidates
from models.typing import F32, I32, I64

REFIT_EVENTS = 5_000
"""Learned events between two fits."""
EASE_PENALTY = 200.0
EASE_ITEMS = 4_000
"""Most items that EASE weighs, the most seen ones: a fit inverts a matrix of them."""
_POPULARITY = np.float32(1e-6)


class Factors(NamedTuple):
    """Scores of low rank: ``right @ v``, v being the user's row of ``left``, or the sum of its rows of the items had.

    Attributes:
      left: float32 [U, F] if ``by_user``, else [N, F]. right: float32 [N, F].
      by_user: whose the rows of ``left`` are, the users' or the items'.
    """

    left: F32
    right: F32
    by_user: bool


class Weights(NamedTuple):
    """Scores as a sum of weights from each item had.

    Attributes:
      matrix: float32 [M, M], from row to column. row: of each item, or -1, int32 [N].
    """

    matrix: F32
    row: I32


Fit = Callable[[I32, I32, int, int], Factors | Weights]
"""(users, items, U, N) of the distinct pairs so far -> what scores the events until the next fit."""


def fit_ease(users: I32, items: I32, user_count: int, item_count: int) -> Weights:
    """Embarrassingly shallow autoencoder: each item from all others by ridge regression, in closed form.

    References:
      Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
    """
    counts = np.bincount(items, minlength=item_count)
    kept = np.sort(np.argsort(-counts, kind="stable")[: min(EASE_ITEMS, int((counts > 0).sum()))])
    row = np.full(item_count, -1, np.int32)
    row[kept] = np.arange(len(kept))
    inside = row[items] >= 0
    gram = _gram(users[inside], row[items[inside]], user_count, len(kept))
    gram[np.diag_indices(len(kept))] += EASE_PENALTY
    inverse = np.linalg.inv(gram)
    matrix = -inverse / np.diag(inverse)
    np.fill_diagonal(matrix, 0.0)
    return Weights(matrix.astype(np.float32), row)


def play(
    passage: Passage,
    n: int,
    fit: Fit,
    ranks: F32,
    tops: I32,
    *,
    repeats: bool,
    on_done: Callable[[int], None],
    every: int = REFIT_EVENTS,
) -> None:
    """Fill ranks and lists as the kernels of `counted` do; fitted after ``every`` learned events.

    Where learning stops, one more fit sees all that was learned. A stretch with nothing to judge needs no fit.
    """
    seen = np.zeros(n, np.float32)
    before: I64 = np.cumsum(passage.learns) - passage.learns
    stops_learning = ~passage.learns & np.r_[False, passage.learns[:-1]]
    cuts = np.flatnonzero(stops_learning | (passage.learns & (before > 0) & (before % every == 0)))
    edges = [0, *[cut for cut in cuts.tolist() if cut > 0], len(passage.user)]
    model: Factors | Weights = _nothing(n)
    for first, last in itertools.pairwise(edges):
        if first > 0 and passage.judged[first:last].any():
            learned = np.flatnonzero(passage.learns[:first])
            pairs = np.unique(passage.user[learned].astype(np.int64) * n + passage.item[learned])
            model = fit((pairs // n).astype(np.int32), (pairs % n).astype(np.int32), len(passage.start) - 1, n)
        if isinstance(model, Weights):
            _play_weights(passage, first, last, seen, model, repeats, ranks, tops)
        else:
            _play_factors(passage, first, last, seen, model, repeats, ranks, tops)
        on_done(last)


def _nothing(n: int) -> Weights:
    return Weights(np.zeros((0, 0), np.float32), np.full(n, -1, np.int32))


def _gram(users: I32, items: I32, user_count: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """How many users had both, float64 [width, width]."""
    gram = np.zeros((width, width), np.float64)
    order = np.argsort(users, kind="stable")
    start = np.r_[0, np.cumsum(np.bincount(users, minlength=user_count))].astype(np.int64)
    _count_pairs(start, items[order], gram)
    return gram


@kernel()
def _count_pairs(start, items, gram):  # type: ignore[no-untyped-def]
    for u in range(len(start) - 1):
        for a in range(start[u], start[u + 1]):
            for b in range(start[u], start[u + 1]):
                gram[items[a], items[b]] += 1.0


@kernel(fastmath=True)
def _add(row, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] += row[j]


@kernel()
def _play_weights(passage, first, last, seen, model, repeats, ranks, tops):  # type: ignore[no-untyped-def]
    n, width = len(seen), len(model.matrix)
    allowed, score, inner = np.empty(n, np.bool_), np.empty(n, np.float32), np.empty(width, np.float32)
    added = np.full(width, -1, np.int64)
    for p in range(first, last):
        if passage.judged[p]:
            kind = candidates(passage, p, seen, repeats, allowed)
            if kind == FIRST_EVER:
                ranks[p] = np.inf
            elif kind == RANKED:
                inner[:] = np.float32(0.0)
                start = passage.start[passage.user[p]]
                for k in range(start, start + passage.pos[p]):
                    h = model.row[passage.past[k]]
                    if h >= 0 and added[h] != p:  # each item once, however often the user had it
                        added[h] = p
                        _add(model.matrix[h], inner)
                for j in range(n):
                    score[j] = _POPULARITY * seen[j]
                    if model.row[j] >= 0:
                        score[j] += inner[model.row[j]]
                judge(passage, p, score, allowed, ranks, tops)
        if passage.learns[p]:
            seen[passage.item[p]] += np.float32(1.0)


@kernel(fastmath=True)
def _product(rows, vector, out):  # type: ignore[no-untyped-def]
    for j in range(len(rows)):
        total = np.float32(0.0)
        for f in range(len(vector)):
            total += rows[j, f] * vector[f]
        out[j] = total


@kernel()
def _play_factors(passage, first, last, seen, model, repeats, ranks, tops):  # type: ignore[no-untyped-def]
    n = len(seen)
    allowed, score = np.empty(n, np.bool_), np.empty(n, np.float32)
    vector = np.empty(model.right.shape[1], np.float32)
    added = np.full(n, -1, np.int64)
    for p in range(first, last):
        if passage.judged[p]:
            kind = candidates(passage, p, seen, repeats, allowed)
            if kind == FIRST_EVER:
                ranks[p] = np.inf
            elif kind == RANKED:
                user, start = passage.user[p], passage.start[passage.user[p]]
                if not model.by_user:
                    vector[:] = np.float32(0.0)
                    for k in range(start, start + passage.pos[p]):
                        h = passage.past[k]
                        if added[h] != p:
                            added[h] = p
                            _add(model.left[h], vector)
                else:
                    vector[:] = model.left[user]
                _product(model.right, vector, score)
                for j in range(n):
                    score[j] += _POPULARITY * seen[j]
                judge(passage, p, score, allowed, ranks, tops)
        if passage.learns[p]:
            seen[passage.item[p]] += np.float32(1.0)
