"""Every client on a listener with SASL and TLS; who is not let in is told why, and no secret is ever said."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from deploy.kafka.kafka_up import TEST_PASSWORD, TEST_USER
from streams.cli import NO_BROKER, run
from streams.contract import topics
from streams.errors import BrokerError, BrokerRefusedError, BrokerUnavailableError
from streams.replay.player import KafkaSender
from streams.roles.ask import ask, new_request
from streams.transport import admin
from streams.transport.broadcast import BroadcastReader
from streams.transport.connection import Connection, SaslMechanism
from streams.transport.publish import Out, Publisher
from streams.transport.whole import read_whole
from tests.conftest import Kafka

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
WRONG = "wr0ng-s3cret"
MECHANISMS: tuple[SaslMechanism, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def ca_of(kafka: Kafka) -> str:
    return str(kafka.options.data / "tls" / "ca.pem")


def secured(kafka: Kafka, **changes: Any) -> Connection:
    words = {"bootstrap": kafka.secure, "security_protocol": "SASL_SSL", "ca_file": ca_of(kafka)}
    return Connection(**words | {"username": TEST_USER, "password": TEST_PASSWORD} | changes)


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    said = "\n".join(record.getMessage() for record in caplog.get_records("call"))
    assert TEST_PASSWORD not in said
    assert WRONG not in said


async def publish(connection: Connection, topic: str, count: int) -> None:
    async with Publisher(connection) as publisher:
        await publisher.perform([Out(topic=topic, key=b"k", value=b"%d" % n) for n in range(count)])
        await publisher.flush()


async def read_by_broadcast(connection: Connection, topic: str) -> list[bytes]:
    reader, found = BroadcastReader([topic], connection), list[bytes]()

    async def take(chunk: Any) -> None:
        found.extend(record.value for record in chunk.records)

    reading = asyncio.create_task(reader.run(take))
    await reader.caught_up.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return found


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_client_gets_in_by_every_mechanism(any_kafka: Kafka, mechanism: SaslMechanism) -> None:
    connection, prefix = secured(any_kafka, sasl_mechanism=mechanism), any_kafka.topic("in")
    made = admin.create_topics(connection, topics.TOPICS, prefix=prefix, replication=1)  # kafka-python
    assert len(made) == len(topics.TOPICS)
    assert admin.check_topics(connection, topics.TOPICS, prefix=prefix) == []
    topic = topics.topic_name(prefix, topics.INTERACTIONS.name)
    asyncio.run(publish(connection, topic, 20))  # aiokafka
    want = sorted(b"%d" % n for n in range(20))
    assert sorted(asyncio.run(read_by_broadcast(connection, topic))) == want
    sender = KafkaSender(connection)  # librdkafka
    assert sender.missing([topic, "nowhere"]) == ["nowhere"]
    sender.send(topic, key="k", value=b"20", timestamp_ms=1)
    sender.settle()
    assert sorted(message.value() or b"" for message in read_whole(connection, topic)) == sorted([*want, b"20"])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "password": ({"password": WRONG}, "does not let 'app' in by SCRAM-SHA-256: .*; check user name, password and"),
    "password-512": ({"password": WRONG, "sasl_mechanism": "SCRAM-SHA-512"}, "does not let 'app' in by SCRAM-SHA-512"),
    "password-plain": (
        {"password": WRONG, "sasl_mechanism": "PLAIN"},
        "does not let 'app' in by PLAIN: .*Invalid user",
    ),
    "user": ({"username": "nobody"}, "does not let 'nobody' in by SCRAM-SHA-256"),
    "authority": (
        {"ca_file": None},
        "do not agree on TLS: .*certificate verify failed.*; check `protocol` and `ca_file`",
    ),
}
CLIENTS: dict[str, Callable[[Connection], Any]] = {
    "admin": lambda connection: admin.find_topics(connection, ["any"]),
    "wait": lambda connection: admin.wait_for_broker(connection, on_wait=print),
    "whole": lambda connection: list(read_whole(connection, "any")),
    "replay": lambda connection: KafkaSender(connection, metadata_timeout_s=1.0).missing(["any"]),
    "ask": lambda connection: ask(connection, new_request("u", k=3), prefix="any", timeout_s=5.0),
}


@pytest.mark.parametrize(
    ("client", "case"),
    [("admin", case) for case in REFUSED] + [(name, "password") for name in CLIENTS if name != "admin"],
)
def test_who_is_not_let_in_is_told_why_at_once(kafka: Kafka, case: str, client: str) -> None:
    changes, said = REFUSED[case]
    with pytest.raises(BrokerRefusedError, match=said) as caught:
        CLIENTS[client](secured(kafka, **changes))
    assert WRONG not in str(caught.value)
    assert TEST_PASSWORD not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.parametrize("case", ["password", "authority"])
async def test_a_producer_that_is_not_let_in_fails_without_saying_the_secret(kafka: Kafka, case: str) -> None:
    with pytest.raises(KafkaConnectionError) as caught:
        await Publisher(secured(kafka, **REFUSED[case][0])).start()
    assert WRONG not in repr(caught.value)


def test_a_broker_that_is_away_is_away_also_with_security(kafka: Kafka) -> None:
    with pytest.raises(BrokerUnavailableError, match="nobody listens there"):
        admin.find_topics(secured(kafka, bootstrap="127.0.0.1:1"), ["any"])


def test_tls_where_there_is_none_and_none_where_there_is(kafka: Kafka) -> None:
    with pytest.raises(BrokerRefusedError, match="do not agree on TLS"):
        admin.find_topics(secured(kafka, bootstrap=kafka.bootstrap), ["any"])
    with pytest.raises(BrokerError, match=r"\(PLAINTEXT\)"):
        KafkaSender(Connection(bootstrap=kafka.secure), metadata_timeout_s=0.5).missing(["any"])


# --- the commands --------------------------------------------------------------------------------------------------


@pytest.fixture
def config(kafka: Kafka, tmp_path: Path) -> Path:
    """A settings file whose password is in a file of its own."""
    (tmp_path / "password").write_text(f"{TEST_PASSWORD}\n")
    file = tmp_path / "marquee.toml"
    file.write_text(
        f'broker = "{kafka.secure}"\nsnapshot_dir = "{tmp_path}/snapshots"\n[security]\nprotocol = "SASL_SSL"\n'
        f'username = "{TEST_USER}"\npassword_file = "{tmp_path}/password"\nca_file = "{ca_of(kafka)}"\n'
    )
    return file


def test_the_commands_read_the_password_file_and_never_say_it(
    kafka: Kafka, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where = ("--config", str(config), "--prefix", kafka.topic("secured"))
    assert run(["topics", "create", *where]) == 0
    assert run(["doctor", *where, "--json"]) in (0, 1)  # this machine may lack something; the broker answers
    assert run(["dlq", "ls", *where, "--json"]) == 0
    captured = capfd.readouterr()
    assert "answers at" in captured.out
    assert TEST_PASSWORD not in captured.out + captured.err


@pytest.mark.parametrize("command", [["topics"], ["doctor", "--json"], ["dlq", "ls"], ["run"], ["recommend", "u"]])
def test_a_wrong_password_is_a_clear_line_and_not_said(
    config: Path, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (config.parent / "password").write_text(WRONG)
    code = run([*command, "--config", str(config)])
    captured = capfd.readouterr()
    assert code not in (0, NO_BROKER)
    said = captured.out + captured.err
    assert said.count("does not let 'app' in by SCRAM-SHA-256") == 1
    assert WRONG not in said
    if command[0] == "doctor":
        (finding,) = [one for one in json.loads(captured.out)["findings"] if one["what"] == "access"]
        assert finding["verdict"] == "failed"
    else:
        assert len(captured.err.splitlines()) == 1
