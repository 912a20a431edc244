"""The engine under measurement: a real broker in a folder of its own, the roles as processes, and what the topics hold.

Everything that is started here is stopped at the end, also when a benchmark fails or is told to stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from deploy.kafka import kafka_up
from streams.contract import codec, topics
from streams.contract.events import Metric
from streams.contract.topics import TOPICS, TopicSpec
from streams.kernel_cache import VARIABLE, kernel_cache_dir
from streams.processors import THREADS_VARIABLE
from streams.replay.fetch import fetch
from streams.replay.logs import EventLog, read_log
from streams.roles.app import commands_for
from streams.settings import Settings
from streams.transport import admin
from streams.transport.child import ends_with_parent
from streams.transport.connection import Connection

STOP_S = 15.0
"""A role writes its snapshot before it ends."""
LOOK_EVERY_S = 0.1
Tables = Mapping[str, Mapping[str, object]]
"""Settings by table, as in ``marquee.toml``; the table ``""`` is the top."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """A running role.

    Attributes:
      name: trainer or recommender.
      process: its process, the role itself and no wrapper.
    """

    name: str
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """Processor time that it has used so far, all threads, seconds; 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory, MiB; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def files_count(self) -> int:
        """Open files and sockets; 0 where the system does not say."""
        return _entries(f"/proc/{self.process.pid}/fd")

    def threads_count(self) -> int:
        """Threads; 0 where the system does not say."""
        return _entries(f"/proc/{self.process.pid}/task")

    def check(self) -> None:
        """Raises RuntimeError if it has ended: then there is nothing to measure."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the {self.name} ended with status {self.process.returncode}; its words are above")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One broker with the project's topics, empty at first."""

    folder: Path
    connection: Connection

    @contextlib.contextmanager
    def role(
        self, name: str, tables: Tables, *, program: str = "streams.cli", words: Path | None = None
    ) -> Iterator[Role]:
        """Run a role with these settings until the block ends; its snapshots are shared with other roles.

        ``program``: the module that has the `marquee` command. ``words``: a file for what it says, not standard error.
        Words are only hashed: what encoding costs is measured by itself, and a figure depends on no wheel.
        """
        config = self.folder / f"{name}.toml"
        top = {"snapshot_dir": str(self.folder / "snapshots"), "text_encoder": "hashed"}
        config.write_text(_toml({**tables, "": top | dict(tables.get("", {}))}), encoding="utf-8")
        command = commands_for([name], broker=self.connection.bootstrap, prefix="", config=config)[name]
        command = [program if word == "streams.cli" else word for word in command]
        with words.open("ab") if words else contextlib.nullcontext() as stderr:
            process = subprocess.Popen(
                ends_with_parent(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr,
                start_new_session=True, env=clean_environment(),
            )  # fmt: skip
        try:
            yield Role(name=name, process=process)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def ends(self, spec: TopicSpec) -> int:
        """Records that were ever written to a topic."""
        return sum(self.ends_of(spec).values())

    def ends_of(self, spec: TopicSpec) -> dict[int, int]:
        """The same by partition."""
        with self._consumer() as consumer:
            places = self._places(spec)
            return {at.partition: consumer.get_watermark_offsets(at, timeout=10)[1] for at in places}

    def read(self, spec: TopicSpec) -> Iterator[Message]:
        """Everything that a topic holds now, in order within a partition."""
        with self._consumer() as consumer:
            places = self._places(spec)
            ends = {at.partition: consumer.get_watermark_offsets(at, timeout=10)[1] for at in places}
            left = {partition for partition, end in ends.items() if end > 0}
            consumer.assign([at for at in places if at.partition in left])
            while left:
                for message in consumer.consume(5_000, timeout=1.0):
                    if message.error() is None:
                        yield message
                        if int(message.offset() or 0) + 1 >= ends[int(message.partition() or 0)]:
                            left.discard(int(message.partition() or 0))

    def metrics(self, series: str) -> list[tuple[int, Metric]]:
        """Records of one series with the wall-clock time, ms, at which each was published."""
        found = []
        for message in self.read(topics.METRICS):
            if message.key() == series.encode():
                metric = codec.decode(Metric, value_of(message), timestamp_ms=-1)
                if isinstance(metric, Metric):
                    found.append((message.timestamp()[1], metric))
        return found

    @contextlib.contextmanager
    def tail(self, spec: TopicSpec) -> Iterator[Consumer]:
        """A consumer of what is written to a topic from now on, quick to answer."""
        with self._consumer() as consumer:
            places = self._places(spec)
            for at in places:
                at.offset = consumer.get_watermark_offsets(at, timeout=10)[1]
            consumer.assign(places)
            yield consumer

    def wait_until_learned(
        self, role: Role, count: int, *, timeout_s: float, say: Callable[[str], None] = lambda _: None
    ) -> int:
        """Return once the trainer says that it has learned ``count`` events, with the number that it says.

        Raises:
          RuntimeError: it ended, or did not get there in time.
        """
        deadline_s, said_s = time.monotonic() + timeout_s, time.monotonic()
        learned = 0.0
        with self.tail(topics.METRICS) as consumer:
            while learned < count:
                role.check()
                for message in consumer.consume(1_000, timeout=0.5):
                    metric = codec.decode(Metric, message.value() or b"", timestamp_ms=-1)
                    if isinstance(metric, Metric) and metric.series == "trainer":
                        learned = metric.values["learned"]
                if time.monotonic() - said_s >= 10:
                    said_s = time.monotonic()
                    say(f"  learned {learned:,.0f} of {count:,}")
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"expected {count} events learned in {timeout_s:.0f} s, got {learned:.0f}")
        return int(learned)

    @contextlib.contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(
            self.connection.for_confluent()
            | {"group.id": "benchmark", "enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 0}
            | {"fetch.wait.max.ms": 50, "queued.max.messages.kbytes": 65_536, "queued.min.messages": 20_000}
        )
        try:
            yield consumer
        finally:
            consumer.close()

    @staticmethod
    def _places(spec: TopicSpec) -> list[TopicPartition]:
        return [TopicPartition(spec.name, partition, 0) for partition in range(spec.partitions)]


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """A real broker on the loopback with all topics; stopped and removed at the end, also at SIGTERM."""
    before = signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="marquee-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        options = kafka_up.Options(
            data=folder / "kafka", cache=kafka_up.default_cache(os.environ), dies_with_parent=True, heap="768m"
        )
        try:
            [bootstrap] = kafka_up.start(options)
            connection = Connection(bootstrap=bootstrap)
            admin.create_topics(connection, TOPICS, prefix="")
            yield Engine(folder=folder, connection=connection)
        finally:
            kafka_up.stop(options.data)
            signal.signal(signal.SIGTERM, before)


def public_log(name: str) -> EventLog:
    """A log that `marquee fetch` knows, fetched now if it is not there yet."""
    return read_log(fetch(name, cache_dir=_defaults().logs_dir))


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of ours: a benchmark says itself what it measures."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
    return {VARIABLE: str(kernel_cache_dir(_defaults().cache_dir)), THREADS_VARIABLE: "1", **own}


def with_kernels(module: str) -> None:
    """Start this benchmark again where kernels that are compiled already are found, unless it runs there."""
    if VARIABLE not in os.environ:
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], clean_environment())


def _defaults() -> Settings:
    cache = {name: value for name, value in os.environ.items() if name == "XDG_CACHE_HOME"}
    return Settings.from_env(cache)


def value_of(message: Message) -> bytes:
    """A record's value; empty for a tombstone."""
    value: Any = message.value()
    return b"" if value is None else bytes(value)


def percentiles(values_ms: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, by nearest rank.

    >>> percentiles([float(n) for n in range(1, 101)])
    {'p50_ms': 50.0, 'p99_ms': 99.0, 'max_ms': 100.0}
    """
    ordered = sorted(values_ms)
    if not ordered:
        raise RuntimeError("nothing was measured, so there are no percentiles")
    return {name: ordered[min(len(ordered), -(-len(ordered) * share // 100)) - 1]
            for name, share in (("p50_ms", 50), ("p99_ms", 99), ("max_ms", 100))}  # fmt: skip


def _entries(folder: str) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0


def say(line: str) -> None:
    """One line of progress, seen at once."""
    print(line, flush=True)


def _toml(tables: Tables) -> str:
    lines = []
    for table, values in sorted(tables.items()):  # the top comes first
        lines += [f"[{table}]"] if table else []
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _leave(number: int, frame: object) -> None:
    del frame
    sys.exit(128 + number)
