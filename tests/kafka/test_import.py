"""A feed of flags, unconverted, on a real broker: imported by mapping, and proposed for on a topic of its own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Producer

from streams import cli
from streams.contract import codec, topics
from streams.contract.events import Interaction
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.whole import read_whole
from tests.conftest import Kafka
from tests.factories import NOW_MS

pytestmark = pytest.mark.slow
ROWS = 300
FEED = pl.DataFrame({
    "user_id": [n % 40 for n in range(ROWS)], "video_id": [n % 17 for n in range(ROWS)],
    "time_ms": [NOW_MS + n for n in range(ROWS)], "is_click": [n % 2 for n in range(ROWS)],
    "play_time_ms": [n * 10 for n in range(ROWS)], "duration_ms": [2_000] * ROWS, "tab": [n % 3 for n in range(ROWS)],
})  # fmt: skip


def test_rows_of_a_file_arrive_keyed_timed_and_once(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection, prefix = Connection(bootstrap=kafka.bootstrap), kafka.topic("imported")
    where = ["--broker", kafka.bootstrap, "--prefix", prefix]
    path = tmp_path / "exposures.parquet"
    FEED.write_parquet(path)
    assert cli.run(["import", str(path), "--mapping", "kuairand-impressions", *where]) == 1
    assert "run `marquee topics create` first" in capsys.readouterr().err
    admin.create_topics(connection, topics.TOPICS, prefix=prefix, replication=1)
    assert cli.run(["import", str(path), "--mapping", "kuairand-impressions", "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["sent"], told["bad"]) == (ROWS, {"interactions.v1": ROWS}, 0)
    found = {}
    for message in read_whole(connection, topics.topic_name(prefix, topics.INTERACTIONS.name)):
        event = codec.decode(Interaction, message.value() or b"", timestamp_ms=message.timestamp()[1])
        assert isinstance(event, Interaction), event
        assert (message.key(), message.timestamp()[1]) == (event.user_id.encode(), event.occurred_at_ms)
        found[event.event_id] = event
    events = sorted(found.values(), key=lambda one: one.occurred_at_ms)
    assert [(one.user_id, one.item_id) for one in events] == [(str(n % 40), str(n % 17)) for n in range(ROWS)]
    assert [one.action for one in events[:2]] == ["impression", "click"]


def test_a_topic_s_own_records_are_proposed_for(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic, config = kafka.topic("feed"), tmp_path / "marquee.toml"
    spec = dataclasses.replace(topics.INTERACTIONS, name=topic, partitions=3)
    admin.create_topics(Connection(bootstrap=kafka.bootstrap), [spec], prefix="", replication=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for row in FEED.write_ndjson().splitlines():
        producer.produce(topic, row, str(json.loads(row)["user_id"]), timestamp=NOW_MS)
    assert producer.flush(60) == 0
    assert cli.run(["map", "--sample", topic, "--broker", kafka.bootstrap]) == 0
    out, err = capsys.readouterr()
    assert f"{ROWS} records: {ROWS} taken, 0 left out, 0 refused" in err
    assert "100% are keyed by their user" in err
    config.write_text(out)
    where = ["--broker", kafka.bootstrap, "--prefix", kafka.topic("mapped"), "--config", str(config), "--json"]
    cli.run(["topics", "create", *where])
    told = json.loads(capsys.readouterr().out)
    partitions = {row["topic"]: row["partitions"] for row in told["topics"]}
    assert partitions[topic] == 3 == next(n for name, n in partitions.items() if name.endswith("requests.v1"))
