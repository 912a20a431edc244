"""An engine on the embedded broker, scraped by a real Prometheus: what it exports, how it stands, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from confluent_kafka import Producer

from streams.contract import codec, topics
from streams.metrics_settings import PORT_OF
from streams.telemetry import exported, health
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.embedded import embedded_broker, free_port
from tests.deploy.prometheus import HOW, NO_PROMETHEUS, Prometheus, missing, promtool, running, wait
from tests.deploy.test_watching import board_expressions
from tests.e2e.running import SETTINGS
from tests.factories import NOW_MS, make_interaction, make_item, make_request

ROOT = Path(__file__).parents[2]
ROLES = ("trainer", "recommender", "console")
EVENTS, ITEMS, USERS = 300, 20, 15
BROKEN = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(
        os.environ.get(NO_PROMETHEUS) == "1", reason=f"{NO_PROMETHEUS}=1: what roles export is UNTESTED with Prometheus"
    ),
]


class Engine(NamedTuple):
    """A running engine."""

    port: int
    processes: dict[str, subprocess.Popen[bytes]]
    log: Path

    def ask(self, role: str, path: str) -> tuple[int, str]:
        """Status and body; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + PORT_OF[role]}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def words(self) -> str:
        """What the processes have said."""
        return self.log.read_text(errors="replace")[-6_000:]

    def until_ready(self, role: str) -> None:
        """Waits until a role says that it is."""
        wait(lambda: self.ask(role, "/readyz")[0] == 200, f"{role} ready", lambda: self.words() + str(
            self.ask(role, "/readyz")
        ))  # fmt: skip


def feed(connection: Connection) -> None:
    """A catalogue, what people did, requests, and records that break the contract."""
    producer = Producer({"bootstrap.servers": connection.bootstrap, "partitioner": "murmur2_random"})

    def send(spec: topics.TopicSpec, key: str, value: bytes, at: int) -> None:
        producer.produce(spec.name, value, key.encode(), timestamp=NOW_MS + 1_000 * at)

    for number in range(ITEMS):
        send(topics.ITEMS, f"i{number}", codec.encode(make_item(item_id=f"i{number}", title=f"Film {number}")), 0)
    for number in range(EVENTS):
        user_id = f"secret-user-{number % USERS}"
        event = make_interaction(
            event_id=f"e{number}", user_id=user_id, item_id=f"i{number * 7 % ITEMS}",
            occurred_at_ms=NOW_MS + 1_000 * number,
        )  # fmt: skip
        send(topics.INTERACTIONS, user_id, codec.encode(event), number)
    for number in range(BROKEN):
        send(topics.INTERACTIONS, "nobody", b"{", number)
    for number in range(USERS):
        request = make_request(request_id=f"r{number}", user_id=f"secret-user-{number}", k=3)
        send(topics.REQUESTS, request.user_id, codec.encode(request), number)
    assert producer.flush(60) == 0


def free_ports() -> int:
    """The first of as many ports as there are roles, all free now."""
    import socket

    while True:
        first = min(free_port(), 65_000)
        try:
            for offset in PORT_OF.values():
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        return first


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has learned and answered."""
    if missing():
        pytest.fail(f"no {', '.join(missing())}: {HOW}")
    folder = tmp_path_factory.mktemp("scraped")
    port, log = free_ports(), folder / "log"
    config = folder / "marquee.toml"
    config.write_text(f"{SETTINGS.format(folder=folder)}\n[console]\nport = 0\n[metrics]\nport = {port}\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_NUMPY", "MARQUEE_"))}
    with embedded_broker() as connection, log.open("wb") as words:
        admin.create_topics(connection, topics.TOPICS, prefix="")
        feed(connection)
        processes = {
            role: subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", role, "--broker", connection.bootstrap, "--config",
                 str(config), "--embedded"],
                cwd=folder, stdin=subprocess.PIPE, stdout=words, stderr=words, env=environ | {"PYTHONPATH": str(ROOT)},
            )
            for role in ROLES
        }  # fmt: skip
        made = Engine(port, processes, log)
        try:
            for role in ROLES:
                made.until_ready(role)
            yield made
        finally:
            for process in processes.values():
                if process.stdin is not None:
                    process.stdin.close()
                process.terminate()
                process.wait(240)


@pytest.fixture(scope="module")
def prometheus(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the engine once a second, by our own configuration."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy" / "prometheus" / "alerts.yml")]
    targets = [f"127.0.0.1:{engine.port + PORT_OF[role]}" for role in ROLES]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    with running(path, folder) as made:
        wait(lambda: made.value("sum(marquee_ready)") == len(ROLES), "every role scraped", engine.words)
        yield made


def test_prometheus_reads_what_the_engine_did(engine: Engine, prometheus: Prometheus) -> None:
    def comes(expression: str, value: float) -> None:
        wait(lambda: prometheus.value(expression) == value, f"{expression} = {value}", lambda: str(
            (prometheus.value(expression), engine.words())
        ))  # fmt: skip

    comes("marquee_trainer_learned_events_total", EVENTS)
    comes("marquee_trainer_rejected_records_total", BROKEN)
    comes("marquee_trainer_items", ITEMS)
    comes("marquee_trainer_users", USERS)
    comes('sum(marquee_recommender_slates_total{cause="request"})', USERS)
    comes("marquee_recommender_answer_seconds_count", USERS)
    comes('sum(marquee_consumer_partitions{role="trainer", topic="interactions.v1"})', 4)
    comes("marquee_recommender_items", ITEMS)
    comes("marquee_console_items", ITEMS)
    assert prometheus.value('count(up{job="marquee"} == 1)') == len(ROLES)
    assert prometheus.value("max(process_resident_memory_bytes)") > 1e7  # type: ignore[operator]


def test_the_rules_are_loaded_and_none_is_broken(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        found = prometheus.ask("rules")["groups"]
        ones = [rule for group in found for rule in group["rules"]]
        return ones if ones and all(one["health"] != "unknown" for one in ones) else []

    assert {one["health"] for one in wait(evaluated, "rules evaluated")} == {"ok"}


def test_every_panel_of_the_board_can_be_asked_for(prometheus: Prometheus) -> None:
    for expression in board_expressions():
        prometheus.ask("query", query=expression)


def test_promtool_has_nothing_to_say_against_the_names(engine: Engine) -> None:
    for role in ROLES:
        text = engine.ask(role, "/metrics")[1]
        found = promtool("check", "metrics", text=text)
        assert (found.returncode, found.stdout + found.stderr) == (0, ""), role


def test_what_roles_export_is_in_the_table_and_names_nobody(engine: Engine) -> None:
    for role in ROLES:
        text = engine.ask(role, "/metrics")[1]
        names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE marquee_")}
        wanted = {one.name for one in exported.EXPORTED if role in one.roles} | {exported.BUILD_INFO[0]}
        assert names <= wanted
        assert "secret-user" not in text
        assert len(text.splitlines()) < 200


def test_health_and_readiness(engine: Engine) -> None:
    for role in ROLES:
        status, told = engine.ask(role, "/healthz")
        assert (status, json.loads(told)) == (200, {"alive": True, "role": role, "reason": "the event loop runs"})
        status, told = engine.ask(role, "/readyz")
        assert (status, json.loads(told)) == (200, {"ready": True, "role": role, "reason": "ready"})


def test_a_role_that_ends_says_so_first(engine: Engine, prometheus: Prometheus) -> None:
    process = engine.processes["trainer"]
    process.terminate()
    told = wait(lambda: not_ready(engine), "draining or gone")
    assert json.loads(told)["reason"] == health.DRAINING, "it was there until its last snapshot was written"
    assert process.wait(240) == 0, engine.words()
    wait(lambda: prometheus.value('count(up{job="marquee"} == 0)') == 1, "the end seen")


def not_ready(engine: Engine) -> str:
    """What the trainer says while it is not ready; nothing while it is."""
    status, body = engine.ask("trainer", "/readyz")
    return "" if status == 200 else body or "{}"
