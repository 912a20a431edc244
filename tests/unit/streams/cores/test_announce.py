"""What the trainer tells: whose turn it is, and that a record says all that serving needs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.recommend import sources
from models.recommend.sources import DECAYS, SURFACES
from models.recommend.towers import MAX_DIM
from models.recommend.vocab import FIRST_CAPACITY
from streams.contract import codec
from streams.contract.absent import Withdrawn
from streams.contract.arrays import array_from_tensor, floats_from_bytes, floats_to_bytes, rows_from_bytes
from streams.contract.rules import MAX_RECORD_BYTES
from streams.cores.announce import Announcer, item_vectors
from streams.cores.learn import Learner
from streams.cores.serving import Serving
from streams.cores.weights import Dense, dense_arrays, weights_hash
from tests import engines, planted
from tests.factories import NOW_MS, make_interaction
from tests.slow_counts import SlowLog

ITEMS = 40
LOG = planted.random_log(200, users=6, items=ITEMS)
ALL = engines.EVERYTHING


@pytest.fixture
def learner() -> Learner:
    return engines.taught(LOG, items=engines.catalogue(range(ITEMS)))


def announcer() -> Announcer:
    return Announcer(planted.SMALL, fingerprint="made by a test")


def test_a_record_holds_what_the_raw_events_say(learner: Learner) -> None:
    states, _ = engines.over_the_wire(announcer().announce(learner.state, [], most=ALL))
    counts = SlowLog(ITEMS)
    counts.events = list(LOG)
    after, lag, company = counts.after(), counts.lag(), counts.company()
    key, (value_sum, value_count) = learner.state.items.key, counts.values()
    assert {state.item_id for state in states} == {f"i{n}" for n in range(ITEMS)}
    for state in states:
        n = int(state.item_id[1:])
        mine = [event for event in LOG if event.item == n]
        assert state.row == learner.state.items.row(state.item_id)
        assert (state.count, state.live, state.version) == (len(mine), True, len(LOG))
        assert len(floats_from_bytes(state.popularity)) == DECAYS
        if mine:
            assert state.first_seen_ms == mine[0].at_ms
            assert state.clock_ms == max(event.at_ms for event in mine)
            assert state.clock_events == max(at for at, event in enumerate(LOG) if event.item == n)
        assert (state.value_sum, state.value_count) == (value_sum[n], value_count[n])
        told = ((state.successors, state.successor_weights, after[n]), (state.successors, state.successor_lags, lag[n]),
                (state.predecessors, state.predecessor_weights, after[:, n]),
                (state.company, state.company_weights, company[n]))  # fmt: skip
        for keys, weights, wanted in told:
            got = np.zeros(ITEMS)
            for row, weight in zip(rows_from_bytes(keys).tolist(), floats_from_bytes(weights).tolist(), strict=True):
                got[int(key(row)[1:])] += weight
            np.testing.assert_allclose(got, wanted, rtol=1e-5)
        on_surface = np.zeros(SURFACES - 1)
        for at, event in enumerate(LOG):
            if event.item == n and event.surface:
                on_surface[learner.state.surfaces[f"s{event.surface}"] - 1] += 2 ** ((at - state.clock_events) / 1_000)
        np.testing.assert_allclose(floats_from_bytes(state.surface_popularity), on_surface, rtol=1e-5)


def test_surfaces_are_told_alike_before_and_after_the_trainer_brings_its_counts_down() -> None:
    learner = Learner(planted.SMALL)
    learner.state.counts.clock[0] = 60_000  # of 64,000 events in an epoch
    planted.play(learner, planted.interactions(LOG))
    counts = learner.state.counts
    before = {s.item_id: s.surface_popularity for s in announcer().announce(learner.state, [], most=ALL).states}
    counts.clock[0] += 5_000
    sources.age_surfaces(counts)
    assert counts.surface_base[0] == 64_000
    counts.changed[:] = True
    after = announcer().announce(learner.state, [], most=ALL).states
    assert any(floats_from_bytes(state.surface_popularity).any() for state in after)
    for state in after:
        was = floats_from_bytes(before[state.item_id])
        np.testing.assert_allclose(floats_from_bytes(state.surface_popularity), was, rtol=1e-5)


def test_weights_travel_whole_and_know_their_version(learner: Learner) -> None:
    announcement = announcer().announce(learner.state, [], most=ALL)
    _, weights = engines.over_the_wire(announcement)
    assert weights.version == len(LOG)
    assert weights.step == learner.state.step
    assert weights.item_states == len(announcement.states) == ITEMS
    assert (weights.clock_events, weights.clock_ms) == (len(LOG), LOG[-1].at_ms)
    assert weights.fingerprint == "made by a test"
    arrays = {name: array_from_tensor(tensor) for name, tensor in weights.arrays.items()}
    assert weights_hash(arrays, weights.step) == weights.state_hash
    assert weights_hash(arrays, weights.step + 1) != weights.state_hash
    state = learner.state
    mine = dense_arrays(Dense(state.combiner, state.reranker, state.heads, state.counts.trials, state.towers.weights))
    assert set(arrays) == set(mine)
    for name, array in mine.items():
        np.testing.assert_array_equal(arrays[name], array)
    np.testing.assert_array_equal(arrays["combiner/shared"], state.combiner.shared)
    np.testing.assert_array_equal(arrays["reranker/square"], state.reranker.square)
    assert dict(zip(weights.surfaces, range(1, 16), strict=False)) == state.surfaces


def test_weights_of_the_largest_towers_fit_a_record() -> None:
    towers = dataclasses.replace(planted.SMALL.towers, dim=MAX_DIM)
    config = planted.small(towers=towers)
    weights = Announcer(config, fingerprint="x" * 1_000).announce(Learner(config).state, [], most=1).weights
    assert len(codec.encode(weights)) < MAX_RECORD_BYTES


def test_what_did_not_change_is_not_told_again(learner: Learner) -> None:
    one = announcer()
    assert len(one.announce(learner.state, [], most=ALL).states) == ITEMS
    again = one.announce(learner.state, [], most=ALL)
    assert (again.states, again.weights.item_states) == ([], 0)
    planted.play(learner, [make_interaction(event_id="x", user_id="new", item_id="i3", occurred_at_ms=LOG[-1].at_ms)])
    changed = one.announce(learner.state, [], most=ALL)
    assert "i3" in {state.item_id for state in changed.states}
    assert changed.weights.version == again.weights.version + 1


def test_a_vector_that_moved_far_is_told_again_and_one_that_moved_little_is_not(learner: Learner) -> None:
    one = announcer()
    one.announce(learner.state, [], most=ALL)
    tables = learner.state.towers.tables
    far, little = learner.state.items.row("i5"), learner.state.items.row("i6")
    moved = tables.content.at[far].multiply(-1.0).at[little].multiply(1.0001)
    learner.state.towers = learner.state.towers._replace(tables=tables._replace(content=moved))
    states = one.announce(learner.state, [], most=ALL).states
    assert [state.item_id for state in states] == ["i5"]
    rows = np.array([far], np.int32)
    want = item_vectors(learner.state, rows, learner.config)[0]
    assert states[0].vector == floats_to_bytes(want)


def test_everything_has_its_turn_although_everything_changes_all_the_time(learner: Learner) -> None:
    one, told, most = announcer(), [], 8
    for _ in range(2 * ITEMS // most + 4):
        learner.state.counts.changed[: learner.state.items.used] = True
        states = one.announce(learner.state, [], most=most).states
        assert 0 < len(states) <= most
        told.append([state.item_id for state in states])
    first = {item_id for flush in told[: ITEMS // (most - 1) + 1] for item_id in flush}
    assert len(first) == ITEMS  # nobody twice before everybody once
    later = [item_id for flush in told[ITEMS // (most - 1) + 1 :] for item_id in flush]
    assert len(set(later)) > ITEMS // 2


def test_a_new_item_is_told_first_although_everything_changes_all_the_time(learner: Learner) -> None:
    one = announcer()
    one.announce(learner.state, [], most=ALL)
    learner.learn(engines.catalogue([777]))
    learner.state.counts.changed[: learner.state.items.used] = True
    assert "i777" in {state.item_id for state in one.announce(learner.state, [], most=4).states}


def test_rows_that_moved_are_not_crowded_out_by_rows_that_change(learner: Learner) -> None:
    one, most = announcer(), 16
    one.announce(learner.state, [], most=ALL)
    tables, row = learner.state.towers.tables, learner.state.items.row("i5")
    content = tables.content.at[row].multiply(-1.0)
    learner.state.towers = learner.state.towers._replace(tables=tables._replace(content=content))
    learner.state.counts.changed[: learner.state.items.used] = True
    learner.state.counts.changed[row] = False
    assert "i5" in {state.item_id for state in one.announce(learner.state, [], most=most).states}


def test_an_evicted_item_is_told_and_the_new_owner_of_its_row_too(learner: Learner) -> None:
    one = announcer()
    one.announce(learner.state, [], most=ALL)
    row = learner.state.items.row("i5")
    learner.state.items.evict([row])
    assert learner.state.items.admit(["newcomer"]) == ["newcomer"]
    learner.state.counts.changed[row] = True
    states = one.announce(learner.state, [("i5", row)], most=ALL).states
    assert [(state.item_id, state.row, state.live) for state in states] == [
        ("i5", row, False),
        ("newcomer", row, True),
    ]


def test_a_free_row_is_not_told(learner: Learner) -> None:
    one = announcer()
    one.announce(learner.state, [], most=ALL)
    row = learner.state.items.row("i5")
    learner.state.items.evict([row])
    learner.state.counts.changed[row] = True
    states = one.announce(learner.state, [("i5", row)], most=ALL).states
    assert [(state.item_id, state.live) for state in states] == [("i5", False)]
    assert not learner.state.counts.changed[row]


def test_a_full_row_travels_whole() -> None:
    learner = Learner(planted.small(successors=200))
    chain = ["hub", *(f"s{n}" for n in range(9))]
    events = [
        make_interaction(
            event_id=f"{user}/{at}",
            user_id=f"u{user}",
            item_id=item if at == 0 else f"{item}-{user % 30}",
            occurred_at_ms=NOW_MS + 100 * user + at,
        )
        for user in range(60)
        for at, item in enumerate(chain)
    ]
    planted.play(learner, events)
    state = next(s for s in announcer().announce(learner.state, [], most=ALL).states if s.item_id == "hub")
    row, after = learner.state.items.row("hub"), learner.state.counts.after
    mine = slice(int(after.start[row]), int(after.start[row]) + int(after.length[row]))
    assert after.length[row] == 200
    np.testing.assert_array_equal(rows_from_bytes(state.successors), after.key[mine])
    np.testing.assert_array_equal(floats_from_bytes(state.successor_weights), after.weight[mine])
    np.testing.assert_array_equal(floats_from_bytes(state.successor_lags), after.lag[mine])
    np.testing.assert_array_equal(floats_from_bytes(state.successor_gains), after.learned[mine])
    company = learner.state.counts.company
    mine = slice(int(company.start[row]), int(company.start[row]) + int(company.length[row]))
    np.testing.assert_array_equal(floats_from_bytes(state.company_gains), company.learned[mine])
    assert np.any(after.learned != 0)
    assert np.any(company.learned != 0)


def test_a_growing_catalogue_is_told_whole() -> None:
    learner, one, told = Learner(planted.SMALL), announcer(), set()
    one.announce(learner.state, [], most=ALL)
    for first in (0, FIRST_CAPACITY, 2 * FIRST_CAPACITY):
        learner.learn(engines.catalogue(range(first, first + FIRST_CAPACITY)))
        told |= {state.item_id for state in one.announce(learner.state, [], most=ALL).states}
    assert told == {f"i{n}" for n in range(3 * FIRST_CAPACITY)}


def test_a_state_that_learned_nothing_has_nothing_to_tell() -> None:
    announcement = announcer().announce(Learner(planted.SMALL).state, [], most=ALL)
    assert (announcement.states, announcement.weights.version) == ([], 0)


def test_a_withdrawn_item_is_told_as_such_until_it_is_listed_again(learner: Learner) -> None:
    one = announcer()
    one.announce(learner.state, [], most=ALL)
    learner.learn([Withdrawn("i5")])
    assert [(s.item_id, s.live) for s in one.announce(learner.state, [], most=ALL).states] == [("i5", False)]
    serving = Serving(planted.SMALL)
    serving.restore(learner.state, planted.SMALL)
    row = learner.state.items.row("i5")
    assert not serving.announced[row], "a snapshot knows it, though compaction removes the tombstone"
    assert serving.announced[row - 1]
    learner.learn(list(engines.catalogue([5])))
    assert [(s.item_id, s.live) for s in one.announce(learner.state, [], most=ALL).states] == [("i5", True)]
