"""An outage is one line in a while, and a client that nobody answers waits between its tries."""

from __future__ import annotations

import asyncio
import logging

import pytest

from streams.transport import patience
from streams.transport.patience import REMIND_S, Away


def test_an_outage_is_a_line_when_it_begins_one_in_a_while_and_one_at_its_end() -> None:
    away = Away("k:9092")
    begun = away.failed(100.0)
    assert begun is not None
    assert "k:9092 went away" in begun
    assert [away.failed(100.0 + 0.01 * n) for n in range(1_000)] == [None] * 1_000
    assert "for 31 s now" in str(away.failed(131.0))
    assert "back after 40 s" in str(away.answered(140.0))
    assert away.answered(141.0) is None


def test_a_broker_of_several_that_comes_and_goes_is_told_of_no_more_often() -> None:
    away = Away()
    said = []
    for n in range(1_000):  # a node is down, another one answers
        said += [away.failed(n * 0.05), away.answered(n * 0.05 + 0.01)]
    assert len([line for line in said if line]) <= 2 * (1 + 50 / REMIND_S)


def test_without_an_outage_nothing_is_said_or_left_out() -> None:
    away = Away()
    assert away.answered(1.0) is None
    assert not away.is_near(1.0)
    away.failed(2.0)
    assert away.is_near(2.0 + REMIND_S / 2)
    assert not away.is_near(2.0 + REMIND_S)


def test_what_clients_say_of_connections_is_left_out_and_everything_else_is_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_away", Away())
    client, fetcher = logging.getLogger("aiokafka"), logging.getLogger("aiokafka.consumer.fetcher")
    patience.say_it_once("k:9092")
    try:
        fetcher.error("Failed fetch messages from %s: %s", 1, "an error without an outage")
        fetcher.error("Failed fetch messages from %s: %s", 1, "KafkaConnectionError: Connection at k:9092 closed")
        for _ in range(500):
            client.error("Unable connect to node with id %s: %s", 1, "refused")
            fetcher.error("Failed fetch messages from %s: %s", 1, "NodeNotReadyError")
            client.error("Unable to update metadata from %s", [1])
        fetcher.error("Topic is not authorized")
    finally:
        for name in patience.CLIENTS:
            logging.getLogger(name).removeFilter(patience._may_pass)
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(";")[0] for line in said] == [
        "Failed fetch messages from 1: an error without an outage",
        "the Kafka broker at k:9092 went away",
        "Topic is not authorized",
    ]


async def test_a_client_that_nobody_answers_waits_before_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(wait_s: float) -> None:
        waits.append(wait_s)

    class Client:
        answers = iter([False, False, True])

        async def _metadata_update(self, cluster: object, topics: object) -> bool:
            return next(self.answers)

    client = Client()
    patience.slow_down(client)
    monkeypatch.setattr(asyncio, "sleep", note)
    assert [await client._metadata_update(None, None) for _ in range(3)] == [False, False, True]
    assert waits == [patience.PAUSE_S] * 2
