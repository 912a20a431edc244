"""What the towers read: small histories, with every place by hand."""

import numpy as np
import pytest

from models.recommend import pools, windows
from models.recommend.windows import append_all, choose_training, empty_windows, query_windows, training_windows

MINUTE_MS = 60_000


@pytest.fixture
def histories():
    """User 1 had 11 to 15, a minute apart, with values 1, none, 3, none, 5; user 2 had 20 at the first minute."""
    h = pools.reserve(pools.empty_histories(4), 64)
    users = np.array([1, 1, 2, 1, 1, 1], np.int32)
    items = np.array([11, 12, 20, 13, 14, 15], np.int32)
    value = np.array([1, np.nan, 2, 3, np.nan, 5], np.float32)
    at_ms = np.array([0, 1, 1, 2, 3, 4], np.int64) * MINUTE_MS
    action = np.array([3, 4, 3, 5, 3, 17], np.uint8)
    append_all(h, users, items, value, at_ms, action, 4096, np.zeros(6, np.int32))
    return h


def i32(*values):
    return np.array(values, np.int32)


def query(histories, user, pos, at_ms, length):
    found = empty_windows(len(user), length)
    query_windows(histories, i32(*user), i32(*pos), np.array(at_ms, np.int64), found)
    return found


def test_a_query_reads_the_events_before_its_moment(histories):
    found = query(histories, [1, 2, 1], [3, 1, 5], [2 * MINUTE_MS, MINUTE_MS + 1_000, 8 * MINUTE_MS], 4)
    assert found.item.tolist() == [[0, 11, 12, 13], [0, 0, 0, 20], [12, 13, 14, 15]]
    # value: 0 for none, else 1 + whole part; action: its code, modulo 16.
    assert found.value.tolist() == [[0, 2, 0, 4], [0, 0, 0, 3], [0, 4, 0, 6]]
    assert found.action.tolist() == [[0, 3, 4, 5], [0, 0, 0, 3], [4, 5, 3, 1]]
    # gap to the next event, or to the moment of asking: 60 s -> 1 + floor(log2 61) = 6; 0 s -> 1; 240 s -> 8.
    assert found.gap.tolist() == [[0, 6, 6, 1], [0, 0, 0, 2], [6, 6, 6, 8]]


def test_a_query_of_a_newcomer_is_padding(histories):
    found = query(histories, [3, 1], [0, 0], [0, 0], 4)
    assert not any(column.any() for column in found)


def test_a_query_does_not_see_what_came_later(histories):
    early = query(histories, [1], [2], [MINUTE_MS], 4)
    histories.item[histories.start[1] + 2 : histories.start[1] + 5] = 99
    histories.at_ms[histories.start[1] + 2] = 10**12
    for a, b in zip(early, query(histories, [1], [2], [MINUTE_MS], 4), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("end", "item", "target"),
    [
        (4, [11, 12, 13, 14], [12, 13, 14, 15]),
        (3, [0, 11, 12, 13], [11, 12, 13, 14]),
        (1, [0, 0, 0, 11], [0, 0, 11, 12]),
        (0, [0, 0, 0, 0], [0, 0, 0, 11]),
    ],
)
def test_every_place_of_a_training_window_predicts_the_event_after_it(histories, end, item, target):
    found, targets = empty_windows(1, 4), np.zeros((1, 4), np.int32)
    training_windows(histories, i32(1), i32(end), found, targets)
    assert found.item.tolist() == [item]
    assert targets.tolist() == [target]


def test_the_last_input_of_a_training_window_is_what_a_query_would_have_read(histories):
    found, targets = empty_windows(1, 4), np.zeros((1, 4), np.int32)
    training_windows(histories, i32(1), i32(4), found, targets)
    for a, b in zip(found, query(histories, [1], [4], [4 * MINUTE_MS], 4), strict=True):
        np.testing.assert_array_equal(a, b)


def test_append_all_notes_places():
    h, pos = pools.reserve(pools.empty_histories(3), 64), np.zeros(4, np.int32)
    append_all(
        h,
        i32(1, 2, 1, 1),
        i32(5, 6, 7, 8),
        np.zeros(4, np.float32),
        np.zeros(4, np.int64),
        np.zeros(4, np.uint8),
        9,
        pos,
    )
    assert pos.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("value", "bucket"), [(np.nan, 0), (-3.0, 1), (0.0, 1), (0.99, 1), (4.5, 5), (10.0, 11), (1e9, 11)]
)
def test_value_bucket(value, bucket):
    assert windows.value_bucket(np.float32(value)) == bucket < windows.VALUE_BUCKETS


@pytest.mark.parametrize(
    ("gap_ms", "bucket"), [(-5, 1), (0, 1), (999, 1), (1_000, 2), (3_000, 3), (7_000, 4), (3_600_000, 12), (10**15, 25)]
)
def test_gap_bucket(gap_ms, bucket):
    assert windows.gap_bucket(gap_ms) == bucket < windows.GAP_BUCKETS


def choose(users, pos, recent, lengths, *, count, replayed, seed=0):
    got = choose_training(
        i32(*users), i32(*pos), i32(*recent), i32(*lengths),
        count=count, replayed=replayed, generator=np.random.default_rng(seed),
    )  # fmt: skip
    return list(zip(*(column.tolist() for column in got), strict=True))


def test_new_events_come_first_each_once():
    chosen = choose([1, 2, 1, 3], [4, 7, 5, 0], [], [0, 6, 8, 1], count=8, replayed=2)
    assert sorted(chosen) == [(1, 4), (1, 5), (2, 7), (3, 0)]


def test_every_new_event_has_the_same_chance():
    """Ten events, of which nine are one user's, and four windows for them: each is drawn in two of five steps."""
    users, pos = [1] * 9 + [2], [*range(9), 0]
    drawn = [choose(users, pos, [], [0, 9, 1], count=5, replayed=1, seed=seed) for seed in range(1_000)]
    assert {len(chosen) for chosen in drawn} == {4}
    flat = [event for chosen in drawn for event in chosen]
    # Of 1,000 steps each: four standard errors.
    assert all(flat.count(event) == pytest.approx(400, abs=62) for event in zip(users, pos, strict=True))


def test_replay_keeps_its_share_and_takes_places_that_exist():
    lengths = [0, 6, 8, 1, 3]
    chosen = choose([1, 2, 3], [5, 7, 0], [4, 2, 2, 1], lengths, count=400, replayed=100)
    assert len(chosen) == 400
    assert all(0 <= place < lengths[user] for user, place in chosen)
    past = [user for user, _ in chosen[3:]]
    # Uniform over events, not over users: half of the ring is user 2. Three standard errors are 0.075.
    assert past.count(2) / 397 == pytest.approx(0.5, abs=0.075)
    assert {place for user, place in chosen[3:] if user == 2} == set(range(8))


def test_new_events_leave_room_for_replay():
    users = list(range(1, 41))
    chosen = choose(users, [0] * 40, [50], [0] * 50 + [1], count=32, replayed=8)
    assert [user for user, _ in chosen[24:]] == [50] * 8
    assert len({user for user, _ in chosen[:24]}) == 24


def test_an_erased_user_is_not_replayed():
    assert choose([1], [0], [2, 2, 2], [0, 1, 0], count=8, replayed=4) == [(1, 0)]


def test_the_seed_decides():
    arguments = ([1, 2, 3], [5, 7, 0], [4, 2, 2, 1], [0, 6, 8, 1, 3])
    assert choose(*arguments, count=16, replayed=4) == choose(*arguments, count=16, replayed=4)
    assert choose(*arguments, count=16, replayed=4) != choose(*arguments, count=16, replayed=4, seed=1)
