"""Through a real broker and Faust, four partitions come out in the order of their timestamps."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("merge_worker.py")
COUNT = 60_000


def fill(kafka, topic, *, partition_of) -> None:
    """Record i carries the number i and the timestamp of i, in the partition that ``partition_of`` says."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for number in range(COUNT):
        producer.produce(topic, str(number), partition=partition_of(number), timestamp=1_000_000 + number)
        producer.poll(0)
    assert producer.flush(30) == 0


def skewed(number: int) -> int:
    """Most records in partition 0; the others have long stretches without any."""
    return 0 if random.Random(number).random() < 0.9 else 1 + number // 7000 % 3


@pytest.mark.parametrize("partition_of", [lambda number: number * 7 % 4, skewed], ids=["even", "skewed"])
def test_a_backlog_comes_out_in_timestamp_order(kafka, tmp_path, partition_of):
    topic = kafka.topic("merge")
    with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
        kept = {"retention.ms": "-1"}  # its records are stamped in 1970: a look for old ones would remove them all
        admin.create_topics(
            {topic: {"num_partitions": 4, "replication_factor": 1, "configs": kept}}, wait_for_metadata=True
        )
    fill(kafka, topic, partition_of=partition_of)
    command = [sys.executable, str(WORKER), kafka.bootstrap, kafka.topic("group"), topic, str(tmp_path), str(COUNT)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "order.json").read_text())
    assert found["order"] == list(range(COUNT))
    assert found["skew_ms"] == 0
