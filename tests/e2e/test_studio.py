"""Two studio workers on a real broker, one of them killed in mid-render: one record a task, whole files, no rest."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from streams.contract import codec, ids, topics
from streams.contract.events import ContentAsset, ContentTask, Gain, Item
from streams.studio import media
from streams.studio.store import ASIDE, sha256_of
from streams.transport import admin
from streams.transport.connection import Connection
from tests.conftest import START_MS, Kafka
from tests.e2e.running import ROOT, WAIT_S, Tail, decoded
from tests.films import film

TASKS = int(os.environ.get("STUDIO_TASKS", "4"))
SLOW_ENGINE = """
import os, pathlib, time
from streams.studio.blurb import Extract

class Slow(Extract):
    name = "slow"
    def produce(self, job, workdir):
        pathlib.Path(os.environ["STUDIO_MARKS"], f"{job.item.item_id}-{os.getpid()}").touch()
        (workdir / "half.txt").write_text("half a")
        time.sleep(1.5)
        return super().produce(job, workdir)

slow = Slow()
"""


class Studio:
    """An installation of studio workers alone, each a process."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka, self.folder, self.prefix = kafka, folder, kafka.topic("studio")
        self.connection = Connection(bootstrap=kafka.bootstrap)
        admin.create_topics(self.connection, topics.TOPICS, prefix=self.prefix, replication=1)
        self.producer = Producer(
            {"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random", "log_level": 0}
        )
        self.assets = Tail(kafka, topics.topic_name(self.prefix, topics.CONTENT_ASSETS.name))
        self.log = folder / "log"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.marks = folder / "marks"
        self.marks.mkdir()
        (folder / "slow_engine.py").write_text(SLOW_ENGINE)
        (folder / "marquee.toml").write_text(
            f'[studio]\nstore_dir = "{folder}/store"\nroots = ["{folder}/media"]\nengines = ["slow_engine:slow"]\n'
            'environment = ["STUDIO_MARKS"]\n'
        )

    def start(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        command = [sys.executable, "-m", "streams.cli", "worker", "studio", "--broker", self.kafka.bootstrap]
        command += ["--prefix", self.prefix, "--config", str(self.folder / "marquee.toml")]
        environ = os.environ | {"PYTHONPATH": f"{ROOT}:{self.folder}", "STUDIO_MARKS": str(self.marks)}
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def send(self, spec: topics.TopicSpec, key: str, value: bytes) -> None:
        """One record."""
        self.producer.produce(topics.topic_name(self.prefix, spec.name), value, key.encode(), timestamp=START_MS)
        assert self.producer.flush(WAIT_S) == 0

    def put(self, item: Item) -> None:
        """Puts an item into the catalogue."""
        self.send(topics.ITEMS, item.item_id, codec.encode(item))

    def ask(self, task: ContentTask) -> None:
        """Puts a task on its topic."""
        self.send(topics.CONTENT_TASKS, task.item_id, codec.encode(task))

    def records(self) -> list[ContentAsset]:
        """All records so far."""
        return [decoded(ContentAsset, message) for message in self.assets.all()]

    def wait(self, is_met: Callable[[], bool], what: str) -> None:
        """Waits for a condition."""
        until_s = time.monotonic() + WAIT_S
        while not is_met():
            if time.monotonic() > until_s:
                pytest.fail(f"not {what}: {self.records()}\n{self.log.read_text()[-6000:]}")
            time.sleep(0.05)

    def close(self) -> None:
        """Ends the workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()
        self.assets.consumer.close()


@pytest.fixture
def studio(kafka: Kafka, tmp_path: Path) -> Iterator[Studio]:
    one = Studio(kafka, tmp_path)
    yield one
    one.close()


def task_of(item_id: str, kind: str, **spec: object) -> ContentTask:
    task_id = ids.content_task_id(item_id=item_id, kind=kind, audience={}, locale=None, spec=spec)
    gain = Gain(metric="ctr", value=0.1, interval=(0.0, 0.2))
    return ContentTask(task_id=task_id, kind=kind, item_id=item_id, expected_gain=gain, spec=spec)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker_s_tasks_are_taken_up_and_each_has_one_record(studio: Studio) -> None:
    tasks = []
    for number in range(TASKS):
        text = f"Number {number} tells of Ada. She builds an engine in London, and it works."
        studio.put(Item(item_id=f"item-{number}", title=f"Engine {number}", text=text))
        tasks.append(task_of(f"item-{number}", "blurb"))
    (studio.folder / "media").mkdir()
    if media.missing_media() is None:
        film(studio.folder / "media" / "film.mp4")
        studio.put(Item(item_id="film", title="Film"))
        uri = (studio.folder / "media" / "film.mp4").as_uri()
        tasks.append(task_of("film", "cut", source=uri, target_s=2.0, aspect="1:1"))
        tasks.append(task_of("film", "image", source="file:///etc/passwd"))
    for task in tasks:
        studio.ask(task)
        studio.ask(task)  # a repeat is the same task

    first, _ = studio.start(), studio.start()
    studio.wait(lambda: any(studio.marks.iterdir()), "a render under way")
    first.send_signal(signal.SIGKILL)
    first.wait()
    studio.wait(lambda: {r.task_id for r in studio.records()} == {t.task_id for t in tasks}, "a record for each task")
    for task in tasks:
        studio.ask(task)
        if task.kind != "image":
            studio.ask(msgspec.structs.replace(task, not_after_ms=START_MS + 10**9))  # what is done is done for ever
    later = [msgspec.structs.replace(task, not_after_ms=START_MS + 10**9) for task in tasks if task.kind == "image"]
    for task in later:
        studio.ask(task)  # what was rejected is tried again when it is told again later
    probe = task_of("item-0", "blurb", max_chars=100)
    studio.ask(probe)
    studio.wait(lambda: probe.task_id in {r.task_id for r in studio.records()}, "the last task done")

    studio.wait(lambda: len(studio.records()) > len(tasks) + len(later), "the rejected task's second record")

    records = studio.records()
    assert sorted(r.task_id for r in records) == sorted(t.task_id for t in [*tasks, *later, probe])
    by_id = {record.task_id: record for record in records}
    for task in tasks:
        record = by_id[task.task_id]
        if task.kind == "image":
            assert record.status == "rejected"
            assert "studio.roots" in str(record.error)
            continue
        assert record.status == "done", record
        assert record.asset is not None
        path = Path(record.asset.uri.removeprefix("file://"))
        assert (sha256_of(path), path.stat().st_size) == (record.asset.sha256, record.asset.size_bytes)
        assert path.is_relative_to(studio.folder / "store")
    told = {record.asset.sha256 for record in records if record.asset is not None}
    whole = {path.stem for path in (studio.folder / "store").glob("??/*")}
    assert whole == told, "only whole files under their names, and none that nobody tells of"
    left = [mark for mark in studio.marks.iterdir() if is_alive(int(mark.name.rpartition("-")[2]))]
    assert left == [], "a render outlived its worker"

    second = studio.workers[1]
    second.terminate()
    second.wait(WAIT_S)
    third = studio.start()  # clears away what the killed one left
    studio.wait(lambda: len(list((studio.folder / "store" / ASIDE).iterdir())) == 1, "the corner of the third alone")
    assert third.poll() is None
