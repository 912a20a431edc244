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
LOOK_S: Final = 0.25
ENOUGH: Final = 3
"""Reports of no meaning after which none with a meaning is waited for; librdkafka tries several times a second."""
_LOGIN: Final = (
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
)
_NO_NEWS: Final = (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)


def require_answer(connection: Connection) -> None:
    """Returns once the broker has let us in.

    Raises:
      BrokerRefusedError: it is there and does not.
      BrokerUnavailableError: nobody answers.
    """
    is_answering, trouble = _probe(connection)
    if not is_answering:
        raise _said(connection, trouble, "no answer")


def unreachable(connection: Connection, found: KafkaError) -> BrokerError:
    """The error to raise where librdkafka got no answer and said ``found``."""
    return _said(connection, _probe(connection)[1], found.str())


def _said(connection: Connection, trouble: KafkaError | None, otherwise: str) -> BrokerError:
    refused = None if trouble is None else refusal(connection, trouble)
    return refused or BrokerUnavailableError(
        f"no Kafka broker answers at {connection.bootstrap} ({connection.security_protocol}): "
        f"{otherwise if trouble is None else trouble.str()}; start it, or set `broker` (and `security`) to where it is"
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
    if found.code() == KafkaError._SSL or "SSL" in said or "certificate" in said:  # the address is in small letters
        return BrokerRefusedError(
            f"{where} and we do not agree on TLS: {said}; check `protocol` and `ca_file` in [security], and that the "
            "certificate is of this host name"
        )
    return None


def _probe(connection: Connection) -> tuple[bool, KafkaError | None]:
    """Whether the broker lets us in; if not, the report that says most, if there is any."""
    troubles: list[KafkaError] = []

    def note(error: KafkaError) -> None:
        if error.code() not in _NO_NEWS:
            troubles.append(error)

    words: dict[str, Any] = {**connection.for_confluent(), "error_cb": note, "log_level": 0}
    client = AdminClient(words)
    for left in range(int(ANSWER_S / LOOK_S), 0, -1):
        try:
            client.list_topics(timeout=LOOK_S)
        except KafkaException:
            client.poll(0.0)
            telling = [error for error in troubles if refusal(connection, error) is not None]
            if telling or len(troubles) >= ENOUGH or (left == 1 and troubles):
                return False, (telling or troubles)[0]
        else:
            return True, None
    return False, None
