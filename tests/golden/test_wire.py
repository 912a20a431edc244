"""The wire bytes of every event: a change here is a change on users' topics, and a decision."""

from __future__ import annotations

import pytest

from streams.contract import codec, topics
from tests.factories import NOW_MS
from tests.golden.cases import CASES
from tests.golden.regenerate import WIRE


@pytest.mark.parametrize("name", CASES)
def test_an_event_has_the_bytes_it_always_had(name: str) -> None:
    assert codec.encode(CASES[name]) == (WIRE / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_still_mean_the_same_event(name: str) -> None:
    payload = (WIRE / f"{name}.json").read_bytes()
    assert codec.decode(type(CASES[name]), payload, timestamp_ms=NOW_MS) == CASES[name]


def test_every_file_has_a_case_and_every_topic_s_event_a_file() -> None:
    assert {path.stem for path in WIRE.iterdir()} == set(CASES)
    assert {type(event) for event in CASES.values()} == {spec.event_type for spec in topics.TOPICS if spec.event_type}
