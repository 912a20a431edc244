"""Snapshots that are damaged, gone or cannot be written, and a log that lost records: what the trainer makes of each.

One installation, in the order of the tests: each adds some interactions and ends with all of them learned.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.contract import topics
from streams.contract.events import Interaction
from streams.durability import snapshots
from streams.replay.convert import to_interactions
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.transport.reader import EXIT_HELPLESS
from tests.conftest import Kafka
from tests.e2e.running import ROOT, WAIT_S, Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PORTION = 300


class World(Running):
    """A trainer that is started and ended by hand."""

    sent = produced = 0
    """Interactions sent; of these, those that are to be learned."""
    events: list[Interaction]
    program: Sequence[str] = ("-m", "streams.cli")
    """What the interpreter runs as `marquee`."""

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    def more(self) -> None:
        """Produces some interactions more."""
        self.act(*self.events[self.sent : self.sent + PORTION])
        self.sent += PORTION
        self.produced += PORTION

    @contextlib.contextmanager
    def trainer(self, *, most_bytes: int | None = None, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """Runs a trainer; ``most_bytes``: no file that it writes may be larger."""
        environ = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(self.folder / "jax"), "PYTHONPATH": str(ROOT),
                                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"} | variables  # fmt: skip
        command = [sys.executable, *self.program, "worker", "trainer", "--broker", self.kafka.bootstrap]
        command += ["--prefix", self.prefix, "--config", str(self.config)]
        (told,) = self.ends(topics.METRICS).values()
        self.wait(lambda: len(self.figures.all()) >= told, "what an earlier trainer told read")
        self.newest = {}
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                command, cwd=self.folder, env=environ, stdin=subprocess.PIPE, stdout=log, stderr=log
            ) as process,
        ):
            if most_bytes is not None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            try:
                yield process
            finally:
                process.kill()

    def learn(self, *, most_bytes: int | None = None, is_killed: bool = False, **variables: str) -> str:
        """Runs a trainer until all is learned; gives its words."""
        said = len(self.words())
        with self.trainer(most_bytes=most_bytes, **variables) as process:
            self.wait(
                lambda: process.poll() is not None or self.learned().get("learned") == self.produced, "all learned"
            )
            assert process.poll() is None, self.words()[said:]
            if not is_killed:
                process.send_signal(signal.SIGTERM)
                assert process.wait(WAIT_S) == 0, self.words()[said:]
        return self.words()[said:]


@pytest.fixture(scope="module")
def world(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    engine = World(kafka, tmp_path_factory.mktemp("faults"))
    engine.events = list(to_interactions(read_log(PACKAGED_DIR / "movietweetings").head(PORTION * 8)))
    try:
        engine.more()
        engine.learn()
        yield engine
    finally:
        engine.close()


def test_a_damaged_snapshot_is_skipped_and_the_ledger_leads_to_the_same_state(world: World) -> None:
    world.more()
    world.learn()
    newest = snapshots.newest(world.snapshots)
    assert newest is not None
    largest = max(newest.path.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    said = world.learn()
    assert "skipping snapshot" in said
    assert "steps again as the ledger names them" in said
    assert "as the ledger says, got" not in said
    again = snapshots.newest(world.snapshots)
    assert again is not None
    assert again.version == newest.version  # nothing was lost, nothing was learned twice


def test_without_any_snapshot_the_whole_ledger_is_learned_again(world: World) -> None:
    newest = snapshots.newest(world.snapshots)
    assert newest is not None
    shutil.rmtree(world.snapshots)
    said = world.learn()
    assert f"learning {newest.version} steps again" in said
    again = snapshots.newest(world.snapshots)
    assert again is not None
    hashes = [{entry.name: entry.sha256 for entry in ref.manifest.arrays} for ref in (newest, again)]
    assert {name for name in hashes[0] if hashes[0][name] != hashes[1][name]} <= {"counts/changed"}


def test_a_snapshot_that_cannot_be_written_stops_nothing(world: World) -> None:
    before = snapshots.versions(world.snapshots)
    world.more()
    said = world.learn(
        most_bytes=100_000, MARQUEE_TRAINER_SNAPSHOT_EVERY_STEPS="1", JAX_ENABLE_COMPILATION_CACHE="false"
    )
    assert "learning goes on and tries again" in said
    assert snapshots.versions(world.snapshots) == before
    said = world.learn()
    assert "steps again as the ledger names them" in said
    assert snapshots.versions(world.snapshots)[-1] > before[-1]


def test_interactions_that_were_removed_before_they_were_learned_stop_the_trainer(world: World) -> None:
    name, ends = world.name(topics.INTERACTIONS), world.ends(topics.INTERACTIONS)
    world.more()
    lost = min(2, world.ends(topics.INTERACTIONS)[0] - ends[0])
    assert lost > 0
    admin = AdminClient({"bootstrap.servers": world.kafka.bootstrap})
    (done,) = admin.delete_records([TopicPartition(name, 0, ends[0] + lost)]).values()
    done.result(30)
    said = len(world.words())
    with world.trainer() as process:
        assert process.wait(WAIT_S) == EXIT_HELPLESS
    words = world.words()[said:]
    assert f"{lost} records of {name}/0 were removed before they were learned" in words
    assert "needs a decision of yours" in words
    world.produced -= lost
    world.learn(MARQUEE_TRAINER_ACCEPT_EXPIRED="true")


def test_a_ledger_whose_records_are_gone_stops_the_trainer(world: World) -> None:
    world.more()
    world.learn(is_killed=True, MARQUEE_TRAINER_SNAPSHOT_EVERY_STEPS="0")
    admin = AdminClient({"bootstrap.servers": world.kafka.bootstrap})
    name, ends = world.name(topics.INTERACTIONS), world.ends(topics.INTERACTIONS)
    (done,) = admin.delete_records([TopicPartition(name, 1, ends[1])]).values()
    done.result(30)
    said = len(world.words())
    with world.trainer(MARQUEE_TRAINER_ACCEPT_EXPIRED="true") as process:
        assert process.wait(WAIT_S) == EXIT_HELPLESS
    assert "are not the next ones of the log" in world.words()[said:]
