"""Growing rows in one pool, against dicts and lists."""

import numpy as np
import pytest

from models.recommend import pools
from models.recommend.windows import append_all


def entries(rows, r):
    start, length = rows.start[r], rows.length[r]
    return dict(
        zip(rows.key[start : start + length].tolist(), rows.weight[start : start + length].tolist(), strict=True)
    )


def history(histories, r):
    start, length = histories.start[r], histories.length[r]
    return [tuple(column[start : start + length].tolist()) for column in histories[4:]]


def put(rows, r, key, weight, most=64):
    pools.add(rows, np.int32(r), np.int32(key), np.float32(weight), most)


def appended(histories, users, first=0, most=4096):
    """Histories after one more event for each of ``users``; event n is on item n at n ms with value n / 2."""
    users = np.array(users, np.int32)
    number = np.arange(first, first + len(users))
    histories = pools.reserve_appends(histories, users)
    pos = np.zeros(len(users), np.int32)
    append_all(
        histories, users, number.astype(np.int32), (number / 2).astype(np.float32), number.astype(np.int64),
        (number % 7).astype(np.uint8), most, pos,
    )  # fmt: skip
    return histories, pos.tolist()


def test_rows_grow_and_keep_their_entries():
    rows = pools.empty_rows(5)
    want: dict[int, dict[int, float]] = {r: {} for r in range(5)}
    rng = np.random.default_rng(0)
    for r, key in zip(rng.integers(0, 5, 400).tolist(), rng.integers(0, 50, 400).tolist(), strict=True):
        rows = pools.reserve(rows, 128)
        put(rows, r, key, 1.0)
        want[r][key] = want[r].get(key, 0) + 1.0
    assert {r: entries(rows, r) for r in range(5)} == want


def test_histories_keep_every_column_in_order():
    histories, pos = appended(pools.empty_histories(3), [1, 2, 1, 1, 2] * 9)
    assert pos[:5] == [0, 0, 1, 2, 1]
    numbers = [n for n in range(45) if n % 5 in (0, 2, 3)]
    assert history(histories, 1) == [
        tuple(numbers), tuple(n / 2 for n in numbers), tuple(numbers), tuple(n % 7 for n in numbers),
    ]  # fmt: skip
    assert history(histories, 0) == [(), (), (), ()]


def test_a_move_leaves_zeros_behind():
    histories, _ = appended(pools.empty_histories(2, places=256), [1] * 9, first=1)
    assert histories.start[1] == 8, "the ninth event moved the history"
    for column in histories[4:]:
        assert not column[:8].any(), "an erased user must leave no copy in the pool"
    rows = pools.empty_rows(2, 64)
    for key in range(1, 10):
        put(rows, 1, key, 1.0)
    assert not rows.key[:8].any()
    assert not rows.weight[:8].any()


def test_reserve_compacts_and_keeps_rows():
    rows = pools.empty_rows(4, 64)
    for n in range(20):
        put(rows, 1 + n % 2, n, n)
    before = {r: entries(rows, r) for r in range(4)}
    moved = pools.reserve(rows, 30)
    assert {r: entries(moved, r) for r in range(4)} == before
    assert len(moved.key) - moved.head[0] >= 30
    assert moved.head[0] == moved.room.sum()
    assert pools.reserve(moved, 30) is moved, "room enough: nothing happens"


def test_compacted_is_the_same_whatever_the_way_there():
    slow, quick = pools.empty_histories(3), pools.empty_histories(3)
    users = [1, 2, 2, 1, 1, 2, 1] * 5
    for at, user in enumerate(users):
        slow, _ = appended(slow, [user], first=at)
        slow = pools.compacted(slow, at % 3 * 40)
    quick, _ = appended(quick, users)
    for a, b in zip(pools.compacted(slow), pools.compacted(quick), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_with_capacity():
    rows = pools.empty_rows(2)
    put(rows, 1, 9, 2.0)
    more = pools.with_capacity(rows, 5)
    assert [len(column) for column in more[:3]] == [5, 5, 5]
    assert entries(more, 1) == {9: 2.0}
    put(more, 4, 3, 1.0)
    assert entries(more, 4) == {3: 1.0}
    assert pools.with_capacity(more, 5) is more


@pytest.mark.parametrize("most", [1, 3, 8, 11])
def test_no_row_grows_beyond_most(most):
    rows = pools.empty_rows(2, 256)
    for n in range(40):
        put(rows, 1, n, n + 1, most)
    assert rows.length[1] == most
    assert rows.room[1] <= most
    assert entries(rows, 1)[39] == 40.0, "the newcomer always gets in"


def test_a_row_longer_than_a_lowered_most_does_not_grow():
    rows = pools.empty_rows(2, 64)
    for n in range(8):
        put(rows, 1, n, n + 1)
    put(rows, 1, 99, 5.0, most=4)
    assert rows.length[1] == 8
    assert entries(rows, 1)[99] == 5.0
    assert 0 not in entries(rows, 1), "the weakest gave way"


def test_forget_oldest_drops_half_when_a_batch_could_overflow():
    histories, _ = appended(pools.empty_histories(3), [1] * 10 + [2] * 3, most=12)
    users = np.array([1, 2, 1], np.int32)
    pools.forget_oldest(histories, users, 12)
    assert history(histories, 1)[0] == (5, 6, 7, 8, 9)
    assert history(histories, 2)[0] == (10, 11, 12)
    histories, pos = appended(histories, users, first=13, most=12)
    assert pos == [5, 3, 6]
    assert history(histories, 1)[0] == (5, 6, 7, 8, 9, 13, 15)


def test_forget_oldest_drops_more_than_half_for_a_long_batch():
    histories, _ = appended(pools.empty_histories(2), [1] * 10, most=12)
    pools.forget_oldest(histories, np.full(9, 1, np.int32), 12)
    assert history(histories, 1)[0] == (7, 8, 9)


def test_scrub():
    gone = np.zeros(30, np.bool_)
    gone[[2, 5]] = True
    rows = pools.empty_rows(2)
    for key in (1, 2, 3, 5, 7):
        put(rows, 1, key, key)
    pools.scrub_rows(rows, gone)
    assert entries(rows, 1) == {1: 1.0, 3: 3.0, 7: 7.0}
    successors = pools.empty_successors(2)
    for key in (1, 2, 3, 5, 7):
        at, is_new = pools.entry(successors, np.int32(1), np.int32(key), 64)
        assert is_new
        successors.weight[at], successors.lag[at], successors.near[at] = key, 10 * key, 100 * key
        successors.learned[at] = -key
    pools.scrub_rows(successors, gone)
    start = successors.start[1]
    assert [column[start : start + 3].tolist() for column in successors[4:]] == [
        [1, 3, 7], [1, 3, 7], [10, 30, 70], [100, 300, 700], [-1, -3, -7],
    ]  # fmt: skip
    assert successors.length[1] == 3
    histories, _ = appended(pools.empty_histories(2), [1] * 8)
    pools.scrub_histories(histories, gone)
    assert history(histories, 1) == [
        (0, 1, 3, 4, 6, 7), (0.0, 0.5, 1.5, 2.0, 3.0, 3.5), (0, 1, 3, 4, 6, 7), (0, 1, 3, 4, 6, 0),
    ]  # fmt: skip


def test_replaced_rows_hold_what_they_were_given_and_their_neighbours_what_they_had():
    rows = pools.empty_rows(6, places=8)
    want: dict[int, dict[int, float]] = {row: {} for row in range(6)}
    rng = np.random.default_rng(5)
    for _ in range(30):
        chosen = rng.permutation(6)[: rng.integers(1, 6)].astype(np.int32)
        keys = [rng.permutation(90)[: rng.integers(0, 40)].astype(np.int32) for _ in chosen]
        ends = np.cumsum([len(one) for one in keys], dtype=np.int64)
        rows = pools.reserve(rows, pools.places_to_replace(rows, chosen, ends))
        flat = np.concatenate(keys)
        pools.replace_rows(rows, chosen, flat, flat.astype(np.float32) / 2, ends)
        want |= {row: {int(key): key / 2 for key in one} for row, one in zip(chosen.tolist(), keys, strict=True)}
        assert {row: entries(rows, row) for row in range(6)} == want
        assert rows.head[0] <= len(rows.key)


def test_clear_row_clears_the_bytes():
    histories, _ = appended(pools.empty_histories(3), [1, 2] * 6, first=1)
    pools.clear_row(histories, 1)
    assert history(histories, 1) == [(), (), (), ()]
    start, room = histories.start[1], histories.room[1]
    assert not any(column[start : start + room].any() for column in histories[4:])
    assert history(histories, 2)[0] == (2, 4, 6, 8, 10, 12)
