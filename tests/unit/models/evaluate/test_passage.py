"""What a passage says of each event: its user's history and its item's sightings until then."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ShapeError
from models.evaluate.passage import (
    activity,
    counted_before,
    learned_at,
    passage_of,
    scored_of,
    sightings_at,
)

EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=40
)


def passage(user, item, learns, judged=None, at_ms=None):
    count = len(user)
    judged = np.ones(count, bool) if judged is None else judged
    return passage_of(
        np.array(user, np.int32), np.array(item, np.int32), np.arange(count) if at_ms is None else np.array(at_ms),
        place=np.arange(count), learns=np.array(learns, bool), judged=judged,
    )  # fmt: skip


@given(EVENTS)
def test_everything_before_an_event_is_counted_and_nothing_after(events):
    user, item, learns, judged = (list(column) for column in zip(*events, strict=True))
    made = passage(user, item, learns, np.array(judged))
    scored, with_repeats = scored_of(made, repeats=False), scored_of(made, repeats=True)
    for p in range(len(events)):
        history = [item[q] for q in range(p) if learns[q] and user[q] == user[p]]
        start = made.start[user[p]]
        assert made.past[start : start + made.pos[p]].tolist() == history
        assert made.sightings[p] == sum(learns[q] and item[q] == item[p] for q in range(p))
        assert scored[p] == (judged[p] and item[p] not in history)
        assert with_repeats[p] == judged[p]
        assert learned_at(made, np.array([p]))[0] == sum(learns[:p])
        wanted = [sum(learns[q] and item[q] == j for q in range(p)) for j in range(6)]
        assert sightings_at(made, np.arange(6, dtype=np.int32), np.array(p)).tolist() == wanted


def test_by_hand():
    made = passage([0, 1, 0, 0], [7, 7, 8, 7], [True, True, False, True])
    assert made.pos.tolist() == [0, 0, 1, 1]
    assert made.sightings.tolist() == [0, 1, 0, 2]
    assert made.past.tolist() == [7, 7, 7]
    assert made.start.tolist() == [0, 2, 3]
    assert scored_of(made, repeats=False).tolist() == [True, True, True, False]
    missing = sightings_at(made, np.array([[7, -1]], np.int32), np.array([[4]]))
    assert missing.tolist() == [[3, -1]]


def test_counting_nothing():
    nothing = np.zeros(0, np.int32)
    assert counted_before(nothing, np.zeros(0, bool)).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=30))
def test_activity_counts_the_users_events_in_the_time_before(events):
    events = sorted(events, key=lambda event: event[1])
    user, at_ms = (list(column) for column in zip(*events, strict=True))
    made = passage(user, [0] * len(user), [True] * len(user), at_ms=at_ms)
    wanted = [
        sum(user[q] == user[p] and at_ms[q] >= at_ms[p] - 10 for q in range(p)) for p in range(len(user))
    ]  # fmt: skip
    assert activity(made, 10).tolist() == wanted


def test_columns_of_two_lengths_are_refused():
    with pytest.raises(ShapeError, match="must be of one length, got 2, 1, 2"):
        passage_of(
            np.zeros(2, np.int32), np.zeros(2, np.int32), np.zeros(2, np.int64), place=np.arange(2),
            learns=np.ones(1, bool), judged=np.ones(2, bool),
        )  # fmt: skip
