"""A door as its users run it, over a real recommender on the embedded broker; one of each for the session."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from streams.contract import codec, topics
from streams.contract.events import Item, ItemState, ModelWeights
from streams.contract.topics import TOPICS
from streams.cores.announce import Announcer
from streams.roles.model_config import model_config_of
from streams.settings import Settings
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.embedded import embedded_broker
from streams.transport.publish import Out, send_all
from tests import engines, planted
from tests.factories import NOW_MS

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 240.0
TOKEN = "a-token-of-the-tests-0123456789"
IN_FLIGHT = 20
ITEMS = 30
SETTINGS = """
prefix = "{prefix}"
snapshot_dir = "{folder}/snapshots"
text_encoder = "hashed"
[recommender]
push_slates = false
explore_slots = 0
[model.towers]
dim = 8
content_dim = 16
window = 8
[door]
port = 0
token = "{token}"
timeout_ms = {timeout_ms}
in_flight = {in_flight}
rate_per_s = {rate}
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status, headers (names in lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running door."""

    port: int
    connection: Connection
    words_path: Path

    def ask(
        self, path: str, query: Any = None, *, method: str = "GET", body: Any = None,
        headers: Mapping[str, str] | None = None, media: str = "application/json", token: str | None = TOKEN,
    ) -> Answer:  # fmt: skip
        """One request, its path as it is; a body that is no bytes is sent as JSON."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        sent |= {"Content-Type": media} if method == "POST" else {}
        told = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        whole = f"{path}?{urlencode(query, doseq=True)}" if query else path
        line.request(method, whole, body=told, headers={**sent, **(headers or {})})
        response = line.getresponse()
        found = Answer(
            status=response.status, headers={name.lower(): value for name, value in response.getheaders()},
            body=response.read(),
        )  # fmt: skip
        line.close()
        return found

    def post(self, path: str, body: Any, **more: Any) -> Answer:
        """A request with a body."""
        return self.ask(path, method="POST", body=body, **more)

    def slate(self, user_id: str, query: Any = None) -> Answer:
        """A slate for somebody."""
        return self.ask(f"/slates/{quote(user_id, safe='')}", query)

    def words(self) -> str:
        """What the process has said."""
        return self.words_path.read_text()


def wait(is_met: Any, what: str) -> Any:
    """Waits for a condition; what it gave."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := is_met()):
        assert time.monotonic() < deadline_s, f"not {what}"
        time.sleep(0.05)
    return found


@contextmanager
def running(role: str, connection: Connection, config: Path, words_path: Path) -> Iterator[None]:
    """A role of the engine, in a process of its own; it has to end in peace."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JAX_NUMPY")}
    with words_path.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker", role, "--broker", connection.bootstrap, "--config",
             str(config), "--embedded"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=words, stderr=words, env=environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        status = process.wait(WAIT_S)
        if process.stdin is not None:
            process.stdin.close()
        assert status == 0, words_path.read_text()


def settings_file(folder: Path, *, prefix: str = "", rate: int = 100_000, timeout_ms: int = 30_000) -> Path:
    """Settings of an engine, and of its door."""
    config = folder / "marquee.toml"
    config.write_text(SETTINGS.format(
        folder=folder, prefix=prefix, token=TOKEN, in_flight=IN_FLIGHT, rate=rate, timeout_ms=timeout_ms
    ))  # fmt: skip
    return config


@contextmanager
def serving(connection: Connection, config: Path, words_path: Path) -> Iterator[Served]:
    """A door that is ready."""
    with running("door", connection, config, words_path):
        found = wait(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", words_path.read_text()), "an address")
        door = Served(port=int(found[1]), connection=connection, words_path=words_path)
        wait(lambda: door.ask("/readyz").status == 200, "ready")
        yield door


def tell_model(connection: Connection, config: Path) -> None:
    """The catalogue and a model that a real learner made of a small log, as its trainer would tell them."""
    learner = engines.taught(
        planted.random_log(200, items=ITEMS), items=engines.catalogue(range(ITEMS)),
        config=model_config_of(Settings.from_env({}, path=config)),
    )  # fmt: skip
    told = Announcer(learner.config, fingerprint="test").announce(learner.state, [], most=engines.EVERYTHING)

    def out(spec: topics.TopicSpec, key: str, record: Item | ItemState | ModelWeights) -> Out:
        return Out(topic=spec.name, key=key.encode(), value=codec.encode(record), timestamp_ms=NOW_MS)

    outs = [out(topics.ITEMS, item.item_id, item) for item in engines.catalogue(range(ITEMS))]
    outs += [out(topics.ITEM_STATES, state.item_id, state) for state in told.states]
    asyncio.run(send_all(connection, [*outs, out(topics.MODEL_WEIGHTS, "model", told.weights)]))


@pytest.fixture(scope="session")
def broker() -> Iterator[Connection]:
    """The embedded broker with the project's topics."""
    with embedded_broker() as connection:
        admin.create_topics(connection, TOPICS, prefix="")
        yield connection


@pytest.fixture(scope="session")
def served(broker: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The door in front of a recommender that has read everything."""
    folder = tmp_path_factory.mktemp("door")
    config = settings_file(folder)
    tell_model(broker, config)
    with (
        running("recommender", broker, config, folder / "recommender.words"),
        serving(broker, config, folder / "door.words") as door,
    ):
        wait(lambda: len(door.slate("nobody-knows-me", {"k": 3}).told.get("items", ())) == 3, "a slate with items")
        yield door


@pytest.fixture(scope="session")
def quiet(broker: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A door behind which nobody answers, and which lets few requests a second through."""
    folder = tmp_path_factory.mktemp("quiet")
    admin.create_topics(broker, TOPICS, prefix="quiet")
    config = settings_file(folder, prefix="quiet", rate=4, timeout_ms=200)
    with serving(broker, config, folder / "door.words") as door:
        yield door
