"""Publishing on a real broker: through an outage exactly once and in order, and every failure is an error."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.transport.connection import Connection
from streams.transport.errors import PublishError
from streams.transport.publish import Out, PublishConfig, Publisher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def make_topic(kafka, stem: str, **config: str) -> str:
    name: str = kafka.topic(stem)
    with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
        wanted = {"num_partitions": 1, "replication_factor": 1, "configs": config}
        admin.create_topics({name: wanted}, wait_for_metadata=True)
    return name


def outs(topic: str, numbers: range) -> list[Out]:
    return [
        Out(topic=topic, key=b"k", value=b"%d" % n, timestamp_ms=1000 + n, headers=[("n", b"%d" % n)]) for n in numbers
    ]


async def read_all(kafka, topic: str) -> list[tuple[bytes, int, bytes]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        found: list[tuple[bytes, int, bytes]] = []
        while len(found) < end:
            record = await consumer.getone()
            found.append((record.value, record.timestamp, dict(record.headers)["n"]))
        return found
    finally:
        await consumer.stop()


async def test_records_published_through_an_outage_arrive_once_and_in_order(any_kafka):
    topic = make_topic(any_kafka, "outage")
    async with Publisher(Connection(bootstrap=any_kafka.bootstrap)) as publisher:
        await publisher.perform(outs(topic, range(500)))
        any_kafka.kill()
        await publisher.perform(outs(topic, range(500, 1000)))
        await asyncio.sleep(0.5)
        any_kafka.start()
        await publisher.perform(outs(topic, range(1000, 1500)))
        await publisher.flush()
    assert await read_all(any_kafka, topic) == [(b"%d" % n, 1000 + n, b"%d" % n) for n in range(1500)]


async def test_a_refused_record_fails_the_publisher_for_good(kafka):
    topic = make_topic(kafka, "refused", **{"max.message.bytes": "1000"})
    failures: list[PublishError] = []
    async with Publisher(Connection(bootstrap=kafka.bootstrap), on_failure=failures.append) as publisher:
        await publisher.perform([Out(topic=topic, key=b"k", value=b"x" * 5000)])
        with pytest.raises(PublishError, match="was not acknowledged .*MessageSizeTooLarge"):
            await publisher.flush()
        with pytest.raises(PublishError, match="was not acknowledged"):
            await publisher.perform(outs(topic, range(1)))
    assert len(failures) == 1


async def test_a_record_larger_than_any_request_is_refused_before_it_is_sent(kafka):
    topic = make_topic(kafka, "huge")
    async with Publisher(Connection(bootstrap=kafka.bootstrap)) as publisher:
        with pytest.raises(PublishError, match=f"topic {topic} .*MessageSizeTooLarge"):
            await publisher.perform([Out(topic=topic, key=None, value=b"x" * 5_000_000)])


async def test_a_topic_that_is_not_there_is_an_error_in_time(kafka):
    name = kafka.topic("nowhere")
    config = PublishConfig(timeout_ms=1_000)
    async with Publisher(Connection(bootstrap=kafka.bootstrap), config) as publisher:
        with pytest.raises(PublishError, match=name):
            await publisher.perform(outs(name, range(1)))


async def test_only_a_started_publisher_publishes(kafka):
    publisher = Publisher(Connection(bootstrap=kafka.bootstrap))
    with pytest.raises(PublishError, match="not started"):
        await publisher.perform(outs("any", range(1)))


async def test_a_publisher_knows_how_far_its_acknowledged_records_go(kafka):
    topic = make_topic(kafka, "reached")
    async with Publisher(Connection(bootstrap=kafka.bootstrap)) as publisher:
        assert publisher.reached == {}
        await publisher.perform(outs(topic, range(3)))  # one by one
        await publisher.flush()
        assert publisher.reached == {(topic, 0): 3}
        await publisher.perform(outs(topic, range(500)))  # in batches
        await publisher.flush()
        assert publisher.reached == {(topic, 0): 503}
