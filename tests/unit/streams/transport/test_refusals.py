"""What a report of librdkafka means; the texts are those of a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from streams.transport.connection import Connection
from streams.transport.refusals import refusal, refused_topic

CONNECTION = Connection(bootstrap="kafka-1:9093", security_protocol="SASL_SSL", username="app", password="hush")
AT = "sasl_ssl://kafka-1:9093/bootstrap: "


@pytest.mark.parametrize(
    ("code", "said", "meaning"),
    [
        (
            KafkaError._AUTHENTICATION,
            "SASL authentication error: Authentication failed: Invalid",
            "does not let 'app' in",
        ),
        (KafkaError._AUTHENTICATION, "Unsupported SASL mechanism", "does not let 'app' in by SCRAM-SHA-256"),
        (KafkaError._SSL, "SSL handshake failed: certificate verify failed", "do not agree on TLS"),
        (KafkaError._TRANSPORT, "SSL handshake failed: Disconnected: connecting to a PLAINTEXT", "do not agree on TLS"),
    ],
)
def test_who_is_refused_is_told_why(code: int, said: str, meaning: str) -> None:
    error = refusal(CONNECTION, KafkaError(code, AT + said))
    assert error is not None
    assert meaning in str(error)
    assert said in str(error)
    assert "hush" not in str(error)


@pytest.mark.parametrize("said", ["Connect to ipv4#10.0.0.1:9093 failed: Connection refused", "Disconnected"])
def test_a_broker_that_is_away_has_refused_nobody(said: str) -> None:
    assert refusal(CONNECTION, KafkaError(KafkaError._TRANSPORT, AT + said)) is None


def test_a_topic_that_may_not_be_read_is_named_with_who_asked() -> None:
    found = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "Broker: Topic authorization failed")
    assert "expected to read p.items.v1 at kafka-1:9093 as 'app', got" in str(
        refused_topic(CONNECTION, "p.items.v1", found)
    )
    anybody = Connection(bootstrap="kafka-1:9092")
    assert "as whoever has no name" in str(refused_topic(anybody, "items.v1", found))
