"""Alert rules and the board: promtool's word on them, and that every metric and label that they name is exported."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.metrics_settings import PORT_OF
from streams.telemetry import exported
from tests.deploy.prometheus import HOW, NO_PROMETHEUS, missing, promtool

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
BOARD = json.loads((DEPLOY / "grafana" / "marquee.json").read_text(encoding="utf-8"))
OTHERS = {
    "up", "ALERTS", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes",
}  # fmt: skip
"""Names of Prometheus itself and of its client library."""
SELECTOR = re.compile(r"\b(marquee_[a-z_]+|process_[a-z_]+|up|ALERTS)\b(?:\{([^}]*)\})?")
NAMED = re.compile(r'\{\s*__name__=~"([^"]+)"')

needs_promtool = pytest.mark.skipif(
    os.environ.get(NO_PROMETHEUS) == "1", reason=f"{NO_PROMETHEUS}=1: alert rules and board are UNTESTED"
)


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    return found


def board_expressions() -> list[str]:
    """Every expression of the board, with its variables filled in."""
    targets = [target for panel in BOARD["panels"] for target in panel.get("targets", [])]
    return [one["expr"].replace("$__rate_interval", "1m").replace("$job", "marquee") for one in targets]


def required() -> None:
    """Fails where promtool is not there."""
    if missing():
        pytest.fail(f"no {', '.join(missing())}: {HOW}")


def samples_of(name: str) -> list[exported.Exported]:
    """Rows of the table that a name in an expression stands for."""
    plain = re.sub(r"_(bucket|sum|count)$", "", name)
    return [one for one in exported.EXPORTED if one.name == name or (one.name == plain and one.kind == "histogram")]


def assert_exported(expression: str) -> None:
    """Each metric that it names is exported, with such labels."""
    for name, matchers in SELECTOR.findall(NAMED.sub("", expression)):
        if name in OTHERS or name == exported.BUILD_INFO[0]:
            continue
        rows = samples_of(name)
        assert rows, f"{name} of {expression!r} is not exported"
        for label, sign, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', matchers):
            if label in ("job", "instance"):
                continue
            known = {role for one in rows for role in one.roles} if label == "role" else {
                one.labels[label] for one in rows if label in one.labels
            }  # fmt: skip
            assert sign == "=~" or value in known, f"{label}={value} of {name} is never exported"
    for names in NAMED.findall(expression):
        assert all(samples_of(name) for name in names.split("|"))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_names_what_is_exported(rule: dict[str, Any]) -> None:
    assert_exported(rule["expr"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description"}


def test_every_alert_is_tried() -> None:
    tests = (DEPLOY / "prometheus" / "alerts_test.yml").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in rules()} == set(re.findall(r'alertname="(\w+)"', tests))


def test_the_board_names_what_is_exported_and_leaves_little_out() -> None:
    for expression in board_expressions():
        assert_exported(expression)
    shown = {name for one in board_expressions() for name, _ in SELECTOR.findall(one)}
    on_a_page_of_its_own = {one.name for one in exported.EXPORTED if one.roles == ("console",)}
    left_out = {one.name for one in exported.EXPORTED if one.kind != "histogram"} - shown - on_a_page_of_its_own
    assert len(left_out) < 25, sorted(left_out)


def test_the_scrape_configuration_has_every_role_s_port() -> None:
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    ports = {role: int(port) for port, role in re.findall(r"127\.0\.0\.1:(\d+)  # (\w+)", text)}
    assert ports == {role: 9464 + offset for role, offset in PORT_OF.items()}


@needs_promtool
def test_promtool_takes_rules_and_configuration_and_every_alert_fires_where_it_should() -> None:
    required()
    found = promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    assert found.returncode == 0, found.stdout + found.stderr
    found = promtool("test", "rules", "alerts_test.yml", folder=DEPLOY / "prometheus")
    assert found.returncode == 0, found.stdout + found.stderr


@needs_promtool
def test_promtool_takes_every_expression_of_the_board(tmp_path: Path) -> None:
    required()
    ones = [{"record": f"board:panel:number{number}", "expr": one} for number, one in enumerate(board_expressions())]
    path = tmp_path / "board.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": ones}]}))
    found = promtool("check", "rules", str(path))
    assert found.returncode == 0, found.stdout + found.stderr
