"""The console's addresses, over real HTTP and a real broker: what they give, whom they refuse, and in which words."""

from __future__ import annotations

import gzip
import json
import re
from urllib.parse import quote

import pytest

from streams.contract import codec, topics
from streams.contract.events import ContentTask, Interaction
from streams.transport.whole import read_whole
from tests.console import world
from tests.console.conftest import STREAMS, TOKEN, Served, Stream, wait
from tests.factories import NOW_MS

pytestmark = [pytest.mark.slow]
HOSTILE = [world.PATH, world.SCRIPT]


# --- pages and files -----------------------------------------------------------------------------------------------


def test_the_first_page_and_all_that_it_loads_fit_in_300_kb(served: Served):
    page = served.ask("/", headers={"Accept-Encoding": "gzip"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    total, todo, seen = 0, ["/"], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        found = served.ask(path, headers={"Accept-Encoding": "gzip"})
        assert found.status == 200, path
        total += len(found.body)
        text = gzip.decompress(found.body).decode()
        folder = "/static/pages/" if "/pages/" in path else "/static/"
        todo += re.findall(r'(?:src|href)="(/static/[^"]+)"', text) if path == "/" else []
        todo += [folder + name for name in re.findall(r'from "\./([\w./]+)"', text)]
        todo += ["/static/" + name for name in re.findall(r'from "\.\./([\w./]+)"', text)]
    assert {"/static/pages/now.js", "/static/vendor/uPlot.iife.min.js", "/static/tips.js", "/static/style.css"} <= seen
    assert total < 300_000


def test_every_answer_forbids_what_a_page_of_ours_never_does(served: Served):
    for path in ("/", "/static/app.js", "/api/meta", "/nothing", "/api/user"):
        headers = served.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "python" not in headers.get("server", "").lower()


def test_the_document_has_no_script_or_style_of_its_own(served: Served):
    text = served.ask("/").body.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert "<style" not in text
    assert re.findall(r"\bon\w+=|style=|https?://", text) == []


def test_an_unchanged_file_is_not_sent_again(served: Served):
    first = served.ask("/static/app.js")
    again = served.ask("/static/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/static/../api.py", "/static/..%2f..%2fserve.py", "/static/%2e%2e/guard.py", "/static//etc/passwd",
             "/media/../../etc/passwd", "/media/..%2f..%2fmade.png", "/media/made.png", f"/media/{'0' * 64}",
             "/media/" + "A" * 64],
)  # fmt: skip
def test_nothing_else_of_the_disk_is_served(served: Served, path: str):
    found = served.ask(path)
    assert found.status == 404
    assert b"root:" not in found.body


def test_a_finished_file_is_served_by_its_hash_parts_too(served: Served):
    task = next(one for one in served.ask("/api/tasks").told["tasks"] if one["state"] == "done")
    path = f"/media/{task['asset']['file']['sha256']}"
    whole = served.ask(path)
    assert whole.body == (served.store_dir / "made.png").read_bytes()
    assert whole.headers["content-type"] == "image/png"
    assert "sandbox" in whole.headers["content-security-policy"]
    part = served.ask(path, headers={"Range": "bytes=0-7"})
    assert (part.status, part.body) == (206, b"\x89PNG\r\n\x1a\n")


# --- people and items ----------------------------------------------------------------------------------------------


def test_search_finds_titles_ids_and_who_acted(served: Served):
    told = served.ask("/api/search", {"q": "grav"}).told
    assert told["items"] == [{"item_id": "item-0", "title": "Gravity (2013)"}]
    assert served.ask("/api/search", {"q": "item-4"}).told["items"][0]["title"] == "Her (2013)"
    users = set(served.ask("/api/search").told["users"])  # a sample: the last of each fetch
    assert users
    assert users <= set(world.USERS)


@pytest.mark.parametrize("user_id", world.USERS)
def test_a_user_has_the_slate_and_the_history_that_were_published(served: Served, user_id: str):
    found = served.ask("/api/user", {"id": user_id})
    assert found.headers["content-type"] == "application/json; charset=utf-8"
    told = found.told
    assert told["user_id"] == user_id
    assert [one["item_id"] for one in told["slate"]["items"]] == world.item_ids()
    assert [one["title"] for one in told["slate"]["items"]] == [world.title_of(one) for one in world.item_ids()]
    assert told["slate"]["items"][5]["propensity"] == 0.05
    want = [one.event_id for one in reversed(world.history(user_id))]
    assert [one["event_id"] for one in told["history"]] == want


def test_a_user_of_whom_nothing_is_there_is_said_to_have_nothing(served: Served):
    told = served.ask("/api/user", {"id": "nobody"}).told
    assert (told["slate"], told["history"]) == (None, [])


def test_an_item_has_its_record_its_sightings_its_tasks_and_assets(served: Served):
    told = served.ask("/api/item", {"id": "item-1"}).told
    assert told["item"]["title"] == "Rush (2013)"
    assert told["state"]["count"] == 37.0
    assert [one["kind"] for one in told["tasks"]] == ["subtitles"]
    pictured = served.ask("/api/item", {"id": world.PICTURED}).told
    assert pictured["assets"][0]["quality"] == {"sharpness": 0.82, "contrast": 0.4}
    assert served.ask("/api/item", {"id": "no-such-item"}).told["item"] is None


@pytest.mark.parametrize("item_id", HOSTILE)
def test_hostile_ids_of_items_are_ids_like_others(served: Served, item_id: str):
    assert served.ask("/api/item", {"id": item_id}).told["item"]["title"] == world.title_of(item_id)


@pytest.mark.parametrize(("query", "words"), [({}, "expected ?id="), ({"id": "x" * 600}, "at most 256")])
def test_an_id_that_is_none_is_said_to_be_none(served: Served, query: dict[str, str], words: str):
    found = served.ask("/api/user", query)
    assert found.status == 400
    assert words in found.told["error"]


def test_a_moment_that_cannot_be_rebuilt_is_one_clear_line_even_for_an_id_like_an_option(served: Served):
    found = served.ask("/api/past", {"user": "--help", "at": "yesterday"})
    assert found.status == 422
    assert found.told["error"].startswith("expected a step (120), a time")


# --- content, topics, letters --------------------------------------------------------------------------------------


def test_tasks_stand_with_most_to_gain_first_and_say_why(served: Served):
    told = served.ask("/api/tasks").told
    assert [one["gain"]["value"] for one in told["tasks"]] == [90.0, 70.0, 50.0, 30.0]
    assert told["states"]["done"] == told["states"]["failed"] == 1
    assert "This audience began it 200 times and finished it 12 times; 90 left early." in told["tasks"][0]["why"]
    assert [one["kind"] for one in served.ask("/api/tasks", {"kind": "dub"}).told["tasks"]] == ["dub"]


def test_the_log_says_what_each_topic_holds_and_where_roles_stand(served: Served):
    told = wait(lambda: (found := served.ask("/api/log").told)["topics"] and found, "topics read")
    records = {one["name"]: one["records"] for one in told["topics"]}
    assert records["items.v1"] >= len(world.item_ids())
    assert records["interactions.v1"] >= len(world.USERS) * world.EVENTS
    assert [one["step"] for one in told["ledger"]] == [3, 2, 1]
    assert told["ledger"][0]["records"] == 20
    assert [one["learned"] for one in told["lag"]] == [20, 20, 20, None]
    assert told["snapshots"][0]["uri"] == "file:///snapshots/3"


def test_letters_are_counted_by_reason_and_shown_with_their_bytes(served: Served):
    told = served.ask("/api/letters").told
    assert told["count"] == len(world.LETTERS) + 1
    assert sum(one["count"] for one in told["kinds"]) == told["count"]
    first = served.ask("/api/letter", {"id": told["letters"][-1]["id"]}).told
    assert first["text"] == world.LETTERS[0].decode()
    assert bytes.fromhex(first["hex"].replace(" ", "")) == world.LETTERS[0]
    assert served.ask("/api/letters", {"words": "older version"}).told["count"] == 1


@pytest.mark.parametrize("letter_id", ["0/999999", "../../etc/passwd", "<script>", "9/9", "0/" + "9" * 40])
def test_a_letter_that_is_none_is_said_to_be_none(served: Served, letter_id: str):
    found = served.ask("/api/letter", {"id": letter_id})
    assert found.status == 404
    assert "letter" in found.told["error"]


@pytest.mark.parametrize("path", ["/api/past", "/api/why", "/api/user", "/api/search"])
def test_a_zero_character_is_refused_and_so_are_other_pages(served: Served, path: str):
    query = {"user": "a\0b", "id": "a\0b", "item": "a\0b", "q": "a\0b", "words": "a\0b"}
    assert served.ask(path, query).status == 400
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert served.ask(path, {"user": "a", "id": "a", "item": "a", "q": "a"}, headers=headers).status == 403


# --- streams -------------------------------------------------------------------------------------------------------


def test_the_live_stream_tells_the_figures_and_the_curves(served: Served):
    told: dict[str, object] = {}
    with served.streaming("/api/live") as stream:
        assert stream.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        for name, value in stream.events():
            told[name] = value
            if set(told) == {"now", "curves", "rates"}:
                break
    now, curves = told["now"], told["curves"]
    assert isinstance(now, dict)
    assert isinstance(curves, dict)
    assert (now["learned"], now["step"], now["items"]) == (30_000.0, 300, len(world.item_ids()))
    assert now["model"] == {"version": 3, "step": 120, "state_hash": "c0ffee"}
    assert curves["learned"] == [1_000 * window for window in range(1, 31)]
    model = curves["curves"]["model"]["hr_at_10"]
    assert model["mean"][-1] == pytest.approx(0.25)
    # Wilson's interval of 250 of 1,000, by hand: (0.25 + 0.00192 -+ 1.96 sqrt(0.0001875 + 9.6e-7)) / 1.00384
    assert (model["low"][-1], model["high"][-1]) == (pytest.approx(0.2242, abs=1e-4), pytest.approx(0.2778, abs=1e-4))


def test_the_tail_shows_records_that_hold_the_words(served: Served):
    with served.streaming("/api/tail?topic=interactions.v1") as whole:
        _, every = next(whole.events())
    key = every[0]["key"]
    assert len(every) > 8
    with served.streaming(f"/api/tail?topic=interactions.v1&words={quote(key)}") as part:
        _, found = next(part.events())
    assert {one["key"] for one in found} == {key}
    assert found == [one for one in every if one["key"] == key]
    assert served.ask("/api/tail", {"topic": "../secrets"}).status == 404


def test_more_streams_than_allowed_are_refused_clearly_and_a_closed_one_makes_room(served: Served):
    opened: list[Stream] = []
    try:
        while (response := served.stream("/api/live")).status == 200:
            opened.append(response)
            assert len(opened) <= STREAMS
        assert response.status == 503
        assert response.response.getheader("Retry-After")
        assert "event streams are open" in json.loads(response.response.read())["error"]
        response.close()
        assert served.ask("/api/meta").status == 200
    finally:
        for one in opened:
            one.close()

    def is_open() -> bool:
        again = served.stream("/api/live")
        again.close()
        return again.status == 200

    assert wait(is_open, "room again")


def test_a_page_that_reads_nothing_costs_no_memory_and_ends_nobody(served: Served):
    with served.streaming("/api/live"), served.streaming("/api/live") as other:
        frames = other.events()
        assert [next(frames)[0] for _ in range(4)].count("now") >= 1


# --- whom it refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_another_host_s_name_is_refused(served: Served, host: str):
    found = served.ask("/api/user", {"id": "11330"}, headers={"Host": host})
    assert found.status in (400, 421)
    assert b"slate" not in found.body


def test_the_loopback_s_names_are_taken(served: Served):
    for host in ("localhost", f"localhost:{served.port}", "127.0.0.1", "[::1]:80"):
        assert served.ask("/api/meta", headers={"Host": host}).status == 200


@pytest.mark.parametrize("query", [f"token={TOKEN}", "token=guess", f"id={TOKEN}", "access_token=x", f"{TOKEN}=1"])
def test_a_token_in_an_address_is_refused_and_said_nowhere(served: Served, query: str):
    found = served.ask(f"/api/user?{query}")
    assert found.status == 400
    assert "never stand in an address" in found.told["error"]
    assert TOKEN not in served.words()
    assert TOKEN.encode() not in found.body


@pytest.mark.parametrize("path", ["/api/redrive", "/api/withdraw", "/api/reopen"])
def test_changes_need_the_token_in_their_header(served: Served, path: str):
    body = {"ids": ["0/0"], "yes": True} if "redrive" in path else {"task_id": "x"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"X-Token": TOKEN},
                    {"Authorization": "Bearer \xe9"}):  # fmt: skip
        assert served.ask(path, method="POST", body=body, headers=headers).status == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert served.ask(path, method="POST", body=body, headers=right | {"Origin": "http://evil.example"}).status == 403
    assert served.ask(path, method="POST", body=body, headers=right | {"Content-Type": "text/plain"}).status == 415
    assert served.ask(path, method="PUT", body=body, headers=right).status == 405


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ids": "all"}', b'{"ids": [], "yes": true}', b'{"ids": ["../x"]}',
                                  b'{"ids": ["0/0"], "force": true}',
                                  b'{"ids": ["0/' + b"9" * 5_000 + b'"]}'])  # fmt: skip
def test_a_change_that_is_none_is_said_to_be_none(served: Served, body: bytes):
    found = served.change("/api/redrive", body)
    assert found.status == 400
    assert len(found.told["error"]) > 10


def test_a_body_that_is_too_long_is_refused(served: Served):
    assert served.change("/api/redrive", b'{"ids": ["' + b"0" * 100_000 + b'"]}').status == 413


# --- what it changes -----------------------------------------------------------------------------------------------


def test_a_letter_goes_back_once(served: Served):
    ready = served.ask("/api/letters", {"words": "older version"}).told["letters"][0]
    broken = served.ask("/api/letters").told["letters"][-1]
    dry = served.change("/api/redrive", {"ids": [ready["id"], broken["id"]]}).told
    assert (dry["ready"], dry["redriven"], dry["is_dry_run"]) == (1, 0, True)
    assert {one["verdict"] for one in dry["letters"]} == {"ready", "refused"}
    done = served.change("/api/redrive", {"ids": [ready["id"], broken["id"]], "yes": True}).told
    assert done["redriven"] == 1
    back = [
        event
        for message in read_whole(served.connection, topics.INTERACTIONS.name)
        if isinstance(event := codec.decode(Interaction, message.value() or b"", timestamp_ms=-1), Interaction)
        and event.event_id == "mended"
    ]
    assert len(back) == 1
    again = served.change("/api/redrive", {"ids": [ready["id"]], "yes": True}).told
    assert (again["redriven"], again["letters"][0]["verdict"]) == (0, "redriven")


def test_a_task_is_taken_back_and_asked_for_again_at_its_own_time(served: Served):
    task = next(one for one in served.ask("/api/tasks", {"state": "open"}).told["tasks"] if one["kind"] == "subtitles")
    wish = {"task_id": task["task_id"]}

    def state() -> str:
        told = served.ask("/api/tasks").told["tasks"]
        return str(next(one["state"] for one in told if one["task_id"] == task["task_id"]))

    assert served.change("/api/withdraw", wish).told["state"] == "withdrawn"
    wait(lambda: state() == "withdrawn", "taken back")
    assert served.change("/api/withdraw", wish).status == 409
    assert served.change("/api/reopen", wish).told["state"] == "open"
    wait(lambda: state() == "open", "open again")
    assert served.change("/api/withdraw", {"task_id": "none"}).status == 404
    last = [message for message in read_whole(served.connection, topics.CONTENT_TASKS.name)
            if (message.key() or b"") == b"item-1"][-1]  # fmt: skip
    told = codec.decode(ContentTask, last.value() or b"", timestamp_ms=-1)
    assert isinstance(told, ContentTask)
    assert (told.withdrawn, last.timestamp()[1]) == (False, NOW_MS)
