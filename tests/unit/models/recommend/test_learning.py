"""One batch after the other through counts, combiner and towers together."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from models.errors import ShapeError
from models.recommend import learning, pools, state, tower_part
from models.recommend.combiner import TOWER
from models.recommend.learning import Columns, Judging, is_scored
from models.recommend.state import fit_capacity
from models.recommend.windows import append_all
from tests.kernel_run import Run
from tests.planted import SMALL, columns, labels_at, random_labels, random_log, small
from tests.slow_counts import Event, SlowLog

LOG = random_log(256, users=16, items=30, seed=2)
LABELS, LABELS_OF_12_ROWS = random_labels(30), random_labels(12)
LABELS_OF_12 = labels_at(LABELS_OF_12_ROWS, range(1, 12))
DAY_MS = 86_400_000


def admitted(config=SMALL, *, items=30, users=16):
    current = state.fresh(config)
    current.items.admit(f"i{n}" for n in range(1, items))
    current.users.admit(f"u{n}" for n in range(1, users))
    fit_capacity(current, config)
    return current


def learned(log, config=SMALL, *, batch=128, current=None):
    current = current or admitted(config)
    results = [learning.learn(current, columns(log[at : at + batch]), config) for at in range(0, len(log), batch)]
    return current, np.concatenate([result.ranks for result in results]), results


def user_items(current, user):
    start, length = current.histories.start[user], current.histories.length[user]
    return current.histories.item[start : start + length].tolist()


def test_every_column_lands_in_its_place_of_the_history():
    current, _, _ = learned(LOG[:128])
    want = columns(LOG[:128])
    for user in range(1, 16):
        start, length = current.histories.start[user], current.histories.length[user]
        for name in ("item", "value", "at_ms", "action"):
            got = getattr(current.histories, name)[start : start + length]
            np.testing.assert_array_equal(got, getattr(want, name)[want.user == user], err_msg=name)


def test_two_runs_give_the_same_bytes():
    a, ranks, _ = learned(LOG)
    b, same_ranks, _ = learned(LOG)
    np.testing.assert_array_equal(ranks, same_ranks)
    for name, array in state.to_arrays(a).items():
        assert array.tobytes() == state.to_arrays(b)[name].tobytes(), name


def test_counts_do_not_depend_on_the_batch():
    a, ranks, _ = learned(LOG[:128])
    b, small_ranks, _ = learned(LOG[:128], batch=16)
    run = Run(items=30)
    run.count(LOG[:128])
    for current in (a, b):
        np.testing.assert_array_equal(current.counts.decayed[:, :30], run.counts.decayed)
        np.testing.assert_array_equal(current.counts.seen[:30], run.counts.seen)
    baselines = slice(1, 3)
    np.testing.assert_array_equal(ranks[:, baselines], small_ranks[:, baselines])


def test_a_short_batch_of_the_same_bucket_does_not_compile_again():
    current, _, _ = learned(LOG[:128])
    with jax.no_tracing():
        learning.learn(current, columns(LOG[128:200]), SMALL)


def test_an_empty_batch_is_a_step_and_changes_nothing_else():
    current, _, _ = learned(LOG[:128])
    current.step += 1
    before = {name: array.tobytes() for name, array in state.to_arrays(current).items()}
    parts: list[Any] = [column[:0] for column in columns(LOG[:1])]
    nothing = Columns(*parts)
    current.step -= 1
    result = learning.learn(current, nothing, SMALL)
    assert result.ranks.shape == (0, 3)
    assert result.sums.tolist() == [0.0] * 7
    assert result.loss is None
    assert {name: array.tobytes() for name, array in state.to_arrays(current).items()} == before


def test_book_keeping():
    current, ranks, results = learned(LOG)
    assert current.step == 2
    assert current.learned_events == 256
    assert current.recent[:256].tolist() == [event.user for event in LOG]
    assert current.newest_ms == LOG[-1].at_ms
    assert current.totals[0] == (ranks[:, 0] > 0).sum() == sum(result.sums[0] for result in results)
    assert current.items.last_ms[LOG[-1].item] == LOG[-1].at_ms
    assert all(np.isfinite(float(result.loss)) for result in results)


def test_a_batch_longer_than_a_history_may_be_is_refused():
    with pytest.raises(ShapeError, match="history_most = 32 events, got 33; split it first"):
        learning.learn(admitted(), columns(LOG[:33]), small(history_most=32))


def test_a_long_history_forgets_its_oldest_half():
    config = small(history_most=32)
    log = [Event(1, 1 + at % 29, 1_000 * at) for at in range(64)]
    current, _, _ = learned(log, config, batch=16)
    assert user_items(current, 1) == [event.item for event in log[-32:]]
    current, _, _ = learned(log[:16], config, batch=16, current=current)
    assert user_items(current, 1) == [event.item for event in (*log[-16:], *log[:16])]


def test_a_sample_is_ranked_and_everything_is_counted():
    config = small(evaluate_sample=0.25)
    current, ranks, _ = learned(LOG, config)
    whole, all_ranks, _ = learned(LOG)
    sampled = is_scored(0, 256, 0.25)
    assert (ranks[~sampled] == 0).all()
    np.testing.assert_array_equal(ranks[sampled][:, 1:], all_ranks[sampled][:, 1:])
    np.testing.assert_array_equal(current.counts.decayed, whole.counts.decayed)


def test_the_sample_is_a_share_and_does_not_depend_on_batches():
    whole = is_scored(0, 10_000, 0.3)
    # Three standard errors of 10,000 draws.
    assert whole.mean() == pytest.approx(0.3, abs=0.014)
    np.testing.assert_array_equal(np.concatenate([is_scored(0, 17, 0.3), is_scored(17, 9_983, 0.3)]), whole)
    assert is_scored(5, 100, 1.0).all()
    assert not is_scored(5, 100, 0.0).any()


def hidden_items(current, user):
    start, length = current.hidden.start[user], current.hidden.length[user]
    return sorted(current.hidden.key[start : start + length].tolist())


def test_hide():
    current = admitted()
    learning.hide(current, [2, 3, 2, 2], [5, 6, 7, 5], SMALL)
    learning.hide(current, [2] * 20, list(range(8, 28)), SMALL)
    assert hidden_items(current, 2) == [5, 7, *range(8, 28)]
    assert hidden_items(current, 3) == [6]
    assert hidden_items(current, 1) == []


def test_list_and_withdraw():
    current = admitted()
    content, labels = np.arange(48, dtype=np.float32).reshape(3, 16), labels_at(LABELS, range(1, 4))
    learning.list_items(current, np.array([9, 2, 30 - 1], np.int32), content, labels, SMALL)
    assert np.flatnonzero(current.live).tolist() == [2, 9, 29]
    np.testing.assert_array_equal(np.asarray(current.towers.tables.content)[[9, 2, 29]], content)
    for name in labels._fields:
        got, want = getattr(current.labels, name), getattr(labels, name)
        np.testing.assert_array_equal(got[[9, 2, 29]], want)
        assert np.count_nonzero(got) == np.count_nonzero(want), "nobody else has labels"
    assert np.flatnonzero(current.counts.changed).tolist() == [2, 9, 29]
    current.counts.changed[:] = False
    learning.withdraw_items(current, np.array([9], np.int32))
    assert np.flatnonzero(current.live).tolist() == [2, 29]
    assert np.flatnonzero(current.counts.changed).tolist() == [9]


def test_eviction_leaves_nothing_of_an_item_or_a_user():
    config = small(item_ttl_days=10.0, user_ttl_days=10.0)
    start_ms = LOG[0].at_ms
    old = [Event(1 + at % 4, 1 + at % 6, start_ms + at) for at in range(128)]
    new = [Event(3 + at % 5, 5 + at % 7, start_ms + 11 * DAY_MS + at) for at in range(128)]
    current, _, _ = learned([*old, *new], config, current=admitted(config, items=12, users=8))
    learning.list_items(current, np.arange(1, 12, dtype=np.int32), np.ones((11, 16), np.float32), LABELS_OF_12, config)
    learning.withdraw_items(current, np.delete(np.arange(1, 12, dtype=np.int32), 3))
    learning.hide(current, [3, 3, 1], [1, 7, 2], config)
    current.counts.changed[:] = False
    before = np.asarray(current.towers.tables.id).copy()
    led_to = led_to_of(current)
    assert all(table.any() for table in led_to), "what pairs have learned included"
    current.combiner.surface_bias[2, :12] = 1.0
    pointed = [row for row in range(5, 12) if set(entries(current.counts.after, row)) & {1, 2, 3}]
    items, users = learning.evict_expired(current, config)
    # Items 1 to 4 and users 1 and 2 were not seen for eleven days; item 4 is in the catalogue and stays.
    assert items == [("i1", 1), ("i2", 2), ("i3", 3)]
    assert users == ["u1", "u2"]
    gone = {1, 2, 3}
    for pool in (current.counts.after, current.counts.before, current.counts.company, current.hidden):
        assert not any(set(entries(pool, row)) & gone for row in range(12))
    for table, expected in zip(led_to_of(current), led_to, strict=True):
        table[:, [1, 2, 3]] = expected[:, [1, 2, 3]] = expected[[1, 2, 3]] = 0
        np.testing.assert_array_equal(table, expected, err_msg="what leads to the others is as it was")
    left = SlowLog(12, LABELS_OF_12_ROWS)
    left.events = [event for event in (*old, *new) if event.item not in gone]
    tag_events = {code: current.counts.tag_events[code] for code in np.flatnonzero(current.counts.tag_events[1:]) + 1}
    assert tag_events == {code: events for code, events in left.tag_events().items() if events}
    assert current.counts.tag_events[0] == sum(tag_events.values())
    assert not any(column[1:4].any() for column in current.labels)
    assert not current.counts.surface[:, 1:4].any()
    assert not current.counts.value_count[1:4].any()
    assert all(not gone & set(user_items(current, user)) for user in range(16))
    assert user_items(current, 3)[:2] == [5, 5], "what he did with the others stays, in order"
    assert hidden_items(current, 3) == [7]
    assert user_items(current, 1) == user_items(current, 2) == []
    assert not current.counts.seen[1:4].any()
    assert not current.combiner.bias[1:4].any()
    assert np.flatnonzero(current.combiner.surface_bias[2] == 1.0).tolist() == [0, *range(4, 12)]
    assert not current.combiner.surface_bias[:, 1:4].any()
    assert (current.counts.seen[4:12] > 0).all()
    after = np.asarray(current.towers.tables.id)
    assert (before[1:4] != after[1:4]).any(axis=1).all()
    np.testing.assert_array_equal(before[4:], after[4:])
    assert current.counts.changed[[1, 2, 3]].all()
    assert pointed
    assert current.counts.changed[pointed].all(), "rows that lost a successor are told to the recommenders"
    assert current.items.admit(["again"]) == ["again"]
    assert current.items.row("again") in gone
    _, ranks, _ = learned(new, config, current=current)
    assert np.isfinite(ranks[:, 0]).all()


def entries(rows, r):
    start, length = rows.start[r], rows.length[r]
    return rows.key[start : start + length].tolist()


def led_to_of(current, items=12):
    """Every weight of every pool of the counts, as full tables."""
    tables = []
    for rows in (current.counts.after, current.counts.before, current.counts.company):
        for weight in rows._fields[rows._fields.index("weight") :]:
            table = np.zeros((items, items))
            for r in range(items):
                at = slice(rows.start[r], rows.start[r] + rows.length[r])
                table[r, rows.key[at]] = getattr(rows, weight)[at]
            tables.append(table)
    return tables


def test_a_new_description_takes_the_events_of_the_item_with_it():
    current, _, _ = learned(LOG[:128])
    rows = np.arange(1, 30, dtype=np.int32)
    for seed in (1, 2):
        labels = random_labels(30, seed=seed)
        learning.list_items(current, rows, np.ones((29, 16), np.float32), labels_at(labels, rows), SMALL)
        slow = SlowLog(30, labels)
        slow.events = LOG[:128]
        want = slow.tag_events()
        assert want
        assert {
            code: current.counts.tag_events[code] for code in np.flatnonzero(current.counts.tag_events[1:]) + 1
        } == want
        assert current.counts.tag_events[0] == sum(want.values())


@pytest.mark.parametrize("each", [32, 128, 256])
def test_the_towers_take_their_steps_by_events_however_the_batches_are_cut(each):
    config = small(training=dataclasses.replace(SMALL.training, events_per_step=each))
    for batch in (1, 100, 128, 250):
        current, _, results = learned(LOG[:250], config, batch=batch)
        assert int(current.towers.step) == 250 // each, f"in batches of {batch}"
        taken = [result.loss is not None for result in results]
        assert sum(taken) <= 250 // each
        assert any(taken) == (each <= 250)
        learned(LOG[250:], config, batch=batch, current=current)
        assert int(current.towers.step) == 256 // each


def test_steps_at_once_are_the_same_steps(monkeypatch):
    config = small(training=dataclasses.replace(SMALL.training, events_per_step=16))
    at_once, _, results = learned(LOG, config, batch=256)
    assert int(at_once.towers.step) == 16 == 2 * learning.STEPS_AT_ONCE
    monkeypatch.setattr(learning, "STEPS_AT_ONCE", 1_000)
    one_by_one, _, same = learned(LOG, config, batch=256)
    assert float(results[0].loss) == pytest.approx(float(same[0].loss), rel=1e-5)
    for a, b in zip(jax.tree.leaves(at_once.towers), jax.tree.leaves(one_by_one.towers), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_nothing_expires_without_a_time_to_live():
    current, _, _ = learned(LOG[:128])
    assert learning.evict_expired(current, SMALL) == ([], [])


def test_tower_logits_are_strict_to_the_place_in_the_history():
    """The logits of an event may not move when later events of the batch do."""
    batch = columns(LOG[128:256])

    def logits_of(events):
        probe, _, _ = learned(LOG[:128])
        probe.histories = pools.reserve_appends(probe.histories, events.user)
        pos = np.zeros(128, np.int32)
        append_all(probe.histories, events.user, events.item, events.value, events.at_ms, events.action, 4096, pos)
        return tower_part.tower_logits(probe, events.user, events.at_ms, pos, SMALL).of_users

    later = batch._replace(
        item=np.where(np.arange(128) >= 60, 1, batch.item).astype(np.int32),
        user=np.where(np.arange(128) >= 60, 3, batch.user).astype(np.int32),
    )
    np.testing.assert_array_equal(logits_of(batch)[:60], logits_of(later)[:60])


def test_ranking_without_learning_changes_nothing_and_agrees_with_the_next_event_learned():
    current, _, _ = learned(LOG[:128])
    before = {name: array.tobytes() for name, array in state.to_arrays(current).items()}
    had, seen = {event[:2] for event in LOG[:128]}, {event.item for event in LOG[:128]}
    ahead = [event for event in LOG[128:] if event[:2] not in had and event.item in seen][:32]
    judged = learning.rank(current, columns(ahead), SMALL, Judging(lists=5))
    assert {name: array.tobytes() for name, array in state.to_arrays(current).items()} == before
    assert judged.tops.shape == (len(ahead), 3, 5)
    assert np.isfinite(judged.ranks).all()
    assert (judged.ranks >= 1).all()
    # Only the first event is then learned on the very state that it was ranked on.
    learnt = learning.learn(current, columns(ahead[:1]), SMALL, Judging(lists=5))
    assert judged.ranks[0].tolist() == learnt.ranks[0].tolist()
    assert judged.tops[0].tolist() == learnt.tops[0].tolist()


def test_ranking_for_users_and_items_that_are_not_known():
    current, _, _ = learned(LOG[:128])
    now_ms = LOG[127].at_ms
    strange = learning.rank(current, columns([Event(0, 0, now_ms), Event(0, LOG[0].item, now_ms)]), SMALL)
    assert np.isinf(strange.ranks[0]).all()
    assert (strange.ranks[1] >= 1).all()
    assert np.isfinite(strange.ranks[1]).all()


def test_with_counts_alone_the_towers_stay_as_they_were():
    config = dataclasses.replace(SMALL, towers=dataclasses.replace(SMALL.towers, flavour="counts"))
    current, ranks, results = learned(LOG[:128], config)
    untouched = state.to_arrays(admitted(config))
    for name, array in state.to_arrays(current).items():
        if name.startswith("towers/"):
            np.testing.assert_array_equal(array, untouched[name], err_msg=name)
    assert [result.loss for result in results] == [None]
    run = Run(items=30)
    want = run.learn(LOG[:128], rates=learning.rates_of(config))
    np.testing.assert_array_equal(ranks, want, err_msg="as with a tower that says nothing")
    assert current.combiner.shared[TOWER] == 0, "and weighs nothing"
