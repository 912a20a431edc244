"""`marquee conform` on a topic of a real broker: keys, times and offsets are the record's own."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from streams.cli import run
from streams.contract import codec
from tests.conftest import Kafka
from tests.factories import NOW_MS, make_interaction
from tests.kafka.test_commands import answer_of


def test_the_newest_records_of_a_live_topic_are_judged(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = kafka.topic("conform")
    where = ("--broker", kafka.bootstrap, "--prefix", prefix)
    assert run(["topics", "create", *where]) == 0
    capsys.readouterr()
    good = make_interaction(user_id="u-1")
    ahead = make_interaction(user_id="u-1", occurred_at_ms=NOW_MS + 300_001)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for key, value in (
        ("u-1", b"old and broken"),
        ("u-1", codec.encode(good)),
        ("u-2", codec.encode(good)),
        ("u-1", codec.encode(ahead)),
        ("u-1", None),
        (None, b""),
    ):
        producer.produce(f"{prefix}.interactions.v1", key=key, value=value, partition=1, timestamp=NOW_MS)
    assert producer.flush(30) == 0

    found = answer_of(capsys, "conform", "interactions.v1", *where, "--most", "5", code=1)
    named = answer_of(capsys, "conform", f"{prefix}.interactions.v1", *where, code=1)
    other = answer_of(capsys, "conform", "items.v1", *where, code=0)

    assert (found["records"], found["refused"], found["wrong_keys"], found["without_value"]) == (5, 2, 1, 1)
    kinds = {one["place"]: (one["wrong"]["stage"], one["wrong"]["got"]) for one in found["problems"]}
    assert kinds == {
        "partition 1, offset 2": ("key", '"u-2", where `user_id` is "u-1"'),
        "partition 1, offset 3": ("rule", f"{NOW_MS + 300_001}, which is 300001 ms after it"),
        "partition 1, offset 5": ("syntax", "an empty value"),
    }
    assert json.loads(found["problems"][0]["value"])["user_id"] == "u-1"
    assert (named["records"], named["refused"], other["records"]) == (6, 3, 0)
