"""Ranking in two stages, a batch of users at a time: the same scores that the trainer learns by.

First the best items for each user by the combiner's linear score (see `models.recommend.serving`): an index has found
the best inner products, and the items that a user's history leads to are added here, exactly. Then the best of these
are scored again (`models.recommend.second_stage`). What comes out is a list of candidates for each user, as wide as
the caller likes; which of them a slate shows is decided from that list (`models.recommend.slating`).
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.combiner import SPARSE_GAIN, TOWER, Combiner, add_sparse, dot, weights_of
from models.recommend.features import BASELINE, DENSE, LEARNED, LINE, OWN, SPARSE, sparse_values
from models.recommend.heads import Heads
from models.recommend.labels import ItemLabels
from models.recommend.pools import Histories
from models.recommend.rerank import Reranker
from models.recommend.second_stage import Stage, rank_again, stage_for
from models.recommend.serving import VECTOR
from models.recommend.showings import Passes
from models.recommend.sources import SURFACES, Counts
from models.typing import F32, I32, I64, U8, Bools

POPULAR_PART, TOWER_PART, SUCCESSOR_PART = 0, 1, 2
PARTS = 3
NO_MASK = -1


class Known(NamedTuple):
    """What a recommender ranks by.

    ``augmented``: what the index holds, float32 [N, A]. ``vectors``: the tower's, bias last, float32 [N, D + 1].
    """

    counts: Counts
    histories: Histories
    passes: Passes
    labels: ItemLabels
    combiner: Combiner
    reranker: Reranker
    heads: Heads
    augmented: F32
    vectors: F32


class Askers(NamedTuple):
    """Who asks, as columns of B users.

    Attributes:
      user: user rows, int32 [B]; 0 is unknown and has no history.
      length: events in the history, int32 [B]. gap_ms: since the last of them, int64 [B]; -1: none.
      had: rows that must not come back to the user, one user behind the other, int32. had_end: where each user's end
        in it, int64 [B].
      mask: which of the caller's masks holds for the user, int32 [B]; `NO_MASK`: none.
      surface: code of the surface that the user is on, uint8 [B]; 0: none.
    """

    user: I32
    length: I32
    gap_ms: I64
    had: I32
    had_end: I64
    mask: I32
    surface: U8


class Candidates(NamedTuple):
    """The best items for each of B users, best first; equal scores in row order.

    Attributes:
      rows: item rows, int32 [B, C].
      scores: float32 [B, C]. Behind the items that were ranked twice the linear ones go on, lowered so that they sort.
      parts: what popularity, tower and history gave to the linear score, float32 [B, C, PARTS].
      filled: how many places of each line count, int32 [B].
    """

    rows: I32
    scores: F32
    parts: F32
    filled: I32


class Scratch(NamedTuple):
    """Work arrays sized for N item rows; one a thread. ``sparse``, ``is_touched`` and ``done`` are zero between calls.

    ``sparse``, ``touched`` and ``is_touched`` are as `sparse_values` wants them; ``sparse`` is [LINE, N] and lies in
    memory by item: one cache line for each. ``chosen``: of the touched rows, those that are looked at, int32 [N].
    ``logits`` and ``scores``: the tower's and the linear stage's, of the candidates, float32 [N].
    """

    sparse: F32
    touched: I32
    is_touched: Bools
    chosen: I32
    done: Bools
    logits: F32
    scores: F32
    stage: Stage


def scratch_for(rows: int, most: int) -> Scratch:
    """Work arrays for ``rows`` item rows, of which ``most`` are ranked twice."""
    return Scratch(
        sparse=np.zeros((rows, LINE), np.float32).T,
        touched=np.zeros(rows + 1, np.int32),
        is_touched=np.zeros(rows, np.bool_),
        chosen=np.zeros(rows, np.int32),
        done=np.zeros(rows, np.bool_),
        logits=np.zeros(rows, np.float32),
        scores=np.zeros(rows, np.float32),
        stage=stage_for(most),
    )


@kernel(nogil=True)
def askers_of(histories, hidden, users, masks, surfaces, excluded, excluded_end, rewatchable, now_ms):  # type: ignore[no-untyped-def]
    """The columns of `Askers`: what a batch of users has had, and how long ago.

    A row must not come back if the user hid it, had it by an action that is not rewatchable, or excludes it now.

    Args:
      users, masks: int32 [B]. surfaces: uint8 [B].
      excluded: rows that the requests exclude, one request behind the other, int32; excluded_end: where each one's
        end, int64 [B].
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
    return Askers(users, length, gap_ms, had[:n], had_end, masks, surfaces)


@kernel(nogil=True)
def weights_for(combiner, askers):  # type: ignore[no-untyped-def]
    """The combiner's weights for each asker, float32 [B, F]."""
    out = np.empty((len(askers.user), len(combiner.shared)), np.float32)
    for b in range(len(out)):
        out[b] = weights_of(combiner, askers.length[b], askers.gap_ms[b])
    return out


def queries(weights: F32, states: F32, surface: U8) -> F32:
    """What to search the index with.

    Args:
      weights: from `weights_for`, float32 [B, F]. states: the user tower's, float32 [B, D]. surface: codes, uint8 [B].

    Returns:
      float32 [B, `models.recommend.serving.augmented_dim`].
    """
    tower = weights[:, TOWER : TOWER + 1]
    on_surface = np.zeros((len(weights), SURFACES), np.float32)
    on_surface[np.arange(len(weights)), surface] = weights[:, OWN]
    at_surface = np.zeros_like(on_surface)
    at_surface[np.arange(len(weights)), surface] = 1.0
    return np.concatenate(
        [weights[:, :OWN], on_surface, at_surface, tower * states, tower, np.ones_like(tower)], axis=1
    )


class Question(NamedTuple):
    """What is asked of the ranking, beside the askers.

    Attributes:
      weights: from `weights_for`, float32 [B, F]. states: the user tower's, float32 [B, D]. q: from `queries`, [B, A].
      hit_rows, hit_scores: what the index found, best first, int32 and float32 [B, K]; row -1 pads.
      allowed: which rows may be shown at all, bool [<= N]. masks: bool [M, <= N], see `Askers.mask`.
      now_ms: event time. repeats: whether items that a user has had may come back.
    """

    weights: F32
    states: F32
    q: F32
    hit_rows: I32
    hit_scores: F32
    allowed: Bools
    masks: Bools
    now_ms: int
    repeats: bool


def find_candidates(known: Known, askers: Askers, question: Question, width: int, scratch: Scratch) -> Candidates:
    """The ``width`` best allowed items for each user: of the index's hits and of all that the history leads to.

    As many as ``scratch.stage`` has room for are ranked twice; the others follow in the order of the linear stage.
    That stage is exact for users whose hits are all there are, or whose last candidate scores at least what the last
    hit scored: so it is when ``width`` hits are allowed and not had, unless the history counts against items.
    """
    count = len(askers.user)
    out = Candidates(
        rows=np.zeros((count, width), np.int32),
        scores=np.full((count, width), -np.inf, np.float32),
        parts=np.zeros((count, width, PARTS), np.float32),
        filled=np.zeros(count, np.int32),
    )
    _find_all(known, askers, question, scratch, out)
    return out


@kernel(nogil=True)
def _find_all(known, askers, question, scratch, out):  # type: ignore[no-untyped-def]
    histories, first = known.histories, 0
    for b in range(len(askers.user)):
        start = histories.start[askers.user[b]]
        history = histories.item[start : start + askers.length[b]]
        times = histories.at_ms[start : start + askers.length[b]]
        had = askers.had[first : askers.had_end[b]]
        mask = question.allowed if askers.mask[b] < 0 else question.masks[askers.mask[b]]
        m = sparse_values(
            known.counts, history, times, len(history), question.now_ms, question.repeats, False,
            scratch.sparse, scratch.touched, scratch.is_touched,
        )  # fmt: skip
        filled, m = _first_stage(known.augmented, question, b, had, mask, m, scratch, out.rows[b], out.scores[b])
        gain = scratch.sparse[BASELINE]
        for at in range(filled):
            row = out.rows[b, at]
            vector = known.augmented[row, VECTOR:]
            scratch.logits[row] = dot(question.states[b], vector) + vector[question.states.shape[1]]
            scratch.scores[row] = out.scores[b, at]
        _second_stage(known, askers, b, question.now_ms, history, times, scratch, out.rows[b], out.scores[b], filled)
        for at in range(filled):
            row = out.rows[b, at]
            by_tower = question.weights[b, TOWER] * scratch.logits[row]
            out.parts[b, at, POPULAR_PART] = scratch.scores[row] - by_tower - gain[row]
            out.parts[b, at, TOWER_PART] = by_tower
            out.parts[b, at, SUCCESSOR_PART] = gain[row]
        for at in range(m):
            row = scratch.touched[at]
            scratch.is_touched[row] = False
            scratch.sparse[:, row] = np.float32(0.0)
        out.filled[b] = filled
        first = askers.had_end[b]


@kernel()
def _first_stage(augmented, question, b, had, mask, m, scratch, rows, scores):  # type: ignore[no-untyped-def]
    """Fill ``rows`` and ``scores`` with the best by linear score; gives how many there are, and touched rows left."""
    hit_rows, hit_scores, q, weights = question.hit_rows[b], question.hit_scores[b], question.q[b], question.weights[b]
    allowed, sparse, gain = question.allowed, scratch.sparse, scratch.sparse[BASELINE]
    is_touched, done, chosen = scratch.is_touched, scratch.done, scratch.chosen
    n, k = min(len(allowed), len(mask), len(augmented)), len(rows)
    for row in had:
        done[row] = True
    found, count = 0, 0
    while found < len(hit_rows) and hit_rows[found] >= 0:
        row = hit_rows[found]
        if row < n and is_touched[row] and not done[row]:
            chosen[count] = row
            count += 1
        found += 1
    add_sparse(weights, sparse, chosen, count, gain)
    filled = 0
    for at in range(found):
        row = hit_rows[at]
        if row < n and not done[row] and allowed[row] and mask[row]:
            filled = _insert(rows, scores, filled, row, hit_scores[at] + gain[row])
        if row < n:
            is_touched[row] = False
    floor = hit_scores[found - 1] if 0 < found == len(hit_rows) else np.float32(np.inf)  # of what the index left out
    least = scores[k - 1] - floor if filled == k else np.float32(-np.inf)
    count, m = _choose(weights, least, n, mask, allowed, m, scratch)
    add_sparse(weights, sparse, chosen, count, gain)
    for at in range(count):
        row = chosen[at]
        if filled < k or floor + gain[row] >= scores[k - 1]:
            filled = _insert(rows, scores, filled, row, dot(q, augmented[row]) + gain[row])
    for row in had:
        done[row] = False
    return filled, m


@kernel()
def _choose(weights, least, n, mask, allowed, m, scratch):  # type: ignore[no-untyped-def]
    """Fill ``chosen`` with the touched rows that are no hits, may be shown, and may gain ``least`` or more.

    The others are forgotten; gives how many are chosen, and how many are touched still. What a row gains is at most
    what its positive weights give together, ``W log(1 + x)`` by Jensen, where ``x`` is the mean of its values times
    `SPARSE_GAIN`; and that is at most the tangent where it is ``least``: a sum of the raw values, in place of a
    logarithm of each.
    """
    total = np.float32(1e-3)
    for s in range(SPARSE):
        total += max(weights[DENSE + s], np.float32(0.0))
    at_tangent = min(max(least / total, np.float32(0.0)), np.float32(20.0))
    slope = np.exp(at_tangent)
    bound = np.zeros(LINE, np.float32)
    for s in range(SPARSE):
        bound[s] = SPARSE_GAIN * max(weights[DENSE + s], np.float32(0.0))
    bound[LEARNED] = slope
    spare = np.float32(1e-3) * (np.float32(1.0) + abs(least) + total)  # far more than rounding takes
    limit = total * (slope - np.float32(1.0)) + slope * (least - total * at_tangent - spare)
    lines, touched, is_touched, done = scratch.sparse.T, scratch.touched, scratch.is_touched, scratch.done
    count, kept = 0, 0
    for at in range(m):
        row = np.uint64(touched[at])
        if is_touched[row] and not done[row]:
            if least > -np.inf and dot(bound, lines[row]) < limit:
                lines[row] = np.float32(0.0)
                is_touched[row] = False
                continue
            if row < n and allowed[row] and mask[row]:
                scratch.chosen[count] = row
                count += 1
        touched[kept] = row
        kept += 1
    return count, kept


@kernel()
def _second_stage(known, askers, b, now_ms, history, times, scratch, rows, scores, filled):  # type: ignore[no-untyped-def]
    """Order the first candidates by their final score, and lower the scores behind them so that all sort."""
    final = scratch.stage.blended
    count = min(filled, len(final))
    if count == 0:
        return
    own = known.augmented.T
    rank_again(
        known.counts, known.labels, known.reranker, known.heads, known.passes, own, own[OWN + askers.surface[b]],
        scratch.sparse, scratch.logits, scratch.scores, known.combiner.bias, known.vectors, askers.user[b],
        now_ms, history, times, len(history), askers.gap_ms[b], rows, count, count, scratch.stage,
    )  # fmt: skip
    order = np.argsort(-final[:count], kind="mergesort")
    again = rows[:count][order]
    placed = 0
    for at in range(count):  # in order already, but for equal scores: those go by row
        placed = _insert(rows[:count], scores[:count], placed, again[at], final[order[at]])
    if filled > count:
        excess = max(scores[count] - scores[count - 1], np.float32(0.0))
        for at in range(count, filled):
            scores[at] -= excess


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
