"""What a recommender knows of users: erasure, coming back, old tombstones."""

from __future__ import annotations

import pytest

from streams.cores.learn import Learner
from tests import engines
from tests.announced import END_MS, EVENTS, LOG, act, history, serving_with, slate, state
from tests.factories import NOW_MS, make_user


@pytest.fixture(scope="module")
def learner() -> Learner:
    return engines.taught(LOG)


# --- users ---------------------------------------------------------------------------------------------------------


def test_an_erased_user_is_nobody() -> None:
    serving = serving_with(state("a", row=1), state("b", row=2), state("c", row=3))
    serving.take_user(make_user(user_id="u", maturity=0))
    serving.take_interactions([act("u", "a"), act("u", "b", action="hide"), act("u", "later"), act("v", "a")])
    serving.erase_user("u", at_ms=NOW_MS, is_news=True)
    assert slate(serving, "u") == slate(serving, "nobody")
    assert "u" not in serving.users
    assert "u" not in serving.profiles
    serving.take_states([state("later", row=4, version=10)])  # what waited was forgotten too
    assert "u" not in serving.users
    assert serving.erased_ms == {"u": NOW_MS}
    assert history(serving, "v") == ["a"]
    serving.take_interactions([act("w", "b")])  # may have the row now
    assert history(serving, "w") == ["b"]
    assert slate(serving, "w") == [one for one in slate(serving, "nobody") if one != "b"]


def test_an_erased_user_may_come_back() -> None:
    serving = serving_with(state("a", row=1), state("b", row=2))
    serving.take_interactions([act("u", "a")])
    serving.erase_user("u", at_ms=NOW_MS + 1, is_news=True)
    serving.take_interactions([act("u", "b", at_ms=NOW_MS + 2)])
    assert slate(serving, "u") == ["a"]


def test_an_old_tombstone_leaves_what_a_snapshot_holds_of_the_time_after_it(learner: Learner) -> None:
    serving = engines.restored(learner)
    mine = [event for event in EVENTS if event.user_id == "u1"]
    middle = mine[len(mine) // 2].occurred_at_ms
    serving.erase_user("u1", at_ms=middle, is_news=False)
    assert history(serving, "u1") == [event.item_id for event in mine if event.occurred_at_ms > middle]
    serving.erase_user("u2", at_ms=END_MS, is_news=False)
    assert "u2" not in serving.users


def test_erasing_somebody_unknown_changes_nothing() -> None:
    serving = serving_with(state("a"))
    serving.take_interactions([act("u", "a")])
    serving.erase_user("nobody", at_ms=NOW_MS, is_news=True)
    assert history(serving, "u") == ["a"]


def test_users_who_only_look_make_room_like_all_others() -> None:
    serving = serving_with(state("a", row=1))
    room = len(serving.passes.ring)
    for first in range(0, room + 200, 100):
        serving.take_interactions([act(f"viewer {first + at}", "a", action="impression") for at in range(100)])
    assert len(serving.passes.ring) == len(serving.histories.start) > room
    assert (serving.passes.ring > 0).sum() == -(-(room + 200) // 100) * 100
