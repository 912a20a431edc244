"""One connection, four spellings; no secret in any repr."""

from __future__ import annotations

import ssl

import faust
import pytest

from streams.errors import SettingsError
from streams.transport.connection import Connection


def secured(bootstrap: str) -> Connection:
    return Connection(bootstrap=bootstrap, security_protocol="SASL_SSL", username="app", password="hush")


def test_plaintext_needs_nothing_else():
    connection = Connection(bootstrap="127.0.0.1:9092")
    assert connection.for_aiokafka() == {
        "bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT", "ssl_context": None,
    }  # fmt: skip
    assert connection.for_confluent() == {"bootstrap.servers": "127.0.0.1:9092", "security.protocol": "PLAINTEXT"}
    assert (connection.faust_url(), connection.for_faust()) == ("kafka://127.0.0.1:9092", None)


def test_sasl_reaches_every_client_with_certificates_checked():
    connection = secured("a:1, b:2")
    for words in (connection.for_aiokafka(), connection.for_kafka_python()):
        assert words["ssl_context"].verify_mode == ssl.CERT_REQUIRED
        assert words["ssl_context"].check_hostname
        assert words["sasl_mechanism"] == "SCRAM-SHA-256"
        assert (words["sasl_plain_username"], words["sasl_plain_password"]) == ("app", "hush")
    assert connection.for_kafka_python()["bootstrap_servers"] == ["a:1", "b:2"]
    assert connection.for_confluent()["sasl.password"] == "hush"
    credentials = connection.for_faust()
    assert isinstance(credentials, faust.SASLCredentials)
    assert (credentials.username, credentials.mechanism.value) == ("app", "SCRAM-SHA-256")
    assert connection.faust_url() == "kafka://a:1;kafka://b:2"


def test_the_password_is_in_no_repr():
    connection = secured("a:1")
    assert "hush" not in repr(connection)
    assert "hush" not in repr(connection.for_faust())
    for words in (connection.for_aiokafka(), connection.for_kafka_python(), connection.for_confluent()):
        assert "hush" not in f"{words}{words!r}"  # kafka-python logs its own


@pytest.mark.parametrize("bootstrap", ["", "nohost", "host:", ":9092", "a:1,b"])
def test_an_address_without_host_or_port_is_refused(bootstrap):
    with pytest.raises(SettingsError, match="must be host:port"):
        Connection(bootstrap=bootstrap)


def test_sasl_without_a_password_is_refused():
    with pytest.raises(SettingsError, match="got user name 'app' and no password"):
        Connection(bootstrap="a:1", security_protocol="SASL_SSL", username="app")
