"""Strictly one event after the other: rank it, learn from it, count it.

Two stages rank: the combiner scores every item that the user may get, and the re-ranker orders the best few again.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.combiner import FEATURES, TOWER, add_sparse, axpy, dot, softmax_in_place, step_up, weights_of
from models.recommend.features import (
    BASELINE,
    COMPANY_DECAY,
    COMPANY_READ,
    DENSE,
    LINE,
    OWN,
    READ,
    READ_DECAY,
    SPARSE,
    dense_features,
    sparse_values,
    surface_popularity,
)  # fmt: skip
from models.recommend.ranking import rank_of, top_of
from models.recommend.rerank import learn_choice, note_inputs
from models.recommend.second_stage import rank_again, stage_for
from models.recommend.sources import BASELINE_DECAY, observe
from models.recommend.teaching import LESSONS, lessons_of, take_signals, teach
from models.typing import F32, I32, I64, U8, Bools

UNRANKED = np.float32(np.inf)
BARRED = np.float32(-1e30)
"""Score of an item that may not be ranked; finite, so that a softmax can take it."""
MODEL, DECAYED_POPULARITY, TRANSITIONS = 0, 1, 2
RANKERS = ("model", "decayed_popularity", "transitions")


class Events(NamedTuple):
    """One batch in arrival order, as columns of B.

    Attributes:
      user, item: rows, int32. at_ms: event time, int64. value: float32, NaN where none.
      action: code, uint8. surface: code, uint8.
      position: 1-based place in the slate that it came from, 0 where not known, int32.
      outcome: what it says beside the choice, bits as `showings.COMPLETED`, uint8.
      scored: whether it is ranked before it is learned. pos: place in the user's history (`append`), int32.
    """

    user: I32
    item: I32
    at_ms: I64
    value: F32
    action: U8
    surface: U8
    position: I32
    outcome: U8
    scored: Bools
    pos: I32


class Rates(NamedTuple):
    """How quickly the strict part learns, and how it is bounded.

    Attributes:
      combiner, bias, surface, rerank: of the combiner's weights, of its bias an item, of that on a surface, and of the
        re-ranker. successors, company: of what a pair of items adds to a score.
      most: entries of a sparse row. candidates: items that are ranked again; 0 leaves the order to the combiner.
    """

    combiner: np.float32
    bias: np.float32
    surface: np.float32
    rerank: np.float32
    successors: np.float32
    company: np.float32
    most: int
    candidates: int


@kernel()
def best_rows(score, most, rows):  # type: ignore[no-untyped-def]
    """Rows of the ``most`` highest finite scores, in row order; of equal ones at the edge the first.

    Args:
      score: float32 [n], `BARRED` marks what may not be chosen. rows: int32 [>= most], filled.

    Returns:
      How many there are.
    """
    n = len(score)
    edge = np.partition(score, n - most)[n - most] if most < n else np.float32(-1e30)
    floor = np.float32(-1e29)
    above = 0
    for j in range(n):
        above += score[j] > edge and score[j] > floor
    left, count = most - above, 0
    for j in range(n):
        if score[j] > floor and (score[j] > edge or (score[j] == edge and left > 0)):
            if score[j] == edge:
                left -= 1
            rows[count] = j
            count += 1
    return count


@kernel()
def _learn_linear(combiner, dense, sparse, logits, touched, m, chance, item, surface, pos, gap_ms, rates):  # type: ignore[no-untyped-def]
    """Move the combiner towards ``item``, given the chance of every item, float32 [n]."""
    gradient = np.empty(FEATURES, np.float32)
    for f in range(DENSE):
        gradient[f] = dense[f, item] - dot(chance, dense[f])
    for s in range(SPARSE):
        gradient[DENSE + s] = sparse[s, item]
    for k in range(m):
        for s in range(SPARSE):
            gradient[DENSE + s] -= chance[touched[k]] * sparse[s, touched[k]]
    gradient[TOWER] = logits[item] - dot(chance, logits)
    step_up(combiner, pos, gap_ms, gradient, rates.combiner)
    axpy(-rates.bias, chance, combiner.bias[: len(chance)])
    combiner.bias[item] += rates.bias
    if surface:
        axpy(-rates.surface, chance, combiner.surface_bias[surface, : len(chance)])
        combiner.surface_bias[surface, item] += rates.surface


@kernel()
def learn_pairs(rows, changed, history, pos, item, chance, rate, read, decay):  # type: ignore[no-untyped-def]
    """Move what the user's last items add to the score of the entries of their rows towards ``item``.

    A bias for every pair of items that was counted, learned by the softmax's gradient as the bias of an item is.

    Args:
      rows: `Successors` or `Company`. chance: of every item, float32 [n]. rate: of the last item, falling by ``decay``
        with each of the ``read`` items before it.
    """
    for lag in range(min(read, pos)):
        other = history[pos - 1 - lag]
        start = rows.start[other]
        for k in range(start, start + rows.length[other]):
            rows.learned[k] -= rate * chance[rows.key[k]]
            if rows.key[k] == item:
                rows.learned[k] += rate
        changed[other] = True
        rate *= decay


@kernel()
def take_scores(score, places, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with the scores at ``places``, where there is one (-1 is none)."""
    for k in range(len(places)):
        if places[k] >= 0:
            out[k] = score[places[k]]


@kernel(nogil=True)
def learn_events(  # type: ignore[no-untyped-def]
    events, signals, histories, passes, counts, labels, combiner, reranker, heads, tower, vectors, n, rates, learns,
    repeats, ranks, tops, scores,
):  # fmt: skip
    """Rank each scored event against all seen items, learn from it, then count the event.

    Args:
      events: `Events`; every event that is learned stands already in ``histories`` at its ``pos``.
      signals: `Signals`: what else was done, taken in between; none where nothing is learned. passes: `Passes`.
      labels: `ItemLabels`. heads: `Heads`.
      tower: the tower's logits of the scored events in order, float32 [scored, >= n].
      vectors: of the item rows, bias last, float32 [N, D + 1]; of no row where there are no towers.
      n: item rows in use. rates: `Rates`.
      learns: False only ranks, on the state as it is: ``pos`` is then the length of the user's history.
      repeats: whether items that the user has had are ranked too, and events on them scored.
      ranks: float32 [B, 3], filled for scored events with the ranks by `RANKERS`; inf is a first-ever item.
        0 stays where an event was not scored or repeats an item that the user has had.
      tops: int32 [B, 3, K], filled with each ranker's first K items where an event has a finite rank; or [0, 3, K].
      scores: float32 [B, K], filled with the final scores of the model's; or [0, K].
    """
    n = n if events.scored.any() else 0  # work arrays cost by the catalogue, counting alone does not
    most = min(max(rates.candidates, 0), n)
    dense, sparse = np.zeros((DENSE, n), np.float32), np.zeros((n, LINE), np.float32).T
    touched, is_touched = np.empty(n + 1, np.int32), np.zeros(n, np.bool_)
    allowed, bits = np.empty(n, np.bool_), np.empty(n, np.int32)
    z, chance = np.empty(n, np.float32), np.empty(n, np.float32)
    rows, every = np.empty(most + LESSONS, np.int32), np.ones(most, np.bool_)
    stage, places = stage_for(most + LESSONS), np.empty(LESSONS, np.int32)
    final = stage.blended
    judged, wants_tops, signal = 0, len(tops) > 0, 0
    is_taught = False
    for b in range(len(events.user) + 1):
        if learns:
            signal = take_signals(passes, counts, heads, events, is_taught, signals, signal, b)
        if b == len(events.user):
            break
        user, item, at_ms, pos = events.user[b], events.item[b], events.at_ms[b], events.pos[b]
        surface = events.surface[b]
        start = histories.start[user]
        history = histories.item[start : start + pos]
        times = histories.at_ms[start : start + pos]
        is_taught = False
        if events.scored[b]:
            repeat = False
            logits = tower[judged, :n]
            judged += 1
            for k in range(0 if repeats else pos):
                if history[k] == item:
                    repeat = True
                    break
            is_taught = not repeat
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
                surface_popularity(counts, n, surface, dense[OWN])
                m = sparse_values(counts, history, times, pos, at_ms, repeats, True, sparse, touched, is_touched)
                ranks[b, DECAYED_POPULARITY] = rank_of(dense[1 + BASELINE_DECAY], allowed, item)
                if wants_tops:
                    top_of(dense[1 + BASELINE_DECAY], allowed, tops[b, DECAYED_POPULARITY])
                for j in range(n):
                    z[j] = np.float32(1e-6) * counts.seen[j]
                for k in range(m):
                    z[touched[k]] += sparse[BASELINE, touched[k]]
                ranks[b, TRANSITIONS] = rank_of(z, allowed, item)
                if wants_tops:
                    top_of(z, allowed, tops[b, TRANSITIONS])

                z[:] = combiner.bias[:n] + combiner.surface_bias[surface, :n]
                for f in range(DENSE):
                    axpy(weights[f], dense[f], z)
                axpy(weights[TOWER], logits, z)
                add_sparse(weights, sparse, touched, m, z)
                for j in range(n):
                    if not allowed[j]:
                        z[j] = BARRED
                linear = ranks[b, MODEL] = rank_of(z, allowed, item)
                if wants_tops and not most:
                    top_of(z, allowed, tops[b, MODEL])
                    take_scores(z, tops[b, MODEL], scores[b])
                count = best_rows(z, most, rows) if most and (wants_tops or linear <= most) else 0
                lessons = lessons_of(passes, allowed, True, user, item, at_ms, rows[count:], places) if learns else 0
                if most:
                    rank_again(
                        counts, labels, reranker, heads, passes, dense, dense[OWN], sparse, logits, z, combiner.bias,
                        vectors, user, at_ms, history, times, pos, gap_ms, rows, count + lessons, count, stage,
                    )  # fmt: skip
                if count:
                    if wants_tops:
                        top_of(final[:count], every, tops[b, MODEL])
                        take_scores(final, tops[b, MODEL], scores[b])
                        for k in range(tops.shape[2]):
                            if tops[b, MODEL, k] >= 0:
                                tops[b, MODEL, k] = rows[tops[b, MODEL, k]]
                    target = np.searchsorted(rows[:count], item)
                    if linear <= most and target < count and rows[target] == item:  # whether lists are kept or not
                        ranks[b, MODEL] = rank_of(final[:count], every, target)
                        if learns:
                            learn_choice(
                                reranker, stage.inputs, count, stage.context, stage.hidden, stage.final, target,
                                rates.rerank,
                            )  # fmt: skip
                            note_inputs(reranker, stage.raw, count)
                if most and learns:
                    teach(counts, heads, passes, user, rows, places, count, lessons, events.outcome[b], stage)
                if learns:
                    chance[:] = z
                    softmax_in_place(chance, bits)
                    learn_pairs(
                        counts.after, counts.changed, history, pos, item, chance, rates.successors, READ, READ_DECAY
                    )
                    learn_pairs(
                        counts.company, counts.changed, history, pos, item, chance, rates.company,
                        COMPANY_READ, COMPANY_DECAY,
                    )  # fmt: skip
                    _learn_linear(
                        combiner, dense, sparse, logits, touched, m, chance, item, surface, pos, gap_ms, rates
                    )
                for k in range(m):
                    is_touched[touched[k]] = False
                    sparse[:, touched[k]] = np.float32(0.0)
        if learns:
            observe(counts, labels.tags, history, pos, item, at_ms, events.value[b], surface, rates.most)
