"""Whose slate is pushed next."""

from __future__ import annotations

import numpy as np

from streams.cores.pushes import Push, Pushes


def push(user_id: str, event_id: str = "e") -> Push:
    return Push(user_id, event_id, None)


def users(taken: list[Push]) -> list[str]:
    return [one.user_id for one in taken]


def test_users_come_in_the_order_in_which_they_began_to_wait() -> None:
    pushes = Pushes(interval_s=0.0, most=100)
    for user_id in "cab":
        pushes.add(push(user_id), 1.0)
    assert users(pushes.take(1.0, 2)) == ["c", "a"]
    pushes.add(push("c"), 1.0)
    assert users(pushes.take(1.0, 9)) == ["b", "c"]
    assert pushes.take(1.0, 9) == []
    assert pushes.next_due_s() is None


def test_a_user_who_goes_on_acting_keeps_their_place_and_gets_the_newest() -> None:
    pushes = Pushes(interval_s=0.0, most=100)
    pushes.add(push("busy", "e1"), 1.0)
    pushes.add(push("quiet", "e2"), 2.0)
    pushes.add(push("busy", "e3"), 3.0)
    assert pushes.take(3.0, 9) == [push("busy", "e3"), push("quiet", "e2")]


def test_a_user_is_due_once_in_an_interval() -> None:
    pushes = Pushes(interval_s=10.0, most=100)
    pushes.add(push("u", "e1"), 5.0)
    assert pushes.take(5.0, 9) == [push("u", "e1")]
    pushes.add(push("u", "e2"), 6.0)
    pushes.add(push("v"), 6.5)
    assert users(pushes.take(14.9, 9)) == ["v"]
    assert pushes.next_due_s() == 15.0
    assert pushes.take(15.0, 9) == [push("u", "e2")]
    pushes.add(push("u"), 40.0)
    assert users(pushes.take(40.0, 9)) == ["u"]


def test_beyond_the_most_the_longest_waiting_go_without() -> None:
    pushes = Pushes(interval_s=0.0, most=2)
    for at, user_id in enumerate("abcd"):
        pushes.add(push(user_id), float(at))
    assert users(pushes.take(9.0, 9)) == ["c", "d"]


def test_random_days_look_like_the_rule_told_slowly() -> None:
    rng = np.random.default_rng(0)
    for interval_s in (0.0, 3.0):
        pushes = Pushes(interval_s=interval_s, most=1_000)
        waiting: dict[str, tuple[float, int, str]] = {}
        pushed: dict[str, float] = {}
        now_s = 0.0
        for turn in range(2_000):
            now_s += float(rng.random())
            if rng.random() < 0.7:
                user_id = f"u{rng.integers(8)}"
                pushes.add(push(user_id, f"e{turn}"), now_s)
                due_s = max(now_s, pushed.get(user_id, -interval_s) + interval_s)
                due_s, since, _ = waiting.get(user_id, (due_s, turn, ""))
                waiting[user_id] = (due_s, since, f"e{turn}")
            else:
                order = sorted(user for user in waiting if waiting[user][0] <= now_s)
                order = sorted(order, key=lambda user: waiting[user][:2])[:2]
                assert pushes.take(now_s, 2) == [push(user, waiting[user][2]) for user in order]
                pushed |= dict.fromkeys(order, now_s)
                for user in order:
                    del waiting[user]
            assert len(pushes) == len(waiting)
            assert pushes.next_due_s() == min((due_s for due_s, *_ in waiting.values()), default=None)
