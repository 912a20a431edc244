"""Why a broker does not let us in, said once for all clients.

Three of the four say no more than that they could not connect, and log the cause many times; librdkafka tells it. So
a failed connection is tried again with librdkafka alone, and what it reports becomes one error. No report holds a
password: the broker's words name user and mechanism at most.
"""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.errors import BrokerError, BrokerRefusedError, BrokerUnavailableError
from streams.transport.connection import Connection

ANSWER_S: Final = 5.0
_LOGIN: Final = (
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
)
_NO_NEWS: Final = (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)


def refuse_if_refused(connection: Connection) -> None:
    """Returns if the broker lets us in, or is away.

    Raises:
      BrokerRefusedError: it is there and does not let us in.
    """
    error = _first_trouble(connection)
    if error is not None and (said := refusal(connection, error)) is not None:
        raise said


def unreachable(connection: Connection, found: KafkaError) -> BrokerError:
    """The error to raise where librdkafka got no answer and said ``found``."""
    trouble = _first_trouble(connection)
    said = None if trouble is None else refusal(connection, trouble)
    return said or BrokerUnavailableError(
        f"no Kafka broker answers at {connection.bootstrap} ({connection.security_protocol}): {found.str()}; start it, "
        "or set `broker` (and `security`) to where it is"
    )


def refused_topic(connection: Connection, topic: str, found: KafkaError) -> BrokerRefusedError:
    """The error to raise where a topic may not be read."""
    who = repr(connection.username) if connection.username else "whoever has no name"
    return BrokerRefusedError(
        f"expected to read {topic} at {connection.bootstrap} as {who}, got: {found.str()}; "
        "docs/operations.md lists the rights that each role needs"
    )


def refusal(connection: Connection, found: KafkaError) -> BrokerRefusedError | None:
    """What a report of librdkafka means; None if the broker is only away."""
    where = f"the Kafka broker at {connection.bootstrap} ({connection.security_protocol})"
    said = found.str()
    if found.code() in _LOGIN:
        return BrokerRefusedError(
            f"{where} does not let {connection.username!r} in by {connection.sasl_mechanism}: {said}; check user name, "
            "password and mechanism in [security]"
        )
    if found.code() == KafkaError._SSL or "certificate" in said.lower() or "ssl handshake failed" in said.lower():
        return BrokerRefusedError(
            f"{where} and we do not agree on TLS: {said}; check `protocol` and `ca_file` in [security], and that the "
            "certificate is of this host name"
        )
    return None


def _first_trouble(connection: Connection) -> KafkaError | None:
    """What librdkafka reports first when it connects; None if it gets an answer, or has nothing to tell."""
    troubles: list[KafkaError] = []

    def note(error: KafkaError) -> None:
        if error.code() not in _NO_NEWS:
            troubles.append(error)

    words: dict[str, Any] = {**connection.for_confluent(), "error_cb": note, "log_level": 0}
    client = AdminClient(words)
    for _ in range(int(ANSWER_S / 0.25)):
        try:
            client.list_topics(timeout=0.25)
        except KafkaException:
            client.poll(0.05)
            if troubles:
                return troubles[0]
        else:
            return None
    return None
