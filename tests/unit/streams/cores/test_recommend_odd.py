"""Slates: what odd requests get, what is explored, and that no rule breaks in random states."""

from __future__ import annotations

import collections

import jax
import numpy as np
import pytest

from streams.contract import rules
from streams.contract.events import Slate
from streams.cores.learn import Learner
from streams.cores.recommend import Recommender
from streams.cores.serving import Serving
from tests import engines, planted
from tests.engines import ask, ids
from tests.factories import make_interaction, make_item, make_request
from tests.slates import CATALOGUE, LIGHT_USER, LOG, ME, NOW_MS, UNSEEN, USERS, act, had_by


@pytest.fixture(scope="module")
def learner() -> Learner:
    return engines.taught(LOG, items=CATALOGUE)


@pytest.fixture
def serving(learner: Learner) -> Serving:
    return engines.restored(learner, items=CATALOGUE)


@pytest.fixture
def made(serving: Serving) -> Recommender:
    return engines.recommender(serving, NOW_MS)


# --- odd requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, -1, -(2**53) + 1])
def test_no_items_are_no_slate_and_the_error_says_so(made: Recommender, k: int) -> None:
    slate = ask(made, NOW_MS, user_id=ME, k=k)
    assert (slate.items, slate.k) == ([], 0)
    assert slate.error == f"k must be a whole number >= 1, got {k}; ask for 1 to 200"


@pytest.mark.parametrize("k", [41, 10_000, 2**53 - 1])
def test_too_many_items_are_clamped_and_the_error_says_so(serving: Serving, k: int) -> None:
    slate = ask(engines.recommender(serving, NOW_MS, max_k=40), NOW_MS, user_id=ME, k=k)
    assert (len(slate.items), slate.k) == (40, 40)
    assert slate.error == f"k was clamped from {k} to 40, the longest slate"


def test_more_items_than_there_are_give_all_there_are(made: Recommender) -> None:
    slate = ask(made, NOW_MS, user_id=ME, k=200)
    assert set(ids(slate)) == {item.item_id for item in CATALOGUE} - had_by(LIGHT_USER)
    assert slate.error is None


def test_unknown_filters_are_left_out_and_named(made: Recommender) -> None:
    filters = {"mood": "dark", "tags": "even"} | {f"x{n:03d}" + "y" * 120: 1 for n in range(60)}
    slate = ask(made, NOW_MS, user_id=ME, k=300, filters=filters)
    assert slate.error is not None
    assert "k was clamped from 300 to 200" in slate.error
    assert "unknown filter 'mood'" in slate.error
    assert ids(slate)[:10] == ids(ask(made, NOW_MS, user_id=ME, k=10, filters={"tags": "even"}))


def test_an_unknown_user_gets_a_good_slate(made: Recommender, learner: Learner) -> None:
    slate = ask(made, NOW_MS, user_id="nobody has seen me", k=10)
    scores = engines.full_scores(learner, "nobody has seen me", NOW_MS)
    assert ids(slate) == sorted(scores, key=lambda item_id: -scores[item_id])[:10]


def test_an_engine_without_items_gives_an_empty_slate() -> None:
    made = engines.recommender(Serving(planted.SMALL), NOW_MS)
    slate = ask(made, NOW_MS, k=10)
    assert (slate.items, slate.error, slate.k) == ([], None, 10)
    assert ask(made, NOW_MS, k=10, filters={"tags": "even"}, exclude=["i1"]).items == []


def test_items_without_any_event_fill_what_is_missing(made: Recommender) -> None:
    slate = ask(made, NOW_MS, user_id=ME, k=200)
    new = [item for item in slate.items if item.item_id in UNSEEN]
    assert {item.item_id for item in new} == UNSEEN
    assert all(item.explored and item.source == "fresh" and 0 < item.propensity < 1 for item in new)


HOSTILE = [
    "\x00", "i1\n", " ", "'; DROP TABLE items; --", "../../etc/passwd", "\u202e", "{}", "\u00e9" * 256,
    "\U0001f37f" * 256, "__class__", "%s%n", "null",
]  # fmt: skip


def test_hostile_ids_are_ids_like_any_other() -> None:
    log = [
        make_interaction(event_id=f"{n}", user_id=user, item_id=item, occurred_at_ms=NOW_MS + n)
        for n, (user, item) in enumerate(zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True))
    ]
    learner = Learner(planted.SMALL)
    learner.learn([make_item(item_id=one, title=one) for one in HOSTILE])
    learner.learn(log)
    for serving in (engines.restored(learner), engines.wired(learner, log)):
        made = engines.recommender(serving, NOW_MS)
        for user, item in zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True):
            slate = ask(made, NOW_MS, user_id=user, k=len(HOSTILE))
            assert set(ids(slate)) == set(HOSTILE) - {item}


def test_reasons_fit_the_contract_whatever_the_title(made: Recommender) -> None:
    for item in CATALOGUE:
        made.take_item(item.item_id, make_item(item_id=item.item_id, title="\u00e9" * rules.MAX_TITLE_CHARS), NOW_MS)
    slates = [ask(made, NOW_MS, user_id=f"u{user}", k=50) for user in range(1, USERS)]
    reasons = [reason for slate in slates for item in slate.items for reason in item.reasons]
    assert any(reason.startswith("often follows \u00e9") for reason in reasons)


def test_a_reason_names_an_item_that_the_user_had(made: Recommender) -> None:
    titles = {item.title: item.item_id for item in CATALOGUE}
    for user in range(1, USERS):
        for item in ask(made, NOW_MS, user_id=f"u{user}", k=50).items:
            if item.reasons[0].startswith("often follows"):
                assert titles[item.reasons[0].removeprefix("often follows ")] in had_by(user)


# --- exploration ---------------------------------------------------------------------------------------------------


def explored(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items if item.explored]


def test_explored_items_are_drawn_evenly_and_their_propensity_is_how_often_they_come(serving: Serving) -> None:
    made = engines.recommender(serving, NOW_MS, explore_slots=1)
    best = set(ids(ask(engines.recommender(serving, NOW_MS), NOW_MS, user_id=ME, k=10)))
    sightings = collections.Counter(f"i{event.item}" for event in LOG)
    pool = {item.item_id for item in CATALOGUE if sightings[item.item_id] < 5} - had_by(LIGHT_USER) - best
    drawn: collections.Counter[str] = collections.Counter()
    rounds = 3_000
    for first in range(0, rounds, 50):
        requests = [make_request(request_id=f"r{n}", user_id=ME, k=10) for n in range(first, first + 50)]
        for slate in made.answer(requests, now_ms=NOW_MS, generated_at_ms=0, offsets={}):
            (one,) = explored(slate)
            assert (len(slate.items), slate.items[5].item_id) == (10, one)
            assert slate.items[5].propensity == pytest.approx(1 / len(pool))
            drawn[one] += 1
    assert set(drawn) == pool
    expected = rounds / len(pool)
    assert all(abs(count - expected) < 6 * expected**0.5 for count in drawn.values())


def test_the_first_place_is_never_explored_and_slots_never_crowd_out_the_slate(serving: Serving) -> None:
    made = engines.recommender(serving, NOW_MS, explore_slots=100)
    for k in (1, 2, 3, 8):
        slate = ask(made, NOW_MS, user_id=ME, k=k)
        assert len(set(ids(slate))) == k
        assert not slate.items[0].explored


def test_exploration_obeys_filters_and_limits(serving: Serving) -> None:
    made = engines.recommender(serving, NOW_MS, explore_slots=3)
    serving.take_interactions([act(one) for one in sorted(UNSEEN)[:3]])
    serving.take_interactions([act(one, action="hide") for one in sorted(UNSEEN)[3:6]])
    gone = set(sorted(UNSEEN)[:6])
    for n in range(50):
        slate = ask(made, NOW_MS, request_id=f"r{n}", user_id=ME, k=10, filters={"tags": "odd"})
        assert explored(slate)
        assert all(int(one[1:]) % 2 == 1 and one not in gone for one in ids(slate))


def test_random_states_never_break_a_rule() -> None:
    rng = np.random.default_rng(3)
    for seed in range(3):
        log = planted.random_log(150, users=6, items=40, seed=seed)
        learner = engines.taught(log, items=engines.catalogue(range(40)))
        made = engines.recommender(engines.restored(learner, items=engines.catalogue(range(40))), log[-1].at_ms)
        withdrawn = {f"i{n}" for n in rng.choice(40, 5, replace=False)}
        for one in withdrawn:
            made.take_item(one, None, log[-1].at_ms)
        for user in range(6):
            excluded = [f"i{n}" for n in rng.choice(40, 5, replace=False)]
            had = {f"i{event.item}" for event in log if event.user == user}
            slate = ask(made, log[-1].at_ms, user_id=f"u{user}", k=40, exclude=excluded)
            assert set(ids(slate)) == {f"i{n}" for n in range(40)} - withdrawn - had - set(excluded)


def test_after_the_warm_up_no_answer_compiles(made: Recommender) -> None:
    made.warm_up(NOW_MS)
    requests = [make_request(request_id=f"r{n}", user_id=f"u{n % 5}", k=5 + n) for n in range(40)]
    with jax.no_tracing():
        for size in (1, 3, 17, 40):
            slates = made.answer(requests[:size], now_ms=NOW_MS, generated_at_ms=NOW_MS, offsets={})
            assert len(slates) == size
            assert all(slate.items for slate in slates)
