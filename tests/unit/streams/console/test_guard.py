"""Whom the guard lets through where no broker is needed: one that only shows, other hosts, bad tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.console.guard import host_of
from streams.console.lookups import partition_of
from streams.console.media import find
from streams.console.serve import app_of
from streams.console.watching import Watching
from streams.console_settings import ConsoleSettings
from streams.errors import SettingsError
from streams.setting_kinds import Secret
from streams.settings import Settings
from streams.transport.connection import Connection

KEYS = {b"u-1": [3, 7], b"u-3": [1, 1], b"u-6": [0, 4]}
"""Of docs/events.md, against 4 and 12 partitions."""


def client(tmp_path: Path, **wishes: object) -> TestClient[web.Request, web.Application]:
    settings = Settings(console=ConsoleSettings(**wishes), snapshot_dir=tmp_path)  # type: ignore[arg-type]
    return TestClient(TestServer(app_of(settings, Watching(Connection(bootstrap="127.0.0.1:1"), prefix=""))))


async def test_without_a_token_nothing_can_be_changed(tmp_path: Path):
    async with client(tmp_path) as made:
        for path in ("/api/redrive", "/api/withdraw", "/api/reopen"):
            answer = await made.post(path, json={}, headers={"Authorization": "Bearer "})
            assert answer.status == 403
            assert "only shows" in (await answer.json())["error"]
        assert (await (await made.get("/api/meta")).json())["may_write"] is False


async def test_hosts_of_the_settings_are_taken_beside_the_loopback_s(tmp_path: Path):
    async with client(tmp_path, hosts=("marquee.example",)) as made:
        assert (await made.get("/api/meta", headers={"Host": "marquee.example:8443"})).status == 200
        assert (await made.get("/api/meta", headers={"Host": "MARQUEE.example"})).status == 200
        assert (await made.get("/api/meta", headers={"Host": "other.example"})).status == 421


async def test_a_console_whose_broker_is_away_shows_that(tmp_path: Path):
    async with client(tmp_path) as made:
        assert (await made.get("/")).status == 200
        assert (await made.get("/healthz")).status == 503
        answer = await made.get("/api/user", params={"id": "u"})
        assert answer.status == 502
        assert "127.0.0.1:1" in (await answer.json())["error"]


async def test_a_token_of_a_file_opens_and_is_not_the_file_s_newline(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    async with client(tmp_path, token_file=file) as made:
        right = await made.post(
            "/api/withdraw", json={"task_id": "x"}, headers={"Authorization": "Bearer 0123456789abcdef"}
        )
        assert right.status == 404
        wrong = await made.post(
            "/api/withdraw", json={"task_id": "x"}, headers={"Authorization": "Bearer 0123456789abcdeg"}
        )
        assert wrong.status == 401


@pytest.mark.parametrize(
    ("header", "host"), [("a:1", "a"), ("A", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", ""), (":80", "")]
)
def test_a_host_is_told_from_its_port(header: str, host: str):
    assert host_of(header) == host


@pytest.mark.parametrize("token", ["short", "with a space in it 123", "ünïcödé-ünïcödé-ünïcödé"])
def test_a_token_that_can_be_guessed_or_not_sent_is_refused(token: str):
    with pytest.raises(SettingsError, match="at least 16 printable"):
        ConsoleSettings(token=Secret(token))


def test_listening_beyond_the_loopback_needs_the_names_of_the_hosts():
    with pytest.raises(SettingsError, match=r"console\.hosts must name"):
        ConsoleSettings(host="0.0.0.0")
    assert ConsoleSettings(host="0.0.0.0", hosts=("marquee.example",)).host == "0.0.0.0"
    with pytest.raises(SettingsError, match="an IP address"):
        ConsoleSettings(host="localhost")


def test_a_token_and_its_file_are_one_too_many(tmp_path: Path):
    with pytest.raises(SettingsError, match="must not both"):
        ConsoleSettings(token=Secret("0123456789abcdef"), token_file=tmp_path / "t")


def test_files_of_the_store_are_found_by_hash_alone(tmp_path: Path):
    digest = "ab" * 32
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / f"{digest}.html").write_text("<script>")
    (tmp_path / "ab" / f"{digest}.json").write_text("{}")
    assert find(tmp_path, digest) is None
    (tmp_path / "secret.png").write_bytes(b"no")
    (tmp_path / "ab" / f"{digest}.png").symlink_to(tmp_path / "secret.png")
    assert find(tmp_path, digest) is None
    (tmp_path / "ab" / f"{digest}.mp4").write_bytes(b"film")
    assert find(tmp_path, digest) == tmp_path / "ab" / f"{digest}.mp4"
    for odd in ("", "..", "../../etc/passwd", digest.upper(), digest + "0"):
        assert find(tmp_path, odd) is None


def test_a_key_s_partition_is_java_s():
    assert [[partition_of(key, count) for count in (4, 12)] for key in KEYS] == list(KEYS.values())
