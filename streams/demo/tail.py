"""Reads the topics that tell how the engine does, from their beginning, and stamps each record when it arrives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from streams.contract import topics
from streams.contract.codec import Rejected, decoder
from streams.contract.events import Metric, Slate
from streams.demo.watch import Watch
from streams.transport.connection import Connection

POLL_S: Final = 0.1
TAILED: Final = (topics.METRICS, topics.SLATES, topics.DEAD_LETTERS)
_METRIC, _SLATE = decoder(Metric), decoder(Slate)


class Arrived(NamedTuple):
    """One record of a topic; ``at_s`` is monotonic."""

    topic: str
    key: bytes
    value: bytes
    reason: str
    at_s: float


def tail(connection: Connection, tell: Callable[[Arrived], None], stop: threading.Event) -> None:
    """Hand over every record of `TAILED` as it arrives, until ``stop``."""
    consumer = Consumer(
        connection.for_confluent()
        | {"group.id": "marquee-demo", "enable.auto.commit": False, "fetch.wait.max.ms": 20, "log_level": 0}
    )
    try:
        consumer.assign([
            TopicPartition(spec.name, partition, OFFSET_BEGINNING)
            for spec in TAILED
            for partition in range(spec.partitions)
        ])  # fmt: skip
        while not stop.is_set():
            message = consumer.poll(POLL_S)
            at_s = time.monotonic()
            if message is None or message.error():
                continue
            tell(Arrived(message.topic() or "", message.key() or b"", message.value() or b"", _reason(message), at_s))
    finally:
        consumer.close()


def _reason(message: Message) -> str:
    """Of a dead letter; empty for other records."""
    headers: Mapping[str, Any] = dict(message.headers() or ())
    return str(headers.get("reason") or b"", "utf-8", "replace")


def note(watch: Watch, arrived: Arrived) -> None:
    """Decode a record and give it to the watch."""
    if arrived.topic == topics.DEAD_LETTERS.name and arrived.reason:  # a mark of `marquee dlq` has none
        watch.take_dead_letter(arrived.key, arrived.reason)
    elif arrived.topic == topics.SLATES.name:
        slate = _SLATE(arrived.value, -1)
        if not isinstance(slate, Rejected):
            watch.take_slate(slate, arrived.at_s)
    elif arrived.topic == topics.METRICS.name:
        metric = _METRIC(arrived.value, -1)
        if not isinstance(metric, Rejected):
            watch.take_metric(metric, arrived.at_s)
