"""Item states as columns, and writing many of them into the arrays of serving in one go.

A flush brings a thousand states, and a version takes effect all at once: what Python does for each must be little.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.recommend import pools, sources
from models.recommend.pools import Rows
from models.recommend.sources import Counts
from models.typing import F32, I32, I64
from streams.contract.arrays import floats_from_bytes, rows_from_bytes
from streams.contract.events import ItemState


class Entries(NamedTuple):
    """Sparse rows one behind the other: keys int32, weights float32, and where each of M rows ends, int64 [M]."""

    keys: I32
    weights: F32
    ends: I64


class Columns(NamedTuple):
    """What M item states say, in order; the same names and dtypes as in `Counts`.

    Attributes:
      rows: int32 [M], each once. vectors: float32 [M, D + 1]. bias, seen: float32 [M]. decayed: float32 [DECAYS, M].
      last_event, last_ms, first_ms: int64 [M]. after, before: successors and predecessors.
    """

    rows: I32
    vectors: F32
    bias: F32
    seen: F32
    decayed: F32
    last_event: I64
    last_ms: I64
    first_ms: I64
    after: Entries
    before: Entries


def columns_of(states: Sequence[ItemState]) -> Columns:
    """The columns of live states of one configuration, each of another row."""
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
        after=_entries([state.successors for state in states], [state.successor_weights for state in states]),
        before=_entries([state.predecessors for state in states], [state.predecessor_weights for state in states]),
    )


def _entries(keys: Sequence[bytes], weights: Sequence[bytes]) -> Entries:
    return Entries(
        keys=rows_from_bytes(b"".join(keys)),
        weights=floats_from_bytes(b"".join(weights)),
        ends=np.cumsum([len(one) // 4 for one in keys], dtype=np.int64),
    )


def largest_row(columns: Columns) -> int:
    """The largest row that is named anywhere in the columns; 0 if there is none."""
    return int(max(part.max(initial=0) for part in (columns.rows, columns.after.keys, columns.before.keys)))


def write_counts(counts: Counts, columns: Columns) -> Counts:
    """The same counts with the rows of ``columns`` replaced; arrays are changed in place where they have room.

    ``counts`` must have room for `largest_row`.
    """
    rows = columns.rows
    counts.seen[rows] = columns.seen
    counts.decayed[:, rows] = columns.decayed
    counts.last_event[rows], counts.last_ms[rows] = columns.last_event, columns.last_ms
    counts.first_ms[rows] = columns.first_ms
    return counts._replace(
        after=_replaced(counts.after, rows, columns.after), before=_replaced(counts.before, rows, columns.before)
    )


def _replaced(pool: Rows, rows: I32, entries: Entries) -> Rows:
    pool = pools.reserve(pool, int(pools.places_to_replace(pool, rows, entries.ends)))
    pools.replace_rows(pool, rows, *entries)
    return pool


def has_sizes(state: ItemState, vector_floats: int) -> bool:
    """False for what a trainer of another configuration left on the topic."""
    sizes = len(state.vector), len(state.popularity)
    return not state.live or sizes == (4 * vector_floats, 4 * sources.DECAYS)
