"""Item states from the trainer's arrays, and into the arrays of serving: many in one go.

A flush brings a thousand states, and a version takes effect all at once: what Python does for each must be little,
and for each entry of a sparse row nothing.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.recommend import pools, sources
from models.recommend.labels import ItemLabels
from models.recommend.pools import Company, Rows, Successors
from models.recommend.showings import appeal_of
from models.recommend.sources import OUTCOMES, PASSED, SURFACE_HALF_LIFE, SURFACES, Counts
from models.recommend.state import State
from models.typing import F32, I32, I64
from streams.contract.arrays import floats_from_bytes, rows_from_bytes
from streams.contract.events import ItemState

P = TypeVar("P", Rows, Successors, Company)
NO_SURFACES: Final = bytes(4 * (SURFACES - 1))
FEEDBACK: Final = PASSED + 2 + OUTCOMES
NO_FEEDBACK: Final = bytes(4 * FEEDBACK)
MOST_DOUBLINGS = 120.0
"""Half-lives between two clocks that still fit a float32."""


class Entries(NamedTuple):
    """Sparse rows one behind the other: keys int32, weights float32, and where each of M rows ends, int64 [M]."""

    keys: I32
    weights: F32
    ends: I64


class Columns(NamedTuple):
    """What M item states say, in order; the same names and dtypes as in `Counts`.

    Attributes:
      rows: int32 [M], each once. vectors: float32 [M, D + 1]. bias, seen: float32 [M]. decayed: float32 [DECAYS, M].
      last_event, last_ms, first_ms: int64 [M].
      surface: decayed to ``last_event``, without code 0, float32 [SURFACES - 1, M].
      value_sum, value_count: float32 [M].
      surface_bias: without code 0, float32 [SURFACES - 1, M].
      feedback: ``passed``, ``taken`` and ``outcomes`` one under the other, float32 [FEEDBACK, M]. passed_event,
        passed_ms: int64 [M].
      after, before, company: the sparse rows. lag: of the entries of ``after``, float32.
      after_gain, company_gain: what was learned of the entries of each, float32.
    """

    rows: I32
    vectors: F32
    bias: F32
    seen: F32
    decayed: F32
    last_event: I64
    last_ms: I64
    first_ms: I64
    surface: F32
    surface_bias: F32
    value_sum: F32
    value_count: F32
    feedback: F32
    passed_event: I64
    passed_ms: I64
    after: Entries
    lag: F32
    after_gain: F32
    before: Entries
    company: Entries
    company_gain: F32


# --- the trainer's side ----------------------------------------------------------------------------------------------


def states_of(state: State, rows: I32, vectors: F32, version: int) -> list[ItemState]:
    """The records of ``rows``, with their tower vectors, float32 [M, D + 1]."""
    counts = state.counts
    after, after_weights, lags, after_gains = _cut(counts.after, rows, "key", "weight", "lag", "learned")
    before, before_weights = _cut(counts.before, rows, "key", "weight")
    company, company_weights, company_gains = _cut(counts.company, rows, "key", "weight", "learned")
    fields: dict[str, Sequence[Any]] = {
        "row": rows.tolist(),
        "item_id": [state.items.key(row) for row in rows.tolist()],
        "live": (~state.withdrawn[rows]).tolist(),
        "vector": _lines(vectors),
        "bias": state.combiner.bias[rows].tolist(),
        "count": counts.seen[rows].tolist(),
        "popularity": _lines(counts.decayed[:, rows].T),
        "clock_events": counts.last_event[rows].tolist(),
        "clock_ms": np.maximum(counts.last_ms[rows], 0).tolist(),
        "first_seen_ms": np.maximum(counts.first_ms[rows], 0).tolist(),
        "successors": after,
        "successor_weights": after_weights,
        "successor_lags": lags,
        "successor_gains": after_gains,
        "predecessors": before,
        "predecessor_weights": before_weights,
        "company": company,
        "company_weights": company_weights,
        "company_gains": company_gains,
        "surface_popularity": _lines(_surface_at_last_event(counts, rows).T) if state.surfaces else [b""] * len(rows),
        "surface_bias": _lines(state.combiner.surface_bias[1:, rows].T) if state.surfaces else [b""] * len(rows),
        "value_sum": counts.value_sum[rows].tolist(),
        "value_count": counts.value_count[rows].tolist(),
        "feedback": _feedback(counts, rows),
        "feedback_events": counts.passed_event[rows].tolist(),
        "feedback_ms": np.maximum(counts.passed_ms[rows], 0).tolist(),
    }
    lines = zip(*fields.values(), strict=True)
    return [ItemState(version=version, **dict(zip(fields, line, strict=True))) for line in lines]


def _cut(pool: Rows | Successors | Company, rows: I32, *columns: str) -> list[list[bytes]]:
    """The entries of ``rows`` in each of the columns, as little-endian bytes a row."""
    ends = pools.row_ends(pool, rows)
    bounds = list(itertools.pairwise([0, *(4 * ends).tolist()]))
    cut = []
    for name in columns:
        column = getattr(pool, name)
        out = np.empty(int(ends[-1]) if len(ends) else 0, column.dtype)
        pools.gather_column(pool.start, rows, column, ends, out)
        data = out.astype(out.dtype.newbyteorder("<"), copy=False).tobytes()
        cut.append([data[first:end] for first, end in bounds])
    return cut


def _lines(values: NDArray[Any]) -> list[bytes]:
    """Each line of float32 [M, n] as little-endian bytes."""
    data, width = np.ascontiguousarray(values, "<f4").tobytes(), 4 * values.shape[1]
    return [data[at : at + width] for at in range(0, len(data), width)]


def _feedback(counts: Counts, rows: I32) -> list[bytes]:
    if not counts.trials[1:].any():
        return [b""] * len(rows)
    return _lines(np.concatenate([counts.passed[:, rows], counts.taken[:, rows], counts.outcomes[:, rows]]).T)


def _surface_at_last_event(counts: Counts, rows: I32) -> F32:
    later = (counts.surface_base[0] - counts.last_event[rows]) / SURFACE_HALF_LIFE
    scale = np.exp2(np.clip(later, -MOST_DOUBLINGS, MOST_DOUBLINGS))
    decayed: F32 = (counts.surface[1:, rows] * scale).astype(np.float32)
    return decayed


# --- the recommender's side ------------------------------------------------------------------------------------------


def columns_of(states: Sequence[ItemState]) -> Columns:
    """The columns of states of one configuration, each of another row and with a vector."""
    count = len(states)
    return Columns(
        rows=np.array([state.row for state in states], np.int32),
        vectors=floats_from_bytes(b"".join([state.vector for state in states])).reshape(count, -1),
        bias=np.array([state.bias for state in states], np.float32),
        seen=np.array([state.count for state in states], np.float32),
        decayed=floats_from_bytes(b"".join([state.popularity for state in states])).reshape(count, -1).T,
        last_event=np.array([state.clock_events for state in states], np.int64),
        last_ms=np.array([state.clock_ms for state in states], np.int64),
        first_ms=np.array([state.first_seen_ms for state in states], np.int64),
        surface=floats_from_bytes(b"".join([state.surface_popularity or NO_SURFACES for state in states]))
        .reshape(count, -1)
        .T,
        surface_bias=floats_from_bytes(b"".join([state.surface_bias or NO_SURFACES for state in states]))
        .reshape(count, -1)
        .T,
        value_sum=np.array([state.value_sum for state in states], np.float32),
        value_count=np.array([state.value_count for state in states], np.float32),
        feedback=floats_from_bytes(b"".join([state.feedback or NO_FEEDBACK for state in states])).reshape(count, -1).T,
        passed_event=np.array([state.feedback_events for state in states], np.int64),
        passed_ms=np.array([state.feedback_ms for state in states], np.int64),
        after=_entries([state.successors for state in states], [state.successor_weights for state in states]),
        lag=_one_each([state.successors for state in states], [state.successor_lags for state in states]),
        after_gain=_one_each([state.successors for state in states], [state.successor_gains for state in states]),
        before=_entries([state.predecessors for state in states], [state.predecessor_weights for state in states]),
        company=_entries([state.company for state in states], [state.company_weights for state in states]),
        company_gain=_one_each([state.company for state in states], [state.company_gains for state in states]),
    )


def _one_each(keys: Sequence[bytes], numbers: Sequence[bytes]) -> F32:
    """A further float32 for each key; 0 where a state says none."""
    return floats_from_bytes(b"".join([own or bytes(len(key)) for key, own in zip(keys, numbers, strict=True)]))


def _entries(keys: Sequence[bytes], weights: Sequence[bytes]) -> Entries:
    return Entries(
        keys=rows_from_bytes(b"".join(keys)),
        weights=floats_from_bytes(b"".join(weights)),
        ends=np.cumsum([len(one) // 4 for one in keys], dtype=np.int64),
    )


def largest_row(columns: Columns) -> int:
    """The largest row that is named anywhere in the columns; 0 if there is none."""
    named = (columns.rows, columns.after.keys, columns.before.keys, columns.company.keys)
    return int(max(part.max(initial=0) for part in named))


def write_counts(counts: Counts, labels: ItemLabels, columns: Columns) -> Counts:
    """The same counts with the rows of ``columns`` replaced; arrays are changed in place where they have room.

    ``counts`` must have room for `largest_row`, and surfaces that are aged to the clock (`sources.age_surfaces`).
    """
    rows = columns.rows
    sources.put_seen(counts, labels.tags, rows, columns.seen)
    counts.decayed[:, rows] = columns.decayed
    counts.last_event[rows], counts.last_ms[rows] = columns.last_event, columns.last_ms
    counts.first_ms[rows] = columns.first_ms
    later = (columns.last_event - counts.surface_base[0]) / SURFACE_HALF_LIFE
    counts.surface[1:, rows] = columns.surface * np.exp2(np.clip(later, -MOST_DOUBLINGS, MOST_DOUBLINGS))
    counts.value_sum[rows], counts.value_count[rows] = columns.value_sum, columns.value_count
    counts.passed[:, rows], counts.taken[:, rows] = columns.feedback[:PASSED], columns.feedback[PASSED : PASSED + 2]
    counts.outcomes[:, rows] = columns.feedback[PASSED + 2 :]
    counts.passed_event[rows], counts.passed_ms[rows] = columns.passed_event, columns.passed_ms
    counts.appeal[rows] = appeal_of(counts.taken[:, rows])
    after = _replaced(counts.after, rows, columns.after)
    pools.fill_column(after.start, rows, after.lag, columns.lag, columns.after.ends)
    pools.fill_column(after.start, rows, after.learned, columns.after_gain, columns.after.ends)
    company = _replaced(counts.company, rows, columns.company)
    pools.fill_column(company.start, rows, company.learned, columns.company_gain, columns.company.ends)
    return counts._replace(
        after=after,
        before=_replaced(counts.before, rows, columns.before),
        company=company,
    )


def _replaced(pool: P, rows: I32, entries: Entries) -> P:
    pool = pools.reserve(pool, int(pools.places_to_replace(pool, rows, entries.ends)))
    pools.replace_rows(pool, rows, *entries)
    return pool


def has_sizes(state: ItemState, vector_floats: int) -> bool:
    """False for what a trainer of another configuration left on the topic."""
    sizes = len(state.vector), len(state.popularity)
    if not state.live and not state.vector:
        return True
    on_surfaces = {len(state.surface_popularity), len(state.surface_bias)}
    return (
        sizes == (4 * vector_floats, 4 * sources.DECAYS)
        and on_surfaces <= {0, len(NO_SURFACES)}
        and len(state.feedback) in (0, len(NO_FEEDBACK))
    )
