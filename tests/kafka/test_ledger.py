"""The ledger on a real broker: what is appended comes back, and a second writer is noticed by both."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.contract.events import LedgerRecord
from streams.durability import ledger
from streams.durability.ledger import START, Place
from streams.durability.ledger_log import LedgerWriter, read_ledger
from streams.errors import BrokerError, LedgerError, SecondTrainerError
from streams.transport.connection import Connection
from streams.transport.publish import Out, Publisher
from tests.factories import make_ledger_record
from tests.kafka.test_publish import make_topic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def step(number: int) -> LedgerRecord:
    return make_ledger_record(step=number, fingerprint="us")


async def written(connection: Connection, topic: str, end: Place, *records: LedgerRecord) -> list[Place]:
    failures: list[BaseException] = []
    writer = LedgerWriter(connection, topic, end, on_failure=failures.append)
    await writer.start()
    try:
        return [await place for place in [await writer.append(record) for record in records]]
    finally:
        await writer.stop()
        assert not failures


async def test_what_is_appended_comes_back_and_a_restart_goes_on(any_kafka):
    connection, topic = Connection(bootstrap=any_kafka.bootstrap), make_topic(any_kafka, "ledger")
    assert await read_ledger(connection, topic, 0) == ([], 0)
    hashed = ledger.hash_record(2, "beef", seed=0, fingerprint="us")
    places = await written(connection, topic, START, step(1), step(2), hashed)
    assert [place.offset for place in places] == [1, 2, 3]
    placed, end = await read_ledger(connection, topic, 0)
    found = ledger.recovery_of(placed, step=0, writer="", fingerprint="us")
    assert ([one.record.step for one in found.todo], found.hashes, found.writer) == (
        [1, 2],
        {2: "beef"},
        places[0].writer,
    )
    await written(connection, topic, Place(end, found.writer), step(3))
    behind, end = await read_ledger(connection, topic, places[1].offset)
    again = ledger.recovery_of(behind, step=2, writer=places[1].writer, fingerprint="us")
    assert ([one.record.step for one in again.todo], again.passed_over, end) == ([3], 0, 4)
    assert again.writer != found.writer


async def test_a_second_writer_is_noticed_and_the_first_of_a_step_counts(kafka):
    connection, topic = Connection(bootstrap=kafka.bootstrap), make_topic(kafka, "ledger")
    noticed: list[BaseException] = []
    one, two = (LedgerWriter(connection, topic, START, on_failure=noticed.append) for _ in range(2))
    await one.start()
    await two.start()
    try:
        await (await one.append(step(1)))
        with pytest.raises(asyncio.CancelledError):
            await (await two.append(step(1)))
        assert [type(error) for error in noticed] == [SecondTrainerError]
        assert "a second trainer writes to the same topics" in str(noticed[0])
        with pytest.raises(asyncio.CancelledError):
            await (await one.append(step(2)))
        assert len(noticed) == 2
    finally:
        await one.stop()
        await two.stop()
    placed, _ = await read_ledger(connection, topic, 0)
    found = ledger.recovery_of(placed, step=0, writer="", fingerprint="us")
    assert [(one.offset, one.record.step) for one in found.todo] == [(0, 1), (2, 2)]
    assert found.passed_over == 1


async def test_a_ledger_that_was_made_anew_or_holds_something_else_is_refused(kafka):
    connection, topic = Connection(bootstrap=kafka.bootstrap), make_topic(kafka, "ledger")
    with pytest.raises(LedgerError, match="expected .* to reach offset 7, which the state knows of, got an end at 0"):
        await read_ledger(connection, topic, 7)
    async with Publisher(connection) as publisher:
        await publisher.perform([Out(topic=topic, key=None, value=b"{", partition=0)])
        await publisher.flush()
    with pytest.raises(LedgerError, match="expected a ledger record at offset 0"):
        await read_ledger(connection, topic, 0)


async def test_a_ledger_that_lost_its_beginning_is_refused_where_it_is_needed(kafka):
    connection, topic = Connection(bootstrap=kafka.bootstrap), make_topic(kafka, "ledger")
    await written(connection, topic, START, step(1), step(2), step(3))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    (done,) = admin.delete_records([TopicPartition(topic, 0, 2)]).values()
    done.result(30)
    with pytest.raises(LedgerError, match="from offset 1 on, got a beginning at 2"):
        await read_ledger(connection, topic, 1)
    placed, end = await read_ledger(connection, topic, 2)
    assert ([one.record.step for one in placed], end) == ([3], 3)


async def test_a_topic_that_is_not_there_is_said(kafka):
    with pytest.raises(BrokerError, match="expected the topic .*, got none that we may see; `marquee topics create`"):
        await read_ledger(Connection(bootstrap=kafka.bootstrap), kafka.topic("nowhere"), 0)
