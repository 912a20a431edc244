"""Growing rows in one pool: the sparse tables of counts, and the histories of users.

A row is a stretch of the pool. It starts with no room, doubles when it is full and leaves its old
stretch behind as zeros, which `compacted` drops. So memory follows what was counted, not rows x rows.
The kernels change the arrays that they are given; whoever calls them owns those arrays (as with a
donated JAX buffer) and must have called `reserve` for enough free space first.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numba import literal_unroll

from models.compiled import kernel
from models.typing import F32, I32, I64, U8

FIRST_ROOM = 8


class Rows(NamedTuple):
    """Sparse rows of (key, weight): row r is ``key[start[r] : start[r] + length[r]]``.

    Attributes:
      start: first place of each row in the pool, int64 [R].
      length, room: places used and owned by each row, int32 [R].
      head: first free place of the pool, int64 [1].
      key: int32 [C]. weight: float32 [C].
    """

    start: I64
    length: I32
    room: I32
    head: I64
    key: I32
    weight: F32


class Histories(NamedTuple):
    """What each user did, oldest first; the same layout as `Rows` with more columns.

    Attributes:
      item: item row, int32 [C]. value: rating or strength, NaN where none, float32 [C].
      at_ms: event time, int64 [C]. action: code of the action, uint8 [C].
    """

    start: I64
    length: I32
    room: I32
    head: I64
    item: I32
    value: F32
    at_ms: I64
    action: U8


class Successors(NamedTuple):
    """Sparse rows of what followed an item; the layout of `Rows` with three weights an entry.

    Attributes:
      key: item row of the successor, int32 [C].
      weight: 0.8^n for n events in between, float32 [C]; the weakest of a full row gives way.
      lag: 1 for the next event, 0.3 for the one after it, float32 [C].
      near: 0.7^n within five events, float32 [C]: the transitions baseline.
      learned: what having had the item adds to the successor's score, learned by the combiner, float32 [C].
    """

    start: I64
    length: I32
    room: I32
    head: I64
    key: I32
    weight: F32
    lag: F32
    near: F32
    learned: F32


class Company(NamedTuple):
    """Sparse rows of items in the same histories; the layout of `Rows` with ``learned`` as in `Successors`."""

    start: I64
    length: I32
    room: I32
    head: I64
    key: I32
    weight: F32
    learned: F32


P = TypeVar("P", Rows, Histories, Successors, Company)


def empty_rows(rows: int, places: int = 1024) -> Rows:
    """No counts yet, for ``rows`` rows."""
    return Rows(
        np.zeros(rows, np.int64), np.zeros(rows, np.int32), np.zeros(rows, np.int32), np.zeros(1, np.int64),
        np.zeros(places, np.int32), np.zeros(places, np.float32),
    )  # fmt: skip


def empty_successors(rows: int, places: int = 1024) -> Successors:
    """Nothing followed anything yet, for ``rows`` item rows."""
    return Successors(*empty_rows(rows, places), *(np.zeros(places, np.float32) for _ in range(3)))


def empty_company(rows: int, places: int = 1024) -> Company:
    """No pairs yet, for ``rows`` item rows."""
    return Company(*empty_rows(rows, places), np.zeros(places, np.float32))


def empty_histories(rows: int, places: int = 1024) -> Histories:
    """No events yet, for ``rows`` users."""
    return Histories(
        np.zeros(rows, np.int64), np.zeros(rows, np.int32), np.zeros(rows, np.int32), np.zeros(1, np.int64),
        np.zeros(places, np.int32), np.zeros(places, np.float32),
        np.zeros(places, np.int64), np.zeros(places, np.uint8),
    )  # fmt: skip


def with_capacity(pool: P, rows: int) -> P:
    """The same pool for at least ``rows`` rows; existing rows keep their number."""
    missing = rows - len(pool.start)
    if missing <= 0:
        return pool
    return pool._replace(
        start=np.concatenate([pool.start, np.zeros(missing, np.int64)]),
        length=np.concatenate([pool.length, np.zeros(missing, np.int32)]),
        room=np.concatenate([pool.room, np.zeros(missing, np.int32)]),
    )


def reserve(pool: P, places: int) -> P:
    """The same pool with at least ``places`` free places; compacted when it has to move anyway."""
    if len(pool[4]) - int(pool.head[0]) >= places:
        return pool
    owned = int(pool.room.sum(dtype=np.int64))
    return compacted(pool, max(owned + 2 * places, 1024 - owned))


def compacted(pool: P, places: int = 0) -> P:
    """The same rows one behind the other, without the garbage between them, and ``places`` free places."""
    columns = pool[4:]
    size = int(pool.room.sum(dtype=np.int64)) + places
    fresh = tuple(np.zeros(size, column.dtype) for column in columns)
    start = np.zeros_like(pool.start)
    head = np.zeros(1, np.int64)
    for old, new in zip(columns, fresh, strict=True):
        head[0] = _compact(pool.start, pool.length, pool.room, old, new, start)
    return type(pool)(start, pool.length, pool.room, head, *fresh)  # type: ignore[arg-type]


def rehearse_compacted() -> None:
    """Compile what `compacted` needs, for whoever must not wait for a compiler there."""
    compacted(empty_rows(1, 1))
    compacted(empty_successors(1, 1))
    compacted(empty_company(1, 1))
    compacted(empty_histories(1, 1))


def reserve_appends(histories: Histories, users: I32) -> Histories:
    """The same histories with room to append one event to each of ``users``, repeats included."""
    distinct, events = np.unique(users, return_counts=True)
    return reserve(histories, 4 * int((histories.length[distinct] + events + FIRST_ROOM).sum()))


@kernel()
def _compact(start, length, room, old, new, moved):  # type: ignore[no-untyped-def]
    head = 0
    for r in range(len(start)):
        moved[r] = head
        for k in range(length[r]):
            new[head + k] = old[start[r] + k]
        head += room[r]
    return head


@kernel(fastmath=True)
def _place_of(keys, key):  # type: ignore[no-untyped-def]
    """Place of ``key`` in ``keys``, -1 if it is not there: no early exit, so that it runs in vector instructions."""
    found = np.int32(0)
    for k in range(len(keys)):
        found = max(found, np.int32(k + 1) if keys[k] == key else np.int32(0))
    return found - 1


@kernel(fastmath=True)
def _weakest(weights):  # type: ignore[no-untyped-def]
    """The first place of the least weight."""
    least = weights[0]
    for k in range(len(weights)):
        least = min(least, weights[k])
    for k in range(len(weights)):
        if weights[k] == least:
            return k
    return 0


@kernel()
def entry(rows, r, key, most):  # type: ignore[no-untyped-def]
    """Place in the pool of entry ``key`` of row ``r``, made with weight 0 where there was none.

    A full row of ``most`` entries gives up its weakest. The columns behind ``weight`` are the caller's to clear.

    Returns:
      The place, and whether the entry is new.
    """
    start, n = rows.start[r], rows.length[r]
    at = _place_of(rows.key[start : start + n], np.int32(key))
    if at >= 0:
        return start + at, False
    if n >= most:
        at = start + _weakest(rows.weight[start : start + n])
        rows.key[at], rows.weight[at] = key, 0.0
        return at, True
    if n == rows.room[r]:
        room = min(most, max(FIRST_ROOM, 2 * n))
        head = rows.head[0]
        for column in literal_unroll(rows[4:]):
            for k in range(n):
                column[head + k] = column[start + k]
                column[start + k] = 0
        rows.start[r] = head
        rows.room[r] = room
        rows.head[0] = head + room
        start = head
    rows.key[start + n], rows.weight[start + n] = key, 0.0
    rows.length[r] = n + 1
    return start + n, True


@kernel()
def add(rows, r, key, weight, most):  # type: ignore[no-untyped-def]
    """Add ``weight`` to entry ``key`` of row ``r``; a full row of ``most`` entries gives up its weakest."""
    at, _ = entry(rows, r, key, most)
    rows.weight[at] += weight


def with_pairs(rows: Rows, r: I32, keys: I32, most: int) -> Rows:
    """The same rows with one more of each pair of a row of ``r`` and a key."""
    rows = reserve(rows, len(r) * 2 * int(rows.room.max() + FIRST_ROOM))
    for row, key in zip(r.tolist(), keys.tolist(), strict=True):
        add(rows, row, key, np.float32(1.0), most)
    return rows


@kernel()
def append(histories, r, item, value, at_ms, action, most):  # type: ignore[no-untyped-def]
    """Append one event to the history of user row ``r`` and return its place in it.

    `forget_oldest` must have made sure that the history is shorter than ``most``.
    """
    h = histories
    start, n = h.start[r], h.length[r]
    if n == h.room[r]:
        room = min(most, max(FIRST_ROOM, 2 * n))
        head = h.head[0]
        for k in range(n):
            h.item[head + k], h.value[head + k] = h.item[start + k], h.value[start + k]
            h.at_ms[head + k], h.action[head + k] = h.at_ms[start + k], h.action[start + k]
            h.item[start + k], h.value[start + k], h.at_ms[start + k], h.action[start + k] = 0, 0.0, 0, 0
        h.start[r] = head
        h.room[r] = room
        h.head[0] = head + room
        start = head
    h.item[start + n], h.value[start + n] = item, value
    h.at_ms[start + n], h.action[start + n] = at_ms, action
    h.length[r] = n + 1
    return n


@kernel()
def forget_oldest(histories, users, most):  # type: ignore[no-untyped-def]
    """Drop the oldest half of each history that this batch of ``users`` could make longer than ``most``."""
    h = histories
    for r in users:
        n = h.length[r]
        if n + len(users) > most:
            dropped = max(n // 2, n + len(users) - most)
            start = h.start[r]
            for k in range(n - dropped):
                at = start + k + dropped
                h.item[start + k], h.value[start + k] = h.item[at], h.value[at]
                h.at_ms[start + k], h.action[start + k] = h.at_ms[at], h.action[at]
            h.length[r] = n - dropped


@kernel()
def scrub_rows(rows, gone):  # type: ignore[no-untyped-def]
    """Drop every entry whose key is marked in ``gone``: its row will stand for something else."""
    for r in range(len(rows.start)):
        start, kept = rows.start[r], 0
        for k in range(start, start + rows.length[r]):
            if not gone[rows.key[k]]:
                for column in literal_unroll(rows[4:]):
                    column[start + kept] = column[k]
                kept += 1
        rows.length[r] = kept


@kernel()
def scrub_histories(histories, gone):  # type: ignore[no-untyped-def]
    """Drop every event on an item that is marked in ``gone``."""
    h = histories
    for r in range(len(h.start)):
        start, kept = h.start[r], 0
        for k in range(start, start + h.length[r]):
            if not gone[h.item[k]]:
                to = start + kept
                h.item[to], h.value[to], h.at_ms[to], h.action[to] = h.item[k], h.value[k], h.at_ms[k], h.action[k]
                kept += 1
        h.length[r] = kept


@kernel(nogil=True)
def replace_rows(rows, r, keys, weights, ends):  # type: ignore[no-untyped-def]
    """Make each row ``r[i]`` hold exactly the entries ``ends[i - 1]`` to ``ends[i]`` of ``keys`` and ``weights``.

    `reserve` must have made room for `places_to_replace`. Further columns of these entries are the caller's to fill
    (`fill_column`).
    """
    first = 0
    for i in range(len(r)):
        row, n = r[i], ends[i] - first
        if n > rows.room[row]:
            start = rows.start[row]
            for column in literal_unroll(rows[4:]):
                column[start : start + rows.length[row]] = 0
            rows.start[row] = rows.head[0]
            rows.room[row] = _room_for(n)
            rows.head[0] += rows.room[row]
        start = rows.start[row]
        rows.key[start : start + n] = keys[first : ends[i]]
        rows.weight[start : start + n] = weights[first : ends[i]]
        rows.length[row] = n
        first = ends[i]


@kernel(nogil=True)
def fill_column(start, r, column, values, ends):  # type: ignore[no-untyped-def]
    """Write one more column of the entries that `replace_rows` has put into rows ``r``; ``start``: of every row."""
    first = 0
    for i in range(len(r)):
        column[start[r[i]] : start[r[i]] + ends[i] - first] = values[first : ends[i]]
        first = ends[i]


@kernel(nogil=True)
def places_to_replace(rows, r, ends):  # type: ignore[no-untyped-def]
    """Places of the pool that `replace_rows` takes for rows that outgrow their room; each row comes once."""
    places, first = 0, 0
    for i in range(len(r)):
        if ends[i] - first > rows.room[r[i]]:
            places += _room_for(ends[i] - first)
        first = ends[i]
    return places


def row_ends(pool: Rows | Successors | Company, r: I32) -> I64:
    """Where each of the rows ``r`` ends when they stand one behind the other, int64 [M]."""
    return np.cumsum(pool.length[r], dtype=np.int64)


@kernel(nogil=True)
def gather_column(start, r, column, ends, out):  # type: ignore[no-untyped-def]
    """The pair of `fill_column`: the entries of rows ``r`` in one column, one row behind the other, into ``out``."""
    first = 0
    for i in range(len(r)):
        out[first : ends[i]] = column[start[r[i]] : start[r[i]] + ends[i] - first]
        first = ends[i]


@kernel()
def _room_for(n):  # type: ignore[no-untyped-def]
    """Some more than now, so that a row that grows a little with every replacement seldom moves."""
    return max(FIRST_ROOM, n + n // 2)


def clear_row(pool: Rows | Histories, row: int) -> None:
    """Forget everything in a row, the bytes of its entries included."""
    start, room = int(pool.start[row]), int(pool.room[row])
    for column in pool[4:]:
        column[start : start + room] = 0
    pool.length[row] = 0
