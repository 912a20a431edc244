"""The engine as its users run it: real processes under the supervisor, reached over the topics alone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from streams.contract import codec, topics
from streams.contract.events import Interaction, Item, Metric, Record, Request, Slate
from streams.roles.ask import NoAnswerError, ask
from streams.transport import admin
from streams.transport.connection import Connection
from tests.conftest import Kafka

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 240.0
"""How long a condition may take before a test gives up; on an idle machine all are met within seconds."""
# Slates without exploration and diversity: an item's score is then its own, not that of the one that it passed.
SETTINGS = """
snapshot_dir = "{folder}/snapshots"
text_encoder = "hashed"
[trainer]
batch_size = 64
linger_ms = 20
flush_ms = 100
snapshot_every_steps = 4
[recommender]
push_interval_ms = 100
push_k = 10
explore_slots = 0
[slates]
diversity = 0.0
[model.towers]
dim = 8
content_dim = 16
window = 8
[model.training]
windows = 8
places = 32
candidates = 256
events_per_step = 64
"""
R = TypeVar("R")


class Running:
    """One installation: its topics on the broker, its folder, and the supervisor's process while it runs."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.prefix = kafka.topic("e2e")
        self.connection = Connection(bootstrap=kafka.bootstrap)
        self.config = folder / "marquee.toml"
        self.config.write_text(SETTINGS.format(folder=folder))
        self.log = folder / "log"
        self.log.touch()
        self.process: subprocess.Popen[bytes] | None = None
        self.seen_pids: set[int] = set()
        admin.create_topics(self.connection, topics.TOPICS, prefix=self.prefix, replication=1)
        self.producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        self.tails: list[Tail] = []
        self.figures = self.tail(topics.METRICS.name)
        self.newest: dict[str, float] = {}
        self.letters = self.tail(topics.DEAD_LETTERS.name)
        self.slates = self.tail(topics.SLATES.name)

    def name(self, spec: topics.TopicSpec) -> str:
        """Full name of a topic."""
        return topics.topic_name(self.prefix, spec.name)

    @property
    def programs(self) -> str:
        """Where compiled programs are kept: one folder for all engines of a session, or the one that the caller has."""
        return os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(self.kafka.options.data.parent / "jax")

    # --- processes -------------------------------------------------------------------------------------------------

    def start(self, *roles: str) -> None:
        """Starts the supervisor with these roles, or all."""
        command = [
            sys.executable,
            "-m",
            "streams.cli",
            "run",
            "--broker",
            self.kafka.bootstrap,
            "--prefix",
            self.prefix,
        ]
        command += ["--config", str(self.config), *(word for role in roles for word in ("--role", role))]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JAX_NUMPY")}
        environ |= {"JAX_COMPILATION_CACHE_DIR": self.programs, "PYTHONPATH": str(ROOT)}
        environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environ, stdout=log, stderr=log)

    def words(self) -> str:
        """What the processes have said so far."""
        return self.log.read_text(errors="replace")

    def pid(self, role: str) -> int:
        """The process that was started last for a role."""
        pids = re.findall(rf"^{role}: started, process (\d+)$", self.words(), re.MULTILINE)
        assert pids, f"{role} was never started:\n{self.words()}"
        self.seen_pids |= set(map(int, pids))
        return int(pids[-1])

    def kill(self, role: str) -> None:
        """Ends a role as a crash would, and waits for its successor's start."""
        old = self.pid(role)
        os.kill(old, signal.SIGKILL)
        self.wait(lambda: self.pid(role) != old, f"{role} started again")

    def stop(self) -> int:
        """SIGTERM to the supervisor; gives its exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(WAIT_S)
        self.process = None
        return status

    def close(self) -> None:
        """Ends whatever still runs."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.terminate()
                self.process.wait(30)
            self.process.kill()
            self.process.wait()
        for tail in self.tails:
            tail.consumer.close()

    # --- records ---------------------------------------------------------------------------------------------------

    def send(self, spec: topics.TopicSpec, records: Iterable[tuple[str, bytes | None, int]]) -> list[tuple[int, int]]:
        """Produces (key, value, timestamp) records; gives each one's partition and offset once it is acknowledged."""
        places: list[tuple[int, int]] = []

        def note(error: Any, message: Message) -> None:
            assert error is None, error
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            places.append((partition, offset))

        sent = list(records)
        for key, value, at_ms in sent:
            self.producer.produce(self.name(spec), value, key.encode(), timestamp=at_ms, on_delivery=note)
            self.producer.poll(0)
        assert self.producer.flush(WAIT_S) == 0
        assert len(places) == len(sent)
        return places

    def act(self, *events: Interaction) -> list[tuple[int, int]]:
        """Produces interactions at their own times."""
        return self.send(topics.INTERACTIONS, [(e.user_id, codec.encode(e), e.occurred_at_ms) for e in events])

    def list_items(self, items: Sequence[Item], *, at_ms: int) -> None:
        """Produces catalogue records."""
        self.send(topics.ITEMS, [(item.item_id, codec.encode(item), at_ms) for item in items])

    def ends(self, spec: topics.TopicSpec) -> dict[int, int]:
        """End offset of every partition."""
        return self.figures.ends(self.name(spec))

    def tail(self, spec_name: str) -> Tail:
        """A reader of a whole topic, from its beginning."""
        self.tails.append(Tail(self.kafka, topics.topic_name(self.prefix, spec_name)))
        return self.tails[-1]

    # --- answers ---------------------------------------------------------------------------------------------------

    def slate(self, user_id: str, **request: Any) -> Slate:
        """Asks as any producer would, again while a process restarts."""
        wanted = Request(request_id=self.kafka.topic("request"), user_id=user_id, **request)
        return ask(self.connection, wanted, prefix=self.prefix, timeout_s=WAIT_S)

    def slate_that(self, is_met: Callable[[Slate], bool], what: str, user_id: str, **request: Any) -> Slate:
        """Asks until a slate meets the condition."""
        slates: list[Slate] = []

        def ask_again() -> bool:
            with contextlib.suppress(NoAnswerError):
                slates.append(self.slate(user_id, **request))
            return bool(slates) and is_met(slates[-1])

        self.wait(ask_again, what)
        return slates[-1]

    def learned(self) -> dict[str, float]:
        """The trainer's newest figures; it tells them when they change."""
        for message in self.figures.poll():
            metric = decoded(Metric, message)
            if metric.series == "trainer":
                self.newest = metric.values
        return self.newest

    def wait_until_learned(self, count: int) -> dict[str, float]:
        """Waits until the trainer has learned exactly so many interactions; more is a failure."""
        figures = self.learned()

        def is_there() -> bool:
            nonlocal figures
            figures = self.learned() or figures
            assert figures.get("learned", 0) <= count, f"learned more than the {count} produced: {figures}"
            return figures.get("learned") == count

        self.wait(is_there, f"{count} learned")
        return figures

    def wait(self, is_met: Callable[[], bool], what: str) -> None:
        """Waits for a condition; fails with the processes' words."""
        deadline_s = time.monotonic() + WAIT_S
        while not is_met():
            if time.monotonic() > deadline_s:
                pytest.fail(
                    f"not {what} within {WAIT_S:.0f} s; the newest figures: {self.learned()}\n{self.words()[-6000:]}"
                )
            time.sleep(0.02)


class Tail:
    """Reads a whole topic; keeps what it read."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.topic = topic
        self.messages: list[Message] = []
        self.consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "group.id": kafka.topic("tail"),
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self.consumer.assign([TopicPartition(topic, partition, 0) for partition in self.partitions(topic)])

    def partitions(self, topic: str) -> list[int]:
        """Numbers of a topic's partitions."""
        return sorted(self.consumer.list_topics(topic, timeout=30).topics[topic].partitions)

    def ends(self, topic: str) -> dict[int, int]:
        """End offset of every partition of a topic."""
        places = [TopicPartition(topic, partition) for partition in self.partitions(topic)]
        return {place.partition: self.consumer.get_watermark_offsets(place, timeout=30)[1] for place in places}

    def poll(self) -> list[Message]:
        """What came since the last call."""
        new = [message for message in self.consumer.consume(2_000, timeout=0.1) if message.error() is None]
        self.messages += new
        return new

    def all(self) -> list[Message]:
        """Everything up to now."""
        self.poll()
        return self.messages


def decoded(kind: type[R], message: Message) -> R:
    """A record of ours, as the contract has it."""
    value = message.value()
    assert value is not None
    assert issubclass(kind, Record)
    event = codec.decode(kind, value, timestamp_ms=-1)
    assert isinstance(event, kind), event
    return event


def is_alive(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
