"""Whom the door lets in where no broker is needed: settings, tokens, rates, and a broker that is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.door.rates import Rates, peer_of
from streams.door.serve import door_of
from streams.door_settings import DoorSettings
from streams.errors import SettingsError
from streams.setting_kinds import Secret
from streams.settings import Settings
from streams.transport.connection import Connection

TOKEN = Secret("0123456789abcdef")


def client(**wishes: Any) -> TestClient[web.Request, web.Application]:
    settings = Settings(door=DoorSettings(**wishes))
    return TestClient(TestServer(door_of(settings, Connection(bootstrap="127.0.0.1:1")).app))


async def test_a_door_whose_broker_is_away_says_so_and_lives():
    async with client(without_token=True) as made:
        assert (await made.get("/healthz")).status == 200
        for answer in (
            await made.get("/readyz"), await made.get("/slates/u"), await made.post("/slates", json={"user_id": "u"}),
            await made.post("/items", json={"item_id": "i"}),
        ):  # fmt: skip
            assert answer.status == 503
            assert (await answer.json())["type"] == "urn:marquee:problem:broker"
            assert answer.headers["Retry-After"] == "1"


async def test_a_token_of_a_file_opens(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    async with client(token_file=file) as made:
        headers = {"Authorization": "Bearer 0123456789abcdef"}
        assert (await made.get("/slates/u", headers=headers)).status == 503
        assert (
            await made.get("/slates/u", headers=headers | {"Authorization": "Bearer 0123456789abcdeg"})
        ).status == 401
        assert (await made.get("/slates/u", headers={"Authorization": "bearer 0123456789abcdef"})).status == 503


async def test_hosts_of_the_settings_are_taken_beside_the_loopback_s():
    async with client(token=TOKEN, hosts=("door.example",)) as made:
        assert (await made.get("/healthz", headers={"Host": "door.example:8443"})).status == 200
        assert (await made.get("/healthz", headers={"Host": "other.example"})).status == 421


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({}, "needs door.token_file"),
        ({"token": TOKEN, "without_token": True}, "must not both be given"),
        ({"without_token": True, "host": "0.0.0.0", "hosts": ("a.example",)}, "must be of the loopback"),
        ({"token": Secret("short")}, "at least 16 printable"),
        ({"token": TOKEN, "token_file": Path("x")}, "must not both be given"),
        ({"token": TOKEN, "host": "0.0.0.0"}, r"door\.hosts must name"),
        ({"token_file": Path("/nonexistent/token")}, "expected a readable file"),
    ],
)
def test_who_may_ask_is_said_before_anything_starts(wishes: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words) as refused:
        DoorSettings(**wishes).required_token()
    assert "0123456789abcdef" not in str(refused.value)


def test_a_door_that_nobody_starts_needs_no_token():
    assert Settings().door.port == 8090


def test_peers_are_addresses_and_sites():
    assert peer_of("10.0.0.1") == "10.0.0.1"
    assert peer_of("2001:db8:1:2:3::1") == peer_of("2001:db8:1:2:ffff::9") != peer_of("2001:db8:1:3::1")
    assert peer_of(None) == peer_of("unix") == ""


def test_a_peer_that_was_quiet_longest_is_forgotten_first():
    rates = Rates(1, most_peers=2)
    assert [rates.wait_s(peer, now_s=0.0) for peer in "aab"] == [0.0, 1.0, 0.0]
    assert rates.wait_s("c", now_s=0.0) == 0.0  # a is forgotten, since b came later
    assert rates.wait_s("b", now_s=0.0) == 1.0
    assert rates.wait_s("a", now_s=0.0) == 0.0


def test_a_batch_on_credit_is_waited_for_afterwards():
    rates = Rates(10)
    assert rates.wait_s("a", now_s=0.0) == 0.0
    rates.charge("a", 99)
    assert rates.wait_s("a", now_s=0.0) == pytest.approx(9.1)
    assert rates.wait_s("a", now_s=9.2) == 0.0
