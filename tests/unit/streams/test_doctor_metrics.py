"""The doctor on ports of metrics: none, free, ours, somebody else's."""

from __future__ import annotations

import socket

import pytest

from streams import doctor_metrics
from streams.doctor_metrics import check_metrics
from streams.metrics_settings import MetricsSettings
from streams.telemetry.board import Board
from streams.telemetry.server import listen


def test_no_port_is_fine() -> None:
    assert check_metrics(MetricsSettings()).verdict == "ok"


def test_roles_that_answer_are_named() -> None:
    ports = {9464: "trainer", 9468: "console"}
    found = check_metrics(MetricsSettings(port=9464), told=lambda _, port: ports.get(port))
    assert (found.verdict, found.found) == ("ok", "127.0.0.1, ports 9464 to 9468; answering: trainer, console")
    assert "no role yet" in check_metrics(MetricsSettings(port=9464), told=lambda *_: None).found
    assert "open to whoever" in check_metrics(MetricsSettings(port=9464, host="192.0.2.1"), told=lambda *_: None).found


def test_somebody_else_s_port_is_found() -> None:
    found = check_metrics(MetricsSettings(port=9464), told=lambda _, port: "studio" if port == 9465 else None)
    assert (found.verdict, found.found) == ("warning", "taken by others: 9465 (recommender)")
    assert "metrics.port" in found.remedy


def test_a_real_role_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_metrics, "ASK_S", 60.0)
    server = listen(Board("trainer"), "127.0.0.1", 0)
    assert doctor_metrics._told("127.0.0.1", server.server_port) == "trainer"
    server.server_close()


def test_a_listener_that_speaks_no_http_is_somebody_else() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"{port} (trainer)" in check_metrics(MetricsSettings(port=min(port, 65_531))).found or port > 65_531
