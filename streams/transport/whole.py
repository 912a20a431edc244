"""Reads one topic from its beginning to where it ends now, once, for commands that look at what is there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import BrokerError
from streams.registry import known
from streams.transport.connection import Connection
from streams.transport.merge import Source
from streams.transport.refusals import refused_topic, unreachable

ANSWER_S: Final = 10.0
"""How long the broker may take for an answer."""
SILENCE_S: Final = 30.0
"""How long it may give nothing while records are left."""
FETCHED: Final = 1_000
RETRY_S: Final = 0.1
_SOON: Final = (KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION)
"""A topic that was just made, or a leader that moves."""
_FETCH: Final[Mapping[str, Any]] = {
    "group.id": "marquee-look",  # librdkafka wants a name; nothing is committed and no group joined
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",  # where retention has removed the first
    "fetch.wait.max.ms": 20,
    "log_level": 0,
}


def read_whole(connection: Connection, topic: str, *, first: Mapping[int, int] | None = None) -> Iterator[Message]:
    """Every record that is in the topic when the call is made, in order within a partition.

    Args:
      connection: the broker.
      topic: full name.
      first: partition -> offset to begin at; the others of the topic are left out. None: all, from their beginning.

    Raises:
      BrokerUnavailableError: nobody answers.
      BrokerRefusedError: the broker does not let us in, or not at this topic.
      BrokerError: the topic is not there, or records stop coming.
    """
    consumer = Consumer({**connection.for_confluent(), **_FETCH})
    knows_ends = not connection.is_embedded  # whose ends fall behind: it is read until it says that nothing is left

    def is_behind(end: int, start: int | None) -> bool:
        wanted = first is None or start is not None
        return wanted and (not knows_ends or (start or 0) < end)

    try:
        ends = _ends(consumer, topic, connection)
        places = [
            TopicPartition(topic, partition, OFFSET_BEGINNING if first is None else first[partition])
            for partition, end in ends.items()
            if is_behind(end, None if first is None else first.get(partition))
        ]
        left = {place.partition for place in places}
        consumer.assign(places)
        heard_s = time.monotonic()
        while left:
            fetched = consumer.consume(FETCHED, timeout=0.5)
            if known.is_used():
                known.ensure_now([message.value() for message in fetched if message.error() is None])
            for message in fetched:
                heard_s = time.monotonic()
                partition, offset, error = message.partition(), message.offset(), message.error()
                if partition is None or offset is None:
                    continue
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise refused_topic(connection, topic, error)
                    left.discard(partition)  # its last records may be marks of transactions, which are never given
                    continue
                if offset < ends[partition] or not knows_ends:
                    yield message
                if offset + 1 >= ends[partition] and knows_ends:
                    left.discard(partition)
            if time.monotonic() - heard_s > SILENCE_S:
                raise BrokerError(
                    f"expected the rest of {topic} from {connection.bootstrap}, got nothing for {SILENCE_S:.0f} s; "
                    "look at the broker, then try again"
                )
    finally:
        consumer.close()


def edges_of(connection: Connection, names: Iterable[str]) -> dict[Source, tuple[int, int]]:
    """The first offset that is still there, and the end, of every partition of these topics.

    Raises:
      BrokerError: as of `read_whole`.
    """
    consumer = Consumer({**connection.for_confluent(), **_FETCH})
    try:
        return {
            (topic, partition): edges
            for topic in names
            for partition, edges in _edges(consumer, topic, connection).items()
        }
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str, connection: Connection) -> dict[int, int]:
    """End offset of every partition."""
    return {partition: end for partition, (_, end) in _edges(consumer, topic, connection).items()}


def _edges(consumer: Consumer, topic: str, connection: Connection) -> dict[int, tuple[int, int]]:
    """First offset and end of every partition."""
    try:
        found: Any = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
        if found.error is not None and found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise refused_topic(connection, topic, found.error)
        if found.error is not None or not found.partitions:
            raise BrokerError(f"expected the topic {topic}, got none; `marquee topics create` makes it")
        places = [TopicPartition(topic, partition) for partition in sorted(found.partitions)]
        return {one.partition: _edge(consumer, one) for one in places}
    except KafkaException as error:
        raise unreachable(connection, error.args[0]) from error


def _edge(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    until_s = time.monotonic() + ANSWER_S
    while True:
        try:
            first, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
            return first, end
        except KafkaException as error:
            if error.args[0].code() not in _SOON or time.monotonic() > until_s:
                raise
            time.sleep(RETRY_S)
