"""Lists kept event by event, against sorting everything."""

import numpy as np
import pytest

from models.recommend.sources import (
    DECAYS,
    HALF_LIVES_EVENTS,
    HALF_LIVES_MS,
    SURFACES,
    empty_counts,
    observe,
    reserved,
)  # fmt: skip
from models.recommend.toplists import (
    EVERYWHERE,
    LISTS,
    SAVED,
    empty_lists,
    forget_rows,
    grown_lists,
    lists_of,
    loaded_lists,
    note,
)  # fmt: skip
from tests.planted import columns, random_labels, random_log

ITEMS, K, LATELY = 60, 8, 16
LOG = random_log(400, users=8, items=ITEMS, seed=3)


def counted(log, lists, counts=None):
    counts = counts or empty_counts(ITEMS)
    batch, labels = columns(log), random_labels(ITEMS)
    counts = reserved(counts, len(log), 16)
    for item, at_ms, surface in zip(batch.item, batch.at_ms, batch.surface, strict=True):
        is_first = counts.seen[item] == 0
        observe(counts, labels.tags, np.zeros(0, np.int32), 0, item, at_ms, np.float32(np.nan), surface, 16)
        note(lists, counts, item, surface, is_first)
    return counts


def decayed_now(counts, now_ms):
    """Every list's count of every item at one moment, [LISTS, N]."""
    table = np.zeros((LISTS, ITEMS))
    table[0] = counts.seen
    for k, half in enumerate(HALF_LIVES_EVENTS):
        table[1 + k] = counts.decayed[k] * 2.0 ** (-(counts.clock[0] - counts.last_event) / half)
    for k, half in enumerate(HALF_LIVES_MS, start=len(HALF_LIVES_EVENTS)):
        # Log of the count: over days that of an hour's half-life is no number any more.
        log = np.log2(np.maximum(counts.decayed[k], 1e-30).astype(float)) - (now_ms - counts.last_ms) / half
        table[1 + k] = np.where(counts.seen > 0, np.maximum(log + 1e9, 1), 0)
    table[EVERYWHERE:] = counts.surface[1:]
    return table


def assert_best(lists, table):
    for number in range(LISTS):
        rows = lists.popular[number][lists.popular[number] > 0]
        assert len(set(rows.tolist())) == len(rows) == min(K, np.count_nonzero(table[number]))
        if len(rows):
            rest = np.delete(table[number], rows)
            assert table[number, rows].min() >= rest.max() * (1 - 1e-5), number
            marked = np.flatnonzero(lists.member >> np.uint32(number) & 1)
            assert sorted(rows.tolist()) == [row for row in marked.tolist() if row]


@pytest.mark.parametrize("events", [1, 5, 60, 400])
def test_they_are_the_best_of_every_list(events):
    lists = empty_lists(ITEMS, popular=K, lately=LATELY)
    counts = counted(LOG[:events], lists)
    assert_best(lists, decayed_now(counts, LOG[events - 1].at_ms))
    assert LISTS == 1 + DECAYS + SURFACES - 1
    assert set(lists.lately.tolist()) - {0} == {event.item for event in LOG[max(0, events - LATELY) : events]}
    known = list(dict.fromkeys(event.item for event in LOG[:events]))
    assert lists.known[: lists.known_count[0]].tolist() == known


def test_made_afterwards_they_are_the_same():
    lists = empty_lists(ITEMS, popular=K, lately=LATELY)
    counts = counted(LOG, lists)
    made = lists_of(counts, popular=K, lately=LATELY)
    assert_best(made, decayed_now(counts, LOG[-1].at_ms))
    assert set(made.known[: made.known_count[0]].tolist()) == {event.item for event in LOG}
    counts = counted(LOG[:50], made, counts)
    assert_best(made, decayed_now(counts, LOG[-1].at_ms))


def test_saved_grown_and_loaded_they_go_on_alike():
    lists = empty_lists(ITEMS, popular=K, lately=LATELY)
    counts = counted(LOG[:200], lists)
    loaded = loaded_lists({name: getattr(lists, name).copy() for name in SAVED})
    loaded, copy = grown_lists(loaded, 2 * ITEMS), counts._replace(**{
        name: getattr(counts, name).copy() for name in ("clock", "seen", "decayed", "last_event", "last_ms", "surface")
    })  # fmt: skip
    counted(LOG[200:], lists, counts)
    counted(LOG[200:], loaded, copy)
    np.testing.assert_array_equal(loaded.popular, lists.popular)
    np.testing.assert_array_equal(loaded.keys, lists.keys)
    np.testing.assert_array_equal(loaded.member[:ITEMS][1:], lists.member[1:])


def test_forgotten_rows_stand_nowhere():
    lists = empty_lists(ITEMS, popular=K, lately=LATELY)
    counts = counted(LOG, lists)
    gone = np.unique(lists.popular[1])[-3:].astype(np.int32)
    forget_rows(lists, gone)
    assert not np.isin(gone, lists.popular).any()
    assert not np.isin(gone, lists.lately).any()
    assert not np.isin(gone, lists.known[: lists.known_count[0]]).any()
    assert not lists.member[gone].any()
    counted(LOG[:100], lists, counts)
    for number in range(LISTS):
        rows = lists.popular[number][lists.popular[number] > 0].tolist()
        assert len(rows) == len(set(rows))
