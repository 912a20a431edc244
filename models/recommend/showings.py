"""What was shown and not chosen: counted per item, and remembered per user.

A showing (an impression) says nothing until its outcome is certain. It stays open until its user chooses the item,
which makes it a choice, or speaks against it (skips, hides, dislikes), or until `window_ms` of event time have passed;
only then is it counted, as passed over. So no event is ever judged by the showings of the very slate that it came
from, which no recommender would have known when it made that slate, and a late click costs a window at most.

Items are compared with what was to be expected of them: each surface and place in a slate has a rate at which its
showings end with a choice, and an item's choices are set against the sum of these rates over its own showings, so that
nothing is flattered by the place that it was given (clicks over expected clicks).

References:
  Zhang and Jones, Comparing Click Logs and Editorial Labels for Training Query Rewriting, WWW 2007 workshop (COEC).
  Chapelle, Modeling Delayed Feedback in Display Advertising, KDD 2014.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.sources import COMPLETE, HIDE, LIKE, OUTCOMES, PASSED_EVENTS, PASSED_MS, count_surface
from models.typing import F32, I32, I64, U8, Bools

RING = 32
"""Showings remembered of a user; a further one takes the place of the oldest, uncounted if that was open still."""
QUEUE = 65_536
"""Showings of all users that may wait for their outcome; beyond it the oldest wait no longer: they count when
their place in the ring is taken, if the window has passed by then."""
SHOWN, SKIPPED, HIDDEN, CHOSEN = 1, 2, 3, 4
"""Kinds of signals."""
COMPLETED, LIKED, HID, SHORT = 1 << COMPLETE, 1 << LIKE, 1 << HIDE, 8
"""What an event said, as bits: seen to the end, liked, hidden or disliked; of a choice, that it was left at once."""
NOTHING, OPEN, PASSED_OVER, REFUSED, BANNED = 0, 1, 2, 3, 4
"""What stands in a place of a ring: nothing; a showing whose outcome is open, or counted as passed over; an item that
the user skipped or left at once; one that he hid or disliked."""
PRIOR = np.float32(3.0)
"""Expected choices that an item starts with, and as many choices."""
_PRIOR_EXAMINED = 5.0
"""Showings that a place starts with, all chosen."""
_PLACE_EDGES = np.array([1, 2, 3, 4, 5, 7, 11, 21], np.int64)


class Passes(NamedTuple):
    """Rings of what users were shown and did not choose, for those who have any (S of U user rows).

    Attributes:
      ring: of each user, int32 [U]; 0 is none. used: rings given out, ring 0 included, int64 [1].
      window_ms: how long a showing stays open, int64 [1].
      item: int32 [S, RING]. at_ms: int64. number: of the showing in the stream, int64. surface, place, status: uint8.
        taught: whether the heads have learned from it, bool.
      turn: how many were ever written into each ring, int64 [S].
      queue_ring, queue_at: places of the showings that are open, oldest first, int32 [QUEUE]. queue_number: int64.
      ends: showings that left the queue, and that entered it, int64 [2].
    """

    ring: I32
    used: I64
    window_ms: I64
    item: I32
    at_ms: I64
    number: I64
    surface: U8
    place: U8
    status: U8
    taught: Bools
    turn: I64
    queue_ring: I32
    queue_at: I32
    queue_number: I64
    ends: I64


class Signals(NamedTuple):
    """What users did beside the choices that are learned, as columns of M in arrival order.

    Attributes:
      before: number of the learned event of the batch that it came before, int32, never falling.
      user, item: rows, int32. at_ms: event time, int64. kind: see `SHOWN`, uint8.
      outcome: bits, see `COMPLETED`, uint8.
      surface: code, uint8. position: 1-based place in a slate, 0 where not known, int32.
    """

    before: I32
    user: I32
    item: I32
    at_ms: I64
    kind: U8
    outcome: U8
    surface: U8
    position: I32


def no_signals() -> Signals:
    """None at all."""
    return signals_of([])


def signals_of(rows: Sequence[tuple[int, ...]]) -> Signals:
    """Signals from tuples in the order of the fields."""
    table = np.array(rows, np.int64).reshape(-1, len(Signals._fields)).T
    kinds = (np.int32, np.int32, np.int32, np.int64, np.uint8, np.uint8, np.uint8, np.int32)
    return Signals(*(np.ascontiguousarray(column.astype(kind)) for column, kind in zip(table, kinds, strict=True)))


def empty_passes(users: int, *, window_ms: int) -> Passes:
    """Nobody was shown anything yet."""
    return Passes(
        np.zeros(users, np.int32), np.ones(1, np.int64), np.array([window_ms], np.int64),
        np.zeros((1, RING), np.int32), np.zeros((1, RING), np.int64), np.zeros((1, RING), np.int64),
        np.zeros((1, RING), np.uint8), np.zeros((1, RING), np.uint8), np.zeros((1, RING), np.uint8),
        np.zeros((1, RING), np.bool_), np.zeros(1, np.int64),
        np.zeros(QUEUE, np.int32), np.zeros(QUEUE, np.int32), np.zeros(QUEUE, np.int64), np.zeros(2, np.int64),
    )  # fmt: skip


def with_users(passes: Passes, users: int) -> Passes:
    """The same for at least ``users`` user rows."""
    missing = users - len(passes.ring)
    return passes if missing <= 0 else passes._replace(ring=np.pad(passes.ring, (0, missing)))


RINGS = ("item", "at_ms", "number", "surface", "place", "status", "taught", "turn")
"""Fields with one entry a ring."""


def with_rings(passes: Passes, users: I32) -> Passes:
    """The same with a ring for each of ``users``, repeats allowed; row 0 never gets one."""
    new = np.unique(users[(passes.ring[users] == 0) & (users > 0)])
    if not len(new):
        return passes
    used = int(passes.used[0])
    missing = used + len(new) - len(passes.item)
    if missing > 0:
        more = max(missing, len(passes.item))
        passes = passes._replace(**{
            name: np.pad(getattr(passes, name), [(0, more), (0, 0)][: getattr(passes, name).ndim]) for name in RINGS
        })  # fmt: skip
    passes.ring[new] = np.arange(used, used + len(new), dtype=np.int32)
    passes.used[0] = used + len(new)
    return passes


def compacted(passes: Passes) -> Passes:
    """A copy with the rings in the order of their users, so that the bytes depend on what was learned alone."""
    users = np.flatnonzero(passes.ring > 0)
    old = np.concatenate([[0], passes.ring[users]])
    number_of = np.zeros(len(passes.item), np.int32)
    number_of[old] = np.arange(len(old), dtype=np.int32)
    parts = {name: getattr(passes, name)[old] for name in RINGS}
    return Passes(
        **parts, ring=number_of[passes.ring], used=np.array([len(old)], np.int64), window_ms=passes.window_ms.copy(),
        queue_ring=number_of[passes.queue_ring], queue_at=passes.queue_at.copy(),
        queue_number=passes.queue_number.copy(), ends=passes.ends.copy(),
    )  # fmt: skip


def sized_as(passes: Passes) -> Passes:
    """Empty ones for as many users and rings."""
    fresh = empty_passes(len(passes.ring), window_ms=0)
    rings = int(passes.used[0]) - 1
    return fresh._replace(**{
        name: np.pad(getattr(fresh, name), [(0, rings), (0, 0)][: getattr(fresh, name).ndim]) for name in RINGS
    })  # fmt: skip


def forget_users(passes: Passes, users: I32) -> None:
    """Erase what is remembered of these users; the rows keep their rings."""
    rings = passes.ring[users]
    for name in RINGS:
        getattr(passes, name)[rings] = 0


def forget_before(passes: Passes, user: int, at_ms: int) -> None:
    """Erase what a user was shown at ``at_ms`` or earlier."""
    ring = passes.ring[user]
    gone = passes.at_ms[ring] <= at_ms
    for name in RINGS[:-1]:
        getattr(passes, name)[ring, gone] = 0


def scrub_passes(passes: Passes, gone: Bools) -> None:
    """Drop every showing of an item that is marked in ``gone``: its row will stand for something else."""
    lost = gone[passes.item] & (passes.status > 0)
    passes.status[lost], passes.item[lost] = NOTHING, 0


def appeal_of(taken: F32) -> F32:
    """`Counts.appeal` of `Counts.taken`, float32 [2, M]."""
    appeal: F32 = np.log((taken[0] + PRIOR) / (taken[1] + PRIOR)).astype(np.float32)
    return appeal


@kernel()
def place_of(position):  # type: ignore[no-untyped-def]
    """Bucket of a 1-based position: none, 1, 2, 3, 4, 5 and 6, up to 10, up to 20, beyond."""
    return np.searchsorted(_PLACE_EDGES, position, side="right")


@kernel()
def count_showing(counts, item, at_ms, surface, place, chosen, is_learned):  # type: ignore[no-untyped-def]
    """Count a showing that ended with a choice or, ``chosen`` being False, without one.

    ``is_learned``: `sources.observe` has counted it on its surface.
    """
    cell = counts.examined[surface, place]
    counts.taken[1, item] += np.float32((cell[0] + _PRIOR_EXAMINED) / (cell[1] + _PRIOR_EXAMINED))
    cell[1] += 1.0
    counts.trials[0] += 1.0
    counts.changed[item] = True
    if chosen:
        counts.taken[0, item] += np.float32(1.0)
        cell[0] += 1.0
    else:
        counts.trials[1] += 1.0
        gap_events = counts.clock[0] - counts.passed_event[item]
        gap_ms = max(0, at_ms - counts.passed_ms[item])
        for k in range(len(PASSED_EVENTS)):
            counts.passed[1 + k, item] *= np.float32(2.0 ** (-gap_events / PASSED_EVENTS[k]))
        for k in range(len(PASSED_MS)):
            counts.passed[1 + len(PASSED_EVENTS) + k, item] *= np.float32(2.0 ** (-gap_ms / PASSED_MS[k]))
        counts.passed[:, item] += np.float32(1.0)
        counts.passed_event[item] = counts.clock[0]
        counts.passed_ms[item] = max(at_ms, counts.passed_ms[item])
        if surface and not is_learned:
            count_surface(counts, surface, item)
    counts.appeal[item] = np.log((counts.taken[0, item] + PRIOR) / (counts.taken[1, item] + PRIOR))


@kernel()
def _pass_over(passes, counts, ring, at):  # type: ignore[no-untyped-def]
    """Count an open showing as passed over; anything else is left as it is."""
    if passes.status[ring, at] == OPEN:
        passes.status[ring, at] = PASSED_OVER
        count_showing(
            counts, passes.item[ring, at], passes.at_ms[ring, at], passes.surface[ring, at], passes.place[ring, at],
            False, False,
        )  # fmt: skip


@kernel()
def settle(passes, counts, now_ms):  # type: ignore[no-untyped-def]
    """Count what has been open for longer than the window at event time ``now_ms``."""
    while passes.ends[0] < passes.ends[1]:
        k = passes.ends[0] % QUEUE
        ring, at = passes.queue_ring[k], passes.queue_at[k]
        is_it = passes.number[ring, at] == passes.queue_number[k]
        is_early = passes.status[ring, at] == OPEN and passes.at_ms[ring, at] + passes.window_ms[0] > now_ms
        if is_it and is_early and passes.ends[1] - passes.ends[0] < QUEUE:
            return
        passes.ends[0] += 1
        if is_it and not is_early:
            _pass_over(passes, counts, ring, at)


@kernel()
def _close(passes, ring, item):  # type: ignore[no-untyped-def]
    """Take an item out of a ring; gives the place of its newest open showing, -1 where there is none."""
    place, newest = np.int64(-1), np.int64(-1)
    for at in range(RING):
        if passes.status[ring, at] != NOTHING and passes.item[ring, at] == item:
            if passes.status[ring, at] == OPEN and passes.at_ms[ring, at] > newest:
                place, newest = np.int64(passes.place[ring, at]), passes.at_ms[ring, at]
            passes.status[ring, at] = NOTHING
    return place


@kernel()
def note_signal(passes, counts, user, item, at_ms, kind, outcome, surface, position, counting):  # type: ignore[no-untyped-def]
    """Take one signal into the user's ring and, where ``counting``, into the counts.

    The user must have a ring (`with_rings`), but for a choice. A recommender keeps rings and does not count.
    """
    ring, place, status = passes.ring[user], place_of(position), NOTHING
    if kind == SHOWN:
        status = OPEN
    elif kind == HIDDEN:
        status = BANNED
    elif kind == SKIPPED or outcome & SHORT:
        status = REFUSED
    if kind != SHOWN and ring:
        shown_at = _close(passes, ring, item)
        if shown_at >= 0 and position == 0:
            place = shown_at
    if status != NOTHING and ring:
        at = passes.turn[ring] % RING
        if counting and passes.at_ms[ring, at] + passes.window_ms[0] <= at_ms:
            _pass_over(passes, counts, ring, at)  # what stood there will be forgotten
        passes.turn[ring] += 1
        passes.item[ring, at], passes.at_ms[ring, at] = item, at_ms
        passes.surface[ring, at], passes.place[ring, at] = surface, place
        passes.status[ring, at], passes.taught[ring, at] = status, False
        passes.number[ring, at] = -1
        if counting and status == OPEN:
            k = passes.ends[1] % QUEUE
            passes.queue_ring[k], passes.queue_at[k] = ring, at
            passes.queue_number[k] = passes.number[ring, at] = passes.ends[1]
            passes.ends[1] += 1
    if counting:
        if status != OPEN:
            count_showing(counts, item, at_ms, surface, place, status == NOTHING, kind == CHOSEN)
        for bit in range(OUTCOMES):
            if outcome >> bit & 1:
                counts.outcomes[bit, item] += np.float32(1.0)
                counts.trials[2 + bit] += 1.0
        settle(passes, counts, at_ms)


@kernel(nogil=True)
def note_signals(passes, counts, signals):  # type: ignore[no-untyped-def]
    """What a recommender does with signals: the rings move, nothing is counted."""
    for m in range(len(signals.user)):
        note_signal(
            passes, counts, signals.user[m], signals.item[m], signals.at_ms[m], signals.kind[m], signals.outcome[m],
            signals.surface[m], signals.position[m], False,
        )  # fmt: skip


@kernel()
def is_certain(passes, ring, at, now_ms):  # type: ignore[no-untyped-def]
    """Whether the user has not wanted what stands there, as far as can be known at event time ``now_ms``."""
    status = passes.status[ring, at]
    return status >= REFUSED or (status != NOTHING and passes.at_ms[ring, at] + passes.window_ms[0] <= now_ms)
