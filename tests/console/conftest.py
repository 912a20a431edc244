"""A console as its users run it, over an engine's topics on the embedded broker; one for the session."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from streams.contract.topics import TOPICS
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.embedded import embedded_broker
from tests.console import world

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 90.0
TOKEN = "a-token-of-the-tests-0123456789"
STREAMS = 6


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
    """A running console."""

    port: int
    connection: Connection
    store_dir: Path
    words_path: Path

    @property
    def address(self) -> str:
        """Of the first page."""
        return f"http://127.0.0.1:{self.port}/"

    def words(self) -> str:
        """What the process has said."""
        return self.words_path.read_text()

    def ask(self, path: str, query: dict[str, str] | None = None, *, method: str = "GET", body: Any = None,
            headers: dict[str, str] | None = None) -> Answer:  # fmt: skip
        """One request, its path as it is."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        sent = {"Content-Type": "application/json"} if method == "POST" else {}
        told = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        line.request(method, f"{path}?{urlencode(query)}" if query else path, body=told, headers=sent | (headers or {}))
        response = line.getresponse()
        found = Answer(
            status=response.status, headers={name.lower(): value for name, value in response.getheaders()},
            body=response.read(),
        )  # fmt: skip
        line.close()
        return found

    def change(self, path: str, body: Any) -> Answer:
        """A request that changes something, with the token."""
        return self.ask(path, method="POST", body=body, headers={"Authorization": f"Bearer {TOKEN}"})

    def stream(self, path: str) -> Stream:
        """An open event stream, or what refuses it."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        line.request("GET", path)
        return Stream(line, line.getresponse())

    @contextmanager
    def streaming(self, path: str) -> Iterator[Stream]:
        """An event stream, open as soon as those that other tests have closed make room for it; closed at the end."""
        with ExitStack() as refused:

            def taken() -> Stream | None:
                one = self.stream(path)
                if one.status == 200:
                    return one
                refused.callback(one.close)
                return None

            one = wait(taken, "room for a stream")
        try:
            yield one
        finally:
            one.close()


class Stream(NamedTuple):
    """An answer that goes on."""

    line: http.client.HTTPConnection
    response: http.client.HTTPResponse

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.response.status

    def events(self) -> Iterator[tuple[str, Any]]:
        """Name and value of each server-sent event."""
        while line := self.response.readline():
            if line.startswith(b"event: "):
                yield line[7:].strip().decode(), json.loads(self.response.readline().removeprefix(b"data: "))

    def close(self) -> None:
        """Ends it from our side."""
        self.response.close()
        self.line.close()


def wait(is_met: Any, what: str) -> Any:
    """Waits for a condition; what it gave."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := is_met()):
        assert time.monotonic() < deadline_s, f"not {what}"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The console over `world`'s records, which it has read."""
    folder = tmp_path_factory.mktemp("console")
    store_dir = folder / "assets"
    with embedded_broker() as connection:
        admin.create_topics(connection, TOPICS, prefix="")
        world.fill(connection, store_dir)
        config = folder / "marquee.toml"
        config.write_text(
            f'snapshot_dir = "{folder}/snapshots"\ntext_encoder = "hashed"\n[studio]\nstore_dir = "{store_dir}"\n'
            f'[console]\nport = 0\ntoken = "{TOKEN}"\nstreams = {STREAMS}\n'
        )
        words_path = folder / "words"
        with words_path.open("wb") as words:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", "console", "--broker", connection.bootstrap,
                 "--config", str(config), "--embedded"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=words, stderr=words, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        try:
            found = wait(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", words_path.read_text()), "an address")
            console = Served(port=int(found[1]), connection=connection, store_dir=store_dir, words_path=words_path)
            wait(lambda: console.ask("/healthz").status == 200, "ready")
            yield console
        finally:
            process.terminate()
            assert process.wait(WAIT_S) == 0, words_path.read_text()
            if process.stdin is not None:
                process.stdin.close()
