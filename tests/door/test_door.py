"""The door over real HTTP and a real engine: what it gives, what it publishes, whom it refuses, and in which words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import aiohttp
import pytest

from streams.contract import codec, topics
from streams.contract.events import Interaction, Item, Request
from streams.transport.whole import read_whole
from tests.door.conftest import IN_FLIGHT, ITEMS, TOKEN, Answer, Served, wait
from tests.factories import make_interaction, make_item

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PATH, SCRIPT = "../../etc/passwd", "<script>alert(1)</script>"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def event(**changes: Any) -> dict[str, Any]:
    made = make_interaction(**({"occurred_at_ms": now_ms()} | changes))
    told: dict[str, Any] = json.loads(codec.encode(made))
    return told


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.told
    return [item["item_id"] for item in answer.told["items"]]


class Kept(NamedTuple):
    """A record of a topic."""

    key: bytes
    value: bytes
    partition: int
    timestamp: int


def records(served: Served, spec: topics.TopicSpec) -> list[Kept]:
    found: list[Any] = list(read_whole(served.connection, spec.name))
    return [Kept(one.key() or b"", one.value() or b"", one.partition(), one.timestamp()[1]) for one in found]


def requests_of(served: Served, user_id: str) -> list[Request]:
    found = [codec.decode(Request, record.value, timestamp_ms=-1) for record in records(served, topics.REQUESTS)]
    return [one for one in found if isinstance(one, Request) and one.user_id == user_id]


# --- slates --------------------------------------------------------------------------------------------------------


def test_a_slate_comes_by_way_of_the_topics_and_is_the_one_that_is_there(served: Served):
    answer = served.slate("u-1", {"k": 5, "surface": "home"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert len(ids(answer)) == 5
    (asked,) = requests_of(served, "u-1")
    assert (asked.k, asked.surface, asked.request_id) == (5, "home", answer.told["request_id"])
    slates = [record.value for record in records(served, topics.SLATES)]
    assert slates.count(answer.body) == 1


def test_every_field_of_a_request_can_be_asked_for(served: Served):
    query = {
        "k": 7, "surface": "tv", "exclude": ["i2", "i4"], "filters[tags]": ["even", "other"], "filters[language]": "en",
        "filters[max_duration_s]": "1500.5", "context[language]": "de", "context[device]": "tv",
    }  # fmt: skip
    found = ids(served.slate("u-all", query))
    assert found
    assert {int(one[1:]) % 6 for one in found} == {0}  # even, and every third is English
    assert not {"i2", "i4"} & set(found)
    body = {
        "user_id": "u-all", "k": 7, "surface": "tv", "exclude": ["i2", "i4"],
        "context": {"language": "de", "device": "tv"},
        "filters": {"tags": ["even", "other"], "language": "en", "max_duration_s": 1500.5},
    }  # fmt: skip
    assert set(ids(served.post("/slates", body))) == set(found)  # what fills a place depends on the request
    first, second = requests_of(served, "u-all")
    assert {**json.loads(codec.encode(first)), "request_id": ""} == {
        **json.loads(codec.encode(second)),
        "request_id": "",
    }


def test_what_was_posted_is_in_the_next_slate(served: Served):
    taken = ids(served.slate("u-posts", {"k": 10}))[0]
    told = served.post("/interactions", event(event_id="posted-1", user_id="u-posts", item_id=taken, action="play"))
    assert (told.status, told.told) == (202, {"event_ids": ["posted-1"]})
    wait(lambda: taken not in ids(served.slate("u-posts", {"k": 10})), "a slate without what was played")


@pytest.mark.parametrize("user_id", [PATH, SCRIPT, "Zoë", "a b+c%2F", "{user}", "x" * 256, "\N{PILE OF POO}" * 250])
def test_hostile_ids_are_ids_like_others(served: Served, user_id: str):
    answer = served.slate(user_id, {"k": 1})
    assert (answer.status, answer.told["user_id"]) == (200, user_id)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "status", "field", "words"),
    [
        ({"k": "many"}, 422, "k", "a whole number"),
        ({"k": "9" * 16}, 422, "k", "<= 9007199254740991"),
        ({"surface": "x" * 129}, 422, "surface", "length <= 128"),
        ({"exclude": ""}, 422, "exclude[0]", "length >= 1"),
        ({"filters[max_duration_s]": "long"}, 422, "filters.max_duration_s", "a number"),
        ({"filters[x]": "y" * 1_001}, 422, 'filters["x"]', "length <= 1000"),
        ({"page": "2"}, 400, None, "filters[NAME]"),
        ({"k": ["1", "2"]}, 400, None, "k once"),
        ({"context[a]": ["1", "2"]}, 400, None, "once"),
        ("k=1&surface=%FF%FE", 200, None, ""),
    ],
)
def test_a_wish_that_breaks_the_contract_is_told_its_field(
    served: Served, query: Any, status: int, field: str | None, words: str
):
    answer = served.ask(f"/slates/u?{query}") if isinstance(query, str) else served.slate("u", query)
    assert answer.status == status, answer.told
    if status == 200:
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.told["detail"]
    assert answer.told["status"] == status
    if field is not None:
        assert answer.told["errors"][0]["field"] == field
        assert answer.told["errors"][0]["expected"]
    assert requests_of(served, "u") == [one for one in requests_of(served, "u") if one.k == 1]


def test_what_the_engine_says_of_a_wish_is_said(served: Served):
    unknown = served.slate("u-wish", {"filters[mood]": "good"})
    assert unknown.status == 422
    assert unknown.told["detail"].startswith("unknown filter 'mood' was not applied; known are")
    assert served.slate("u-wish", {"k": 0}).status == 422
    clamped = served.slate("u-wish", {"k": 100_000})
    assert clamped.status == 200
    assert "clamped from 100000" in clamped.told["error"]
    assert len(clamped.told["items"]) <= ITEMS


@pytest.mark.parametrize("user_id", ["x" * 257, "y" * 10_000])
def test_an_id_that_is_too_long_is_refused_wherever_it_stands(served: Served, user_id: str):
    assert served.slate(user_id).status == (414 if len(user_id) > 8_000 else 422)
    body = served.post("/slates", {"user_id": user_id})
    assert (body.status, body.told["errors"][0]["field"]) == (422, "user_id")
    assert len(body.body) < 1_000
    assert served.slate("u", {"exclude": [user_id]}).status in (414, 422)


# --- records -------------------------------------------------------------------------------------------------------


def test_records_are_published_as_they_came_where_the_contract_says(served: Served):
    one = json.dumps(event(event_id="kept-1", user_id="Zoë") | {"of_mine": {"a": [1, 2]}}, indent=1).encode()
    assert served.post("/interactions", one).status == 202
    (kept,) = [record for record in records(served, topics.INTERACTIONS) if record.value == one]
    assert (kept.key, kept.partition) == ("Zoë".encode(), 2)  # as docs/events.md says
    assert abs(kept.timestamp - now_ms()) < 600_000


def test_many_records_come_as_an_array_or_one_a_line(served: Served):
    array = [event(event_id=f"array-{at}") for at in range(300)]
    assert served.post("/interactions", array).told["event_ids"] == [one["event_id"] for one in array]
    lines = b"\n\n".join(json.dumps(event(event_id=f"line-{at}")).encode() for at in range(3)) + b"\n"
    told = served.post("/interactions", lines, media="application/x-ndjson")
    assert told.told["event_ids"] == ["line-0", "line-1", "line-2"]
    there = Counter(json.loads(record.value)["event_id"] for record in records(served, topics.INTERACTIONS))
    assert all(there[one["event_id"]] == 1 for one in array)
    items = [json.loads(codec.encode(make_item(item_id=f"posted-{at}"))) for at in range(2)]
    assert served.post("/items", items).told == {"item_ids": ["posted-0", "posted-1"]}
    told_items = [record for record in records(served, topics.ITEMS) if record.key == b"posted-1"]
    assert isinstance(codec.decode(Item, told_items[0].value, timestamp_ms=-1), Item)


def test_a_body_with_one_wrong_record_is_not_published_and_says_which_and_why(served: Served):
    wrong = [event(event_id=f"none-{at}") for at in range(4)]
    wrong[1]["dwell_ms"] = -5
    wrong[2]["action"] = "stare"
    del wrong[3]["user_id"]
    answer = served.post("/interactions", wrong)
    assert (answer.status, answer.told["type"]) == (422, "urn:marquee:problem:record")
    first, second, third = answer.told["errors"]
    assert first == {"record": 1, "field": "dwell_ms", "expected": "`int` >= 0", "got": "-5"}
    assert (second["record"], second["field"], second["got"]) == (2, "action", '"stare"')
    assert second["expected"].startswith("one of impression, click")
    assert third == {"record": 3, "field": "user_id", "expected": "a value", "got": "none"}
    assert not [one for one in records(served, topics.INTERACTIONS) if b"none-" in one.value]


def test_the_rules_of_the_topic_hold_here_too(served: Served):
    late = served.post("/interactions", event(occurred_at_ms=now_ms() + 3_600_000))
    assert (late.status, late.told["errors"][0]["field"]) == (422, "occurred_at_ms")
    assert late.told["errors"][0]["stage"] == "rule"
    hostile = served.post("/items", {"item_id": "y" * 10_000})
    assert (hostile.status, hostile.told["errors"][0]["field"]) == (422, "item_id")
    fine = served.post("/interactions", event(event_id=SCRIPT, user_id=PATH))
    assert (fine.status, fine.told) == (202, {"event_ids": [SCRIPT]})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"[1,", 400), (b"nonsense", 400), (b"\xff\xfe", 400), (b"null", 422),
        (b"[1]", 422), (b"[null]", 422), (b"[" * 100_000, 400), (b'{"a":' * 50_000, 400),
        (b"\x00\x00\x00\x00\x01ab", 400),
        (b"[" + b"1," * 10_001 + b"1]", 413), (b'{"event_id":"\\ud800"}', 400),
    ],
)  # fmt: skip
def test_bad_bodies_get_one_clear_answer(served: Served, body: bytes, status: int):
    for path in ("/interactions", "/items"):
        answer = served.post(path, body)
        assert answer.status == status, answer.body
        assert answer.told["detail"].startswith("nothing was published;")
    assert served.post("/slates", body).status in (400, 422)


def test_a_body_is_of_a_type_and_size_that_are_taken(served: Served):
    assert served.post("/interactions", event(), media="text/plain").status == 415
    assert served.post("/slates", {"user_id": "u"}, media="application/x-www-form-urlencoded").status == 415
    huge = served.post("/interactions", b"x" * (1_100 * 1024))
    assert (huge.status, huge.headers["content-type"]) == (413, "application/problem+json")
    with_id = served.post("/slates", {"user_id": "u", "request_id": "mine"})
    assert (with_id.status, with_id.told["errors"][0]["field"]) == (422, "request_id")


# --- who may ask ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "another-token-of-somebody", "ä" * 20, TOKEN + "x", ""])
def test_without_the_token_nothing_is_done(served: Served, token: str | None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    for path, method in (("/slates/u", "GET"), ("/slates", "POST"), ("/interactions", "POST"), ("/items", "POST")):
        answer = served.ask(path, method=method, body=b"{}" if method == "POST" else None, token=None, headers=headers)
        assert (answer.status, answer.told["type"]) == (401, "urn:marquee:problem:token")


@pytest.mark.parametrize("path", [f"/slates/u?token={TOKEN}", "/slates/u?access_token=x", f"/slates/{TOKEN}",
                                  f"/openapi.json?a={TOKEN}"])  # fmt: skip
def test_a_token_in_an_address_is_refused_and_said_nowhere(served: Served, path: str):
    answer = served.ask(path)
    assert (answer.status, answer.told["type"]) == (400, "urn:marquee:problem:address")
    assert TOKEN not in answer.body.decode()
    assert TOKEN not in served.words()


def test_other_hosts_and_other_sites_are_refused(served: Served):
    assert served.ask("/slates/u", headers={"Host": "rebound.example"}).status == 421
    assert served.ask("/slates/u", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/slates", 405), ("DELETE", "/items", 405), ("HEAD", "/slates/u", 405),
     ("GET", "/slates/a/b", 404), ("GET", "/slates/..%2f..%2fhealthz", 200), ("GET", "/metrics", 404)],
)  # fmt: skip
def test_what_is_not_there_is_a_problem_too(served: Served, method: str, path: str, status: int):
    answer = served.ask(path, method=method)
    assert answer.status == status
    if method != "HEAD" and status != 200:
        assert answer.told["status"] == status
    assert "python" not in answer.headers.get("server", "").lower()


def test_without_a_recommender_the_answer_is_that_no_slate_came(quiet: Served):
    answer = wait(lambda: (found := quiet.slate("u")).status != 429 and found, "let in")
    assert (answer.status, answer.told["type"]) == (504, "urn:marquee:problem:late")
    assert "within 0.2 s" in answer.told["detail"]
    assert answer.headers["retry-after"] == "1"


def test_who_asks_too_much_is_told_when_to_come_again(quiet: Served):
    answers = [quiet.ask("/healthz") for _ in range(12)]
    late = [one for one in answers if one.status == 429]
    assert late
    assert late[0].told["type"] == "urn:marquee:problem:rate"
    assert int(late[0].headers["retry-after"]) >= 1
    batch = [event(event_id=f"credit-{at}") for at in range(30)]
    wait(lambda: quiet.post("/interactions", batch).status == 202, "let in on credit")
    assert quiet.ask("/healthz").status == 429


# --- how much ------------------------------------------------------------------------------------------------------


async def test_a_thousand_at_once_are_answered_or_told_to_come_again(served: Served):
    async def one(session: aiohttp.ClientSession, at: int) -> tuple[int, str]:
        async with session.get(f"http://127.0.0.1:{served.port}/slates/u-{at}?k=2") as response:
            told = await response.json(content_type=None)
            if response.status == 200:
                assert told["user_id"] == f"u-{at}"
            return response.status, response.headers.get("Retry-After", "")

    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {TOKEN}"}, connector=aiohttp.TCPConnector(limit=1_000)
    ) as session:
        answers = await asyncio.gather(*(one(session, at) for at in range(1_000)))
    counts = Counter(status for status, _ in answers)
    assert set(counts) <= {200, 503}
    assert counts[200] >= IN_FLIGHT
    assert counts[503] > 0
    assert all(after == "1" for status, after in answers if status == 503)
    assert (await asyncio.to_thread(served.ask, "/readyz")).told["waiting"] == 0


def test_slates_of_others_are_passed_over_and_each_gets_its_own(served: Served):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: (at, served.slate(f"own-{at}", {"k": 1 + at % 5})), range(40)))
    for at, answer in answers:
        assert (answer.told["user_id"], len(answer.told["items"])) == (f"own-{at}", 1 + at % 5)


def test_a_client_that_sends_a_byte_a_minute_loses_its_place(served: Served):
    begun = b"POST /interactions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    whole = (
        begun
        + f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode()
    )
    with (
        socket.create_connection(("127.0.0.1", served.port), 60) as head,
        socket.create_connection(("127.0.0.1", served.port), 60) as body,
    ):
        head.sendall(begun)
        body.sendall(whole)
        assert body.recv(64).startswith(b"HTTP/1.1 408")
        with contextlib.suppress(ConnectionResetError):
            assert head.recv(64) == b""
    assert served.ask("/healthz").status == 200


# --- itself --------------------------------------------------------------------------------------------------------


def test_health_readiness_and_the_document_need_no_token(served: Served):
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert served.ask(path, token=None).status == 200
    document = served.ask("/openapi.json", token=None).told
    assert document["openapi"].startswith("3.1.")


def test_an_interaction_is_the_one_that_readers_decode(served: Served):
    assert served.post("/interactions", event(event_id="decoded-1")).status == 202
    values = [one.value for one in records(served, topics.INTERACTIONS) if b'"decoded-1"' in one.value]
    assert isinstance(codec.decode(Interaction, values[0], timestamp_ms=now_ms()), Interaction)
