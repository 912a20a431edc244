"""The counted sources: popularity, transitions and ages, updated after every single event.

On real logs counting beats most neural recommenders judged one event at a time, so these counts are
strict: each event sees all events before it and none after. Decayed counts are kept as a value and the
moment of its last change, so that an event costs the same whatever the size of the catalogue, and a
reader decays them to its own moment.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.recommend.pools import Rows, add, empty_rows, reserve, with_capacity
from models.typing import F32, I64, Bools

HALF_LIVES_EVENTS = (100.0, 1_000.0, 2_000.0, 10_000.0)
HALF_LIVES_MS = (3_600_000.0, 86_400_000.0, 604_800_000.0)
DECAYS = len(HALF_LIVES_EVENTS) + len(HALF_LIVES_MS)
BASELINE_DECAY = HALF_LIVES_EVENTS.index(2_000.0)

DENSE_NAMES = (
    "popularity",
    *(f"popularity of {int(h)} events" for h in HALF_LIVES_EVENTS),
    "popularity of 1 h",
    "popularity of 1 day",
    "popularity of 7 days",
    "idle time",
    "age",
    "few sightings",
)
DENSE = len(DENSE_NAMES)
SPARSE_NAMES = (
    "successors of the last 5",
    "successors of the last 20",
    "successors of the last 10 minutes",
    "successors of the last item",
    "successors of the last but one",
    "predecessors of the last 20",
)
SPARSE = len(SPARSE_NAMES)

FEW_SIGHTINGS = 5
_HOUR_MS, _DAY_MS = 3_600_000.0, 86_400_000.0
NEAR, FAR, READ = 5, 10, 20
"""Places that a transition reaches: of the baseline, of the counts, and of the reader's history."""
BASELINE = SPARSE
"""Row of `sparse_values` that holds the transitions baseline."""


class Counts(NamedTuple):
    """What was counted per item row (N rows of capacity).

    Attributes:
      clock: number of events counted, int64 [1].
      seen: events on each item, float32 [N].
      decayed: decayed counts at the item's last event, float32 [DECAYS, N].
      last_event: value of ``clock`` at the item's last event, int64 [N].
      last_ms, first_ms: event time of the item's last and first event, int64 [N].
      after: successors within 10 events, weight 0.8^n. before: predecessors, the same weights.
      near: successors within 5 events, 0.7^n: the transitions baseline, no feature.
      changed: whether anything of the row changed since the caller last cleared it, bool [N].
    """

    clock: I64
    seen: F32
    decayed: F32
    last_event: I64
    last_ms: I64
    first_ms: I64
    after: Rows
    before: Rows
    near: Rows
    changed: Bools


def empty_counts(rows: int) -> Counts:
    """Nothing counted, for ``rows`` item rows."""
    return Counts(
        np.zeros(1, np.int64), np.zeros(rows, np.float32), np.zeros((DECAYS, rows), np.float32),
        np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64),
        empty_rows(rows), empty_rows(rows), empty_rows(rows), np.zeros(rows, np.bool_),
    )  # fmt: skip


def grown(counts: Counts, rows: int) -> Counts:
    """The same counts for at least ``rows`` item rows."""
    missing = rows - len(counts.seen)
    if missing <= 0:
        return counts

    def longer(column: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([column, np.zeros((*column.shape[:-1], missing), column.dtype)], axis=-1)

    return Counts(
        clock=counts.clock,
        seen=longer(counts.seen),
        decayed=longer(counts.decayed),
        last_event=longer(counts.last_event),
        last_ms=longer(counts.last_ms),
        first_ms=longer(counts.first_ms),
        after=with_capacity(counts.after, rows),
        before=with_capacity(counts.before, rows),
        near=with_capacity(counts.near, rows),
        changed=longer(counts.changed),
    )


def reserved(counts: Counts, events: int, successors: int) -> Counts:
    """The same counts with room for ``events`` more events."""
    return counts._replace(
        after=reserve(counts.after, events * FAR * successors),
        before=reserve(counts.before, events * FAR * successors),
        near=reserve(counts.near, events * NEAR * successors),
    )


@kernel()
def forget_item(counts, row):  # type: ignore[no-untyped-def]
    """Make ``row`` as if never counted (its item was evicted); entries that point to it fade by pruning."""
    counts.seen[row] = 0.0
    counts.decayed[:, row] = 0.0
    counts.last_event[row] = counts.last_ms[row] = counts.first_ms[row] = 0
    counts.near.length[row] = counts.after.length[row] = counts.before.length[row] = 0
    counts.changed[row] = True


@kernel()
def observe(counts, history, pos, item, at_ms, successors):  # type: ignore[no-untyped-def]
    """Count one event on ``item`` by the user whose ``pos`` earlier items stand in ``history``.

    Args:
      history: item rows of the user, oldest first; only the first ``pos`` are looked at.
      successors: most entries of one sparse row.
    """
    half_events, half_ms = HALF_LIVES_EVENTS, HALF_LIVES_MS
    clock = counts.clock[0]
    if counts.seen[item] == 0:
        counts.first_ms[item] = at_ms
    else:
        gap_events = clock - counts.last_event[item]
        gap_ms = max(0, at_ms - counts.last_ms[item])
        for k in range(len(half_events)):
            counts.decayed[k, item] *= np.float32(2.0 ** (-gap_events / half_events[k]))
        for k in range(len(half_ms)):
            counts.decayed[len(half_events) + k, item] *= np.float32(2.0 ** (-gap_ms / half_ms[k]))
    counts.decayed[:, item] += np.float32(1.0)
    counts.seen[item] += np.float32(1.0)
    counts.last_event[item] = clock
    counts.last_ms[item] = max(at_ms, counts.last_ms[item])
    counts.clock[0] = clock + 1
    counts.changed[item] = True
    near, far = np.float32(1.0), np.float32(1.0)
    for n in range(min(FAR, pos)):
        other = history[pos - 1 - n]
        counts.changed[other] = True
        add(counts.after, other, item, far, successors)
        add(counts.before, item, other, far, successors)
        far *= np.float32(0.8)
        if n < NEAR:
            add(counts.near, other, item, near, successors)
            near *= np.float32(0.7)


@kernel(fastmath=True)
def log1p_scaled(value, gain, bits, out):  # type: ignore[no-untyped-def]
    """out = log(1 + gain * value), float32, absolute error below 1e-5: vectorises where logf would not."""
    n = len(value)
    work = bits.view(np.float32)
    for j in range(n):
        work[j] = np.float32(1.0) + gain * value[j]
    for j in range(n):
        raw = bits[j]
        exponent = np.float32((raw >> 23) - 127)
        bits[j] = (raw & 0x7FFFFF) | 0x3F800000
        out[j] = exponent
    for j in range(n):
        m = work[j] - np.float32(1.0)
        p = np.float32(-0.0064535442)
        p = p * m + np.float32(0.0360884937)
        p = p * m + np.float32(-0.0953293897)
        p = p * m + np.float32(0.1676540711)
        p = p * m + np.float32(-0.2407338084)
        p = p * m + np.float32(0.3317990258)
        p = p * m + np.float32(-0.4998741238)
        p = p * m + np.float32(0.9999964239)
        out[j] = out[j] * np.float32(0.6931471806) + p * m


@kernel(fastmath=True)
def exp2_in_place(x, bits):  # type: ignore[no-untyped-def]
    """x = 2^x for float32 x >= -126, relative error below 1e-4: exponent bits and a polynomial."""
    n = len(x)
    for j in range(n):
        whole = np.floor(x[j])
        f = (x[j] - whole) * np.float32(0.6931471806)
        p = np.float32(0.041666668) + f * np.float32(0.0083333337)
        p = np.float32(0.5) + f * (np.float32(0.16666667) + f * p)
        x[j] = np.float32(1.0) + f * (np.float32(1.0) + f * p)
        bits[j] = (np.int32(whole) + 127) << 23
    scale = bits.view(np.float32)
    for j in range(n):
        x[j] *= scale[j]


@kernel(fastmath=True)
def _decayed_to(value, last, now, half, bits, out):  # type: ignore[no-untyped-def]
    """out = value * 2^(-(now - last) / half)."""
    n = len(value)
    rate = np.float32(-1.0 / half)
    for j in range(n):
        out[j] = max(np.float32(max(0, now - last[j])) * rate, np.float32(-120.0))
    exp2_in_place(out, bits)
    for j in range(n):
        out[j] *= value[j]


@kernel()
def dense_features(counts, n, now_ms, out):  # type: ignore[no-untyped-def]
    """Features that depend on the item alone, at the present clock and event time ``now_ms``.

    Args:
      n: rows in use; the first n columns of ``out`` are written.
      out: float32 [DENSE, N].
    """
    bits = np.empty(n, np.int32)
    value = np.empty(n, np.float32)
    log1p_scaled(counts.seen[:n], np.float32(1.0), bits, out[0, :n])
    events = len(HALF_LIVES_EVENTS)
    for k in range(events):
        _decayed_to(counts.decayed[k, :n], counts.last_event[:n], counts.clock[0], HALF_LIVES_EVENTS[k], bits, value)
        log1p_scaled(value, np.float32(10.0), bits, out[1 + k, :n])
    for k in range(len(HALF_LIVES_MS)):
        _decayed_to(counts.decayed[events + k, :n], counts.last_ms[:n], now_ms, HALF_LIVES_MS[k], bits, value)
        log1p_scaled(value, np.float32(10.0), bits, out[1 + events + k, :n])
    for j in range(n):
        value[j] = np.float32(max(0, now_ms - counts.last_ms[j]) / _HOUR_MS) if counts.seen[j] > 0 else np.float32(0.0)
    log1p_scaled(value, np.float32(1.0), bits, out[1 + DECAYS, :n])
    for j in range(n):
        value[j] = np.float32(max(0, now_ms - counts.first_ms[j]) / _DAY_MS) if counts.seen[j] > 0 else np.float32(0.0)
    log1p_scaled(value, np.float32(1.0), bits, out[2 + DECAYS, :n])
    for j in range(n):
        out[3 + DECAYS, j] = np.float32(1.0) if counts.seen[j] < FEW_SIGHTINGS else np.float32(0.0)


@kernel()
def _spread(rows, item, weight, out, touched, is_touched, n):  # type: ignore[no-untyped-def]
    start = rows.start[item]
    for k in range(start, start + rows.length[item]):
        j = rows.key[k]
        if not is_touched[j]:
            is_touched[j] = True
            touched[n] = j
            n += 1
        out[j] += weight * rows.weight[k]
    return n


@kernel()
def sparse_values(counts, history, times, pos, now_ms, with_baseline, out, touched, is_touched):  # type: ignore[no-untyped-def]
    """Transition values of every item that followed or preceded one of the user's last 20.

    Args:
      history, times: item rows and event times of the user, oldest first; the first ``pos`` count.
      with_baseline: also fill row `BASELINE`.
      out: float32 [SPARSE + 1, N], all zero on entry; written where ``touched`` says.
      touched, is_touched: int32 [N], bool [N]; filled with the columns that are not zero.

    Returns:
      How many columns were touched. Values are raw: the combiner takes their logarithm.
    """
    n = 0
    w5, w20 = np.float32(1.0), np.float32(1.0)
    for lag in range(min(READ, pos)):
        item = history[pos - 1 - lag]
        share = np.float32(1.0) / (counts.seen[item] + np.float32(5.0))
        if lag < 5:
            n = _spread(counts.after, item, w5 * share, out[0], touched, is_touched, n)
            if with_baseline:
                n = _spread(counts.near, item, w5 * share, out[BASELINE], touched, is_touched, n)
            w5 *= np.float32(0.7)
        n = _spread(counts.after, item, w20 * share, out[1], touched, is_touched, n)
        if now_ms - times[pos - 1 - lag] <= 600_000:
            n = _spread(counts.after, item, share, out[2], touched, is_touched, n)
        if lag < 2:
            n = _spread(counts.after, item, share, out[3 + lag], touched, is_touched, n)
        n = _spread(counts.before, item, w20 * share, out[5], touched, is_touched, n)
        w20 *= np.float32(0.9)
    return n
