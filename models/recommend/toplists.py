"""The items most popular by each half-life, the latest and the newest, kept event by event.

A decayed count that is brought to one common moment never changes between two events on its item, and an event only
raises it. So the best K of a list are known exactly from one comparison an event, whatever the size of the catalogue.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.recommend.sources import (
    DECAYS,
    HALF_LIVES_EVENTS,
    HALF_LIVES_MS,
    SURFACE_HALF_LIFE,
    SURFACES,
    Counts,
)
from models.typing import F64, I32, I64

U32 = NDArray[np.uint32]
EVERYWHERE = 1 + DECAYS
"""Lists that hold for everybody: by sightings, and by each half-life. Behind them comes one for each surface."""
LISTS = EVERYWHERE + SURFACES - 1


class TopLists(NamedTuple):
    """Rows worth ranking for anybody (N item rows of capacity); row 0 fills a free place.

    Attributes:
      popular: the best rows of each list, in no order, int32 [LISTS, K]. keys: what they are compared by, float64.
      weakest: place of the least key of each list, int32 [LISTS].
      member: bit l of a row: whether it stands in list l, uint32 [N].
      lately: rows of the last events, a ring by the clock of the counts, int32 [L].
      known: rows that were ever counted, in the order of their first event, int32 [N].
      known_count: how many of them, int64 [1].
    """

    popular: I32
    keys: F64
    weakest: I32
    member: U32
    lately: I32
    known: I32
    known_count: I64


SAVED = ("popular", "keys", "lately", "known", "known_count")
"""Fields that cannot be made from the others."""


def empty_lists(rows: int, *, popular: int, lately: int) -> TopLists:
    """Nothing counted yet, for ``rows`` item rows."""
    return TopLists(
        np.zeros((LISTS, popular), np.int32), np.full((LISTS, popular), -np.inf), np.zeros(LISTS, np.int32),
        np.zeros(rows, np.uint32), np.zeros(lately, np.int32), np.zeros(rows, np.int32), np.zeros(1, np.int64),
    )  # fmt: skip


def lists_of(counts: Counts, *, popular: int, lately: int) -> TopLists:
    """The lists of what was counted without them; which events were the last is not known any more."""
    lists = empty_lists(len(counts.seen), popular=popular, lately=lately)
    rows = np.nonzero(counts.seen > 0)[0]
    rows = rows[np.argsort(counts.first_ms[rows], kind="stable")]
    lists.known[: len(rows)] = rows
    lists.known_count[0] = len(rows)
    _note_all(lists, counts, rows.astype(np.int32))
    return lists


def grown_lists(lists: TopLists, rows: int) -> TopLists:
    """The same lists for at least ``rows`` item rows."""
    missing = rows - len(lists.known)
    if missing <= 0:
        return lists
    return lists._replace(member=np.pad(lists.member, (0, missing)), known=np.pad(lists.known, (0, missing)))


def loaded_lists(saved: dict[str, NDArray[Any]]) -> TopLists:
    """The lists whose fields `SAVED` were saved."""
    member = np.zeros(len(saved["known"]), np.uint32)
    for number, rows in enumerate(saved["popular"]):
        member[rows[rows > 0]] |= np.uint32(1 << number)
    weakest = saved["keys"].argmin(axis=1).astype(np.int32)
    return TopLists(member=member, weakest=weakest, **{name: np.array(saved[name]) for name in SAVED})


def forget_rows(lists: TopLists, rows: I32) -> None:
    """Take evicted rows out of every list; their places stay free until other items earn them."""
    gone = np.zeros(len(lists.known), np.bool_)
    gone[rows] = True
    lists.keys[gone[lists.popular]] = -np.inf
    lists.popular[gone[lists.popular]] = 0
    lists.weakest[:] = lists.keys.argmin(axis=1)
    lists.member[rows] = 0
    lists.lately[gone[lists.lately]] = 0
    known = lists.known[: lists.known_count[0]]
    kept = known[~gone[known]]
    lists.known[: len(kept)] = kept
    lists.known_count[0] = len(kept)


@kernel()
def _raise(lists, number, row, key):  # type: ignore[no-untyped-def]
    rows, keys, bit = lists.popular[number], lists.keys[number], np.uint32(1) << np.uint32(number)
    at = lists.weakest[number]
    if lists.member[row] & bit:
        at = 0
        while rows[at] != row:
            at += 1
    elif key > keys[at]:
        lists.member[rows[at]] &= ~bit
        lists.member[row] |= bit
        rows[at] = row
    else:
        return
    keys[at] = key
    if at == lists.weakest[number]:
        for k in range(len(keys)):
            if keys[k] < keys[at]:
                at = k
        lists.weakest[number] = at


@kernel()
def _note_everywhere(lists, counts, row):  # type: ignore[no-untyped-def]
    _raise(lists, 0, row, np.float64(counts.seen[row]))
    events = len(HALF_LIVES_EVENTS)
    for k in range(events):
        _raise(lists, 1 + k, row, np.log2(counts.decayed[k, row]) + counts.last_event[row] / HALF_LIVES_EVENTS[k])
    for k in range(len(HALF_LIVES_MS)):
        key = np.log2(counts.decayed[events + k, row]) + counts.last_ms[row] / HALF_LIVES_MS[k]
        _raise(lists, 1 + events + k, row, key)


@kernel()
def _note_surface(lists, counts, row, surface):  # type: ignore[no-untyped-def]
    if counts.surface[surface, row] > 0:
        key = np.log2(counts.surface[surface, row]) + counts.surface_base[0] / SURFACE_HALF_LIFE
        _raise(lists, EVERYWHERE + surface - 1, row, key)


@kernel()
def note(lists, counts, row, surface, is_first):  # type: ignore[no-untyped-def]
    """Take one event on ``row`` into the lists, just after `sources.observe` has counted it.

    Args:
      surface: its code. is_first: whether the row had never been counted before.
    """
    if is_first:
        lists.known[lists.known_count[0]] = row
        lists.known_count[0] += 1
    if len(lists.lately):
        lists.lately[(counts.clock[0] - 1) % len(lists.lately)] = row
    _note_everywhere(lists, counts, row)
    if surface:
        _note_surface(lists, counts, row, surface)


@kernel()
def _note_all(lists, counts, rows):  # type: ignore[no-untyped-def]
    for row in rows:
        if counts.decayed[0, row] > 0:
            _note_everywhere(lists, counts, row)
        for surface in range(1, SURFACES):
            _note_surface(lists, counts, row, surface)
