"""Whatever is added, moved, scrubbed and cleared: a pool holds what dicts and lists would hold."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recommend import pools
from models.recommend.windows import append_all

ROWS, KEYS, MOST = 4, 12, 9

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, ROWS - 1), st.integers(0, KEYS - 1)),
        st.tuples(st.just("clear"), st.integers(0, ROWS - 1), st.just(0)),
        st.tuples(st.just("scrub"), st.just(0), st.integers(0, KEYS - 1)),
        st.tuples(st.just("compact"), st.just(0), st.integers(0, 50)),
        st.tuples(st.just("grow"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_sparse_rows(actions):
    rows = pools.empty_rows(ROWS, 64)
    want: list[dict[int, float]] = [{} for _ in range(ROWS)]
    for action, r, key in actions:
        if action == "add":
            rows = pools.reserve(rows, 2 * MOST)
            pools.add(rows, np.int32(r), np.int32(key), np.float32(1.0 + key), MOST)
            if key not in want[r] and len(want[r]) == MOST:
                # The first of the weakest, in the order of the row, gives its place up.
                weakest = min(want[r], key=want[r].get)
                want[r] = {key if old == weakest else old: 0.0 if old == weakest else w for old, w in want[r].items()}
            want[r][key] = want[r].get(key, 0.0) + 1.0 + key
        elif action == "clear":
            pools.clear_row(rows, r)
            want[r] = {}
        elif action == "scrub":
            gone = np.arange(KEYS) == key
            pools.scrub_rows(rows, gone)
            want = [{k: w for k, w in row.items() if k != key} for row in want]
        elif action == "compact":
            rows = pools.compacted(rows, key)
            assert rows.head[0] == rows.room.sum()
        else:
            rows = pools.with_capacity(rows, len(rows.start) + 1)
    for r, row in enumerate(want):
        at = slice(rows.start[r], rows.start[r] + rows.length[r])
        assert list(zip(rows.key[at].tolist(), rows.weight[at].tolist(), strict=True)) == list(row.items())
    assert (rows.length <= rows.room).all()
    assert (rows.room <= MOST).all()
    assert rows.head[0] <= len(rows.key)
    stretches = sorted((start, start + room) for start, room in zip(rows.start, rows.room, strict=True) if room)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(stretches)), "rows overlap"


ENTRIES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, ROWS - 1), st.integers(0, KEYS - 1)),
        st.tuples(st.just("scrub"), st.just(0), st.integers(0, KEYS - 1)),
        st.tuples(st.just("compact"), st.just(0), st.integers(0, 50)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("make", [pools.empty_successors, pools.empty_company])
@given(ENTRIES)
def test_every_weight_of_an_entry_stays_with_its_key(make, actions):
    rows = make(ROWS, 64)
    want: list[dict[int, list[float]]] = [{} for _ in range(ROWS)]
    for number, (action, r, key) in enumerate(actions, start=1):
        if action == "add":
            rows = pools.reserve(rows, 2 * KEYS)
            at, is_new = pools.entry(rows, np.int32(r), np.int32(key), KEYS)
            assert is_new == (key not in want[r])
            for times, weights in enumerate(rows[5:], start=1):
                if is_new and times > 1:
                    weights[at] = 0.0
                weights[at] += times * number
            weight = want[r].get(key, [0.0])[0] + number
            want[r][key] = [times * weight for times in range(1, len(rows[5:]) + 1)]
        elif action == "scrub":
            pools.scrub_rows(rows, np.arange(KEYS) == key)
            want = [{k: w for k, w in row.items() if k != key} for row in want]
        else:
            rows = pools.compacted(rows, key)
    for r, row in enumerate(want):
        at = slice(rows.start[r], rows.start[r] + rows.length[r])
        weights = np.stack([column[at] for column in rows[5:]], axis=1).tolist()
        assert dict(zip(rows.key[at].tolist(), weights, strict=True)) == row


BATCHES = st.lists(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=12), max_size=12)


@given(BATCHES)
def test_histories_hold_the_newest_events_and_never_more_than_most(batches):
    most, histories, number = 16, pools.empty_histories(ROWS, 64), 0
    want: list[list[int]] = [[] for _ in range(ROWS)]
    for users in batches:
        columns = np.array(users, np.int32)
        pools.forget_oldest(histories, columns, most)
        histories = pools.reserve_appends(histories, columns)
        items = np.arange(number, number + len(users), dtype=np.int32)
        pos = np.zeros(len(users), np.int32)
        append_all(
            histories, columns, items, items.astype(np.float32), items.astype(np.int64), (items % 256).astype(np.uint8),
            most, pos,
        )  # fmt: skip
        for at, user in enumerate(users):
            want[user].append(number + at)
        number += len(users)
    for user, expected in enumerate(want):
        start, length = histories.start[user], histories.length[user]
        kept = histories.item[start : start + length].tolist()
        assert kept == expected[len(expected) - len(kept) :]
        assert len(kept) >= min(len(expected), most - 12 - most // 2)
        assert histories.at_ms[start : start + length].tolist() == kept
    assert (histories.length <= most).all()
    assert histories.head[0] <= len(histories.item)
