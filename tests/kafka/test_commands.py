"""`marquee topics` and `marquee doctor` against a real broker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.cli import run
from streams.contract.topics import TOPICS
from tests.conftest import Kafka


def answer_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> Any:
    """What a command with ``--json`` printed, after it ended with ``code`` and said nothing else."""
    assert run([*arguments, "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_topics_are_missing_then_created_then_fine(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = kafka.topic("topics")
    where = ("--broker", kafka.bootstrap, "--prefix", prefix)

    before = answer_of(capsys, "topics", *where, code=1)
    made = answer_of(capsys, "topics", "create", *where, "--partitions", "3", code=0)
    again = answer_of(capsys, "topics", "create", *where, code=0)

    names = [f"{prefix}.{spec.name}" for spec in TOPICS]
    assert [one["topic"] for one in before["differences"]] == names
    assert sorted(made["created"]) == sorted(names)
    assert made["differences"] == again["differences"] == again["created"] == []
    assert {one["topic"]: one["partitions"] for one in again["topics"]} == {
        f"{prefix}.{spec.name}": 3 if spec.user_keyed else spec.partitions for spec in TOPICS
    }
    assert run(["topics", *where]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in names)
    assert "missing" not in table


def test_the_doctor_sees_missing_topics_and_then_none(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = kafka.topic("doctor")
    where = ("--broker", kafka.bootstrap, "--prefix", prefix)

    ill = answer_of(capsys, "doctor", *where, code=1)
    run(["topics", "create", *where])
    capsys.readouterr()
    well = answer_of(capsys, "doctor", *where, code=0)

    assert [one["what"] for one in ill["findings"] if one["verdict"] == "failed"] == ["topics"]
    assert (ill["ok"], well["ok"]) == (False, True)
    assert run(["doctor", *where]) == 0
    assert "all there and as expected" in capsys.readouterr().out
