"""A log in the order in which a protocol plays it, with what each event may know: the user's history until then.

One passage says everything that decides who is judged on what: the model and every baseline play the same one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.errors import ShapeError
from models.typing import F64, I32, I64, Bools

RANKED, REPEAT, FIRST_EVER = 0, 1, 2


class Passage(NamedTuple):
    """Events in playing order, as columns of P; users and items are numbered from 0 without gaps.

    Attributes:
      place: of the event in the log it was made from, int64. user, item: int32. at_ms: int64.
      learns: whether it is learned, after it was judged; False leaves everything as it was.
      judged: whether it is ranked.
      pos: events of the user learned before, int32. sightings: events on the item learned before, int32.
      start: where each user's learned events begin in ``past``, int64 [U + 1].
      past: items of all learned events, user after user, each in playing order, int32 [learned].
    """

    place: I64
    user: I32
    item: I32
    at_ms: I64
    learns: Bools
    judged: Bools
    pos: I32
    sightings: I32
    start: I64
    past: I32


def counted_before(codes: NDArray[np.integer], counts: Bools) -> I32:
    """How many entries of the same code stand before each entry, of those that count; int32, as long as ``codes``."""
    order = np.argsort(codes, kind="stable")
    counted = counts[order].astype(np.int64)
    before = np.cumsum(counted) - counted
    ordered = codes[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]] if len(ordered) else np.zeros(0, np.bool_)
    group = np.cumsum(is_first) - 1
    found = np.empty(len(codes), np.int32)
    found[order] = before - before[is_first][group]
    return found


def passage_of(user: I32, item: I32, at_ms: I64, *, place: I64, learns: Bools, judged: Bools) -> Passage:
    """The passage that plays the events ``place`` of the columns ``user``, ``item`` and ``at_ms``.

    Raises:
      ShapeError: ``place``, ``learns`` and ``judged`` are not of one length.
    """
    if not len(place) == len(learns) == len(judged):
        raise ShapeError(
            f"place, learns and judged must be of one length, got {len(place)}, {len(learns)}, {len(judged)}"
        )
    who, what = user[place], item[place]
    learned_users = who[learns]
    users = int(user.max()) + 1 if len(user) else 0
    return Passage(
        place=place, user=who, item=what, at_ms=at_ms[place], learns=learns, judged=judged,
        pos=counted_before(who, learns), sightings=counted_before(what, learns),
        start=np.r_[0, np.cumsum(np.bincount(learned_users, minlength=users))].astype(np.int64),
        past=what[learns][np.argsort(learned_users, kind="stable")],
    )  # fmt: skip


@kernel()
def candidates(passage, p, seen, repeats, allowed):  # type: ignore[no-untyped-def]
    """What event ``p`` is: `RANKED`, with ``allowed`` filled by the items to rank it among; `REPEAT`, `FIRST_EVER`.

    Args:
      seen: events on each item so far, float32 [N]. repeats: items that the user has had are ranked too.
      allowed: bool [N], overwritten when the event is ranked.
    """
    item, start, pos = passage.item[p], passage.start[passage.user[p]], passage.pos[p]
    if not repeats:
        for k in range(start, start + pos):
            if passage.past[k] == item:
                return REPEAT
    if seen[item] == 0:
        return FIRST_EVER
    for j in range(len(seen)):
        allowed[j] = seen[j] > 0
    if not repeats:
        for k in range(start, start + pos):
            allowed[passage.past[k]] = False
    return RANKED


@kernel()
def is_repeat(passage, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, bool [P]: had the user had the item before?"""
    for p in range(len(passage.user)):
        start = passage.start[passage.user[p]]
        out[p] = False
        for k in range(start, start + passage.pos[p]):
            if passage.past[k] == passage.item[p]:
                out[p] = True
                break


def scored_of(passage: Passage, *, repeats: bool) -> Bools:
    """Which events the figures are over, bool [P]: those judged, without repeats unless these are scored too."""
    if repeats:
        return passage.judged
    had = np.empty(len(passage.user), np.bool_)
    is_repeat(passage, had)
    return passage.judged & ~had


def sightings_at(passage: Passage, items: I32, at: I64) -> I32:
    """Events on each of ``items`` learned before the places ``at`` of the passage; -1 stays where there is no item.

    Args:
      items: int32, any shape. at: int64, a shape that broadcasts to it.
    """
    length = len(passage.user)
    learned = np.flatnonzero(passage.learns)
    keys = np.sort(passage.item[learned].astype(np.int64) * length + learned)
    first = np.searchsorted(keys, items.astype(np.int64) * length)
    until = np.searchsorted(keys, items.astype(np.int64) * length + at)
    return np.where(items < 0, -1, until - first).astype(np.int32)


def learned_at(passage: Passage, at: I64) -> F64:
    """Events learned before the places ``at`` of the passage."""
    before: I64 = np.cumsum(passage.learns) - passage.learns
    return before[at].astype(np.float64)


@kernel()
def recent_events(user, at_ms, window_ms, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, int32, with how many events each event's user had in the time before it.

    Args:
      user: int32 [E], ascending. at_ms: int64 [E], ascending for each user. window_ms: length of that time.
    """
    first = 0
    for e in range(len(user)):
        if e > 0 and user[e] != user[e - 1]:
            first = e
        while at_ms[first] < at_ms[e] - window_ms:
            first += 1
        out[e] = e - first


def activity(passage: Passage, window_ms: int) -> I32:
    """Events that each event's user had within ``window_ms`` before it, learned or not; int32 [P]."""
    order = np.lexsort((passage.at_ms, passage.user))
    counted = np.empty(len(order), np.int32)
    recent_events(passage.user[order], passage.at_ms[order], window_ms, counted)
    found = np.empty(len(order), np.int32)
    found[order] = counted
    return found
