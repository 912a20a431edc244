"""Plays an event log into the topics: the items first, then every interaction at its time, keyed by its user.

Record timestamps are event times, so that the trainer's merge sees the log's own order however fast it is played. Every
record is acknowledged by all replicas or the replay fails; nothing is dropped silently.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import confluent_kafka
import numpy as np

from streams.contract import topics
from streams.contract.codec import encode
from streams.errors import DeliveryError, ReplayError
from streams.replay.convert import check_playable, to_interactions, to_items
from streams.replay.logs import EventLog
from streams.replay.pace import Pace
from streams.transport.connection import Connection
from streams.transport.refusals import unreachable

CHUNK: Final = 2_000
"""Events between two looks at the clock and at what the broker said."""
QUEUED_MOST: Final = 50_000
"""Records that wait for the broker."""
METADATA_TIMEOUT_S: Final = 5.0
FLUSH_TIMEOUT_S: Final = 60.0
"""A broker that takes longer for what is queued is as good as gone."""
PLAY_AGAIN: Final = "play again: ids are derived, so what did arrive is not learned twice"
LONGEST_SLEEP_S: Final = 0.2
"""So that Ctrl-C and the progress bar stay alive between two slow events."""


class Sender(Protocol):
    """What the player needs of a producer."""

    def send(self, topic: str, *, key: str, value: bytes, timestamp_ms: int) -> None:
        """Queue one record; waits while the queue is full."""

    def settle(self) -> None:
        """Wait until all that is queued is acknowledged.

        Raises:
          DeliveryError: a record was refused or not acknowledged in time.
        """

    def check(self) -> None:
        """Look at what the broker said meanwhile; raises as `settle` does."""


class Clock(Protocol):
    """Time as the player sees it, seconds."""

    def now_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait that long."""


class MonotonicClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that long."""
        time.sleep(seconds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Played:
    """What a replay delivered; counts are of acknowledged records."""

    items: int
    interactions: int
    elapsed_s: float


class KafkaSender:
    """A producer of librdkafka, partitioning keys as Java clients do."""

    def __init__(self, connection: Connection, *, metadata_timeout_s: float = METADATA_TIMEOUT_S) -> None:
        """Connects when the first call needs it; ``metadata_timeout_s`` is the patience of `missing`."""
        self._metadata_timeout_s = metadata_timeout_s
        self._failures: list[str] = []
        self._trouble = ""
        self._connection = connection
        is_idempotent = not connection.is_embedded
        self._producer = confluent_kafka.Producer(
            {
                **connection.for_confluent(),
                "partitioner": "murmur2_random",
                "enable.idempotence": is_idempotent,
                "acks": "all",
                "linger.ms": 5,
                "queue.buffering.max.messages": QUEUED_MOST,
                "delivery.report.only.error": True,
                "message.timeout.ms": int(FLUSH_TIMEOUT_S * 1_000),
                # Without idempotence only one request in flight keeps the order through a retry.
                **({} if is_idempotent else {"max.in.flight.requests.per.connection": 1}),
                "error_cb": self._remember,
            },
            logger=_quiet_logger(),
        )

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the topics that the broker does not have.

        Raises:
          BrokerUnavailableError: no answer.
        """
        try:
            there = self._producer.list_topics(timeout=self._metadata_timeout_s).topics
        except confluent_kafka.KafkaException as error:
            raise unreachable(self._connection, error.args[0]) from error
        return [name for name in names if name not in there]

    def send(self, topic: str, *, key: str, value: bytes | None, timestamp_ms: int) -> None:
        """Queue one record; waits while the queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp_ms, on_delivery=self._note)
            except BufferError:
                self._producer.poll(0.05)
                self._raise_failure()
            else:
                return

    def send_all(self, topic: str, records: Iterable[tuple[str, bytes | None, int]]) -> None:
        """Queue records (key, value, timestamp) in order; waits while the queue is full."""
        produce, note = self._producer.produce, self._note
        for key, value, timestamp_ms in records:
            try:
                produce(topic, value, key, -1, note, timestamp=timestamp_ms)
            except BufferError:
                self._wait_for_room()
                self.send(topic, key=key, value=value, timestamp_ms=timestamp_ms)
        self.check()

    def _wait_for_room(self) -> None:
        while len(self._producer) > QUEUED_MOST // 2:
            self._producer.poll(0.05)
            self._raise_failure()

    def check(self) -> None:
        """Look at what the broker said meanwhile."""
        self._producer.poll(0)
        self._raise_failure()

    def settle(self) -> None:
        """Wait until all that is queued is acknowledged."""
        left = self._producer.flush(FLUSH_TIMEOUT_S)
        self._raise_failure()
        if left:
            raise DeliveryError(
                f"expected every record to be acknowledged within {FLUSH_TIMEOUT_S:.0f} s, got {left} that were not; "
                f"{self._trouble or 'the broker is slow or away'}; {PLAY_AGAIN}"
            )

    def _remember(self, error: confluent_kafka.KafkaError) -> None:
        self._trouble = error.str()

    def _note(self, error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
        if error is not None:
            self._failures.append(f"{message.topic()}: {error.str()}")

    def _raise_failure(self) -> None:
        if self._failures:
            raise DeliveryError(
                f"expected every record to be acknowledged, got {len(self._failures)} refused, the first by "
                f"{self._failures[0]}; mend the cause, then {PLAY_AGAIN}"
            )


def play(
    log: EventLog,
    connection: Connection,
    *,
    prefix: str = "",
    pace: Pace | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Played:
    """Play a whole log into the topics of a broker.

    Args:
      log: what to play.
      connection: the broker.
      prefix: of the topics' names.
      pace: how fast; as fast as possible by default.
      on_progress: called now and then with the number of interactions sent.

    Returns:
      What was delivered, all of it acknowledged.

    Raises:
      BrokerUnavailableError: nobody answers.
      ReplayError: a topic is missing, or the log can't be played.
      DeliveryError: a record was refused.
    """
    sender = KafkaSender(connection)
    names = [topics.topic_name(prefix, spec.name) for spec in (topics.ITEMS, topics.INTERACTIONS)]
    if missing := sender.missing(names):
        raise ReplayError(
            f"expected the topics {', '.join(names)}, got none of {', '.join(missing)}; "
            "run `marquee topics create` first"
        )
    return play_into(
        sender, log, prefix=prefix, pace=pace or Pace(), clock=MonotonicClock(), on_progress=on_progress or _ignore
    )


def play_into(
    sender: Sender,
    log: EventLog,
    *,
    prefix: str,
    pace: Pace,
    clock: Clock,
    on_progress: Callable[[int], None],
) -> Played:
    """`play` over any sender and clock; the topics must be there."""
    check_playable(log)
    started_s = clock.now_s()
    items_topic = topics.topic_name(prefix, topics.ITEMS.name)
    interactions_topic = topics.topic_name(prefix, topics.INTERACTIONS.name)
    first_ms = int(log.time_ms[0]) if len(log) else 1
    items = 0
    for item in to_items(log.catalogue):
        sender.send(items_topic, key=item.item_id, value=encode(item), timestamp_ms=first_ms)
        items += 1
    sender.settle()  # an item is there before anybody acts on it
    due_s = pace.schedule_s(log.time_ms) + clock.now_s()
    sent = 0
    while sent < len(log):
        until = min(sent + CHUNK, int(np.searchsorted(due_s, clock.now_s(), side="right")))
        if until <= sent:
            clock.sleep(min(LONGEST_SLEEP_S, max(0.0, float(due_s[sent]) - clock.now_s())))
        for event in to_interactions(log, sent, until):
            sender.send(interactions_topic, key=event.user_id, value=encode(event), timestamp_ms=event.occurred_at_ms)
        sent = max(sent, until)
        sender.check()
        on_progress(sent)
    sender.settle()
    return Played(items=items, interactions=sent, elapsed_s=clock.now_s() - started_s)


def _ignore(_: int) -> None:
    """Nobody wants to know."""


def _quiet_logger() -> logging.Logger:
    """Takes librdkafka's own lines; what goes wrong is raised instead, once and in words."""
    logger = logging.getLogger(f"{__name__}.librdkafka")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
