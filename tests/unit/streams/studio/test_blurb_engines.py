"""The engines that write: what they refuse, whom they ask, and the real model's blurb where its wheel is installed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streams.contract.events import Item
from streams.errors import SettingsError
from streams.settings import Settings
from streams.studio import checks
from streams.studio.chat import Chat
from streams.studio.chat_client import ask
from streams.studio.engines import Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.means import Endpoint, Means, means_of
from streams.studio.smollm import SmolLM
from streams.studio.written import first_fit
from streams.text.files import SMOLLM, SMOLLM_FILE
from tests import slow_llama

ITEM = Item(
    item_id="i", title="Night Train", tags=["Thriller"], language="en",
    text="A retired conductor boards the last train to Vienna with a suitcase that is not his.",
)  # fmt: skip
GOOD = "A retired conductor boards the last train to Vienna with a suitcase that is not his."
KEY = "sk-never-shown"


class Server(ThreadingHTTPServer):
    """Answers with the next of its texts, or as it is told; keeps what it was asked."""

    def __init__(self, answers: list[Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    """One question."""

    server: Server

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers["Authorization"])
        answer = self.server.answers[min(len(self.server.asked), len(self.server.answers)) - 1]
        status, body = answer if isinstance(answer, tuple) else (200, {"choices": [{"message": {"content": answer}}]})
        self.send_response(status if self.path == "/v1/chat/completions" else 404)
        if status == 302:
            self.send_header("Location", "/v1/chat/completions")
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server([GOOD])
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def endpoint(server: Server) -> Endpoint:
    return Endpoint(url=f"http://127.0.0.1:{server.server_address[1]}/v1", model="tiny", key=KEY)


def job(**changes: Any) -> Job:
    return Job(task_id="t", kind="blurb", item=ITEM, seed=7, **changes)


# --- chat ---------------------------------------------------------------------------------------------------------


def test_an_answer_that_keeps_to_the_rules_is_the_blurb(server, tmp_path):
    engine = Chat().equipped(Means(chat=endpoint(server)))
    draft = engine.produce(job(), tmp_path)
    assert Path(draft.path).read_text() == GOOD + "\n"
    assert checks.first_failure(draft.checks) is None
    (asked,) = server.asked
    assert (asked["model"], asked["seed"], asked["messages"][-1]["role"]) == ("tiny", 7, "user")
    assert "Night Train" in asked["messages"][-1]["content"]
    assert server.keys == [f"Bearer {KEY}"]
    assert engine.version == "1 tiny"


def test_another_answer_is_asked_for_where_one_makes_things_up(server, tmp_path):
    server.answers = ["Directed by Hitchcock, this is a train film that has it all.", GOOD]
    draft = Chat(Means(chat=endpoint(server))).produce(job(), tmp_path)
    assert checks.figures(draft.checks)["candidate"] == 2
    assert [one["seed"] for one in server.asked] == [7, 8]


def test_answers_that_all_make_things_up_are_a_reason(server, tmp_path):
    server.answers = ["Directed by Hitchcock, this is a train film that has it all."]
    with pytest.raises(EngineError, match="one of 3 texts to keep to the rules, got none; the first: unfounded.*Hitch"):
        Chat(Means(chat=endpoint(server))).produce(job(), tmp_path)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b"oops"), "status 200 .* got 500"),
        ((302, b""), "got 302"),
        ((200, b"no json"), "choices with a message"),
        ((200, {"choices": []}), "choices with a message"),
        ((200, b" " * 1_100_000), "at most 1048576 bytes"),
    ],
)
def test_what_is_no_answer_is_a_reason_without_the_key(server, answer, words):
    server.answers = [answer]
    with pytest.raises(EngineError, match=words) as caught:
        ask(endpoint(server), {"model": "tiny"}, timeout_s=10)
    assert KEY not in str(caught.value)
    assert len(server.asked) == 1, "no redirect is followed"


def test_a_server_that_is_not_there_is_a_reason():
    gone = Endpoint(url="http://127.0.0.1:9/v1", model="tiny", key=KEY)
    with pytest.raises(EngineError, match="is it there") as caught:
        ask(gone, {}, timeout_s=5)
    assert KEY not in str(caught.value)
    assert KEY not in repr(Means(chat=gone))


def test_without_an_address_nobody_is_asked():
    assert "studio.chat_url" in (Chat().available() or "")
    assert Chat(Means(chat=Endpoint(url="http://127.0.0.1:9", model="m"))).available() is None


def test_the_settings_name_the_server(tmp_path):
    secret = tmp_path / "key"
    secret.write_text(KEY + "\n")
    environ = {
        "MARQUEE_STUDIO_CHAT_URL": "https://models.example/v1", "MARQUEE_STUDIO_CHAT_MODEL": "big",
        "MARQUEE_STUDIO_CHAT_KEY_FILE": str(secret), "MARQUEE_CACHE_DIR": str(tmp_path),
    }  # fmt: skip
    means = means_of(Settings.from_env(environ))
    assert means.chat == Endpoint(url="https://models.example/v1", model="big", key=KEY)
    assert means.models_dir == str(tmp_path / "encoders")
    assert means_of(Settings.from_env({})).chat is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("URL", "ftp://a", "http or https address"),
        ("MODEL", "", "chat_model must be given"),
        ("URL", "http://models.example/v1", "must begin with https"),
        ("KEY_FILE", "/key", "must not both be given"),
    ],
)
def test_settings_that_would_not_work_or_tell_the_key_are_refused(name, value, words):
    environ = {
        "MARQUEE_STUDIO_CHAT_URL": "http://127.0.0.1:8000/v1", "MARQUEE_STUDIO_CHAT_MODEL": "big",
        "MARQUEE_STUDIO_CHAT_KEY": KEY,
    }  # fmt: skip
    with pytest.raises(SettingsError, match=words) as caught:
        Settings.from_env(environ | {f"MARQUEE_STUDIO_CHAT_{name}": value})
    assert KEY not in str(caught.value)


# --- smollm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", [SmolLM(), Chat(Means(chat=Endpoint(url="http://127.0.0.1:9", model="m")))])
def test_another_audience_is_left_to_the_next_engine(engine, tmp_path):
    with pytest.raises(SpecError, match="an audience that reads English, got 'de'"):
        engine.produce(job(locale="de-DE"), tmp_path)


def test_where_the_weights_are_missing_it_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.path_importer_cache", {})
    assert SmolLM().available() == (
        "expected the weights of SmolLM2 on this machine, got none; run `marquee fetch smollm` once"
    )


def test_fetched_weights_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.path_importer_cache", {})
    folder = tmp_path / "smollm"
    folder.mkdir()
    for name in SMOLLM.files:
        (folder / name).touch()
    engine = SmolLM().equipped(Means(models_dir=str(tmp_path)))
    assert engine.available() is None
    with pytest.raises(EngineError, match="with sha256"):
        engine.produce(job(), tmp_path)


def test_texts_are_tried_in_their_order(tmp_path):
    draft = first_fit(["", "In a snowy village.", GOOD + " And"], ITEM, tmp_path, most_chars=280, is_closed=True)
    assert Path(draft.path).read_text() == GOOD + "\n"
    assert checks.figures(draft.checks)["candidate"] == 3
    with pytest.raises(EngineError, match="got none"):
        first_fit([], ITEM, tmp_path, most_chars=280, is_closed=True)


def test_a_model_that_writes_nonsense_gives_way_with_a_reason(tmp_path, monkeypatch):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / SMOLLM_FILE).write_bytes(slow_llama.tiny_model())
    files = {SMOLLM_FILE: hashlib.sha256(slow_llama.tiny_model()).hexdigest()}
    tiny = dataclasses.replace(SMOLLM, name="tiny", member_dir="no_such_package", files=files)
    engine = SmolLM(Means(models_dir=str(tmp_path)), tiny)
    assert engine.available() is None
    with pytest.raises(EngineError, match="one of 8 texts to keep to the rules, got none"):
        engine.produce(job(), tmp_path)
