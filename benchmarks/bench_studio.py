"""Content tasks under load: workers of a studio, killed at random, beside an engine that ranks, on a real Kafka.

Every task must come to one record: an asset whose file is whole under its hash, or a failure with its reason. The
freshness of slates is measured before, while and after the studio works, in one run on one machine: the stretches
without a studio are what the one with it is held against. Films are made by ffmpeg's own sources.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.bench_freshness import Flow, K, pushed_ms, wait_for_a_slate
from benchmarks.engine import Engine, Role, Tables, engine, percentiles, say, value_of, with_kernels
from benchmarks.report import Figure, report
from benchmarks.synthetic import Platform, fill
from streams.contract import codec, ids, topics
from streams.contract.events import ContentAsset, ContentKind, ContentTask, Gain, Item
from streams.studio.store import ASIDE, TRIES, sha256_of
from tests.films import film

WORKERS, KILLS = 2, 5
LOOK_S = 0.25
TIMEOUT_S = 3_600.0
SETTLE_S = 10.0


@dataclass(kw_only=True)
class Crew:
    """Workers, some of which are killed while they work."""

    kafka: Engine
    tables: Tables
    roles: list[tuple[contextlib.ExitStack, Role]] = field(default_factory=list)
    killed: int = 0

    def start(self) -> None:
        """One more worker."""
        stack = contextlib.ExitStack()
        words = self.kafka.folder / "studio.log"
        self.roles.append((stack, stack.enter_context(self.kafka.role("studio", self.tables, words=words))))

    def kill(self, chance: random.Random) -> None:
        """SIGKILL of one of them, and another in its place."""
        stack, role = self.roles.pop(chance.randrange(len(self.roles)))
        role.process.send_signal(signal.SIGKILL)
        stack.close()
        self.killed += 1
        self.start()

    def close(self) -> None:
        """Ends them all."""
        for stack, _ in self.roles:
            stack.close()
        self.roles.clear()


@contextlib.contextmanager
def crew(kafka: Engine, tables: Tables) -> Iterator[Crew]:
    """`WORKERS` workers."""
    one = Crew(kafka=kafka, tables=tables)
    try:
        for _ in range(WORKERS):
            one.start()
        yield one
    finally:
        one.close()


def material(folder: Path, count: int) -> tuple[list[Item], list[ContentTask]]:
    """Items and as many tasks: texts, stills and reels of two films, and some that cannot be done."""
    media = folder / "media"
    media.mkdir()
    film(media / "one.mp4", scenes=(0, 1, 3), frames=50)
    film(media / "other.mp4", scenes=(4, 5, 2), frames=50)
    (media / "broken.mp4").write_bytes((media / "one.mp4").read_bytes()[:5_000])
    items, tasks = [], []
    for number in range(count):
        name = f"film-{number}"
        text = f"Number {number} tells of Ada. She builds engine {number} in London, and it works."
        items.append(Item(item_id=name, title=f"Engine {number}", text=text, language="en"))
        uri = (media / ("one.mp4" if number % 2 else "other.mp4")).as_uri()
        kinds: list[tuple[ContentKind, dict[str, object]]] = [
            ("blurb", {}), ("blurb", {"max_chars": 100}), ("image", {"source": uri, "width": 64 + number}),
            ("blurb", {}), ("cut", {"source": uri, "target_s": 1.0 + number / count}), ("blurb", {"max_chars": 80}),
            ("blurb", {}), ("image", {"source": (media / "broken.mp4").as_uri()}), ("blurb", {}),
            ("cut", {"source": "file:///etc/hostname"}),
        ]  # fmt: skip
        kind, spec = kinds[number % len(kinds)]
        tasks.append(task_of(name, kind, spec))
    return items, tasks


def task_of(item_id: str, kind: ContentKind, spec: dict[str, object]) -> ContentTask:
    """One task."""
    wishes = dict(spec)
    task_id = ids.content_task_id(item_id=item_id, kind=kind, audience={}, locale=None, spec=wishes)
    gain = Gain(metric="clicks", value=1.0, interval=(0.0, 2.0))
    return ContentTask(task_id=task_id, kind=kind, item_id=item_id, expected_gain=gain, spec=wishes)  # type: ignore[arg-type]


def ask(kafka: Engine, items: list[Item], tasks: list[ContentTask]) -> None:
    """Puts items and tasks on their topics."""
    producer = Producer(kafka.connection.for_confluent() | {"partitioner": "murmur2_random"})
    for item in items:
        producer.produce(topics.ITEMS.name, codec.encode(item), item.item_id)
    for task in tasks:
        producer.produce(topics.CONTENT_TASKS.name, codec.encode(task), task.item_id)
    if producer.flush(30):
        raise RuntimeError("expected the broker to take the tasks, got silence")


def told(kafka: Engine) -> list[ContentAsset]:
    """All records of assets so far."""
    found = [codec.decode(ContentAsset, value_of(one), timestamp_ms=-1) for one in kafka.read(topics.CONTENT_ASSETS)]
    return [one for one in found if isinstance(one, ContentAsset)]


def work(kafka: Engine, one: Crew, tasks: list[ContentTask], roles: list[Role]) -> list[ContentAsset]:
    """Waits for a record of each task; kills a worker each time that another share of them is done."""
    chance = random.Random(1)
    at = [len(tasks) * (nth + 1) // (KILLS + 2) for nth in range(KILLS)]
    until_s, said_s = time.monotonic() + TIMEOUT_S, 0.0
    while True:
        records = told(kafka)
        done = len({record.task_id for record in records})
        if done >= len(tasks):
            return records
        if one.killed < KILLS and done >= at[one.killed]:
            time.sleep(chance.random())  # in mid-render, or in between
            one.kill(chance)
            say(f"  killed a worker, the {one.killed}. of {KILLS}, after {done} of {len(tasks)} tasks")
        for role in roles:
            role.check()
        if time.monotonic() - said_s > 15:
            said_s = time.monotonic()
            say(f"  {done} of {len(tasks)} tasks have a record")
        if time.monotonic() > until_s:
            raise RuntimeError(f"expected {len(tasks)} records within {TIMEOUT_S:.0f} s, got {done}")
        time.sleep(LOOK_S)


def wrong_in(folder: Path, tasks: list[ContentTask], records: list[ContentAsset]) -> list[str]:
    """What is not as promised."""
    wrong = [
        f"{count} records of {task_id}" for task_id, count in Counter(r.task_id for r in records).items() if count > 1
    ]
    wrong += [f"no record of {task.task_id}" for task in tasks if task.task_id not in {r.task_id for r in records}]
    hashes: list[str] = []
    for record in records:
        if record.asset is None:
            wrong += [] if record.error else [f"no reason of {record.task_id}"]
            continue
        path = Path(record.asset.uri.removeprefix("file://"))
        if not path.is_file() or sha256_of(path) != record.asset.sha256:
            wrong.append(f"another file than told at {path.name}")
        hashes.append(str(record.asset.sha256))
    wrong += [f"{count} tasks have the file {one}" for one, count in Counter(hashes).items() if count > 1]
    files = [path for path in (folder / "store").rglob("*") if path.is_file() and not {ASIDE, TRIES} & set(path.parts)]
    there = {path.stem for path in files}
    wrong += [f"a file that nobody tells of: {name}" for name in sorted(there - set(hashes))]
    return wrong


def main() -> None:
    """Learn a past, let the flow run, work and kill, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--events-per-s", type=int, default=200, help="interactions that want a fresh slate each")
    parser.add_argument("--niceness", type=int, default=10, help="of the studio's workers")
    parser.add_argument("--idle-s", type=float, default=60.0, help="before and after, without a studio")
    options = parser.parse_args()
    with_kernels("benchmarks.bench_studio")
    platform = Platform(items_count=1_000, users_count=500)
    with engine() as kafka:
        items, tasks = material(kafka.folder, options.tasks)
        studio: Tables = {"studio": {
            "store_dir": str(kafka.folder / "store"), "roots": [str(kafka.folder / "media")], "deadline_s": 300,
            "niceness": options.niceness,
        }}  # fmt: skip
        past = 5_000
        fill(kafka, platform, interactions=past, end_ms=time.time_ns() // 1_000_000)
        tables: Tables = {"trainer": {"evaluate_sample": 0.05}, "recommender": {"push_interval_ms": 0, "push_k": K}}
        with (
            kafka.role("trainer", tables) as trainer,
            kafka.role("recommender", tables) as recommender,
            kafka.tail(topics.SLATES) as consumer,
        ):
            kafka.wait_until_learned(trainer, past, timeout_s=1_200.0, say=say)
            wait_for_a_slate(kafka, consumer)
            flow = Flow(kafka=kafka, platform=platform, events_per_s=options.events_per_s)
            ranking = [trainer, recommender]
            threads = [
                threading.Thread(target=flow.take, args=(consumer,)),
                threading.Thread(target=flow.run, args=(TIMEOUT_S, ranking)),
            ]
            for thread in threads:
                thread.start()
            try:
                time.sleep(15.0)  # it settles
                marks = [time.monotonic()]
                say(f"idle for {options.idle_s:g} s at {options.events_per_s} events/s")
                time.sleep(options.idle_s)
                marks.append(time.monotonic())
                ask(kafka, items, tasks)
                with crew(kafka, studio) as one:
                    records = work(kafka, one, tasks, ranking)
                    killed = one.killed
                    marks.append(time.monotonic())
                    time.sleep(SETTLE_S)  # a record that came twice would come now
                    records = told(kafka)
                marks.append(time.monotonic())
                say(f"all tasks have a record; idle for {options.idle_s:g} s once more")
                time.sleep(options.idle_s)
                marks.append(time.monotonic())
                flow.is_enough.set()
                threads[1].join()
                flow.producer.flush(10)
                flow.is_over.wait(SETTLE_S)
            finally:
                flow.is_enough.set()
                flow.is_over.set()
                for thread in threads:
                    thread.join()
        wrong = wrong_in(kafka.folder, tasks, records)
    for line in wrong[:20]:
        say(f"  wrong: {line}")
    stretches = [pushed_ms(flow, marks[at], marks[at + 1]) for at in (0, 1, 3)]
    idle, loaded, again = (waited + [SETTLE_S * 1000] * missing for waited, missing in stretches)
    without, with_load = percentiles(idle + again), percentiles(loaded)
    states = Counter(record.status for record in records)
    report(
        Figure(
            name=f"tasks that came to one record, {WORKERS} workers, {killed} of them killed", unit="share",
            ours=1 - len(wrong) / len(tasks), goal="ours >= 1",
        ),
        Figure(
            name="interaction to slate while the studio works, p99, beside without it", ours=with_load["p99_ms"],
            limit=without["p99_ms"], unit="ms", goal="ratio <= 1.2",
        ),
        Figure(name="the same, p50", ours=with_load["p50_ms"], limit=without["p50_ms"], unit="ms"),
        Figure(name="tasks a minute", ours=60 * len(tasks) / (marks[2] - marks[1]), unit="tasks/min"),
        states=dict(states),
        wrong=wrong[:20],
        killed=killed,
        p99_ms_before_and_after=[percentiles(idle)["p99_ms"], percentiles(again)["p99_ms"]],
        without_slate=[missing for _, missing in stretches],
        events_per_s=options.events_per_s,
    )  # fmt: skip


if __name__ == "__main__":
    main()
