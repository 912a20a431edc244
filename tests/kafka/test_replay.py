"""Playing a log into a real broker: every record once, where a Java producer would put it, at its own time."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka.partitioner.default import murmur2

from streams.cli import run
from streams.contract.codec import decode
from streams.contract.events import Interaction
from streams.errors import DeliveryError, ReplayError
from streams.replay.convert import to_interactions
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.replay.pace import Pace
from streams.replay.player import play
from streams.transport.connection import Connection
from tests.conftest import Kafka

PARTITIONS = 4


def create(kafka: Kafka, prefix: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    names = [f"{prefix}.items.v1", f"{prefix}.interactions.v1"]
    made = admin.create_topics(
        [NewTopic(name, PARTITIONS, 1, config={"retention.ms": "-1", **config}) for name in names]
    )
    for future in made.values():
        future.result(timeout=30)


def read_all(kafka: Kafka, topic: str, count: int) -> list[Message]:
    """Every record of a topic: ``count`` of them, and none more."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic, "enable.auto.commit": False})
    places = [TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)]
    try:
        ends = [consumer.get_watermark_offsets(place, timeout=10)[1] for place in places]
        assert sum(ends) == count
        consumer.assign(places)
        got: list[Message] = []
        until_s = time.monotonic() + 60
        while len(got) < count and time.monotonic() < until_s:
            got += consumer.consume(10_000, timeout=1.0)
        return got
    finally:
        consumer.close()


def test_a_played_log_arrives_whole_in_order_and_where_java_would_put_it(kafka: Kafka) -> None:
    log = read_log(PACKAGED_DIR / "movietweetings").head(20_000)
    prefix = kafka.topic("replay")
    create(kafka, prefix)
    progress: list[int] = []

    played = play(log, Connection(bootstrap=kafka.bootstrap), prefix=prefix, on_progress=progress.append)

    assert (played.items, played.interactions, progress[-1]) == (12_611, 20_000, 20_000)
    got = read_all(kafka, f"{prefix}.interactions.v1", 20_000)
    want = {event.event_id: event for event in to_interactions(log)}
    for partition in range(PARTITIONS):
        times_ms = [message.timestamp()[1] for message in got if message.partition() == partition]
        assert times_ms == sorted(times_ms), "the log's order survives inside a partition"
    for message in got:
        value, key = message.value(), message.key()
        assert value is not None
        assert key is not None
        event = decode(Interaction, value, timestamp_ms=message.timestamp()[1])
        assert isinstance(event, Interaction)
        assert event == want.pop(event.event_id)
        assert key == event.user_id.encode()
        assert message.timestamp()[1] == event.occurred_at_ms
        assert message.partition() == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
    assert want == {}
    items = read_all(kafka, f"{prefix}.items.v1", 12_611)
    assert {message.timestamp()[1] for message in items} == {int(log.time_ms[0])}


def test_missing_topics_are_said_and_not_made(kafka: Kafka) -> None:
    log = read_log(PACKAGED_DIR / "movietweetings").head(10)
    prefix = kafka.topic("nothing")
    with pytest.raises(
        ReplayError, match=rf"got none of {prefix}\.items\.v1, {prefix}\.interactions\.v1; run `marquee"
    ):
        play(log, Connection(bootstrap=kafka.bootstrap), prefix=prefix)
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith(prefix)]


def test_a_refused_record_ends_the_replay(kafka: Kafka) -> None:
    log = read_log(PACKAGED_DIR / "movietweetings").head(10)
    prefix = kafka.topic("refused")
    create(kafka, prefix, **{"max.message.bytes": "150"})
    with pytest.raises(DeliveryError, match="expected every record to be acknowledged, got .* refused, the first by"):
        play(log, Connection(bootstrap=kafka.bootstrap), prefix=prefix, pace=Pace())


def test_the_command_plays_and_answers_a_machine(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = kafka.topic("command")
    create(kafka, prefix)
    arguments = ["replay", "movietweetings", "--broker", kafka.bootstrap, "--prefix", prefix, "--limit", "1000"]

    assert run([*arguments, "--rate", "5000/s", "--json"]) == 0

    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["items"], answer["interactions"], captured.err) == (12_611, 1_000, "")
    assert answer["elapsed_s"] >= 0.2
    assert len(read_all(kafka, f"{prefix}.interactions.v1", 1_000)) == 1_000
