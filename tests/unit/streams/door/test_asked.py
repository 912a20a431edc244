"""What the pure parts of the door make of addresses, bodies, slates of others, and connections."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from multidict import MultiDict

from streams.contract import codec, topics
from streams.contract.codec import Rejected
from streams.contract.events import Interaction, Request
from streams.contract.problems import field_error
from streams.door import wanted
from streams.door.connections import FIRST_S, KEPT_S, Connections
from streams.door.posted import MOST_ERRORS, checked, parts_of
from streams.door.refusals import RefusalError
from streams.door.waiting import Mine, Waiting
from tests.factories import NOW_MS, make_interaction, make_slate


def asked(*pairs: tuple[str, str]) -> Request:
    return wanted.of_address("u", MultiDict(pairs), request_id="r")


def test_an_address_says_all_that_a_request_has():
    found = asked(
        ("k", "-3"), ("surface", "tv"), ("exclude", "a"), ("exclude", "b"), ("filters[tags]", "x"),
        ("filters[creator]", "c"), ("filters[language]", "de"), ("filters[language]", "fr"),
        ("filters[max_duration_s]", "90"), ("context[device]", "tv"),
    )  # fmt: skip
    assert found == Request(
        request_id="r", user_id="u", k=-3, surface="tv", exclude=["a", "b"], context={"device": "tv"},
        filters={"tags": ["x"], "creator": "c", "language": ["de", "fr"], "max_duration_s": 90.0},
    )  # fmt: skip
    assert asked() == Request(request_id="r", user_id="u")


@pytest.mark.parametrize(
    "name", ["request_id", "user_id", "filters", "filters[]", "filters[a][b]", "filters.a", "K", ""]
)
def test_other_names_are_refused(name: str):
    with pytest.raises(RefusalError) as refused:
        asked((name, "1"))
    assert refused.value.problem.status == 400


@pytest.mark.parametrize("text", ["NaN", "inf", "1e400", "0x10", "", "9" * 20, "1_000"])
def test_numbers_are_numbers(text: str):
    for name in ("k", "filters[max_duration_s]"):
        with pytest.raises(RefusalError) as refused:
            asked((name, text))
        assert refused.value.problem.status == 422


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(RefusalError, match="UTF-8"):
        wanted.of_address("\udcff", MultiDict(), request_id="r")


@pytest.mark.parametrize(
    ("wish", "error", "is_refused"),
    [
        ({}, None, False),
        ({"k": 10**6}, "k was clamped", False),
        ({"k": 0}, "k must be", True),
        ({"filters": {"mood": "x"}}, "unknown filter", True),
        ({"filters": {"tags": ["x"]}}, "anything", False),
    ],
)
def test_a_slate_with_an_error_is_refused_where_a_wish_was_not_met(wish: Any, error: str | None, is_refused: bool):
    refusal = wanted.refusal_of(Request(request_id="r", user_id="u", **wish), error)
    assert (refusal is not None) == is_refused
    if refusal is not None:
        assert (refusal.problem.status, refusal.problem.detail) == (422, error)


def test_no_more_is_said_of_a_body_than_can_be_read():
    with pytest.raises(RefusalError) as refused:
        checked(topics.INTERACTIONS, [b"{}"] * 1_000, now_ms=NOW_MS)
    assert len(refused.value.problem.errors) == MOST_ERRORS
    assert "there may be more" in refused.value.problem.detail


def test_values_are_kept_as_they_came():
    value = b' { "event_id":"e","user_id":"u","item_id":"i","action":"play","occurred_at_ms":1,"mine":1.0 } '
    assert [one.value for one in checked(topics.INTERACTIONS, parts_of(value, "application/json"), now_ms=1)] == [value]
    array = b"[" + value + b",\n" + value + b"]"
    assert parts_of(array, "application/json") == [value.strip()] * 2
    assert parts_of(value + b"\r\n\n" + value, "application/x-ndjson") == [value + b"\r", value]


@pytest.mark.parametrize(
    ("change", "field", "got"),
    [
        ({"action": "x"}, "action", '"x"'),
        ({"context": {"a": {}}}, 'context["a"]', "`object`"),
        ({"context": {"a" * 200: 1}}, "context", ""),
        ({"asset_ids": ["a", ""]}, "asset_ids[1]", '""'),
        ({"user_id": None}, "user_id", "`null`"),
        ({"occurred_at_ms": NOW_MS + 10**7}, "occurred_at_ms", str(NOW_MS + 10**7)),
    ],
)
def test_a_refusal_is_taken_apart(change: dict[str, Any], field: str, got: str):
    told = msgspec.json.decode(codec.encode(make_interaction())) | change
    rejected = codec.decode(Interaction, msgspec.json.encode(told), timestamp_ms=NOW_MS)
    assert isinstance(rejected, Rejected)
    error = field_error(rejected)
    assert error.field == field
    assert error.got.startswith(got)
    assert error.expected


async def test_slates_of_others_and_repeats_are_nobody_s():
    mine, others, waiting = Mine(), Mine(), Waiting(2)
    one, two = mine.next_id(), mine.next_id()
    first = waiting.open(one, 60.0)
    second = waiting.open(two, 0.0)
    with pytest.raises(RefusalError) as refused:
        waiting.open("third", 1.0)
    assert refused.value.problem.status == 503
    slate = codec.encode(make_slate(request_id=one, user_id="u"))
    values = [
        None, b"", b"{", codec.encode(make_slate(request_id=others.next_id())), codec.encode(make_slate(user_id=one)),
        slate, slate, b'{"request_id":' + mine.mark.encode(),
    ]  # fmt: skip
    answers = mine.answers(values)
    assert [answer.value for answer in answers] == [slate, slate]
    waiting.take(answers)
    found = await first
    assert found is not None
    assert found.head.user_id == "u"
    assert await second is None  # its time was over
    waiting.close(one)
    waiting.close(two)
    waiting.close(two)
    assert len(waiting) == 0


async def test_connections_that_say_nothing_are_closed_and_no_more_are_let_in_than_may_be():
    class Opened:
        def __init__(self, transport: str) -> None:
            self.transport = transport

    class Server:
        def __init__(self) -> None:
            self.connections: list[Opened] = []

        def __call__(self) -> Opened:
            self.connections.append(Opened(f"of {len(self.connections)}"))
            return self.connections[-1]

    server, watched, now_s = Server(), Connections(most=3, busy_s=60.0), asyncio.get_running_loop().time()
    watched.serve(server)
    _, busy, _ = (watched() for _ in range(3))
    assert watched() not in server.connections
    assert len(server.connections) == 3
    assert watched.look(now_s) == []
    request: Any = SimpleNamespace(protocol=busy)
    watched.note(request, True)
    assert {*watched.look(now_s + FIRST_S + 1.0)} == {"of 0", "of 2"}
    assert {*watched.look(now_s + 120.0)} == {"of 0", "of 2", "of 1"}
    watched.note(request, False)
    assert {*watched.look(now_s + KEPT_S - 1.0)} == {"of 0", "of 2"}  # clients keep connections
    assert {*watched.look(now_s + KEPT_S + 1.0)} == {"of 0", "of 1", "of 2"}
    server.connections.clear()
    assert watched.look(now_s + 10**9) == []
