"""A refused interaction is redriven into a running trainer and learned; one that is still wrong comes back once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from streams.cli import run
from streams.contract import codec, rules, topics
from tests.conftest import Kafka
from tests.e2e.running import Running
from tests.factories import NOW_MS, make_interaction, make_item

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def engine(kafka: Kafka, tmp_path: Any) -> Iterator[Running]:
    made = Running(kafka, tmp_path)
    try:
        yield made
    finally:
        made.close()


def letters(engine: Running) -> list[dict[str, str]]:
    """Headers of all dead letters, without marks."""
    found: list[tuple[Any, Any]] = [(one.headers() or (), one.value()) for one in engine.letters.all()]
    return [{name: text.decode() for name, text in headers} for headers, value in found if value is not None]


def redrive(engine: Running, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    where = ("--broker", engine.kafka.bootstrap, "--prefix", engine.prefix, "--yes", "--json")
    assert run(["dlq", "redrive", *arguments, *where]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_redriven_record_is_learned_and_a_second_failure_does_not_loop(
    engine: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    early = make_interaction(event_id="early", occurred_at_ms=NOW_MS + rules.MAX_CLOCK_SKEW_MS + 60_000)
    engine.list_items([make_item()], at_ms=NOW_MS)
    engine.act(make_interaction())
    ((partition, offset),) = engine.send(topics.INTERACTIONS, [("user-1", codec.encode(early), NOW_MS)])
    engine.send(topics.INTERACTIONS, [("user-1", b"{", NOW_MS)])
    engine.start("trainer")
    engine.wait_until_learned(1)
    engine.wait(lambda: len(letters(engine)) == 2, "two letters")

    assert redrive(engine, capsys, "--now", "--where", "stage=rule")["redriven"] == 1
    engine.wait_until_learned(2)
    assert redrive(engine, capsys, "--now", "--again", "--where", "stage=rule")["redriven"] == 1
    engine.wait(lambda: engine.learned().get("repeated") == 1, "the repeat seen")  # by its event_id: learned once
    assert engine.learned()["learned"] == 2

    assert redrive(engine, capsys, "--where", "stage=syntax")["redriven"] == 0
    assert redrive(engine, capsys, "--again", "--where", "stage=syntax")["redriven"] == 1
    engine.wait(lambda: len(letters(engine)) == 3, "the letter of the second failure")
    third = letters(engine)[-1]
    assert third["redrive-count"] == "1"
    assert third["first-origin"] == f"{engine.name(topics.INTERACTIONS)}/{partition}/{offset + 1}"
    assert redrive(engine, capsys)["redriven"] == 0
    engine.act(make_interaction(event_id="after", occurred_at_ms=early.occurred_at_ms))
    engine.wait_until_learned(3)
    assert len(letters(engine)) == 3
