"""Candidates of one event, out of a catalogue too large to be ranked whole; see `models.recommend.among`."""

from typing import Any, NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.cells import search
from models.recommend.features import BASELINE, DENSE, LINE
from models.recommend.strict import BARRED, best_rows
from models.recommend.toplists import EVERYWHERE
from models.typing import F32, I32, U8, Bools

HAD, CHOSEN, EXTRA = np.uint8(1), np.uint8(2), np.uint8(3)
"""Marks of a row while an event is ranked: the user has had it, it is a candidate, or it is there for learning only."""


class Sizes(NamedTuple):
    """How many candidates of each kind, see `ShortlistConfig`; ``seed``: of the sample."""

    fresh: int
    by_history: int
    by_tower: int
    negatives: int
    scanned: int
    seed: int


class Shortlists(NamedTuple):
    """Where candidates come from: `TopLists`, `Cells`, and vectors of all rows, bias last, float32 [N, D + 1]."""

    lists: Any
    cells: Any
    vectors: F32


class Scratch(NamedTuple):
    """Work arrays by item row (N of capacity): all but ``own``, ``logits`` and ``score`` are zero between calls.

    Attributes:
      sparse: as `sparse_values` wants it, float32 [LINE, N]; own: dense features, [DENSE, N]; both lie in memory by
        item, in whole cache lines.
      touched: int32 [N + 1]. is_touched: bool [N]. gain: what the history adds to the score, float32 [N].
      logits, score, chance: float32 [N]. mark: uint8 [N].
    """

    sparse: F32
    own: F32
    touched: I32
    is_touched: Bools
    gain: F32
    logits: F32
    score: F32
    chance: F32
    mark: U8


def scratch_for(rows: int) -> Scratch:
    """Work arrays for ``rows`` item rows."""
    gain, logits, score, chance = np.zeros((4, rows), np.float32)
    return Scratch(
        np.zeros((rows, LINE), np.float32).T,
        np.zeros((rows, LINE), np.float32).T[:DENSE],
        np.zeros(rows + 1, np.int32),
        np.zeros(rows, np.bool_),
        gain,
        logits,
        score,
        chance,
        np.zeros(rows, np.uint8),
    )


@kernel()
def _add(row, mark, seen, rows, count):  # type: ignore[no-untyped-def]
    if mark[row] == 0 and seen[row] > 0:
        mark[row] = CHOSEN
        rows[count] = row
        return count + 1
    return count


@kernel()
def choose(counts, shortlists, scratch, sizes, m, state, surface, hit_rows, hit_scores, rows):  # type: ignore[no-untyped-def]
    """Fill ``rows`` with the candidates in row order and mark them; what the user has had is marked already.

    Args:
      m: touched rows, see `sparse_values`; their gain is known. state: the user tower's, float32 [D].

    Returns:
      How many there are.
    """
    lists, mark, seen, count = shortlists.lists, scratch.mark, counts.seen, 0
    if m > sizes.by_history:
        gains, best = np.empty(m, np.float32), np.empty(sizes.by_history, np.int32)
        for k in range(m):
            row = scratch.touched[k]
            gains[k] = scratch.gain[row] if mark[row] == 0 and seen[row] > 0 else BARRED
            if scratch.sparse[BASELINE, row] > 0:
                count = _add(row, mark, seen, rows, count)
        for k in range(best_rows(gains, sizes.by_history, best)):
            count = _add(scratch.touched[best[k]], mark, seen, rows, count)
    else:
        for k in range(m):
            count = _add(scratch.touched[k], mark, seen, rows, count)
    for number in range(EVERYWHERE + 1):
        if number < EVERYWHERE or surface:
            for row in lists.popular[number if number < EVERYWHERE else EVERYWHERE + surface - 1]:
                count = _add(row, mark, seen, rows, count)
    for row in lists.lately:
        count = _add(row, mark, seen, rows, count)
    known = lists.known_count[0]
    for at in range(max(0, known - sizes.fresh), known):
        count = _add(lists.known[at], mark, seen, rows, count)
    hits = search(shortlists.cells, shortlists.vectors, state, seen, mark, sizes.scanned, hit_rows, hit_scores)
    for at in range(hits):
        count = _add(hit_rows[at], mark, seen, rows, count)
    rows[:count].sort()
    return count


@kernel()
def _mixed(number):  # type: ignore[no-untyped-def]
    """A well mixed uint64 of another: the finaliser of SplitMix64."""
    z = np.uint64(number)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel()
def sample(lists, mark, seen, negatives, seed, number, rows, count):  # type: ignore[no-untyped-def]
    """Add up to ``negatives`` rows without a mark, each as likely as the other; gives the new count."""
    known = lists.known_count[0]
    state = _mixed(_mixed(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15)) + np.uint64(number))
    for _ in range(negatives if known > 0 else 0):
        state += np.uint64(0x9E3779B97F4A7C15)
        row = lists.known[np.int64(_mixed(state) % np.uint64(known))]
        if mark[row] == 0 and seen[row] > 0:
            mark[row] = EXTRA
            rows[count] = row
            count += 1
    return count


@kernel()
def put(scratch, row, dense, logits, z, x):  # type: ignore[no-untyped-def]
    """Keep the dense features, the tower's logit and the score at place ``x`` as those of ``row``."""
    for f in range(DENSE):
        scratch.own[f, row] = dense[f, x]
    scratch.logits[row], scratch.score[row] = logits[x], z[x]


@kernel()
def clear(scratch, rows, count, history, m):  # type: ignore[no-untyped-def]
    """Leave the work arrays zero again: those of the ``count`` rows, of the history and of the ``m`` touched rows."""
    for x in range(count):
        scratch.mark[rows[x]], scratch.chance[rows[x]] = 0, 0.0
    for row in history:
        scratch.mark[row] = 0
    for k in range(m):
        row = scratch.touched[k]
        scratch.is_touched[row], scratch.gain[row] = False, 0.0
        scratch.sparse[:, row] = np.float32(0.0)
