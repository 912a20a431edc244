"""Slates: exactly the trainer's scores, and the hard rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from streams.contract import rules
from streams.cores.learn import Learner
from streams.cores.recommend import OVERFETCH, Recommender
from streams.cores.serving import Serving
from tests import engines
from tests.engines import ask, ids
from tests.factories import make_item, make_item_arms, make_request, make_user
from tests.slates import CATALOGUE, EVENTS, ITEMS, LIGHT_USER, LOG, ME, NOW_MS, SEEN, UNSEEN, USERS, act, had_by


@pytest.fixture(scope="module")
def learner() -> Learner:
    return engines.taught(LOG, items=CATALOGUE)


@pytest.fixture
def serving(learner: Learner) -> Serving:
    return engines.restored(learner, items=CATALOGUE)


@pytest.fixture
def made(serving: Serving) -> Recommender:
    return engines.recommender(serving, NOW_MS)


# --- exactness -----------------------------------------------------------------------------------------------------


def by_snapshot(learner: Learner) -> Serving:
    return engines.restored(learner)


def by_topics(learner: Learner) -> Serving:
    return engines.wired(learner, EVENTS, items=CATALOGUE)


@pytest.mark.parametrize("fill", [by_snapshot, by_topics])
def test_a_slate_is_the_full_ranking_by_the_trainers_own_formula(
    learner: Learner, fill: Callable[[Learner], Serving]
) -> None:
    made = engines.recommender(fill(learner), NOW_MS)
    for user in range(USERS):  # user 0 has no events
        scores = engines.full_scores(learner, f"u{user}", NOW_MS)
        wanted = sorted(scores.values(), reverse=True)
        slate = ask(made, NOW_MS, user_id=f"u{user}", k=15)
        got = [item.score for item in slate.items]
        assert len(got) == 15
        np.testing.assert_allclose(got, wanted[:15], rtol=0, atol=1e-4)
        np.testing.assert_allclose(got, [scores[item_id] for item_id in ids(slate)], rtol=0, atol=1e-4)
        assert not set(ids(slate)) & had_by(user)


def test_a_recommender_that_continues_from_a_snapshot_ranks_as_one_that_read_everything(learner: Learner) -> None:
    first = engines.taught(LOG[:300], items=CATALOGUE)
    continued = engines.restored(first)
    engines.flush(continued, learner)
    continued.take_interactions(EVENTS[300:])
    whole = engines.recommender(by_topics(learner), NOW_MS)
    for user in range(USERS):
        a = ask(engines.recommender(continued, NOW_MS), NOW_MS, user_id=f"u{user}", k=30)
        b = ask(whole, NOW_MS, user_id=f"u{user}", k=30)
        assert ids(a) == ids(b)
        np.testing.assert_allclose([i.score for i in a.items], [i.score for i in b.items], rtol=1e-5, atol=1e-5)


def test_a_full_batch_gives_what_single_requests_give(made: Recommender) -> None:
    requests = [make_request(request_id=f"r{n}", user_id=f"u{n % (USERS + 2)}", k=1 + n % 20) for n in range(40)]
    together = made.answer(requests, now_ms=NOW_MS, generated_at_ms=0, offsets={})
    for request, slate in zip(requests, together, strict=True):
        alone = made.answer([request], now_ms=NOW_MS, generated_at_ms=0, offsets={})[0]
        assert ids(alone) == ids(slate)
        assert (slate.request_id, slate.user_id, len(slate.items)) == (request.request_id, request.user_id, request.k)


def test_masked_search_and_over_fetched_search_rank_alike(made: Recommender) -> None:
    ghosts = [f"ghost {n}" for n in range(3)]
    others = sorted(SEEN - had_by(LIGHT_USER))
    excluded = others[:20]
    plain = ask(made, NOW_MS, user_id=ME, k=10, exclude=excluded + ghosts)
    many = excluded * (1 + OVERFETCH // len(excluded))  # too many to ask the index for more
    assert ids(ask(made, NOW_MS, user_id=ME, k=10, exclude=many)) == ids(plain)


def test_slates_say_what_they_knew(made: Recommender, learner: Learner) -> None:
    slate = ask(made, NOW_MS, user_id=ME, k=8)
    assert slate.as_of.offsets == {"0": 7}
    assert slate.as_of.event_time_ms == LOG[-1].at_ms
    assert (slate.model.version, slate.model.step) == (len(LOG), learner.state.step)
    assert [item.rank for item in slate.items] == list(range(1, 9))
    scores = [item.score for item in slate.items]
    assert scores == sorted(scores, reverse=True)
    assert len(set(ids(slate))) == 8
    assert {item.source for item in slate.items} <= {"tower", "successor", "popular"}
    assert {(item.propensity, item.explored) for item in slate.items} == {(1.0, False)}
    assert all(item.reasons for item in slate.items)


def test_the_same_requests_on_the_same_state_give_the_same_slates(serving: Serving) -> None:
    requests = [make_request(request_id=f"r{n}", user_id=f"u{n}") for n in range(USERS)]
    slates = [
        engines.recommender(serving, NOW_MS, explore_slots=3).answer(
            requests, now_ms=NOW_MS, generated_at_ms=0, offsets={}
        )
        for _ in range(2)
    ]
    assert slates[0] == slates[1]


# --- what must never be shown --------------------------------------------------------------------------------------


def test_what_a_user_just_had_is_gone_from_the_next_slate(made: Recommender) -> None:
    for _ in range(5):
        first = ids(ask(made, NOW_MS, user_id=ME, k=10))[0]
        made.serving.take_interactions([act(first)])
        assert first not in ids(ask(made, NOW_MS, user_id=ME, k=10))


def test_hidden_and_disliked_items_never_come_back(serving: Serving) -> None:
    made = engines.recommender(
        serving, NOW_MS, rewatchable_actions=frozenset(rules.ACTION_WORDS - rules.HIDING_ACTIONS)
    )
    first, second, *_ = ids(ask(made, NOW_MS, user_id=ME))
    serving.take_interactions([act(first, action="hide"), act(second, action="dislike")])
    serving.take_interactions([act(first, action="play", at_ms=NOW_MS + 1)])
    slate = ask(made, NOW_MS, user_id=ME, k=30)
    assert len(slate.items) == 30
    assert not {first, second} & set(ids(slate))
    assert first in ids(ask(made, NOW_MS, user_id="somebody else", k=200))


def test_an_item_may_come_back_after_a_rewatchable_action_alone(serving: Serving) -> None:
    strict = engines.recommender(serving, NOW_MS)
    lenient = engines.recommender(serving, NOW_MS, rewatchable_actions=frozenset({"play"}))
    played, bought, *_ = ids(ask(strict, NOW_MS, user_id=ME))
    serving.take_interactions([act(played), act(bought), act(bought, action="purchase")])
    assert not {played, bought} & set(ids(ask(strict, NOW_MS, user_id=ME, k=200)))
    again = ids(ask(lenient, NOW_MS, user_id=ME, k=200))
    assert played in again
    assert bought not in again


@pytest.mark.parametrize("action", ["impression", "progress", "skip"])
def test_an_action_that_is_no_choice_removes_nothing(made: Recommender, action: str) -> None:
    before = ids(ask(made, NOW_MS, user_id=ME, k=10))
    made.serving.take_interactions([act(before[0], action=action)])
    assert ids(ask(made, NOW_MS, user_id=ME, k=10)) == before


def test_excluded_items_leave_their_places_to_others(made: Recommender) -> None:
    best = ids(ask(made, NOW_MS, user_id=ME, k=40))
    slate = ask(made, NOW_MS, user_id=ME, k=20, exclude=best[:20])
    assert ids(slate) == best[20:]


def test_a_withdrawn_item_is_gone_at_once_and_back_after_the_next_refresh(made: Recommender) -> None:
    best = ids(ask(made, NOW_MS, user_id=ME, k=11))
    made.take_item(best[0], None, NOW_MS)
    assert ids(ask(made, NOW_MS, user_id=ME, k=10)) == best[1:]
    made.take_item(best[0], make_item(item_id=best[0]), NOW_MS)
    made.refresh(NOW_MS)
    assert ids(ask(made, NOW_MS, user_id=ME, k=11)) == best


def test_a_withdrawn_item_is_never_explored(serving: Serving) -> None:
    made = engines.recommender(serving, NOW_MS)
    some = sorted(UNSEEN)[0]
    assert some in ids(ask(made, NOW_MS, user_id=ME, k=200))
    made.take_item(some, None, NOW_MS)
    assert some not in ids(ask(made, NOW_MS, user_id=ME, k=200))


@pytest.mark.parametrize(
    ("window", "shown"),
    [
        ({"available_from_ms": NOW_MS + 1}, False),
        ({"available_from_ms": NOW_MS}, True),
        ({"available_until_ms": NOW_MS}, False),
        ({"available_until_ms": NOW_MS + 1}, True),
        ({"available_from_ms": NOW_MS + 5, "available_until_ms": NOW_MS - 5}, False),
    ],
)
def test_an_item_is_shown_inside_its_window_alone(made: Recommender, window: dict[str, int], shown: bool) -> None:
    best = ids(ask(made, NOW_MS, user_id=ME))[0]
    made.take_item(best, make_item(item_id=best, **window), NOW_MS)
    assert (best in ids(ask(made, NOW_MS, user_id=ME, k=200))) == shown


def test_windows_open_and_close_with_the_clock_though_nothing_refreshes(made: Recommender) -> None:
    early, late, *_ = ids(ask(made, NOW_MS, user_id=ME))
    made.take_item(early, make_item(item_id=early, available_until_ms=NOW_MS + 1_000), NOW_MS)
    made.take_item(late, make_item(item_id=late, available_from_ms=NOW_MS + 2_000), NOW_MS)
    made.refresh(NOW_MS)
    seen = {
        after_ms: {early, late} & set(ids(ask(made, NOW_MS + after_ms, user_id=ME, k=200)))
        for after_ms in (0, 999, 1_000, 1_999, 2_000, 9_000)
    }
    assert seen == {0: {early}, 999: {early}, 1_000: set(), 1_999: set(), 2_000: {late}, 9_000: {late}}


def test_a_window_that_was_told_after_the_last_refresh_closes_on_time(made: Recommender) -> None:
    best = ids(ask(made, NOW_MS, user_id=ME))[0]
    made.take_item(best, make_item(item_id=best, available_until_ms=NOW_MS + 10), NOW_MS)
    assert best in ids(ask(made, NOW_MS + 9, user_id=ME, k=200))
    assert best not in ids(ask(made, NOW_MS + 10, user_id=ME, k=200))


def test_too_mature_items_are_not_for_those_whose_limit_is_lower(made: Recommender) -> None:
    best = ids(ask(made, NOW_MS, user_id=ME))[0]
    made.take_item(best, make_item(item_id=best, maturity=16), NOW_MS)
    shown = {}
    for limit in (0, 15, 16, 21, None):
        made.serving.take_user(make_user(user_id=ME, maturity=limit))
        slate = ask(made, NOW_MS, user_id=ME, k=20)
        assert len(slate.items) == 20
        shown[limit] = best in ids(slate)
    assert shown == {0: False, 15: False, 16: True, 21: True, None: True}


def test_items_of_other_regions_are_not_shown(made: Recommender) -> None:
    best = ids(ask(made, NOW_MS, user_id=ME))[0]
    made.take_item(best, make_item(item_id=best, regions=["FR", "BE"]), NOW_MS)
    shown = {}
    for region in ("FR", "DE", None):
        made.serving.take_user(make_user(user_id=ME, region=region))
        slate = ask(made, NOW_MS, user_id=ME, k=20)
        assert len(slate.items) == 20
        shown[region] = best in ids(slate)
    assert shown == {"FR": True, "DE": False, None: True}


FILTERS: list[tuple[dict[str, Any], Callable[[int], bool]]] = [
    ({"tags": "even"}, lambda n: n % 2 == 0),
    ({"tags": ["odd", "rare"]}, lambda n: n % 2 == 1),
    ({"language": ["fr", "de"]}, lambda n: n % 3 > 0),
    ({"creator": "creator 3"}, lambda n: n % 7 == 3),
    ({"max_duration_s": 1_200}, lambda n: n <= 20),
    ({"tags": "even", "language": "en", "max_duration_s": 2_400.0}, lambda n: n % 6 == 0 and n <= 40),
    ({"tags": None}, lambda n: True),
    ({"tags": "no such tag"}, lambda n: False),
    ({"max_duration_s": "long"}, lambda n: False),
]


@pytest.mark.parametrize(("filters", "is_wanted"), FILTERS)
def test_filters_keep_what_they_name_and_the_slate_is_as_full_as_can_be(
    made: Recommender, filters: dict[str, Any], is_wanted: Callable[[int], bool]
) -> None:
    slate = ask(made, NOW_MS, user_id=ME, k=12, filters=filters)
    wanted = {f"i{n}" for n in range(ITEMS) if is_wanted(n)} - had_by(LIGHT_USER)
    assert slate.error is None
    assert set(ids(slate)) <= wanted
    assert len(slate.items) == min(12, len(wanted))
    ranked = [item.item_id for item in slate.items if not item.explored]
    everything = [one for one in ids(ask(made, NOW_MS, user_id=ME, k=200)) if one in wanted & SEEN]
    assert ranked == everything[:12]


def test_rules_of_profile_and_request_hold_together(made: Recommender) -> None:
    for item in CATALOGUE:
        age = 18 if item.tags == ["odd"] else 0
        made.take_item(item.item_id, make_item(item_id=item.item_id, tags=item.tags, maturity=age), NOW_MS)
    made.serving.take_user(make_user(user_id=ME, maturity=12))
    assert ask(made, NOW_MS, user_id=ME, k=5, filters={"tags": "odd"}).items == []
    assert len(ask(made, NOW_MS, user_id=ME, k=5, filters={"tags": "even"}).items) == 5


# --- assets --------------------------------------------------------------------------------------------------------


def with_arms(made: Recommender) -> Recommender:
    """Every second item has a picture of ours beside its own."""
    for item in CATALOGUE[::2]:
        made.showcase.take(make_item_arms(item_id=item.item_id))
    return made


def test_what_items_are_shown_with_changes_nothing_else_and_is_the_same_again(serving: Serving) -> None:
    plain = ask(engines.recommender(serving, NOW_MS), NOW_MS, user_id=ME, k=30)
    dressed = [ask(with_arms(engines.recommender(serving, NOW_MS)), NOW_MS, user_id=ME, k=30) for _ in range(2)]
    assert dressed[0] == dressed[1]
    assert ids(dressed[0]) == ids(plain)
    for before, item in zip(plain.items, dressed[0].items, strict=True):
        bare = msgspec.structs.replace(item, asset_ids=[], asset_propensities=[])
        assert bare == before
        assert len(item.asset_ids) == len(item.asset_propensities) == (int(item.item_id[1:]) % 2 == 0)


def test_a_slate_of_one_request_in_a_batch_is_that_of_the_request_alone(made: Recommender) -> None:
    with_arms(made)
    requests = [make_request(request_id=f"r{n}", user_id=f"u{n % USERS}", k=n % 9) for n in range(30)]
    together = made.answer(requests, now_ms=NOW_MS, generated_at_ms=0, offsets={})
    for request, slate in zip(requests, together, strict=True):
        assert made.answer([request], now_ms=NOW_MS, generated_at_ms=0, offsets={}) == [slate]


def test_a_withdrawn_asset_is_in_no_slate_from_the_next_on(made: Recommender) -> None:
    with_arms(made)
    shown = next(item for item in ask(made, NOW_MS, user_id=ME, k=30).items if item.asset_ids)
    made.showcase.withdraw(shown.item_id, offset=99)
    again = {item.item_id: item for item in ask(made, NOW_MS, user_id=ME, k=30).items}
    assert again[shown.item_id].asset_ids == []
