"""Ask for one slate over the topics, as any producer would, and wait for the answer."""

from __future__ import annotations

import time
import uuid
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams.contract import codec, topics
from streams.contract.events import Request, Slate
from streams.errors import BrokerError
from streams.transport.connection import Connection
from streams.transport.refusals import unreachable


class NoAnswerError(BrokerError):
    """No slate came in time."""


def ask(connection: Connection, request: Request, *, prefix: str, timeout_s: float = 10.0) -> Slate:
    """Publish the request and give the first slate that answers it.

    Raises:
      NoAnswerError: no recommender answered within ``timeout_s``.
      BrokerUnavailableError: no broker answers.
    """
    deadline_s = time.monotonic() + timeout_s
    slates = topics.topic_name(prefix, topics.SLATES.name)
    consumer = Consumer(
        connection.for_confluent()
        | {"group.id": f"marquee-ask-{uuid.uuid4()}", "enable.auto.commit": False, "log_level": 0}
    )
    try:
        _read_from_the_end(consumer, slates, connection)
        _send(connection, topics.topic_name(prefix, topics.REQUESTS.name), request, timeout_s)
        while (left_s := deadline_s - time.monotonic()) > 0:
            message = consumer.poll(min(left_s, 0.5))
            if message is None or message.error() or (payload := message.value()) is None:
                continue
            slate = codec.decode(Slate, payload, timestamp_ms=-1)
            if isinstance(slate, Slate) and slate.request_id == request.request_id:
                return slate
    finally:
        consumer.close()
    raise NoAnswerError(
        f"expected a slate for request {request.request_id} within {timeout_s:g} s, got none; "
        "is a recommender running (`marquee run`), and has it caught up?"
    )


def _read_from_the_end(consumer: Consumer, topic: str, connection: Connection) -> None:
    try:
        found: Any = consumer.list_topics(topic, timeout=5).topics[topic]
    except KafkaException as error:
        raise unreachable(connection, error.args[0]) from error
    if found.error is not None or not found.partitions:
        raise BrokerError(f"expected the topic {topic}, got none; `marquee topics create` makes it")
    places = []
    for partition in found.partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=5)
        places.append(TopicPartition(topic, partition, end))
    consumer.assign(places)


def _send(connection: Connection, topic: str, request: Request, timeout_s: float) -> None:
    failures: list[KafkaError] = []
    settings = connection.for_confluent() | {"partitioner": "murmur2_random", "log_level": 0}
    producer = Producer(settings | {"message.timeout.ms": int(timeout_s * 1000)})
    producer.produce(
        topic,
        codec.encode(request),
        request.user_id.encode(),
        on_delivery=lambda error, _: failures.append(error) if error else None,
    )
    producer.flush(timeout_s)
    if failures:
        raise BrokerError(f"the request could not be delivered to {topic}: {failures[0]}")


def new_request(user_id: str, *, k: int) -> Request:
    """A request with an id of its own."""
    return Request(request_id=f"ask-{uuid.uuid4()}", user_id=user_id, k=k)
