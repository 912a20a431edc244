"""Bulk delivery on a real broker: exact through kills, faults, outages, rebalances and holding back.

Each partition carries 0, 1, 2, ... and the worker writes down whatever does not follow what came before, so a record
lost, repeated or reordered anywhere shows as text in its state.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient

from deploy.kafka.kafka_up import TEST_PASSWORD, TEST_USER
from streams.transport.reader import EXIT_AFTER_ERROR, EXIT_HELPLESS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("bulk_worker.py")
PARTITIONS = 4
WAIT_S = 60.0


def make_topics(kafka: Any, *names: str) -> None:
    with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
        wanted = {name: {"num_partitions": PARTITIONS, "replication_factor": 1} for name in names}
        admin.create_topics(wanted, wait_for_metadata=True)


def fill(kafka: Any, topic: str, numbers: range, *, partitions: range = range(PARTITIONS)) -> None:
    """Appends the numbers to each of the partitions, in order."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for number in numbers:
        for partition in partitions:
            producer.produce(topic, str(number), partition=partition)
        producer.poll(0)
    assert producer.flush(30) == 0


class Workers:
    """Worker processes over one folder of state; all are ended with the test."""

    def __init__(self, kafka: Any, folder: Path, topics: list[str]) -> None:
        self.kafka, self.folder, self.topics = kafka, folder, topics
        self.group = kafka.topic("group")
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, **wishes: Any) -> subprocess.Popen[bytes]:
        job = {"bootstrap": self.kafka.bootstrap, "group": self.group, "topics": self.topics} | wishes
        job["folder"] = str(self.folder)
        command = [sys.executable, str(WORKER), msgspec.json.encode(job).decode()]
        with open(self.folder / "log", "ab") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
        self.running.append(worker)
        return worker

    def places(self) -> dict[str, dict[str, Any]]:
        found = {file.stem: json.loads(file.read_text()) for file in self.folder.glob("*-[0-9].json")}
        return {name: place for name, place in found.items() if name.rsplit("-", 1)[0] in self.topics}

    def total(self) -> int:
        return sum(place["count"] for place in self.places().values())

    def wait(self, is_met: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not is_met():
            if time.monotonic() > deadline:
                text = (self.folder / "log").read_text(errors="replace")
                pytest.fail(f"not {what} within {WAIT_S} s: {self.places()}\n{text[-4000:]}")
            time.sleep(0.05)

    def wait_for_total(self, count: int) -> None:
        self.wait(lambda: self.total() >= count, f"{count} counted")

    def stop(self) -> None:
        for worker in self.running:
            worker.kill()
        for worker in self.running:
            worker.wait()


@pytest.fixture
def make_workers(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    made: list[Workers] = []

    def make(kafka: Any, *topics: str) -> Workers:
        made.append(Workers(kafka, tmp_path, list(topics)))
        return made[-1]

    yield make
    for workers in made:
        workers.stop()


def assert_exact(workers: Workers, per_partition: int, *, partitions: int = PARTITIONS) -> None:
    places = workers.places()
    assert [place["wrong"] for place in places.values() if place["wrong"]] == []
    assert [place["count"] for place in places.values()] == [per_partition] * partitions * len(workers.topics)


def test_exact_through_kills_a_fault_and_a_stale_state(any_kafka: Any, make_workers: Any) -> None:
    topic = any_kafka.topic("kills")
    make_topics(any_kafka, topic)
    fill(any_kafka, topic, range(5000))
    workers = make_workers(any_kafka, topic)
    for stop_at in (2_000, 6_000):
        worker = workers.start(pause_ms=10, save_every=7)
        workers.wait_for_total(stop_at)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    for partition in (1, 3):  # a state that never knew these partitions: from the log's start, not the group's commit
        (workers.folder / f"{topic}-{partition}.json").unlink()
    faulty = workers.start(fault_after=30)
    assert faulty.wait(WAIT_S) == EXIT_AFTER_ERROR
    last = workers.start()
    workers.wait_for_total(20_000)
    last.terminate()
    assert last.wait(WAIT_S) == 0
    assert_exact(workers, 5000)


def test_exact_through_an_outage_of_the_broker(any_kafka: Any, make_workers: Any) -> None:
    topic = any_kafka.topic("outage")
    make_topics(any_kafka, topic)
    fill(any_kafka, topic, range(3000))
    workers = make_workers(any_kafka, topic)
    workers.start(pause_ms=20)
    workers.wait_for_total(3_000)
    any_kafka.kill()
    any_kafka.start()
    fill(any_kafka, topic, range(3000, 4000))
    workers.wait_for_total(16_000)
    assert_exact(workers, 4000)
    assert [worker.poll() for worker in workers.running] == [None]  # the same process all along


def test_exact_while_workers_come_and_go_and_two_topics_stay_together(any_kafka: Any, make_workers: Any) -> None:
    topics = [any_kafka.topic("first"), any_kafka.topic("second")]
    make_topics(any_kafka, *topics)
    for topic in topics:
        fill(any_kafka, topic, range(4000))
    workers = make_workers(any_kafka, *topics)
    workers.start(pause_ms=60, holds=True)
    workers.wait_for_total(2_000)
    second = workers.start(pause_ms=60, holds=True)
    third = workers.start(pause_ms=60, holds=True)

    def shares() -> list[list[list[Any]]]:
        return sorted(one["assigned"] for one in ready_files(workers))

    both = {(topic, partition) for topic in topics for partition in range(PARTITIONS)}
    workers.wait(
        lambda: (
            all(shares())
            and len(shares()) == 3
            and sorted(tuple(place) for share in shares() for place in share) == sorted(both)
        ),
        "shared by three",
    )
    for share in shares():  # a worker has the same partitions of both topics
        assert len({tuple(p for topic, p in share if topic == one) for one in topics}) == 1
    before = workers.total()
    second.terminate()
    assert second.wait(WAIT_S) == 0
    workers.wait_for_total(before + 2_000)
    assert workers.total() < 30_000  # or the last change came too late to matter
    third.kill()
    workers.wait_for_total(32_000)
    assert_exact(workers, 4000)


def test_held_partitions_lose_and_repeat_nothing(kafka: Any, make_workers: Any) -> None:
    topic = kafka.topic("held")
    make_topics(kafka, topic)
    fill(kafka, topic, range(20_000))
    workers = make_workers(kafka, topic)
    workers.start(holds=True, chunk_records=37)
    fill(kafka, topic, range(20_000, 21_000))
    workers.wait_for_total(84_000)
    assert_exact(workers, 21_000)


def ready_files(workers: Workers) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in workers.folder.glob("ready-*")]


def test_tombstones_and_poison_arrive_as_they_are(any_kafka: Any, make_workers: Any) -> None:
    topic = any_kafka.topic("poison")
    make_topics(any_kafka, topic)
    producer = Producer({"bootstrap.servers": any_kafka.bootstrap, "enable.idempotence": True})
    odd = [None, b"", b"\xff\xfe", b'{"a":', b"[" * 5000, b"\x00" * 70_000]
    for number in range(600):
        producer.produce(topic, str(number), partition=0, key="k")
        if number % 100 == 50:
            producer.produce(topic, odd[number // 100], key="k", partition=0)
    assert producer.flush(30) == 0
    workers = make_workers(any_kafka, topic)
    workers.start()
    workers.wait_for_total(600)
    place = workers.places()[f"{topic}-0"]
    assert (place["count"], place["empty"], place["wrong"]) == (600, len(odd), [])


async def test_aborted_transactions_are_left_out_and_do_not_hinder_readiness(any_kafka: Any, make_workers: Any) -> None:
    topic = any_kafka.topic("aborted")
    make_topics(any_kafka, topic)
    producer = AIOKafkaProducer(bootstrap_servers=any_kafka.bootstrap, transactional_id=any_kafka.topic("writer"))
    await producer.start()
    try:
        for first, is_kept in ((0, True), (900, False), (10, True), (900, False)):  # ends with markers only
            await producer.begin_transaction()
            for number in range(first, first + 10):
                await producer.send(topic, str(number).encode(), partition=0)
            await (producer.commit_transaction() if is_kept else producer.abort_transaction())
    finally:
        await producer.stop()
    workers = make_workers(any_kafka, topic)
    workers.start()
    workers.wait_for_total(20)
    workers.wait(lambda: any(one["ready"] for one in ready_files(workers)), "ready")
    place = workers.places()[f"{topic}-0"]
    assert (place["count"], place["wrong"]) == (20, [])


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_worker_reads_over_sasl_and_tls(any_kafka: Any, make_workers: Any, mechanism: str) -> None:
    topic = any_kafka.topic("secure")
    make_topics(any_kafka, topic)
    fill(any_kafka, topic, range(500))
    workers = make_workers(any_kafka, topic)
    secure = {"security_protocol": "SASL_SSL", "sasl_mechanism": mechanism}
    secure |= {"username": TEST_USER, "password": TEST_PASSWORD}
    secure["ca_file"] = str(any_kafka.options.data / "tls" / "ca.pem")
    workers.start(bootstrap=any_kafka.secure, connection=secure)
    workers.wait_for_total(2_000)
    assert_exact(workers, 500)
    assert TEST_PASSWORD not in (workers.folder / "log").read_text()


def test_a_worker_with_a_wrong_password_ends_and_does_not_say_it(kafka: Any, make_workers: Any) -> None:
    topic = kafka.topic("refused")
    make_topics(kafka, topic)
    workers = make_workers(kafka, topic)
    wrong = {"security_protocol": "SASL_SSL", "username": TEST_USER, "password": "wr0ng-s3cret"}
    wrong["ca_file"] = str(kafka.options.data / "tls" / "ca.pem")
    assert workers.start(bootstrap=kafka.secure, connection=wrong).wait(WAIT_S) != 0
    said = (workers.folder / "log").read_text()
    assert "SaslAuthenticationFailed" in said
    assert "wr0ng-s3cret" not in said


def test_state_ahead_of_the_log_is_refused(kafka: Any, make_workers: Any) -> None:
    topic = kafka.topic("ahead")
    make_topics(kafka, topic)
    fill(kafka, topic, range(10))
    workers = make_workers(kafka, topic)
    (workers.folder / f"{topic}-2.json").write_text(json.dumps({"offset": 11, "count": 11, "last": 10}))
    worker = workers.start()
    assert worker.wait(WAIT_S) == EXIT_HELPLESS
    assert f"{topic}/2: want 11, ends at 10" in (workers.folder / "log").read_text()
