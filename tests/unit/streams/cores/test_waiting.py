"""What waits for the row of its item: bounded, in order, and gone with its user."""

from __future__ import annotations

from streams.contract.events import Interaction
from streams.cores.waiting import Waiting
from tests.factories import make_interaction


def event(name: str, item_id: str, user_id: str = "u") -> Interaction:
    return make_interaction(event_id=name, item_id=item_id, user_id=user_id)


def test_what_is_taken_waits_no_more_and_keeps_its_order() -> None:
    waiting = Waiting(10)
    for name, item_id in (("1", "a"), ("2", "b"), ("3", "a")):
        waiting.add(event(name, item_id))
    assert [one.event_id for one in waiting.take(["a", "never heard of"])] == ["1", "3"]
    assert ("a" in waiting, "b" in waiting, len(waiting)) == (False, True, 1)
    assert waiting.take(["a"]) == []


def test_the_item_that_waited_longest_gives_way() -> None:
    waiting = Waiting(3)
    for number, item_id in enumerate(["a", "a", "b", "c"]):
        waiting.add(event(str(number), item_id))
    assert ("a" in waiting, "b" in waiting, "c" in waiting, len(waiting)) == (False, True, True, 2)


def test_a_user_is_forgotten_whatever_waits_for_others() -> None:
    waiting = Waiting(10)
    for number, (item_id, user_id) in enumerate([("a", "u"), ("a", "v"), ("b", "u")]):
        waiting.add(event(str(number), item_id, user_id))
    waiting.forget_user("u")
    assert ("b" in waiting, len(waiting)) == (False, 1)
    assert [one.user_id for one in waiting.take(["a"])] == ["v"]
