"""The door's two sides of Kafka, on librdkafka: a thread that reads all slates, and producers that tell when and how.

aiokafka unpacks records in Python, which for a reader of everybody's slates would be most of the work. No consumer
group: each instance reads all partitions, from where they end when it starts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.door.posted import Posted
from streams.door.refusals import RefusalError
from streams.door.waiting import Answer, Mine
from streams.errors import RoleError
from streams.transport.connection import Connection
from streams.transport.patience import Away

log = logging.getLogger(__name__)

POLL_S: Final = 0.1
CHUNK: Final = 512
LOOK_S: Final = 10.0
"""Between two looks at the topic: is the broker there, and are there new partitions?"""
AGAIN_S: Final = 1.0
"""The same, while the broker is away."""
ANSWER_S: Final = 2.0
EMBEDDED_WAIT_MS: Final = 20
"""The embedded broker looks for new records less and less often while a fetch waits; a real one answers at once."""
QUEUED_MOST: Final = 100_000
QUEUED_KB: Final = 65_536


class SlateReader:
    """Reads every partition of a topic on a thread of its own, and hands over the slates that are ours.

    Args:
      connection: the broker. topic: full name. mine: tells which are ours.
      take: gets them, in the event loop.
    """

    def __init__(
        self, connection: Connection, topic: str, mine: Mine, take: Callable[[Sequence[Answer]], None]
    ) -> None:
        self._connection, self._topic, self._mine, self._take = connection, topic, mine, take
        self._places: set[int] = set()
        self._stop = threading.Event()
        self._away = Away(connection.bootstrap)
        self.trouble = "nothing of the broker has been heard yet"
        """Why no slate can come; empty where all is well."""

    async def run(self) -> None:
        """Reads until cancelled."""
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, self._read, loop)
        try:
            await asyncio.shield(reading)
        finally:
            self._stop.set()
            await reading

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        embedded = {"fetch.wait.max.ms": EMBEDDED_WAIT_MS} if self._connection.is_embedded else {}
        consumer = Consumer({
            **self._connection.for_confluent(), **embedded, "group.id": "marquee-door", "enable.auto.commit": False,
            "enable.auto.offset.store": False, "auto.offset.reset": "earliest", "log_level": 0,
        })  # fmt: skip
        look_s = 0.0
        try:
            while not self._stop.is_set():
                if time.monotonic() >= look_s:
                    look_s = time.monotonic() + (LOOK_S if self._look(consumer) else AGAIN_S)
                first = consumer.poll(POLL_S)
                if first is None:
                    continue
                answers = self._mine.answers(map(_value, (first, *consumer.consume(CHUNK, 0))))
                if answers and not self._stop.is_set():
                    loop.call_soon_threadsafe(self._take, answers)
        finally:
            consumer.close()

    def _look(self, consumer: Consumer) -> bool:
        """Takes partitions that are new, and notes whether the broker answers."""
        try:
            found = consumer.list_topics(self._topic, timeout=ANSWER_S).topics[self._topic]
            if found.error is not None or not found.partitions:
                self.trouble = f"the topic {self._topic} is not there; `marquee topics create` makes it"
                return False
            new = sorted(set(found.partitions) - self._places)
            places = [TopicPartition(self._topic, at, self._start(consumer, at)) for at in new]
        except KafkaException as error:
            self.trouble = f"the Kafka broker does not answer: {error.args[0].str()}"
            self._say(self._away.failed(time.monotonic()))
            return False
        if places:
            consumer.incremental_assign(places)
            self._places |= set(new)
        self.trouble = ""
        self._say(self._away.answered(time.monotonic()))
        return True

    def _start(self, consumer: Consumer, partition: int) -> int:
        """Where a partition ends now; its beginning where that is not told exactly, or it came after we did."""
        if self._connection.is_embedded or self._places:
            return OFFSET_BEGINNING
        return consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=ANSWER_S)[1]

    @staticmethod
    def _say(line: str | None) -> None:
        if line:
            log.warning("%s", line)


def _value(message: Message) -> bytes | None:
    value: Any = None if message.error() is not None else message.value()
    return None if value is None else bytes(value)


class Sender:
    """A producer that partitions keys as Java's does.

    Args:
      connection: the broker. timeout_ms: what was not acknowledged by then never will be.
      linger_ms: waits so long for more to send with.
    """

    def __init__(self, connection: Connection, *, timeout_ms: int, linger_ms: int) -> None:
        is_idempotent = not connection.is_embedded
        self._timeout_ms = timeout_ms
        self._stop = threading.Event()
        self._fatal = ""
        self._producer = Producer({
            **connection.for_confluent(), "partitioner": "murmur2_random", "acks": "all", "log_level": 0,
            "enable.idempotence": is_idempotent, "linger.ms": linger_ms, "message.timeout.ms": timeout_ms,
            "queue.buffering.max.messages": QUEUED_MOST, "queue.buffering.max.kbytes": QUEUED_KB,
            # Without idempotence only one request in flight keeps the order through a retry.
            **({} if is_idempotent else {"max.in.flight.requests.per.connection": 1}),
            "error_cb": self._note,
        })  # fmt: skip

    async def run(self) -> None:
        """Hears what the broker says until cancelled.

        Raises:
          RoleError: the producer can send no more; a new process can.
        """
        reading = asyncio.get_running_loop().run_in_executor(None, self._poll)
        try:
            await asyncio.shield(reading)
        finally:
            self._stop.set()
            await reading
        raise RoleError(f"the producer can send no more: {self._fatal}; it has to be started again")

    def _poll(self) -> None:
        while not self._stop.is_set() and not self._fatal:
            self._producer.poll(POLL_S)

    def _note(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()

    def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Queues a record whose fate nobody asks for.

        Raises:
          RefusalError: there is no room.
        """
        try:
            self._producer.produce(topic, value, key)
        except BufferError:
            raise _no_room() from None

    async def deliver(self, topic: str, records: Sequence[Posted], *, timestamp_ms: int) -> None:
        """Queues records, and returns once all are acknowledged.

        Raises:
          RefusalError: some were not; which of them, nobody knows.
        """
        batch = _Batch(len(records), asyncio.get_running_loop())
        try:
            for record in records:
                self._producer.produce(topic, record.value, record.key, timestamp=timestamp_ms, on_delivery=batch.note)
        except BufferError:
            raise _no_room() from None
        error = await batch.settled
        if error is not None:
            raise RefusalError(
                503, "broker", f"the broker did not acknowledge everything within {self._timeout_ms} ms: "
                f"{error.str()}; send the same again, a repeat of an id is harmless", retry_s=1.0,
            )  # fmt: skip


class _Batch:
    """Records that are acknowledged together; noted in the thread that polls."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._left = count
        self._loop = loop
        self._error: KafkaError | None = None
        self.settled: asyncio.Future[KafkaError | None] = loop.create_future()

    def note(self, error: KafkaError | None, _message: Message) -> None:
        self._left -= 1
        self._error = self._error or error
        if self._left == 0 and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(self._error)


def _no_room() -> RefusalError:
    return RefusalError(
        503, "broker", "expected room for a record, got a full queue: the broker is slow or away", retry_s=1.0
    )
