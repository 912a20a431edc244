"""The rights that `streams.contract.access` lists, on a broker with an authorizer: enough for each, and no more."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka.admin
import pytest

from deploy.kafka import kafka_up
from streams.cli import run
from streams.contract import topics
from streams.contract.access import ACCESS, rights_of
from streams.contract.topics import TOPICS
from streams.errors import BrokerRefusedError
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.errors import PublishError
from streams.transport.publish import Out, Publisher, send_all
from streams.transport.whole import read_whole
from tests.conftest import Kafka
from tests.e2e.running import ROOT, SETTINGS, Running
from tests.factories import NOW_MS, make_interaction, make_item

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(400)]
API: Any = confluent_kafka.admin
"""Its names are not in its own types."""
OPERATIONS = {
    "Read": API.AclOperation.READ,
    "Write": API.AclOperation.WRITE,
    "Create": API.AclOperation.CREATE,
    "Delete": API.AclOperation.DELETE,
    "Describe": API.AclOperation.DESCRIBE,
    "DescribeConfigs": API.AclOperation.DESCRIBE_CONFIGS,
}
RESOURCES = {"topic": API.ResourceType.TOPIC, "group": API.ResourceType.GROUP}


class Guarded(Kafka):
    """A broker that allows nobody anything, but whoever comes by the plain listener everything."""

    def let_in(self, who: str, prefix: str) -> None:
        """Makes a user of this name, with the rights listed for it and no others."""
        client = API.AdminClient({"bootstrap.servers": self.bootstrap})
        how = API.ScramCredentialInfo(API.ScramMechanism.SCRAM_SHA_256, 4096)
        made: dict[Any, Any] = client.alter_user_scram_credentials(
            [API.UserScramCredentialUpsertion(f"{prefix}-{who}", how, self.password_of(who).encode())]
        )
        bindings = [
            API.AclBinding(
                RESOURCES[right.resource], right.name, API.ResourcePatternType.LITERAL, f"User:{prefix}-{who}", "*",
                OPERATIONS[right.operation], API.AclPermissionType.ALLOW,
            )
            for right in rights_of(who, prefix)
        ]  # fmt: skip
        for future in [*made.values(), *client.create_acls(bindings).values()]:
            future.result(timeout=30)

    def password_of(self, who: str) -> str:
        return f"{who}-s3cret"

    def connection(self, who: str, prefix: str) -> Connection:
        return Connection(
            bootstrap=self.secure, security_protocol="SASL_SSL", ca_file=str(self.options.data / "tls" / "ca.pem"),
            username=f"{prefix}-{who}", password=self.password_of(who),
        )  # fmt: skip

    def settings(self, who: str, prefix: str, folder: Path) -> Path:
        """A settings file of this user, with the password in a file beside it."""
        (folder / f"{who}.password").write_text(self.password_of(who))
        file = folder / f"{who}.toml"
        security = (
            f'[security]\nprotocol = "SASL_SSL"\nusername = "{prefix}-{who}"\n'
            f'password_file = "{folder}/{who}.password"\nca_file = "{self.options.data}/tls/ca.pem"\n'
        )
        file.write_text(SETTINGS.format(folder=folder) + security)
        return file


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    options = kafka_up.Options(
        data=tmp_path_factory.mktemp("guarded").resolve(),
        cache=kafka_up.default_cache(os.environ),
        is_secure=True,
        dies_with_parent=True,
        extra={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        },
    )
    bootstrap, secure = kafka_up.start(options)
    yield Guarded(options=options, bootstrap=bootstrap, secure=secure)
    kafka_up.stop(options.data)


Call = Callable[..., int]


@pytest.fixture
def call(guarded: Guarded, tmp_path: Path) -> Call:
    """Runs a command as the user whose rights are those of the command."""

    def call(who: str, prefix: str, *arguments: str) -> int:
        config = guarded.settings(who, prefix, tmp_path)
        environ = dict(os.environ)
        try:
            return run([*arguments, "--config", str(config), "--broker", guarded.secure, "--prefix", prefix])
        finally:  # a command that learns names folders for what it compiles
            os.environ.clear()
            os.environ.update(environ)

    return call


def publish(connection: Connection, topic: str) -> None:
    async def perform() -> None:
        async with Publisher(connection) as publisher:
            await publisher.perform([Out(topic=topic, key=b"k", value=b"{", timestamp_ms=NOW_MS)])
            await publisher.flush()

    asyncio.run(perform())


def test_the_rights_of_the_commands_are_enough(
    guarded: Guarded, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = guarded.topic("rights")
    for who in ("topics", "replay", "dlq", "tasks", "forget"):
        guarded.let_in(who, prefix)
    assert call("topics", prefix, "topics", "create", "--replication", "1") == 0
    assert call("topics", prefix, "topics") == 0
    assert call("replay", prefix, "replay", "movietweetings", "--limit", "10") == 0
    assert call("dlq", prefix, "dlq", "redrive", "--yes", "--json") == 0
    assert call("tasks", prefix, "tasks", "ls", "--json") == 0
    letter = Out(
        topic=f"{prefix}.dead-letters.v1", key=b"p/0/0", value=b"{", headers=[("origin-key", b"user-1")],
        timestamp_ms=NOW_MS,
    )  # fmt: skip
    asyncio.run(send_all(Connection(bootstrap=guarded.bootstrap), [letter]))
    capsys.readouterr()
    assert call("forget", prefix, "forget", "user-1", "--json") == 0
    said, errors = capsys.readouterr()
    assert json.loads(said)["letters"] == 1
    assert errors == ""


def test_nobody_can_do_more_and_is_told_so(guarded: Guarded, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = guarded.topic("limits")
    admin.create_topics(Connection(bootstrap=guarded.bootstrap), TOPICS, prefix=prefix, replication=1)
    for spec in TOPICS:
        publish(Connection(bootstrap=guarded.bootstrap), topics.topic_name(prefix, spec.name))
    for who in ("recommender", "trainer", "verify", "studio", "planner", "console", "door"):
        guarded.let_in(who, prefix)
        mine = guarded.connection(who, prefix)
        access = ACCESS[who]
        for spec in access.reads:
            assert list(read_whole(mine, topics.topic_name(prefix, spec.name)))
        for spec in access.writes:
            publish(mine, topics.topic_name(prefix, spec.name))
        for spec in set(TOPICS) - set(access.reads):
            with pytest.raises(
                BrokerRefusedError, match=rf"expected to read {prefix}\.{spec.name} at .*operations\.md"
            ):
                list(read_whole(mine, topics.topic_name(prefix, spec.name)))
    with pytest.raises(PublishError, match="TopicAuthorizationFailed"):
        publish(guarded.connection("trainer", prefix), f"{prefix}.slates.v1")
    with pytest.raises(PublishError, match="TopicAuthorizationFailed"):
        publish(guarded.connection("recommender", prefix), f"{prefix}.interactions.v1")
    assert call("trainer", prefix, "topics", "create", "--prefix", guarded.topic("other")) == 1
    assert "refused" in capsys.readouterr().err


def test_the_engine_runs_with_the_rights_of_its_roles(
    guarded: Guarded, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Running(guarded, tmp_path)
    for who in ("trainer", "recommender", "recommend"):
        guarded.let_in(who, engine.prefix)
    command = [sys.executable, "-m", "streams.cli", "run", "--broker", guarded.secure, "--prefix", engine.prefix]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JAX_NUMPY")}
    environ |= {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}
    roles: list[subprocess.Popen[bytes]] = []
    try:
        engine.list_items([make_item(item_id=f"item-{n}") for n in range(5)], at_ms=NOW_MS)
        engine.act(make_interaction(item_id="item-1"))
        with engine.log.open("ab") as log:
            for who in ("trainer", "recommender"):
                words = ["--role", who, "--config", str(guarded.settings(who, engine.prefix, tmp_path))]
                roles.append(subprocess.Popen([*command, *words], env=environ, cwd=tmp_path, stdout=log, stderr=log))
        engine.wait_until_learned(1)

        def has_answered() -> bool:
            assert call("recommend", engine.prefix, "recommend", "user-1", "--timeout", "120", "--json") == 0
            return '"items":[{' in capsys.readouterr().out

        engine.wait(has_answered, "a slate with items")
    finally:
        for role in roles:
            role.terminate()
        for role in roles:
            role.wait(60)
        engine.close()
    said = engine.words()
    assert "started, process" in said
    for hint in ("s3cret", "AuthorizationFailed", "not authorized", "starting again"):
        assert hint not in said
