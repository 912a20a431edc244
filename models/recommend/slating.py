"""From candidates to slates, a batch of users at a time: order, the reason of each place, and exploration.

Compiled loops over columns; ids, texts and records are the caller's. The order is that of the candidates, which have
been through both stages.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.candidates import PARTS, SUCCESSOR_PART, Candidates
from models.typing import F32, I32, U8, Bools

CAUSES = 5
"""Items of a history that a place may be said to follow."""
FRESH_SOURCE = PARTS
"""Source of an explored place; the others are the numbers of the parts."""


class Slates(NamedTuple):
    """Ordered items for each of B users, best first, as columns.

    Attributes:
      rows: item rows, int32 [B, K]. scores: float32 [B, K]; an explored place has the lowest of the others.
      source: the part that speaks most for the item, or `FRESH_SOURCE`, uint8 [B, K].
      because: the row of the user's own item that led there most, 0 where none did, int32 [B, K].
      explored: bool [B, K]. propensity: probability of this item in this place, float64 [B, K].
      filled: how many places of each line count, int32 [B].
    """

    rows: I32
    scores: F32
    source: U8
    because: I32
    explored: Bools
    propensity: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    filled: I32


def empty_slates(count: int, width: int) -> Slates:
    """``count`` slates of at most ``width`` places, nothing in them."""
    shape = (count, width)
    return Slates(
        rows=np.zeros(shape, np.int32), scores=np.zeros(shape, np.float32), source=np.zeros(shape, np.uint8),
        because=np.zeros(shape, np.int32), explored=np.zeros(shape, np.bool_), propensity=np.ones(shape),
        filled=np.zeros(count, np.int32),
    )  # fmt: skip


def first_of(candidates: Candidates, k: I32) -> Slates:
    """The first ``k`` [B] of each user's candidates, in their order."""
    slates = empty_slates(len(k), int(k.max(initial=0)))
    _take_first(candidates, k, slates)
    return slates


@kernel(nogil=True)
def _take_first(candidates, k, slates):  # type: ignore[no-untyped-def]
    """Copies, and names each place's source: the part that stands out against the slate's own mean."""
    mean = np.empty(PARTS, np.float32)
    for b in range(len(k)):
        filled = min(k[b], candidates.filled[b])
        slates.filled[b] = filled
        for part in range(PARTS):
            total = np.float32(0.0)
            for at in range(filled):
                total += candidates.parts[b, at, part]
            mean[part] = total / np.float32(max(filled, 1))
        mean[SUCCESSOR_PART] = np.float32(0.0)  # its zero means that nothing led there, the others' means nothing
        for at in range(filled):
            slates.rows[b, at] = candidates.rows[b, at]
            slates.scores[b, at] = candidates.scores[b, at]
            best = 0
            for part in range(1, PARTS):
                gain = candidates.parts[b, at, part] - mean[part]
                if gain > candidates.parts[b, at, best] - mean[best]:
                    best = part
            slates.source[b, at] = best


@kernel(nogil=True)
def name_causes(counts, histories, askers, done, slates):  # type: ignore[no-untyped-def]
    """Fill ``because`` where the source is the transitions: which of the user's last items led there most.

    Args:
      done: as in `Scratch`.
    """
    after = counts.after
    most = np.zeros(slates.rows.shape[1], np.float32)
    for b in range(len(askers.user)):
        filled = slates.filled[b]
        rows, source, because = slates.rows[b, :filled], slates.source[b], slates.because[b]
        for at in range(filled):
            done[rows[at]] = source[at] == SUCCESSOR_PART
        most[:filled] = 0.0
        last = histories.start[askers.user[b]] + askers.length[b] - 1
        decay = np.float32(1.0)
        for lag in range(min(CAUSES, askers.length[b])):
            item = histories.item[last - lag]
            start = after.start[item]
            for k in range(start, start + after.length[item]):
                if done[after.key[k]]:
                    weight = decay * after.weight[k] / (counts.seen[item] + np.float32(5.0))
                    at = _place_of(rows, after.key[k])
                    if weight > most[at]:
                        most[at], because[at] = weight, item
            decay *= np.float32(0.7)
        for at in range(filled):
            done[rows[at]] = False


@kernel()
def _place_of(rows, row):  # type: ignore[no-untyped-def]
    at = 0
    while rows[at] != row:
        at += 1
    return at


@kernel(nogil=True)
def explore(fresh, askers, masks, k, slots, draw, done, slates):  # type: ignore[no-untyped-def]
    """Put items with few sightings into the slates: as many as are missing, or as there are ``slots`` for them.

    Chosen evenly among those that the user may see, has not had and would not get anyway. They take the places from
    the middle on, and the last ones of the slate give way; the first place is never explored.

    Args:
      fresh: item rows, rising, int32 [F]. k: places wanted, int32 [B]. slots: places to explore, int32 [B].
      draw: a random number for each user, uint64 [B]: decides which of the fresh items come.
      done: as in `Scratch`.
    """
    pool = np.empty(len(fresh), np.int32)
    first = 0
    for b in range(len(askers.user)):
        filled = slates.filled[b]
        wanted = max(k[b] - filled, min(slots[b], k[b] - 1))
        had = askers.had[first : askers.had_end[b]]
        first = askers.had_end[b]
        if wanted <= 0 or len(fresh) == 0:
            continue
        for row in had:
            done[row] = True
        for at in range(filled):
            done[slates.rows[b, at]] = True
        n = 0
        for row in fresh:
            if not done[row] and (askers.mask[b] < 0 or masks[askers.mask[b], row]):
                pool[n] = row
                n += 1
        for row in had:
            done[row] = False
        for at in range(filled):
            done[slates.rows[b, at]] = False
        if n > 0:
            _place(slates, b, k[b], pool[:n], int(draw[b] % np.uint64(n)), min(wanted, n))


@kernel()
def _place(slates, b, k, pool, begin, wanted):  # type: ignore[no-untyped-def]
    filled = slates.filled[b]
    floor = slates.scores[b, filled - 1] if filled > 0 else np.float32(0.0)
    n = len(pool)
    for place in range(wanted):
        if filled < k:
            at = filled
            filled += 1
        else:
            at = min(k - 1, k // 2 + place)
            for to in range(k - 1, at, -1):
                slates.rows[b, to], slates.scores[b, to] = slates.rows[b, to - 1], slates.scores[b, to - 1]
                slates.source[b, to], slates.because[b, to] = slates.source[b, to - 1], slates.because[b, to - 1]
                slates.explored[b, to] = slates.explored[b, to - 1]
                slates.propensity[b, to] = slates.propensity[b, to - 1]
        slates.rows[b, at] = pool[(begin + place) % n]
        slates.scores[b, at] = floor
        slates.source[b, at], slates.because[b, at] = FRESH_SOURCE, 0
        slates.explored[b, at], slates.propensity[b, at] = True, 1.0 / n
    slates.filled[b] = filled
    lowest = floor
    is_any = False
    for at in range(filled):
        if not slates.explored[b, at]:
            lowest, is_any = slates.scores[b, at], True
    for at in range(filled):
        if slates.explored[b, at]:
            slates.scores[b, at] = lowest if is_any else np.float32(0.0)
