"""Strictly one event after the other, as `models.recommend.strict`, among candidates instead of all items.

For catalogues too large to be ranked whole. The candidates of an event are what a recommender could find: what the
user's history leads to, the best by the tower, the most popular, the latest and the newest. The item that was taken
has no part in their choice; if it isn't among them it is missed, and still learned from. The rest of the catalogue
enters the softmax by a uniform sample, each of which stands for many.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.affinity import LEVELS_READ
from models.recommend.choosing import CHOSEN, EXTRA, HAD, choose, clear, put, sample
from models.recommend.combiner import FEATURES, TOWER, add_sparse, axpy, dot, softmax_in_place, step_up, weights_of
from models.recommend.features import (
    BASELINE,
    COMPANY_DECAY,
    COMPANY_READ,
    DENSE,
    HOTNESS,
    LEVEL,
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
from models.recommend.sources import BASELINE_DECAY, DECAYS, PASSED, observe
from models.recommend.strict import (
    DECAYED_POPULARITY,
    MODEL,
    TRANSITIONS,
    UNRANKED,
    best_rows,
    learn_pairs,
    take_scores,
)
from models.recommend.teaching import LESSONS, lessons_of, take_signals, teach
from models.recommend.toplists import note
from models.typing import F32, F64, I64

MISSED = 11
"""Least rank of an item that is not among the candidates: no list of ten holds it."""


class _Part(NamedTuple):
    """What `dense_features` and `surface_popularity` read of `Counts`, of some rows alone; their surface is code 1."""

    clock: I64
    seen: F32
    decayed: F32
    last_event: I64
    last_ms: I64
    first_ms: I64
    surface: F32
    surface_base: I64
    passed: F32
    passed_event: I64
    passed_ms: I64
    appeal: F32
    trials: F64


@kernel()
def _gather(counts, rows, count, surface, part):  # type: ignore[no-untyped-def]
    for x in range(count):
        row = rows[x]
        part.seen[x] = counts.seen[row]
        part.last_event[x], part.last_ms[x] = counts.last_event[row], counts.last_ms[row]
        part.first_ms[x] = counts.first_ms[row]
        part.passed_event[x], part.passed_ms[x] = counts.passed_event[row], counts.passed_ms[row]
        part.appeal[x] = counts.appeal[row]
    for k in range(DECAYS):
        for x in range(count):
            part.decayed[k, x] = counts.decayed[k, rows[x]]
    for k in range(PASSED):
        for x in range(count):
            part.passed[k, x] = counts.passed[k, rows[x]]
    if surface:
        for x in range(count):
            part.surface[1, x] = counts.surface[surface, rows[x]]


@kernel()
def _learn_linear(combiner, dense, scratch, logits, rows, count, chance, target, surface, pos, gap_ms, rates):  # type: ignore[no-untyped-def]
    """Move the combiner towards ``rows[target]``, given the chance of each of the first ``count`` rows."""
    gradient, item = np.empty(FEATURES, np.float32), rows[target]
    for f in range(DENSE):
        gradient[f] = dense[f, target] - dot(chance, dense[f, :count])
    for s in range(SPARSE):
        gradient[DENSE + s] = scratch.sparse[s, item]
    for x in range(count):
        if scratch.is_touched[rows[x]]:
            for s in range(SPARSE):
                gradient[DENSE + s] -= chance[x] * scratch.sparse[s, rows[x]]
    gradient[TOWER] = logits[target] - dot(chance, logits[:count])
    step_up(combiner, pos, gap_ms, gradient, rates.combiner)
    for x in range(count):
        combiner.bias[rows[x]] -= rates.bias * chance[x]
    combiner.bias[item] += rates.bias
    if surface:
        for x in range(count):
            combiner.surface_bias[surface, rows[x]] -= rates.surface * chance[x]
        combiner.surface_bias[surface, item] += rates.surface


@kernel(nogil=True)
def learn_among(  # type: ignore[no-untyped-def]
    events, signals, histories, passes, counts, labels, combiner, reranker, heads, states, shortlists, scratch, sizes,
    first, rates, learns, repeats, ranks, tops, scores,
):  # fmt: skip
    """Rank each scored event among its candidates, learn from it, then count the event.

    Args:
      events ... heads, rates ... scores: as in `strict.learn_events`, ranks of items that are not among the
        candidates being one more than there are candidates, and at least `MISSED`.
      states: the user tower's of the scored events in order, float32 [scored, D].
      shortlists: `Shortlists`. scratch: `Scratch`. sizes: `Sizes`. first: number of the first event in the log.
    """
    most = max(rates.candidates, 0)
    stage, taught_at = stage_for(most + LESSONS), np.empty(LESSONS, np.int32)
    best, every_best = np.empty(most + LESSONS, np.int32), np.ones(most, np.bool_)
    hit_rows, hit_scores = np.empty(sizes.by_tower, np.int32), np.empty(sizes.by_tower, np.float32)
    room = 0
    rows, places = np.empty(0, np.int32), np.empty(0, np.int32)
    part = _part(0, counts)
    dense, z = np.empty((DENSE, 0), np.float32), np.empty(0, np.float32)
    chance, logits, bits = np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.int32)
    every = np.empty(0, np.bool_)
    anywhere = shortlists.lists.popular.size + len(shortlists.lists.lately) + sizes.fresh + sizes.by_tower
    anywhere += sizes.negatives + LEVELS_READ + 1
    judged, wants_tops, signal = 0, len(tops) > 0, 0
    sparse, touched, mark, gain = scratch.sparse, scratch.touched, scratch.mark, scratch.gain
    is_taught = False
    for b in range(len(events.user) + 1):
        if learns:
            signal = take_signals(passes, counts, heads, events, is_taught, signals, signal, b)
        if b == len(events.user):
            break
        user, item, at_ms, pos = events.user[b], events.item[b], events.at_ms[b], events.pos[b]
        surface = events.surface[b]
        start = histories.start[user]
        history, times = histories.item[start : start + pos], histories.at_ms[start : start + pos]
        is_taught = False
        if events.scored[b]:
            repeat = False
            state = states[judged]
            judged += 1
            for k in range(0 if repeats else pos):
                if history[k] == item:
                    repeat = True
                    break
            is_taught = not repeat
            if not repeat and counts.seen[item] == 0:
                ranks[b, :] = UNRANKED
            elif not repeat:
                gap_ms = max(0, at_ms - times[pos - 1]) if pos > 0 else -1
                weights = weights_of(combiner, pos, gap_ms)
                m = sparse_values(
                    counts, history, times, pos, at_ms, repeats, True, sparse, touched, scratch.is_touched
                )
                add_sparse(weights, sparse, touched, m, gain)
                had = 0
                for k in range(0 if repeats else pos):
                    if mark[history[k]] == 0:
                        mark[history[k]] = HAD
                        had += counts.seen[history[k]] > 0
                if m + anywhere > room:
                    room = 2 * (m + anywhere)
                    rows, places = np.empty(room, np.int32), np.empty(room, np.int32)
                    part = _part(room, counts)
                    dense, z = np.empty((DENSE, room), np.float32), np.empty(room, np.float32)
                    chance, logits = np.empty(room, np.float32), np.empty(room, np.float32)
                    bits, every = np.empty(room, np.int32), np.ones(room, np.bool_)
                count = choose(counts, shortlists, scratch, sizes, m, state, surface, hit_rows, hit_scores, rows)
                is_found = mark[item] == CHOSEN
                taken = count
                if is_found:
                    target = np.searchsorted(rows[:count], item)
                else:
                    target = count
                    rows[count], mark[item] = item, EXTRA
                    taken += 1
                whole = taken
                if learns:
                    whole = sample(
                        shortlists.lists, mark, counts.seen, sizes.negatives, sizes.seed, first + b, rows, taken
                    )
                read = min(LEVELS_READ, pos) if most else 0
                for lag in range(read):
                    rows[whole + lag] = history[pos - 1 - lag]
                _gather(counts, rows, whole + read, surface, part)
                dense_features(part, whole + read, at_ms, dense)
                surface_popularity(part, whole, min(surface, 1), dense[OWN])
                for x in range(whole):
                    vector = shortlists.vectors[rows[x]]
                    logits[x] = dot(state, vector[: len(state)]) + vector[len(state)]
                    z[x] = sparse[BASELINE, rows[x]] + np.float32(1e-6) * part.seen[x]
                missed = np.float32(max(count + 1, MISSED))
                ranks[b, :] = missed
                if is_found:
                    ranks[b, DECAYED_POPULARITY] = rank_of(dense[1 + BASELINE_DECAY, :count], every[:count], target)
                    ranks[b, TRANSITIONS] = rank_of(z[:count], every[:count], target)
                if wants_tops:
                    top_of(dense[1 + BASELINE_DECAY, :count], every[:count], tops[b, DECAYED_POPULARITY])
                    _to_rows(tops[b, DECAYED_POPULARITY], rows)
                    top_of(z[:count], every[:count], tops[b, TRANSITIONS])
                    _to_rows(tops[b, TRANSITIONS], rows)
                for x in range(whole):
                    z[x] = combiner.bias[rows[x]] + combiner.surface_bias[surface, rows[x]]
                for f in range(DENSE):
                    axpy(weights[f], dense[f, :whole], z[:whole])
                axpy(weights[TOWER], logits[:whole], z[:whole])
                for x in range(whole):
                    z[x] += gain[rows[x]]
                linear = rank_of(z[:count], every[:count], target) if is_found else missed
                ranks[b, MODEL] = linear
                if wants_tops and not most:
                    top_of(z[:count], every[:count], tops[b, MODEL])
                    take_scores(z, tops[b, MODEL], scores[b])
                    _to_rows(tops[b, MODEL], rows)
                kept, lessons = 0, 0
                if most and (wants_tops or (is_found and linear <= most)):
                    kept = best_rows(z[:count], most, places)
                    for x in range(kept):
                        best[x] = rows[places[x]]
                if most and learns and is_found:  # only candidates, since their features are here
                    lessons = lessons_of(passes, mark, CHOSEN, user, item, at_ms, best[kept:], taught_at)
                if kept + lessons:
                    for x in range(kept + lessons):
                        put(scratch, best[x], dense, logits, z, np.searchsorted(rows[:count], best[x]))
                    for lag in range(read):
                        scratch.own[LEVEL, rows[whole + lag]] = dense[LEVEL, whole + lag]
                        scratch.own[HOTNESS, rows[whole + lag]] = dense[HOTNESS, whole + lag]
                    rank_again(
                        counts, labels, reranker, heads, passes, scratch.own, scratch.own[OWN], sparse,
                        scratch.logits, scratch.score, combiner.bias, shortlists.vectors, user, at_ms,
                        history, times, pos, gap_ms, best, kept + lessons, kept, stage,
                    )  # fmt: skip
                if kept:
                    final = stage.blended
                    if wants_tops:
                        top_of(final[:kept], every_best[:kept], tops[b, MODEL])
                        take_scores(final, tops[b, MODEL], scores[b])
                        _to_rows(tops[b, MODEL], best)
                    at = np.searchsorted(best[:kept], item)
                    if is_found and linear <= most and at < kept and best[at] == item:
                        ranks[b, MODEL] = rank_of(final[:kept], every_best[:kept], at)
                        if learns:
                            learn_choice(
                                reranker, stage.inputs, kept, stage.context, stage.hidden, stage.final, at, rates.rerank
                            )
                            note_inputs(reranker, stage.raw, kept)
                if lessons:
                    teach(counts, heads, passes, user, best, taught_at, kept, lessons, events.outcome[b], stage)
                if learns:
                    rest = shortlists.lists.known_count[0] - had - taken
                    chance[:whole] = z[:whole]
                    if whole > taken:
                        stands_for = np.float32(np.log(max(rest, 1) / (whole - taken)))
                        for x in range(taken, whole):
                            chance[x] += stands_for
                    softmax_in_place(chance[:whole], bits[:whole])
                    for x in range(whole):
                        scratch.chance[rows[x]] = chance[x]
                    learn_pairs(
                        counts.after, counts.changed, history, pos, item, scratch.chance, rates.successors, READ,
                        READ_DECAY,
                    )  # fmt: skip
                    learn_pairs(
                        counts.company, counts.changed, history, pos, item, scratch.chance, rates.company,
                        COMPANY_READ, COMPANY_DECAY,
                    )  # fmt: skip
                    _learn_linear(
                        combiner, dense, scratch, logits, rows, whole, chance[:whole], target, surface, pos, gap_ms,
                        rates,
                    )  # fmt: skip
                clear(scratch, rows, whole, history, m)
        if learns:
            is_first = counts.seen[item] == 0
            observe(counts, labels.tags, history, pos, item, at_ms, events.value[b], surface, rates.most)
            note(shortlists.lists, counts, item, surface, is_first)


@kernel()
def _part(room, counts):  # type: ignore[no-untyped-def]
    return _Part(
        counts.clock, np.empty(room, np.float32), np.empty((DECAYS, room), np.float32), np.empty(room, np.int64),
        np.empty(room, np.int64), np.empty(room, np.int64), np.zeros((2, room), np.float32), counts.surface_base,
        np.empty((PASSED, room), np.float32), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty(room, np.float32), counts.trials,
    )  # fmt: skip


@kernel()
def _to_rows(places, rows):  # type: ignore[no-untyped-def]
    for k in range(len(places)):
        if places[k] >= 0:
            places[k] = rows[places[k]]
