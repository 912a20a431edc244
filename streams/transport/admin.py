"""Makes the topics, and compares those that are there with the contract's table.

:func:`compare` decides, as data, what differs and whether it matters; the other functions ask the broker. Existing
topics are never changed: their owner may have reasons.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kafka import TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError

from streams.contract.topics import KEEP_FOREVER_MS, TopicSpec
from streams.errors import BrokerError, BrokerUnavailableError
from streams.transport.backoff import Backoff
from streams.transport.connection import Connection
from streams.transport.refusals import require_answer

_ASKED = ("cleanup.policy", "retention.ms", "message.timestamp.type")
CONNECT_TIMEOUT_S = 3.0
_NO_ERROR, _TOPIC_EXISTS = 0, 36
"""Kafka's error codes."""


@dataclass(frozen=True, kw_only=True)
class TopicFound:
    """A topic as the broker has it.

    Attributes:
      partitions: how many.
      config: cleanup.policy, retention.ms and message.timestamp.type; empty if the broker cannot tell.
    """

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TopicDifference:
    """One way in which a topic is not as the contract has it.

    Attributes:
      topic: full name.
      what: the property.
      expected, found: its values, as text.
      is_fatal: roles must not run like this.
      remedy: what to do.
    """

    topic: str
    what: Literal["existence", "partitions", "cleanup.policy", "retention.ms", "message.timestamp.type"]
    expected: str
    found: str
    is_fatal: bool
    remedy: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} should be {self.expected}, is {self.found}; {self.remedy}"


def compare(specs: Sequence[TopicSpec], found: Mapping[str, TopicFound], *, prefix: str) -> list[TopicDifference]:
    """What differs between the table and the broker, in the table's order.

    Any number of partitions will do for a topic keyed by item. The user-keyed ones need equally many, so that a user's
    topics meet in one process; a table entry with one partition needs exactly one, since its order is total.
    """
    differences: list[TopicDifference] = []
    counts = {spec.name: found[name].partitions for spec in specs if (name := spec.named(prefix)) in found}
    user_counts = [counts[spec.name] for spec in specs if spec.user_keyed and spec.name in counts]
    user_partitions = user_counts[0] if user_counts else None
    for spec in specs:
        name, is_foreign = spec.named(prefix), bool(spec.full_name)

        def differ(
            what: Any, expected: object, is_value: object, *, is_fatal: bool, remedy: str, name: str = name
        ) -> None:
            differences.append(
                TopicDifference(
                    topic=name, what=what, expected=str(expected), found=str(is_value), is_fatal=is_fatal, remedy=remedy
                )
            )

        if name not in found:
            remedy = "check [topics]: it is somebody else's" if is_foreign else "make it with `marquee topics create`"
            differ("existence", "there", "missing", is_fatal=True, remedy=remedy)
            continue
        topic = found[name]
        wanted = user_partitions if spec.user_keyed else 1 if spec.partitions == 1 else None
        if wanted is not None and topic.partitions != wanted:
            why = "as many as the other topics keyed by user" if spec.user_keyed else "its order is total"
            differ("partitions", wanted, topic.partitions, is_fatal=True, remedy=f"{why}: make it anew")
        if not topic.config:
            continue
        policies = set(topic.config.get("cleanup.policy", "").split(","))
        if policies != {spec.cleanup} and not (is_foreign and "compact" not in policies):
            change = f"set it with `kafka-configs --alter --topic {name} --add-config cleanup.policy={spec.cleanup}`"
            differ(
                "cleanup.policy", spec.cleanup, topic.config.get("cleanup.policy"),
                is_fatal=spec.cleanup == "compact" or "compact" in policies, remedy=change,
            )  # fmt: skip
        retention = topic.config.get("retention.ms")
        expires = spec.cleanup == "delete" or (is_foreign and "delete" in policies)
        if expires and retention != str(spec.retention_ms) and spec.retention_ms == KEEP_FOREVER_MS:
            differ(
                "retention.ms", spec.retention_ms, retention, is_fatal=False,
                remedy="fine for a live platform; a replayed log with old timestamps would be deleted while it is read",
            )  # fmt: skip
        if topic.config.get("message.timestamp.type") != "CreateTime":
            differ(
                "message.timestamp.type", "CreateTime", topic.config.get("message.timestamp.type"), is_fatal=False,
                remedy="events are merged by record timestamp, which is now the time of arrival",
            )  # fmt: skip
    return differences


def _is_listening(connection: Connection) -> bool:
    """Whether anyone accepts connections; kafka-python leaks its sockets where nobody does."""
    for address in connection.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S):
            return True
    return False


def _admin(connection: Connection, *, timeout_ms: int = 10_000) -> KafkaAdminClient:
    try:
        if not _is_listening(connection):
            raise KafkaConnectionError("nobody listens there")
        if connection.security_protocol != "PLAINTEXT":  # kafka-python would not say why, and leak sockets for 10 s
            require_answer(connection)
        return KafkaAdminClient(**connection.for_kafka_python(), bootstrap_timeout_ms=timeout_ms)
    except KafkaError as error:
        raise BrokerUnavailableError(
            f"no Kafka broker answers at {connection.bootstrap} ({connection.security_protocol}): {error};"
            " start it, or set `broker` (and `security`) to where it is"
        ) from error


def find_topics(connection: Connection, names: Sequence[str]) -> dict[str, TopicFound]:
    """Those of the named topics that exist.

    Raises:
      BrokerUnavailableError: nobody answers.
      BrokerError: the broker refuses.
    """
    with _admin(connection) as admin:
        try:
            described = admin.describe_topics(list(names))
            there = [topic for topic in described if topic["error_code"] == _NO_ERROR]
            asked = [ConfigResource("topic", topic["name"], configs=dict.fromkeys(_ASKED)) for topic in there]
            can_tell = asked and not connection.is_embedded  # which hangs up when it is asked
            configs = admin.describe_configs(asked, config_filter="all").get("topic", {}) if can_tell else {}
        except KafkaError as error:
            raise BrokerError(f"{connection.bootstrap} refused to describe the topics: {error!r}") from error
    return {
        topic["name"]: TopicFound(
            partitions=len(topic["partitions"]),
            config={key: entry["value"] for key, entry in configs.get(topic["name"], {}).items() if key in _ASKED},
        )
        for topic in there
    }


def check_topics(connection: Connection, specs: Sequence[TopicSpec], *, prefix: str) -> list[TopicDifference]:
    """Differences between the broker's topics and the table; see :func:`compare` and :func:`find_topics`."""
    found = find_topics(connection, [spec.named(prefix) for spec in specs])
    return compare(specs, found, prefix=prefix)


def create_topics(
    connection: Connection,
    specs: Sequence[TopicSpec],
    *,
    prefix: str,
    user_partitions: int | None = None,
    replication: int = -1,
) -> list[str]:
    """Creates those that are missing, and waits until each partition has a leader.

    Args:
      connection: the broker.
      specs: the table; topics of others in it are not made.
      prefix: put before each name.
      user_partitions: partitions of the user-keyed topics; None: the table's.
      replication: copies of each partition; -1: the broker's default.

    Returns:
      The names of those that were created.

    Raises:
      BrokerUnavailableError: nobody answers.
      BrokerError: the broker refuses one.
    """
    wanted = {
        spec.named(prefix): {
            "num_partitions": user_partitions if spec.user_keyed and user_partitions else spec.partitions,
            "replication_factor": replication,
            "configs": {
                "cleanup.policy": spec.cleanup,
                "message.timestamp.type": "CreateTime",
                **({"retention.ms": str(spec.retention_ms)} if spec.cleanup == "delete" else {}),
            },
        }
        for spec in specs
        if not spec.full_name
    }
    with _admin(connection) as admin:
        try:
            answer = admin.create_topics(wanted, raise_errors=False)["topics"]
            refused = [topic for topic in answer if topic["error_code"] not in (_NO_ERROR, _TOPIC_EXISTS)]
            if refused:
                reasons = "; ".join(f"{topic['name']}: {topic['error_message']}" for topic in refused)
                raise BrokerError(f"{connection.bootstrap} refused to create topics ({reasons})")
            admin.wait_for_topics(list(wanted))
        except KafkaError as error:
            raise BrokerError(f"{connection.bootstrap} failed while topics were created: {error!r}") from error
    return [topic["name"] for topic in answer if topic["error_code"] == _NO_ERROR]


def delete_topics(connection: Connection, names: Sequence[str]) -> None:
    """Deletes those of the named topics that are there.

    Raises:
      BrokerUnavailableError: nobody answers.
      BrokerError: the broker refuses.
    """
    there = sorted(find_topics(connection, names))
    if not there:
        return
    with _admin(connection) as admin:
        try:
            admin.delete_topics(there)
        except KafkaError as error:
            raise BrokerError(f"{connection.bootstrap} refused to delete {', '.join(there)}: {error!r}") from error


def delete_topics_like(connection: Connection, begin: str) -> None:
    """Deletes the topics whose names begin so.

    Raises:
      BrokerUnavailableError: nobody answers.
      BrokerError: the broker refuses.
    """
    with _admin(connection) as admin:
        try:
            if found := sorted(name for name in admin.list_topics() if name.startswith(begin)):
                admin.delete_topics(found)
        except KafkaError as error:
            raise BrokerError(f"{connection.bootstrap} refused to delete topics {begin}*: {error!r}") from error


def delete_before(connection: Connection, topic: str, partition: int, offset: int) -> None:
    """Deletes a partition's records before an offset.

    Raises:
      BrokerError: the broker refuses.
    """
    with _admin(connection) as admin:
        try:
            admin.delete_records({TopicPartition(topic, partition): offset})
        except KafkaError as error:
            raise BrokerError(f"{connection.bootstrap} refused to delete records of {topic}: {error!r}") from error


def wait_for_broker(
    connection: Connection,
    on_wait: Callable[[str], None],
    *,
    timeout_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns once a broker answers; says so in one line per try while none does.

    Args:
      connection: the broker.
      on_wait: gets the line.
      timeout_s: sum of the waits after which to give up; None: never.
      sleep: waits.

    Raises:
      BrokerUnavailableError: none answered in time.
    """
    backoff, waited_s = Backoff(first_s=0.5, most_s=10.0), 0.0
    while True:
        try:
            _admin(connection, timeout_ms=3_000).close()
        except BrokerUnavailableError:
            wait_s = backoff.next_s()
            if timeout_s is not None and waited_s + wait_s > timeout_s:
                raise
            on_wait(f"no Kafka broker at {connection.bootstrap}; trying again in {wait_s:.1f} s")
            sleep(wait_s)
            waited_s += wait_s
        else:
            return
