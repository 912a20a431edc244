"""What a recommender knows: whole versions, rows that change hands, late announcements."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from models.recommend import labels
from streams.contract.arrays import floats_to_bytes, rows_to_bytes
from streams.contract.events import ItemState, ModelWeights
from streams.cores.announce import Announcer
from streams.cores.learn import Learner
from streams.cores.serving import UNRESOLVED_MOST, Serving
from tests import engines, planted
from tests.announced import END_MS, EVENTS, ITEMS, LOG, act, gone, history, serving_with, slate, state, weights
from tests.engines import ask, ids
from tests.factories import NOW_MS, make_item


@pytest.fixture(scope="module")
def learner() -> Learner:
    return engines.taught(LOG)


@pytest.fixture(scope="module")
def first_flush(learner: Learner) -> tuple[list[ItemState], ModelWeights]:
    announcement = Announcer(learner.config, fingerprint="test").announce(learner.state, [], most=engines.EVERYTHING)
    return engines.over_the_wire(announcement)


# --- versions ------------------------------------------------------------------------------------------------------


def test_a_version_is_used_once_all_of_its_item_states_are_here(first_flush: Any) -> None:
    states, its_weights = first_flush
    serving = Serving(planted.SMALL)
    serving.take_weights(its_weights)
    serving.take_states(states[:-1])
    assert (serving.model.version, slate(serving)) == (0, [])
    serving.take_states(states[-1:])
    assert serving.model.version == its_weights.version
    assert serving.model.state_hash == its_weights.state_hash
    assert set(slate(serving)) == {one.item_id for one in states}


def test_item_states_wait_for_their_weights(first_flush: Any) -> None:
    states, its_weights = first_flush
    serving = Serving(planted.SMALL)
    serving.take_states(states)
    assert (serving.model.version, slate(serving)) == (0, [])
    serving.take_weights(its_weights)
    assert serving.model.version == its_weights.version
    assert len(slate(serving)) == len(states)


def test_a_newer_whole_version_takes_the_older_ones_along() -> None:
    serving = Serving(planted.SMALL)
    serving.take_weights(weights(5, item_states=2))
    serving.take_states([state("a", row=1, version=5)])
    serving.take_weights(weights(7, item_states=1))
    assert serving.model.version == 0
    serving.take_states([state("b", row=2, version=7)])
    assert serving.model.version == 7
    assert set(slate(serving)) == {"a", "b"}
    serving.take_states([state("c", row=3, version=5)])  # the late one of version 5
    assert set(slate(serving)) == {"a", "b", "c"}
    assert serving.model.version == 7


def test_what_compaction_removed_is_not_waited_for() -> None:
    serving = Serving(planted.SMALL)
    serving.take_weights(weights(5, item_states=40))
    serving.take_states([state("a", row=1, version=5), state("b", row=2, version=3)])
    serving.use_newest()
    assert serving.model.version == 5
    assert set(slate(serving)) == {"a", "b"}
    serving.use_newest()  # nothing is staged any more
    assert serving.model.version == 5


def test_older_weights_change_nothing() -> None:
    serving = serving_with(state("a"))
    serving.take_weights(weights(9, item_states=0))
    assert serving.model.version == 10


@pytest.mark.parametrize("order", [(3, 9), (9, 3)])
def test_older_item_states_never_overwrite_newer(order: tuple[int, int]) -> None:
    serving = serving_with()
    for version in order:
        serving.take_states([state("a", version=version, bias=float(version), count=float(version))])
    row = serving.items.row("a")
    assert (serving.combiner.bias[row], serving.counts.seen[row]) == (9.0, 9.0)


def test_a_snapshot_is_not_undone_by_the_beginning_of_the_topic(learner: Learner) -> None:
    serving = engines.restored(learner)
    before = slate(serving, "u1")
    known, free = EVENTS[0].item_id, learner.state.items.used
    serving.take_states(
        [
            state(known, row=serving.items.row(known), version=3, bias=1e6),
            state(known, row=free - 1, version=4, bias=1e6),  # where it never stood, or stood before
            gone(known, row=serving.items.row(known), version=5),
        ]
    )
    assert slate(serving, "u1") == before


def test_records_of_another_configuration_are_passed_over(first_flush: Any) -> None:
    states, its_weights = first_flush
    serving = Serving(planted.SMALL)
    other = msgspec.structs.replace(its_weights, version=10**6, arrays=dict(list(its_weights.arrays.items())[1:]))
    serving.take_weights(other)
    serving.take_states([state("x", row=3, vector=floats_to_bytes([1.0, 2.0])), state("y", row=4, popularity=b"")])
    serving.take_weights(its_weights)
    serving.take_states(states)
    serving.use_newest()
    assert serving.model.version == its_weights.version
    assert set(slate(serving)) == {one.item_id for one in states}


def test_the_weights_and_vectors_of_two_versions_never_meet_in_a_slate(learner: Learner) -> None:
    first = engines.taught(LOG[:100])
    serving = engines.wired(first, EVENTS)
    made = engines.recommender(serving, END_MS)
    engines.flush(serving, learner)
    got = ask(made, END_MS, user_id="u1", k=20)  # nothing was refreshed since the flush
    want = ask(engines.recommender(engines.wired(learner, EVENTS), END_MS), END_MS, user_id="u1", k=20)
    assert got.model == want.model
    assert ids(got) == ids(want)
    np.testing.assert_allclose([i.score for i in got.items], [i.score for i in want.items], rtol=1e-5, atol=1e-5)


# --- rows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_told", [True, False])
def test_a_row_that_changes_hands_takes_nothing_of_the_old_item_along(is_told: bool) -> None:
    serving = serving_with(
        state("old", row=1),
        state("next", row=2, predecessors=rows_to_bytes([1]), predecessor_weights=floats_to_bytes([3.0])),
    )
    serving.take_interactions([act("u", "old"), act("v", "old", action="hide")])
    made = engines.recommender(serving, NOW_MS)
    assert ids(ask(made, NOW_MS, user_id="u")) == ["next"]
    told = [gone("old", row=1, version=10)] if is_told else []
    serving.take_states([*told, state("new", row=1, version=10)])
    for user in ("u", "v"):  # neither had nor hid it
        assert set(ids(ask(made, NOW_MS, user_id=user))) == {"next", "new"}
    assert history(serving, "u") == []
    assert "old" not in serving.items


def test_the_new_owner_may_come_before_the_old_ones_farewell() -> None:
    serving = serving_with(state("old", row=1))
    serving.take_states([state("new", row=1, version=10), gone("old", row=1, version=10)])
    assert slate(serving) == ["new"]


def test_an_item_that_moved_leaves_no_nameless_row_behind() -> None:
    serving = serving_with(state("a", row=1), state("b", row=2))
    made = engines.recommender(serving, NOW_MS)
    serving.take_states([state("a", row=3, version=10)])
    assert set(ids(ask(made, NOW_MS))) == {"a", "b"}
    assert len(ask(made, NOW_MS).items) == 2


def test_an_evicted_item_is_gone_from_the_next_slate_though_nothing_refreshes() -> None:
    successors: dict[str, Any] = {"successors": rows_to_bytes([2, 3]), "successor_weights": floats_to_bytes([9.0, 1.0])}
    serving = serving_with(state("a", row=1, **successors), state("b", row=2), state("c", row=3))
    serving.take_interactions([act("u", "a")])
    made = engines.recommender(serving, NOW_MS)
    assert ids(ask(made, NOW_MS, user_id="u")) == ["b", "c"]
    serving.take_states([gone("b", row=2, version=10)])
    assert ids(ask(made, NOW_MS, user_id="u")) == ["c"]


def test_a_new_owner_of_a_row_obeys_its_own_window() -> None:
    successors: dict[str, Any] = {"successors": rows_to_bytes([2, 3]), "successor_weights": floats_to_bytes([9.0, 1.0])}
    serving = serving_with(state("a", row=1, **successors), state("b", row=2), state("c", row=3))
    serving.take_interactions([act("u", "a")])
    made = engines.recommender(serving, NOW_MS)
    made.take_item("soon", make_item(item_id="soon", available_from_ms=NOW_MS + 1), NOW_MS)
    serving.take_states([gone("b", row=2, version=10), state("soon", row=2, version=10)])
    assert ids(ask(made, NOW_MS, user_id="u")) == ["c"]


def test_successors_may_name_rows_beyond_all_that_is_known() -> None:
    far: dict[str, Any] = {"successors": rows_to_bytes([5_000, 2]), "successor_weights": floats_to_bytes([4.0, 2.0])}
    serving = serving_with(state("a", row=1), state("b", row=2))
    serving.take_interactions([act("u", "a")])
    made = engines.recommender(serving, NOW_MS)
    serving.take_states([state("a", row=1, version=10, **far)])
    assert ids(ask(made, NOW_MS, user_id="u")) == ["b"]  # before any refresh that was asked for
    serving.take_states([state("z", row=5_000, version=10)])
    assert ids(ask(engines.recommender(serving, NOW_MS), NOW_MS, user_id="u"))[0] == "z"


def test_a_growing_catalogue_keeps_what_was_there() -> None:
    serving = serving_with(*(state(f"i{row}", row=row, bias=row / 1e4) for row in range(1, 3_001)))
    assert slate(serving, k=5) == ["i3000", "i2999", "i2998", "i2997", "i2996"]


def test_a_tombstone_on_an_items_state_forgets_the_item() -> None:
    serving = serving_with(state("a", row=1), state("b", row=2))
    serving.take_interactions([act("u", "a")])
    serving.take_states([state("c", row=3, version=20), state("d", row=4, version=20)])
    made = engines.recommender(serving, NOW_MS)
    for item_id in ("a", "c", "never heard of"):
        serving.forget_item(item_id)
    assert ids(ask(made, NOW_MS)) == ["b"]
    assert history(serving, "u") == []
    serving.take_weights(weights(20, 1))
    assert set(ids(ask(made, NOW_MS))) == {"b", "d"}


def test_a_withdrawn_item_is_not_shown_but_histories_keep_it_and_an_evicted_one_leaves_them() -> None:
    serving = serving_with(state("a", row=1), state("b", row=2))
    serving.take_interactions([act("u", "a"), act("u", "b", at_ms=NOW_MS + 1)])
    serving.take_states([state("a", row=1, version=10, live=False)])
    assert slate(serving) == ["b"]
    assert history(serving, "u") == ["a", "b"]
    serving.take_states([state("a", row=1, version=10)])
    assert set(slate(serving)) == {"a", "b"}
    serving.take_states([gone("a", row=1, version=10)])
    assert (slate(serving), history(serving, "u")) == (["b"], ["b"])


# --- surfaces and labels -------------------------------------------------------------------------------------------


def test_a_request_is_ranked_for_its_surface(learner: Learner) -> None:
    serving = engines.wired(learner, EVENTS)
    made = engines.recommender(serving, END_MS)
    by_surface = {s: ids(ask(made, END_MS, user_id="nobody", k=ITEMS, surface=s)) for s in (None, "s1", "s2", "new")}
    assert by_surface["new"] == by_surface[None] != by_surface["s1"] != by_surface["s2"]


def test_weights_of_other_types_are_passed_over(first_flush: Any) -> None:
    states, its_weights = first_flush
    mean = its_weights.arrays["reranker/mean"]
    other = msgspec.structs.replace(mean, dtype="float32", data=bytes(len(mean.data) // 2))
    serving = Serving(planted.SMALL)
    serving.take_states(states)
    serving.take_weights(msgspec.structs.replace(its_weights, arrays=its_weights.arrays | {"reranker/mean": other}))
    serving.use_newest()
    assert serving.model.version == 0


@pytest.mark.parametrize("listed_first", [True, False])
def test_tags_are_counted_whatever_comes_first_and_whatever_changes(listed_first: bool) -> None:
    serving = serving_with()

    def told() -> None:
        serving.take_states([state("a", row=1, version=10, count=3.0), state("b", row=2, version=10, count=4.0)])

    def listed(*tags: str) -> None:
        serving.take_item("a", make_item(item_id="a", tags=list(tags), title="A film (1999)"))
        serving.take_item("b", make_item(item_id="b", tags=["drama"]))

    for step in (lambda: listed("drama", "war"), told) if listed_first else (told, lambda: listed("drama", "war")):
        step()
        serving.refresh(NOW_MS)
    drama, war = (int(labels.tag_codes([tag])[0]) for tag in ("drama", "war"))
    counts = serving.counts.tag_events
    assert (counts[drama], counts[war], counts[0]) == (7.0, 3.0, 10.0)
    assert serving.labels.year[1] == 1999
    serving.take_states([state("a", row=1, version=10, count=5.0)])
    assert (counts[drama], counts[war]) == (9.0, 5.0)
    listed("war")
    serving.refresh(NOW_MS)
    assert (counts[drama], counts[war], counts[0]) == (4.0, 5.0, 9.0)
    serving.take_states([gone("a", row=1, version=10), state("c", row=1, version=10, count=2.0)])
    serving.refresh(NOW_MS)
    assert (counts[drama], counts[war], counts[0]) == (4.0, 0.0, 4.0)
    assert not serving.labels.tags[1].any()


# --- the catalogue -------------------------------------------------------------------------------------------------


def test_a_tombstone_that_comes_before_the_items_state_holds() -> None:
    serving = serving_with(state("b", row=2))
    serving.take_item("a", None)
    serving.take_states([state("a", row=1, version=10)])
    assert slate(serving) == ["b"]
    serving.take_item("a", make_item(item_id="a"))
    assert set(slate(serving)) == {"a", "b"}


def test_a_listed_item_without_a_row_is_not_shown_and_breaks_nothing() -> None:
    serving = serving_with(state("b", row=2))
    serving.take_item("a", make_item(item_id="a", available_until_ms=NOW_MS + 1, maturity=18, regions=["FR"]))
    assert slate(serving) == ["b"]
    assert slate(serving, filters={"tags": "drama"}) == []


# --- interactions --------------------------------------------------------------------------------------------------


def test_interactions_on_items_without_a_row_come_in_at_their_time_once_it_is_announced() -> None:
    serving = serving_with(state("b", row=2), state("c", row=3), state("d", row=4))
    serving.take_interactions(
        [act("u", item, at_ms=NOW_MS + at) for at, item in enumerate(["b", "new", "c", "newer", "d"])]
    )
    assert history(serving, "u") == ["b", "c", "d"]
    serving.take_states([state("newer", row=6, version=10)])
    serving.take_states([state("new", row=5, version=10)])
    assert history(serving, "u") == ["b", "new", "c", "newer", "d"]
    row, h = serving.users.row("u"), serving.histories
    assert (np.diff(h.at_ms[h.start[row] : h.start[row] + 5]) == 1).all()
    assert slate(serving, "u") == []


def test_hiding_an_item_that_is_announced_later_counts() -> None:
    serving = serving_with(state("b", row=2))
    serving.take_interactions([act("u", "new", action="hide")])
    serving.take_states([state("new", row=5, version=10)])
    assert slate(serving, "u") == ["b"]
    assert set(slate(serving, "v")) == {"b", "new"}


def test_histories_equal_the_trainers_whatever_was_announced_when(learner: Learner) -> None:
    serving = Serving(planted.SMALL)
    serving.take_interactions(EVENTS[:70])
    engines.flush(serving, learner)
    serving.take_interactions(EVENTS[70:])
    distinct = len({event.at_ms for event in LOG}) == len(LOG)
    for user in sorted({f"u{event.user}" for event in LOG}):
        want = [event.item_id for event in EVENTS if event.user_id == user]
        got = history(serving, user)
        assert got == want if distinct else sorted(got) == sorted(want)


def test_a_repeat_is_taken_once(learner: Learner) -> None:
    serving = engines.wired(learner, EVENTS)
    before = {user: history(serving, user) for user in serving.users.keys()}  # noqa: SIM118 - not a mapping
    serving.take_interactions(EVENTS)
    after_snapshot = engines.restored(learner)
    after_snapshot.take_interactions(EVENTS)
    assert {user: history(serving, user) for user in before} == before
    assert {user: history(after_snapshot, user) for user in before} == before


def test_repeats_are_known_inside_the_window_alone() -> None:
    serving = Serving(planted.small(dedupe_window=2))
    serving.take_states([state("a", version=0)])
    serving.take_interactions([act("u", "a", event_id=one) for one in ("e1", "e2", "e3")])
    serving.take_interactions([act("u", "a", event_id=one) for one in ("e3", "e2")])
    assert len(history(serving, "u")) == 3
    serving.take_interactions([act("u", "a", event_id="e1")])
    assert len(history(serving, "u")) == 4


def test_more_events_at_once_than_a_history_holds_keep_the_newest() -> None:
    serving = Serving(planted.small(history_most=8))
    serving.take_states([state(f"i{n}", row=n, version=0) for n in range(1, 101)])
    serving.take_interactions([act("u", f"i{n}", at_ms=NOW_MS + n) for n in range(1, 101)])
    kept = history(serving, "u")
    assert 1 <= len(kept) <= 8
    assert kept == [f"i{n}" for n in range(101 - len(kept), 101)]


def test_what_waits_for_a_row_is_bounded() -> None:
    serving = serving_with()
    events = [act("u", f"i{n}", at_ms=NOW_MS + n) for n in range(1, UNRESOLVED_MOST + 3)]
    serving.take_interactions(events)
    serving.take_states([state(f"i{n}", row=n, version=10) for n in range(1, 6)])
    assert history(serving, "u") == ["i3", "i4", "i5"]
