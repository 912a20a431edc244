"""The counted sources: popularity, successors and company of items, updated after every single event.

On real logs counting beats most neural recommenders judged one event at a time, so these counts are
strict: each event sees all events before it and none after. Decayed counts are kept as a value and the
moment of its last change, so that an event costs the same whatever the size of the catalogue, and a
reader decays them to its own moment (`features`).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.recommend.labels import TAG_CODES, TAGS
from models.recommend.pools import (
    Company,
    Rows,
    Successors,
    add,
    empty_company,
    empty_rows,
    empty_successors,
    entry,
    reserve,
    with_capacity,
)  # fmt: skip
from models.typing import F32, F64, I64, Bools

HALF_LIVES_EVENTS = (100.0, 1_000.0, 2_000.0, 10_000.0)
HALF_LIVES_MS = (3_600_000.0, 86_400_000.0, 604_800_000.0)
DECAYS = len(HALF_LIVES_EVENTS) + len(HALF_LIVES_MS)
BASELINE_DECAY = HALF_LIVES_EVENTS.index(2_000.0)
SURFACES = 16
"""Surfaces told apart; code 0 is none, and every one beyond the first 15."""
SURFACE_HALF_LIFE = 1_000.0
"""Events. Kept as forward decay: a count weighs 2^(clock / half-life) from `SURFACE_EPOCH` on."""
SURFACE_EPOCH = 64
"""Half-lives between two times that the forward-decayed counts are brought down again; 2^64 is far inside float32."""
_NO_EVIDENCE = np.float32(1e-12)
"""A forward-decayed count brought down below this is dropped: its logarithm is 0 already, and denormals are slow."""

PASSED_EVENTS, PASSED_MS = (100.0, 1_000.0), (86_400_000.0,)
"""Half-lives of the decayed counts of showings that ended without a choice."""
PASSED = 1 + len(PASSED_EVENTS) + len(PASSED_MS)
COMPLETE, LIKE, HIDE = 0, 1, 2
OUTCOMES = 3
"""What became of an item beside being chosen."""
PLACES = 9
"""Places in a slate told apart, see `showings.place_of`; 0 is none."""

NEAR, FAR, COMPANY = 5, 10, 50
"""Places back that a transition reaches: of the baseline, of the counts; and that co-occurrence reaches."""


class Counts(NamedTuple):
    """What was counted per item row (N rows of capacity).

    Attributes:
      clock: number of events counted, int64 [1].
      seen: events on each item, float32 [N].
      decayed: decayed counts at the item's last event, float32 [DECAYS, N].
      last_event: value of ``clock`` at the item's last event, int64 [N].
      last_ms, first_ms: event time of the item's last and first event, int64 [N].
      surface: forward-decayed counts by surface, float32 [SURFACES, N]; surface_base: clock that they weigh 1 at, [1].
      value_sum, value_count: of the values that events on the item carried, float32 [N].
      passed: showings that ended without a choice: all of them, then decayed counts at the item's last one, float32
        [PASSED, N]. passed_event, passed_ms: value of ``clock`` and event time of that one, int64 [N].
      taken: showings that ended with a choice, and how many were to be expected of the item's showings by surface and
        place in the slate, float32 [2, N]. appeal: the logarithm of their smoothed ratio, float32 [N].
      examined: showings that ended with a choice, and all, by surface and place, float64 [SURFACES, PLACES, 2].
      outcomes: completions, likes, and hides or dislikes, float32 [OUTCOMES, N].
      trials: choices and showings that ended without one, of these the latter, and the sums of ``outcomes``, float64
        [2 + OUTCOMES].
      tag_events: events on items with each tag, their sum at code 0, float64 [TAG_CODES]: a float32 stops at 2^24.
      after: what followed within 10 events. before: what came before, weight 0.8^n.
      company: items in the same histories, at most 50 events apart, each pair of events 1.
      changed: whether anything of the row changed since the caller last cleared it, bool [N].
    """

    clock: I64
    seen: F32
    decayed: F32
    last_event: I64
    last_ms: I64
    first_ms: I64
    surface: F32
    surface_base: I64
    value_sum: F32
    value_count: F32
    passed: F32
    passed_event: I64
    passed_ms: I64
    taken: F32
    appeal: F32
    examined: F64
    outcomes: F32
    trials: F64
    tag_events: F64
    after: Successors
    before: Rows
    company: Company
    changed: Bools


def empty_counts(rows: int) -> Counts:
    """Nothing counted, for ``rows`` item rows."""
    return Counts(
        np.zeros(1, np.int64), np.zeros(rows, np.float32), np.zeros((DECAYS, rows), np.float32),
        np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64),
        np.zeros((SURFACES, rows), np.float32), np.zeros(1, np.int64),
        np.zeros(rows, np.float32), np.zeros(rows, np.float32),
        np.zeros((PASSED, rows), np.float32), np.zeros(rows, np.int64), np.zeros(rows, np.int64),
        np.zeros((2, rows), np.float32), np.zeros(rows, np.float32), np.zeros((SURFACES, PLACES, 2)),
        np.zeros((OUTCOMES, rows), np.float32), np.zeros(2 + OUTCOMES), np.zeros(TAG_CODES),
        empty_successors(rows), empty_rows(rows), empty_company(rows), np.zeros(rows, np.bool_),
    )  # fmt: skip


PER_ITEM = (
    "seen", "decayed", "last_event", "last_ms", "first_ms", "surface", "value_sum", "value_count",
    "passed", "passed_event", "passed_ms", "taken", "appeal", "outcomes", "changed",
)  # fmt: skip
"""Fields whose last axis is the item row."""
POOLS = {"after": Successors, "before": Rows, "company": Company}
"""Fields that are sparse rows, one an item row."""


def grown(counts: Counts, rows: int) -> Counts:
    """The same counts for at least ``rows`` item rows."""
    missing = rows - len(counts.seen)
    if missing <= 0:
        return counts

    def longer(column: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([column, np.zeros((*column.shape[:-1], missing), column.dtype)], axis=-1)

    columns: dict[str, Any] = {name: longer(getattr(counts, name)) for name in PER_ITEM}
    pools: dict[str, Any] = {name: with_capacity(getattr(counts, name), rows) for name in POOLS}
    return counts._replace(**columns, **pools)


def reserved(counts: Counts, events: int, successors: int) -> Counts:
    """The same counts with room for ``events`` more events."""
    return counts._replace(
        after=reserve(counts.after, events * FAR * successors),
        before=reserve(counts.before, events * FAR * successors),
        company=reserve(counts.company, events * 2 * COMPANY * successors),
    )


@kernel()
def forget_item(counts, tags, row):  # type: ignore[no-untyped-def]
    """Make ``row`` as if never counted (its item was evicted); entries that point to it are the caller's to scrub.

    Args:
      tags: `ItemLabels.tags`, as they were while the item was counted.
    """
    relabel(counts, tags[row], -counts.seen[row])
    counts.seen[row] = 0.0
    counts.decayed[:, row] = 0.0
    counts.surface[:, row] = 0.0
    counts.value_sum[row] = counts.value_count[row] = 0.0
    counts.last_event[row] = counts.last_ms[row] = counts.first_ms[row] = 0
    counts.passed[:, row] = counts.taken[:, row] = counts.outcomes[:, row] = 0.0
    counts.appeal[row] = 0.0
    counts.passed_event[row] = counts.passed_ms[row] = 0
    counts.after.length[row] = counts.before.length[row] = counts.company.length[row] = 0
    counts.changed[row] = True


@kernel()
def relabel(counts, tags, events):  # type: ignore[no-untyped-def]
    """Count ``events`` (negative takes back) on an item with these ``tags``, uint16 [TAGS]."""
    for k in range(TAGS):
        if tags[k]:
            counts.tag_events[tags[k]] += events
            counts.tag_events[0] += events


@kernel(nogil=True)
def put_seen(counts, tags, rows, seen):  # type: ignore[no-untyped-def]
    """Set the sightings of ``rows``, float32 [M], and count them for the tags of these items."""
    for at in range(len(rows)):
        relabel(counts, tags[rows[at]], seen[at] - counts.seen[rows[at]])
        counts.seen[rows[at]] = seen[at]


@kernel(nogil=True)
def put_labels(counts, labels, rows, new):  # type: ignore[no-untyped-def]
    """Give ``rows`` (each once) the labels ``new``, `ItemLabels` of M, and their sightings to the new tags."""
    for at in range(len(rows)):
        row = rows[at]
        relabel(counts, labels.tags[row], -counts.seen[row])
        labels.tags[row] = new.tags[at]
        labels.creator[row], labels.year[row] = new.creator[at], new.year[at]
        relabel(counts, labels.tags[row], counts.seen[row])


@kernel()
def age_surfaces(counts):  # type: ignore[no-untyped-def]
    """Bring the forward-decayed counts down where the clock is an epoch ahead of them."""
    epoch = np.int64(SURFACE_EPOCH * SURFACE_HALF_LIFE)
    passed = (counts.clock[0] - counts.surface_base[0]) // epoch  # many, where events carry a surface again after long
    if passed > 0:
        scale = np.float32(2.0 ** -min(SURFACE_EPOCH * passed, 1_000))
        for s in range(SURFACES):
            for j in range(counts.surface.shape[1]):
                left = counts.surface[s, j] * scale
                counts.surface[s, j] = left if left > _NO_EVIDENCE else np.float32(0.0)
        counts.surface_base[0] += passed * epoch


@kernel()
def count_surface(counts, surface, item):  # type: ignore[no-untyped-def]
    """Count one showing of ``item`` on a surface, whatever came of it."""
    age_surfaces(counts)
    age = (counts.clock[0] - counts.surface_base[0]) / SURFACE_HALF_LIFE
    counts.surface[surface, item] += np.float32(2.0**age)


@kernel()
def _meet(company, item, other, successors):  # type: ignore[no-untyped-def]
    at, is_new = entry(company, item, other, successors)
    if is_new:
        company.learned[at] = np.float32(0.0)
    company.weight[at] += np.float32(1.0)


@kernel()
def observe(counts, tags, history, pos, item, at_ms, value, surface, successors):  # type: ignore[no-untyped-def]
    """Count one event on ``item`` by the user whose ``pos`` earlier items stand in ``history``.

    Args:
      tags: `ItemLabels.tags`. history: item rows of the user, oldest first; only the first ``pos`` are looked at.
      value: what the event carried, NaN where nothing. surface: its code.
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
    if surface:
        count_surface(counts, surface, item)
    if not np.isnan(value):
        counts.value_sum[item] += value
        counts.value_count[item] += np.float32(1.0)
    relabel(counts, tags[item], 1.0)
    counts.clock[0] = clock + 1
    counts.changed[item] = True
    near, far = np.float32(1.0), np.float32(1.0)
    for n in range(min(FAR, pos)):
        other = history[pos - 1 - n]
        counts.changed[other] = True
        at, is_new = entry(counts.after, other, item, successors)
        if is_new:
            counts.after.lag[at] = counts.after.near[at] = counts.after.learned[at] = np.float32(0.0)
        counts.after.weight[at] += far
        if n == 0:
            counts.after.lag[at] += np.float32(1.0)
        elif n == 1:
            counts.after.lag[at] += np.float32(0.3)
        if n < NEAR:
            counts.after.near[at] += near
            near *= np.float32(0.7)
        add(counts.before, item, other, far, successors)
        far *= np.float32(0.8)
    for n in range(min(COMPANY, pos)):
        other = history[pos - 1 - n]
        if other != item:
            counts.changed[other] = True
            _meet(counts.company, other, item, successors)
            _meet(counts.company, item, other, successors)
