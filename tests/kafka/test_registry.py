"""Avro and Protobuf by a real schema registry: a recommender that reads them, while the registry is there and away."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.kafka.kafka_up import default_cache
from deploy.registry import registry_up
from streams.contract import codec, framed, languages, topics
from streams.contract.codec import Rejected
from streams.contract.events import Interaction, Record, Request, Slate
from streams.contract.topics import TOPICS, TopicSpec
from streams.registry.known import use_registry
from streams.registry_settings import RegistrySettings
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.embedded import embedded_broker
from streams.transport.publish import Out, send_all
from streams.transport.whole import read_whole
from tests import framed as write
from tests.door.conftest import running, tell_model, wait
from tests.factories import make_interaction, make_request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
INTERACTION_AT = {"Interaction": b"\0", "Request": bytes([2, 6])}


class Gate:
    """Stands before the registry, and says 503 while it is shut."""

    def __init__(self, behind: str) -> None:
        self.is_shut, self.refused = False, threading.Event()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = 503, b"{}"
                if gate.is_shut:
                    gate.refused.set()
                else:
                    try:
                        with urllib.request.urlopen(behind + self.path, timeout=60) as answer:
                            status, body = answer.status, answer.read()
                    except urllib.error.HTTPError as error:
                        status, body = error.code, error.read()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry's address."""
    words = tmp_path_factory.mktemp("registry") / "words"
    with registry_up.registry(default_cache(os.environ), words) as url:
        yield url


@pytest.fixture
def used(registry_url: str, tmp_path: Path) -> Iterator[str]:
    """This process reads by the registry."""
    use_registry(RegistrySettings(url=registry_url), cache_dir=tmp_path)
    yield registry_url
    use_registry(RegistrySettings(), cache_dir=tmp_path)
    framed.KNOWN.clear()


def publish(connection: Connection, spec: TopicSpec, key: str, value: bytes, *, at_ms: int | None = None) -> None:
    asyncio.run(send_all(connection, [Out(topic=spec.name, key=key.encode(), value=value, timestamp_ms=at_ms)]))


def subject() -> str:
    return f"of-{secrets.token_hex(4)}-value"


def registered(url: str, spec: TopicSpec) -> int:
    """A schema of its own, so that nobody knows its id yet."""
    schema = languages.avro_schema(spec) | {"doc": secrets.token_hex(4)}
    return write.register(url, subject(), json.dumps(schema))


def avro_of(url: str, spec: TopicSpec, record: Record) -> bytes:
    return write.avro(spec, registered(url, spec), record)


def test_what_a_command_reads_is_read_by_the_registry(used: str, tmp_path: Path):
    event, request = make_interaction(context={"a": 1}), make_request(k=7, filters={"tags": ["x"]})
    values = [avro_of(used, topics.INTERACTIONS, event), codec.encode(event)]
    number = write.register(used, subject(), languages.proto_file(), "PROTOBUF")
    proto = write.Proto(languages.proto_file(), tmp_path)
    values.append(write.header(number) + b"\0" + proto.body("marquee.Interaction", write.plain(event)))
    with embedded_broker() as connection:
        admin.create_topics(connection, TOPICS, prefix="")
        for value in values:
            publish(connection, topics.INTERACTIONS, event.user_id, value)
        read: list[Any] = [message.value() for message in read_whole(connection, topics.INTERACTIONS.name)]
    assert sorted(read) == sorted(values)
    assert [codec.decode(Interaction, value, timestamp_ms=-1) for value in read] == [event] * 3
    asked = write.header(number) + bytes([2, 6]) + proto.body("marquee.Request", write.plain(request))
    assert codec.decode(Request, asked, timestamp_ms=-1) == request


def test_a_recommender_reads_them_waits_for_the_registry_and_keeps_what_it_cannot_read(
    registry_url: str, tmp_path: Path
):
    gate = Gate(registry_url)
    config = tmp_path / "marquee.toml"
    config.write_text(
        f'snapshot_dir = "{tmp_path}/snapshots"\ncache_dir = "{tmp_path}/cache"\ntext_encoder = "hashed"\n'
        f'[registry]\nurl = "{gate.url}"\n[recommender]\npush_slates = false\n'
        "[model.towers]\ndim = 8\ncontent_dim = 16\nwindow = 8\n"
    )
    words = tmp_path / "words"
    with embedded_broker() as connection:
        admin.create_topics(connection, TOPICS, prefix="")
        tell_model(connection, config)

        def slates() -> dict[str, Slate]:
            found: list[Any] = [message.value() for message in read_whole(connection, topics.SLATES.name)]
            read = [codec.decode(Slate, value, timestamp_ms=-1) for value in found]
            return {slate.request_id: slate for slate in read if isinstance(slate, Slate)}

        def ask(request_id: str, value: bytes) -> Slate:
            publish(connection, topics.REQUESTS, "u-1", value)
            found: Slate = wait(lambda: slates().get(request_id), f"a slate for {request_id}; {words.read_text()}")
            return found

        def request(request_id: str) -> Request:
            return make_request(request_id=request_id, user_id="u-1", k=5)

        with running("recommender", connection, config, words):
            first = ask("by-avro", avro_of(registry_url, topics.REQUESTS, request("by-avro")))
            assert len(first.items) == 5
            taken = first.items[0].item_id
            played = make_interaction(user_id="u-1", item_id=taken)
            at_ms = played.occurred_at_ms
            publish(
                connection, topics.INTERACTIONS, "u-1", avro_of(registry_url, topics.INTERACTIONS, played), at_ms=at_ms
            )
            count = 0

            def without() -> bool:
                nonlocal count
                count += 1
                slate = ask(f"json-{count}", codec.encode(request(f"json-{count}")))
                return taken not in [item.item_id for item in slate.items]

            wait(without, "a slate without what was played")

            gate.is_shut = True
            later = avro_of(registry_url, topics.REQUESTS, request("later"))
            publish(connection, topics.REQUESTS, "u-1", later)
            assert gate.refused.wait(60)
            assert "later" not in slates()
            gate.is_shut = False
            wait(lambda: "later" in slates(), "an answer once the registry was back")
            assert "schema registry at" in words.read_text()

            never = write.header(987_654) + b"x"
            publish(connection, topics.REQUESTS, "u-1", never)
            publish(connection, topics.REQUESTS, "u-1", later[:-2])
            ask("after", codec.encode(request("after")))
            letters: list[Any] = list(read_whole(connection, topics.DEAD_LETTERS.name))
            told = {one.value(): dict(one.headers()) for one in letters}
            assert set(told) == {never, later[:-2]}
            assert all(one["stage"] == b"registry" for one in told.values())
            assert b"987654, which it never gave" in told[never]["reason"]
    gate.server.shutdown()
    gate.server.server_close()
    assert isinstance(codec.decode(Request, never, timestamp_ms=-1), Rejected)
