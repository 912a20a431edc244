"""Reads given stretches of topics, without a group and with no role running: for rebuilding what once was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from streams.contract.codec import Headers
from streams.errors import BrokerError
from streams.registry import known
from streams.transport.connection import Connection
from streams.transport.merge import Source

AT_ONCE: Final = 4_096
"""Records a call."""
GATHER_S: Final = 0.05
"""A call gives what has come by then, unless it is full before."""
SILENT_S: Final = 20.0
"""A broker that gives nothing for so long does not have what was asked for."""


class LogRecord(NamedTuple):
    """One record, with aiokafka's names."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class RangeReader:
    """Gives the records of partitions, from where each should start; see `open_ranges`."""

    def __init__(self, consumer: Consumer, starts: Mapping[Source, int]) -> None:
        self._consumer = consumer
        self._paused: set[Source] = set()
        self._sources = frozenset(starts)
        consumer.assign([TopicPartition(*source, offset) for source, offset in sorted(starts.items())])

    def hold(self, sources: frozenset[Source]) -> None:
        """Fetch these no more until they are not named again."""
        wanted = sources & self._sources
        if more := wanted - self._paused:
            self._consumer.pause([TopicPartition(*source) for source in more])
        if fewer := self._paused - wanted:
            self._consumer.resume([TopicPartition(*source) for source in fewer])
        self._paused = set(wanted)

    def read(self) -> dict[Source, list[LogRecord]]:
        """What comes next, by partition, in order.

        Raises:
          BrokerError: nothing came for long, or the broker refused.
        """
        deadline_s = time.monotonic() + SILENT_S
        while not (messages := self._consumer.consume(AT_ONCE, timeout=GATHER_S)) and time.monotonic() < deadline_s:
            pass
        if not messages:
            raise BrokerError(
                f"expected more records of {', '.join(sorted({topic for topic, _ in self._sources}))}, got none within "
                f"{SILENT_S:.0f} s: the log ends before what the ledger names, or the broker is away"
            )
        found: dict[Source, list[LogRecord]] = {}
        for message in messages:
            record = _record(message)
            found.setdefault((record.topic, record.partition), []).append(record)
        if known.is_used():
            for records in found.values():
                known.ensure_now([record.value for record in records])
        return found


def _record(message: Message) -> LogRecord:
    error, topic, partition, offset = message.error(), message.topic(), message.partition(), message.offset()
    if error is not None or topic is None or partition is None or offset is None:
        raise BrokerError(f"expected a record, got {error}; check the broker and its rights")
    key, value = message.key(), message.value()
    headers: Any = message.headers() or ()
    return LogRecord(topic, partition, offset, message.timestamp()[1], key and bytes(key), value, headers)


@contextmanager
def open_ranges(connection: Connection, starts: Mapping[Source, int]) -> Iterator[RangeReader]:
    """A reader of these partitions from these offsets on."""
    consumer = Consumer(
        connection.for_confluent()
        | {
            "group.id": "marquee-rebuild",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    try:
        yield RangeReader(consumer, starts)
    finally:
        consumer.close()
