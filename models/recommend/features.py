"""What the counts say of an item at a moment: features of the item alone, and of an item after a history.

All are logarithms of counts, so that 0 means no evidence. `dense_features` fills a row for every item;
`sparse_values` touches only the items that the user's last events lead to.
"""

import numpy as np

from models.compiled import kernel
from models.recommend.fastmath import decayed_to, log1p_scaled
from models.recommend.sources import (
    DECAYS,
    HALF_LIVES_EVENTS,
    HALF_LIVES_MS,
    PASSED_EVENTS,
    PASSED_MS,
    SURFACE_HALF_LIFE,
)

OWN_NAMES = (
    "popularity",
    *(f"popularity of {int(h)} events" for h in HALF_LIVES_EVENTS),
    "popularity of 1 h",
    "popularity of 1 day",
    "popularity of 7 days",
    "idle time",
    "age",
    "few sightings",
    *(f"passed over of {int(h)} events" for h in PASSED_EVENTS),
    "passed over of 1 day",
    "choices beside those expected",
)
OWN = len(OWN_NAMES)
"""Features that are the same for everybody."""
FIRST_PASSED = OWN_NAMES.index("few sightings") + 1
"""From here on they are of showings, and all zero in a log without any."""
DENSE_NAMES = (*OWN_NAMES, "popularity on the surface")
DENSE = len(DENSE_NAMES)
LEVEL, HOTNESS = 0, 1 + HALF_LIVES_EVENTS.index(1_000.0)
"""Rows of `dense_features` that say how popular an item is, and how popular lately."""
SPARSE_NAMES = (
    "successors of the last 5",
    "successors of the last 20",
    "successors of the last 10 minutes",
    "successors of the last item",
    "successors of the last but one",
    "predecessors of the last 20",
    "company of the last 100",
    "company of the last 10",
    "times had",
    "had lately",
    "had within a day",
)
SPARSE = len(SPARSE_NAMES)
FIRST_COMPANY = SPARSE_NAMES.index("company of the last 100")
FIRST_HAD = SPARSE_NAMES.index("times had")
READ, COMPANY_READ, HAD_READ = 20, 100, 500
"""Events of the reader's history whose successors, whose company, and which as items had are looked at."""
LEARNED, BASELINE = SPARSE, SPARSE + 1
"""Rows of `sparse_values` that hold what was learned of pairs, and the transitions baseline."""
SPARSE_ROWS = SPARSE + 2
LINE = -(-SPARSE_ROWS // 16) * 16
"""The same as whole cache lines of float32: where the values of an item lie side by side, each item has its own."""
NEAREST, LATELY = 5, 10
"""Last events whose successors, and whose company, count for themselves."""
READ_DECAY, COMPANY_DECAY = np.float32(0.9), np.float32(0.97)
"""What an event further back counts for in what is learned of pairs: of successors, and of company."""
FEW_SIGHTINGS = 5
_HOUR_MS, _DAY_MS = 3_600_000.0, 86_400_000.0


@kernel()
def dense_features(counts, n, now_ms, out):  # type: ignore[no-untyped-def]
    """Features that depend on the item alone, at the present clock and event time ``now_ms``.

    Args:
      n: rows in use; the first n columns of ``out`` are written.
      out: float32 [>= OWN, N].
    """
    bits = np.empty(n, np.int32)
    value = np.empty(n, np.float32)
    log1p_scaled(counts.seen[:n], np.float32(1.0), bits, out[0, :n])
    events = len(HALF_LIVES_EVENTS)
    for k in range(events):
        decayed_to(counts.decayed[k, :n], counts.last_event[:n], counts.clock[0], HALF_LIVES_EVENTS[k], bits, value)
        log1p_scaled(value, np.float32(10.0), bits, out[1 + k, :n])
    for k in range(len(HALF_LIVES_MS)):
        decayed_to(counts.decayed[events + k, :n], counts.last_ms[:n], now_ms, HALF_LIVES_MS[k], bits, value)
        log1p_scaled(value, np.float32(10.0), bits, out[1 + events + k, :n])
    for j in range(n):
        value[j] = np.float32(max(0, now_ms - counts.last_ms[j]) / _HOUR_MS) if counts.seen[j] > 0 else np.float32(0.0)
    log1p_scaled(value, np.float32(1.0), bits, out[1 + DECAYS, :n])
    for j in range(n):
        value[j] = np.float32(max(0, now_ms - counts.first_ms[j]) / _DAY_MS) if counts.seen[j] > 0 else np.float32(0.0)
    log1p_scaled(value, np.float32(1.0), bits, out[2 + DECAYS, :n])
    for j in range(n):
        out[3 + DECAYS, j] = np.float32(1.0) if counts.seen[j] < FEW_SIGHTINGS else np.float32(0.0)
    _passed_features(counts, n, now_ms, bits, value, out)


@kernel()
def _passed_features(counts, n, now_ms, bits, value, out):  # type: ignore[no-untyped-def]
    if counts.trials[1] == 0:
        out[FIRST_PASSED:OWN, :n] = np.float32(0.0)
        return
    for k in range(len(PASSED_EVENTS)):
        half = PASSED_EVENTS[k]
        decayed_to(counts.passed[1 + k, :n], counts.passed_event[:n], counts.clock[0], half, bits, value)
        log1p_scaled(value, np.float32(10.0), bits, out[FIRST_PASSED + k, :n])
    for k in range(len(PASSED_MS)):
        at = len(PASSED_EVENTS) + k
        decayed_to(counts.passed[1 + at, :n], counts.passed_ms[:n], now_ms, PASSED_MS[k], bits, value)
        log1p_scaled(value, np.float32(10.0), bits, out[FIRST_PASSED + at, :n])
    out[OWN - 1, :n] = counts.appeal[:n]


@kernel()
def surface_popularity(counts, n, surface, out):  # type: ignore[no-untyped-def]
    """Popularity of the first n rows on one surface at the present clock, float32 [n]; 0 without a surface."""
    if surface == 0:
        out[:n] = np.float32(0.0)
        return
    bits = np.empty(n, np.int32)
    age = (counts.clock[0] - counts.surface_base[0]) / SURFACE_HALF_LIFE
    log1p_scaled(counts.surface[surface, :n], np.float32(10.0 * 2.0**-age), bits, out[:n])


@kernel()
def _touch(j, touched, is_touched, n):  # type: ignore[no-untyped-def]
    """Whether it is new is anyone's guess, so nothing branches on it; rows are unsigned, so that none counts back."""
    touched[n] = j
    n += np.uint64(1) - np.uint64(is_touched[j])
    is_touched[j] = True
    return n


@kernel()
def _places(rows, row):  # type: ignore[no-untyped-def]
    """Where a row's entries stand, unsigned: first, and behind the last."""
    first = np.uint64(rows.start[row])
    return first, first + np.uint64(rows.length[row])


@kernel()
def _spread_after(after, item, lag, share, w5, w20, is_recent, with_baseline, out, touched, is_touched, n):  # type: ignore[no-untyped-def]
    """Add the successors of one item: each entry is looked up once for all that is made of it."""
    in5, in20 = w5 * share, w20 * share
    first, end = _places(after, item)
    for k in range(first, end):
        j, weight = np.uint64(after.key[k]), after.weight[k]
        n = _touch(j, touched, is_touched, n)
        if lag < NEAREST:
            out[0, j] += in5 * weight
            if with_baseline:
                out[BASELINE, j] += in5 * after.near[k]
        out[1, j] += in20 * weight
        out[LEARNED, j] += w20 * after.learned[k]
        if is_recent:
            out[2, j] += share * weight
        if lag < 2:
            out[np.uint64(3 + lag), j] += share * after.lag[k]
    return n


@kernel()
def _spread_before(before, item, weight, out, touched, is_touched, n):  # type: ignore[no-untyped-def]
    first, end = _places(before, item)
    for k in range(first, end):
        j = np.uint64(before.key[k])
        n = _touch(j, touched, is_touched, n)
        out[5, j] += weight * before.weight[k]
    return n


@kernel()
def _spread_company(company, item, lag, share, w10, learned, out, touched, is_touched, n):  # type: ignore[no-untyped-def]
    lately = w10 * share
    first, end = _places(company, item)
    for k in range(first, end):
        j, weight = np.uint64(company.key[k]), company.weight[k]
        n = _touch(j, touched, is_touched, n)
        out[FIRST_COMPANY, j] += share * weight
        out[LEARNED, j] += learned * company.learned[k]
        if lag < LATELY:
            out[FIRST_COMPANY + 1, j] += lately * weight
    return n


@kernel()
def sparse_values(counts, history, times, pos, now_ms, repeats, with_baseline, out, touched, is_touched):  # type: ignore[no-untyped-def]
    """Values of every item that followed, preceded or kept company with the user's last ones.

    Args:
      history, times: item rows and event times of the user, oldest first; the first ``pos`` count.
      repeats: also fill the values of items that the user has had, which may come back.
      with_baseline: also fill row `BASELINE`.
      out: float32 [SPARSE_ROWS, N], all zero on entry; written where ``touched`` says.
      touched, is_touched: int32 [N + 1], bool [N]; filled with the columns that are not zero. One place is spare.

    Returns:
      How many columns were touched. Values are raw: the combiner takes their logarithm.
    """
    n = np.uint64(0)
    w5, w20 = np.float32(1.0), np.float32(1.0)
    after, before, company = counts.after, counts.before, counts.company
    for lag in range(min(READ, pos)):
        item = history[pos - 1 - lag]
        share = np.float32(1.0) / (counts.seen[item] + np.float32(5.0))
        is_recent = now_ms - times[pos - 1 - lag] <= 600_000
        n = _spread_after(after, item, lag, share, w5, w20, is_recent, with_baseline, out, touched, is_touched, n)
        n = _spread_before(before, item, w20 * share, out, touched, is_touched, n)
        w5 *= np.float32(0.7)
        w20 *= np.float32(0.9)
    w10, wl = np.float32(1.0), np.float32(1.0)
    for lag in range(min(COMPANY_READ, pos)):
        item = history[pos - 1 - lag]
        share = np.float32(1.0) / np.sqrt(counts.seen[item] + np.float32(1.0))
        n = _spread_company(company, item, lag, share, w10, wl, out, touched, is_touched, n)
        wl *= COMPANY_DECAY
        w10 *= np.float32(0.9)
    for k in range(n):
        j = np.uint64(touched[k])
        share = np.float32(1.0) / np.sqrt(counts.seen[j] + np.float32(1.0))
        out[FIRST_COMPANY, j] *= share
        out[FIRST_COMPANY + 1, j] *= share
    if repeats:
        for lag in range(min(HAD_READ, pos)):
            j = np.uint64(history[pos - 1 - lag])
            n = _touch(j, touched, is_touched, n)
            if out[FIRST_HAD, j] == 0:
                out[FIRST_HAD + 1, j] = np.float32(1.0 / (1.0 + lag))
                out[FIRST_HAD + 2, j] = np.float32(2.0 ** (-max(0, now_ms - times[pos - 1 - lag]) / _DAY_MS))
            out[FIRST_HAD, j] += np.float32(0.01)
    return np.int64(n)
