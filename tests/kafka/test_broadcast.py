"""Whole topics on a real broker: from the beginning, through restarts and new partitions, and when all is caught up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from streams.transport.broadcast import BroadcastConfig, BroadcastReader
from streams.transport.connection import Connection
from streams.transport.offsets import Chunk
from streams.transport.publish import Out, PublishConfig, Publisher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WAIT_S = 40.0


def make_topics(kafka, **partitions: int) -> list[str]:
    names = {kafka.topic(stem): count for stem, count in partitions.items()}
    wanted = {name: {"num_partitions": count, "replication_factor": 1} for name, count in names.items()}
    with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
        admin.create_topics(wanted, wait_for_metadata=True)
    return list(names)


async def publish(kafka, topic: str, numbers: range, *, partition: int | None = None) -> None:
    async with Publisher(Connection(bootstrap=kafka.bootstrap)) as publisher:
        await publisher.perform(
            Out(topic=topic, key=str(n).encode(), value=str(n).encode(), partition=partition) for n in numbers
        )
        await publisher.flush()


@contextlib.asynccontextmanager
async def reading(
    kafka, *topics: str, starts: dict[tuple[str, int], int] | None = None
) -> AsyncIterator[tuple[BroadcastReader, dict[str, list[int]]]]:
    """A running reader and what it has given, by topic."""
    config = BroadcastConfig(partitions_every_s=0.3, poll_ms=50, chunk_records=64)
    reader = BroadcastReader(topics, Connection(bootstrap=kafka.bootstrap), config, starts=starts)
    given: dict[str, list[int]] = {topic: [] for topic in topics}

    async def note(chunk: Chunk[Any]) -> None:
        assert len(chunk.records) <= 64
        given[chunk.source[0]] += [int(record.value) for record in chunk.records]

    task = asyncio.create_task(reader.run(note))
    try:
        yield reader, given
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(is_met: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_met():
            await asyncio.sleep(0.02)


async def test_everything_is_given_before_caught_up_and_what_comes_later_too(any_kafka):
    first, second = make_topics(any_kafka, first=4, second=1)
    await publish(any_kafka, first, range(1000))
    await publish(any_kafka, second, range(100))
    async with reading(any_kafka, first, second) as (reader, given):
        await asyncio.wait_for(reader.caught_up.wait(), WAIT_S)
        assert sorted(given[first]) == list(range(1000))
        assert given[second] == list(range(100))
        await publish(any_kafka, second, range(100, 150))
        await until(lambda: len(given[second]) == 150)
        assert given[second] == list(range(150))
        assert reader.offsets[second, 0] == 150
        assert reader.lag() == {}


async def test_empty_topics_are_caught_up_at_once(kafka):
    (topic,) = make_topics(kafka, empty=2)
    async with reading(kafka, topic) as (reader, given):
        await asyncio.wait_for(reader.caught_up.wait(), WAIT_S)
        assert given == {topic: []}


async def test_reading_goes_on_after_the_broker_was_away(any_kafka):
    (topic,) = make_topics(any_kafka, outage=1)
    await publish(any_kafka, topic, range(100))
    async with reading(any_kafka, topic) as (_, given):
        await until(lambda: len(given[topic]) == 100)
        any_kafka.kill()
        await asyncio.sleep(1.0)
        any_kafka.start()  # from the main thread: the broker ends with the thread that starts it
        await publish(any_kafka, topic, range(100, 200))
        await until(lambda: len(given[topic]) >= 200)
        assert given[topic] == list(range(200))


async def test_partitions_added_later_are_read_and_nothing_twice(kafka):
    (topic,) = make_topics(kafka, grows=1)
    await publish(kafka, topic, range(50), partition=0)
    async with reading(kafka, topic) as (_, given):
        await until(lambda: len(given[topic]) == 50)
        with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
            admin.create_partitions({topic: 3})
        await publish(kafka, topic, range(50, 80), partition=2)
        await until(lambda: len(given[topic]) >= 80)
        assert sorted(given[topic]) == list(range(80))


async def test_a_reader_waits_for_a_topic_that_is_not_there_yet(kafka):
    name = kafka.topic("later")
    async with reading(kafka, name) as (reader, given):
        await asyncio.sleep(0.5)
        assert not reader.caught_up.is_set()
        with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
            admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
        await publish(kafka, name, range(5))
        await until(lambda: given[name] == list(range(5)))
        assert reader.caught_up.is_set()


async def test_what_the_handler_raises_ends_the_reading(kafka):
    (topic,) = make_topics(kafka, raises=1)
    await publish(kafka, topic, range(5))

    async def refuse(chunk: Chunk[Any]) -> None:
        raise ValueError(f"no use for {len(chunk.records)} records")

    reader = BroadcastReader([topic], Connection(bootstrap=kafka.bootstrap))
    with pytest.raises(ValueError, match="no use for 5 records"):
        await asyncio.wait_for(reader.run(refuse), WAIT_S)


async def test_few_in_flight_still_publishes_all_in_order(kafka):
    (topic,) = make_topics(kafka, bounded=1)
    config = PublishConfig(max_in_flight=10, linger_ms=5, compression="zstd")
    async with Publisher(Connection(bootstrap=kafka.bootstrap), config) as publisher:
        outs = [
            Out(topic=topic, key=b"k", value=str(n).encode(), timestamp_ms=1000 + n, headers=[("why", b"test")])
            for n in range(2000)
        ]
        await publisher.perform(outs)
        await publisher.flush()
        assert publisher.acknowledged_count == 2000
    async with reading(kafka, topic) as (_, given):
        await until(lambda: len(given[topic]) >= 2000)
        assert given[topic] == list(range(2000))


async def test_a_partition_is_read_from_where_it_is_known_to_and_whole_if_it_ends_before(kafka):
    known, recreated = make_topics(kafka, known=1, recreated=1)
    await publish(kafka, known, range(100))
    await publish(kafka, recreated, range(10))
    async with reading(kafka, known, recreated, starts={(known, 0): 70, (recreated, 0): 11}) as (reader, given):
        async with asyncio.timeout(WAIT_S):
            await reader.caught_up.wait()
        assert given == {known: list(range(70, 100)), recreated: list(range(10))}
