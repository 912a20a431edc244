"""The planner as a process: a replayed log on a real Kafka yields tasks, and a crash publishes no others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.contract import codec, topics
from streams.contract.events import ContentTask, Interaction, Item, User
from streams.cores.plan import Planner
from tests.conftest import Kafka
from tests.e2e.running import ROOT, Running, decoded
from tests.platform import START_MS, catalogue, views

pytestmark = pytest.mark.kafka


@pytest.fixture
def engine(kafka: Kafka, tmp_path: Path) -> Iterator[Running]:
    running = Running(kafka, tmp_path)
    running.config.write_text(running.config.read_text() + "[planner]\nsnapshot_every_events = 500\n")
    yield running
    running.close()


def test_a_replayed_log_yields_its_tasks_and_a_crash_no_others(engine: Running) -> None:
    events = views(1_400)
    for entry in catalogue():
        if isinstance(entry, Item):
            engine.send(topics.ITEMS, [(entry.item_id, codec.encode(entry), START_MS - 1)])
        elif isinstance(entry, User):
            engine.send(topics.USERS, [(entry.user_id, codec.encode(entry), START_MS - 1)])
    engine.act(*events)
    expected = Planner().take([*catalogue(), *events])
    tail = engine.tail(topics.CONTENT_TASKS.name)

    def tasks() -> list[ContentTask]:
        return [decoded(ContentTask, message) for message in tail.all()]

    engine.start("planner")
    engine.wait(lambda: len(tasks()) >= len(expected), "the tasks of the log")
    assert tasks() == expected

    listing = _marquee(engine, "ls")
    assert {one["task_id"] for one in listing["tasks"]} == {task.task_id for task in expected}
    assert _marquee(engine, "why", expected[0].task_id[:10])["why"]

    engine.kill("planner")
    later = [_end()]
    engine.act(*later)
    engine.send(topics.ITEMS, [("f0", None, later[-1].occurred_at_ms + 1)])
    engine.wait(lambda: any(task.withdrawn for task in tasks()), "the withdrawn item's tasks taken back")
    assert {task.task_id for task in tasks()} == {task.task_id for task in expected}
    assert engine.stop() == 0


def _end() -> Interaction:
    """One more event, in the window of the last one."""
    last = views(1_400)[-1]
    return Interaction(
        event_id="end", user_id="e0", item_id="f1", action="play", occurred_at_ms=last.occurred_at_ms,
    )  # fmt: skip


def _marquee(engine: Running, *words: str) -> dict[str, list[dict[str, str]]]:
    command = [sys.executable, "-m", "streams.cli", "tasks", *words, "--json", "--broker", engine.kafka.bootstrap]
    done = subprocess.run(
        [*command, "--prefix", engine.prefix, "--config", str(engine.config)], capture_output=True, check=False,
        cwd=ROOT, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found
