"""From the start of a process to the first slate, and to the first learned batch: 1 M items, 1 M users, a real Kafka.

A snapshot of that size is made (`large.py`), with the topics that belong to it: every item's record and state, and some
thousand interactions behind the snapshot. A request waits on its topic; then a recommender is started and killed
several times, and after it a trainer. The first start finds no compiled programs and no copy of the catalogue.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer

from benchmarks.engine import Engine, Tables, engine, say, value_of, with_kernels
from benchmarks.large import Size, item_of, large_state, ranks_of
from benchmarks.report import Figure, report
from models.recommend.state import State, to_arrays
from streams.contract import codec, topics
from streams.contract.events import Interaction, Request, Slate
from streams.contract.topics import TopicSpec
from streams.cores.announce import TOWER_KEY, Announcer, item_vectors
from streams.cores.item_states import states_of
from streams.durability import snapshots
from streams.roles.model_config import fingerprint_of, model_config_of
from streams.settings import Settings
from streams.text.choice import META

GOAL_S = 10
TAIL, STARTS, TIMEOUT_S = 5_000, 4, 900.0
STATES_AT_ONCE = 10_000
SAMPLE = 0.05
K = 20
PROGRAM = "benchmarks.telling_start"


class Sender:
    """Puts records into a topic; partitions as Java chooses them."""

    def __init__(self, kafka: Engine) -> None:
        self._producer = Producer(
            kafka.connection.for_confluent()
            | {"partitioner": "murmur2_random", "linger.ms": 20, "queue.buffering.max.messages": 400_000}
        )

    def send(self, spec: TopicSpec, key: str, value: bytes, at_ms: int) -> None:
        """Hand a record over."""
        while True:
            try:
                self._producer.produce(spec.name, value, key.encode(), timestamp=at_ms)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def settle(self) -> None:
        """Return once all are there.

        Raises:
          RuntimeError: some are not.
        """
        if left := self._producer.flush(TIMEOUT_S):
            raise RuntimeError(f"expected every record to be acknowledged, got {left} that were not")


def prepare(kafka: Engine, size: Size) -> dict[str, Any]:
    """The topics and the snapshot."""
    settings = Settings.from_env({"MARQUEE_TRAINER_EVALUATE_SAMPLE": str(SAMPLE)})
    config = model_config_of(settings)
    sender = Sender(kafka)
    for at in range(size.items):
        item = item_of(size, at)
        sender.send(topics.ITEMS, item.item_id, codec.encode(item), size.end_ms)
    sender.settle()
    state = large_state(size, config)
    say(f"  {size.items:,} items and {size.users:,} users are there")
    fingerprint = fingerprint_of(config)
    _announce(sender, state, config, fingerprint, size)
    arrays = to_arrays(state)
    ends = _ends(kafka, topics.ITEMS)
    told = _ends(kafka, topics.ITEM_STATES)
    clocks = dict.fromkeys([*ends, *_places(topics.INTERACTIONS), *_places(topics.USERS)], size.end_ms)
    meta = {"clocks": clocks, "fingerprint": fingerprint, META: "hashed", "ledger": [0, ""], "told": told}
    offsets = ends | dict.fromkeys([*_places(topics.INTERACTIONS), *_places(topics.USERS)], 0)
    snapshots.save(kafka.folder / "snapshots", state.step, arrays, offsets=offsets, meta=meta)
    size_bytes = sum(array.nbytes for array in arrays.values())
    say(f"  snapshot of {size_bytes / 1e9:.1f} GB, {sum(told.values()):,} item states")
    _tail(sender, size)
    return {"snapshot_bytes": size_bytes, "item_states": sum(told.values()), "tail": TAIL}


def _announce(sender: Sender, state: State, config: Any, fingerprint: str, size: Size) -> None:
    for first in range(1, size.items + 1, STATES_AT_ONCE):
        rows = np.arange(first, min(first + STATES_AT_ONCE, size.items + 1), dtype=np.int32)
        for one in states_of(state, rows, item_vectors(state, rows, config), state.learned_events):
            sender.send(topics.ITEM_STATES, one.item_id, codec.encode(one), size.end_ms)
    weights = Announcer(config, fingerprint=fingerprint).announce(state, [], most=1).weights
    sender.send(topics.MODEL_WEIGHTS, TOWER_KEY, codec.encode(weights), size.end_ms)
    sender.settle()
    state.counts.changed[:] = False


def _tail(sender: Sender, size: Size) -> None:
    generator = np.random.default_rng(5)
    users, items = generator.integers(0, size.users, TAIL), ranks_of(TAIL, size.items, generator)
    for at, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        event = Interaction(
            event_id=f"tail-{at}", user_id=f"user-{user}", item_id=f"item-{item}", action="play",
            occurred_at_ms=size.end_ms + at * size.every_ms,
        )  # fmt: skip
        sender.send(topics.INTERACTIONS, event.user_id, codec.encode(event), event.occurred_at_ms)
    sender.settle()


def _places(spec: TopicSpec) -> list[str]:
    return [f"{spec.name}/{partition}" for partition in range(spec.partitions)]


def _ends(kafka: Engine, spec: TopicSpec) -> dict[str, int]:
    return {f"{spec.name}/{partition}": end for partition, end in kafka.ends_of(spec).items()}


def first_slate(kafka: Engine, size: Size, number: int) -> dict[str, Any]:
    """One start of a recommender with a request that waits: seconds, CPU, memory, and what its own line says."""
    sender = Sender(kafka)
    request = Request(request_id=f"restart-{number}", user_id=f"user-{number}", k=K)
    words = kafka.folder / f"recommender-{number}.log"
    with kafka.tail(topics.SLATES) as consumer:
        consumer.poll(1.0)
        sender.send(topics.REQUESTS, request.user_id, codec.encode(request), size.end_ms)
        sender.settle()
        started_s = time.perf_counter()
        settings: Tables = {"recommender": {"push_slates": False}, **tables(kafka)}
        with kafka.role("recommender", settings, program=PROGRAM, words=words) as role:
            while True:
                message = consumer.poll(0.05)
                if message is not None and message.error() is None:
                    slate = codec.decode(Slate, value_of(message), timestamp_ms=-1)
                    if isinstance(slate, Slate) and slate.request_id == request.request_id:
                        break
                role.check()
                if time.perf_counter() - started_s > TIMEOUT_S:
                    raise RuntimeError(f"expected a slate within {TIMEOUT_S:.0f} s; see {words}")
            taken = {"seconds": time.perf_counter() - started_s, "cpu_s": role.cpu_s(), "rss_mib": role.rss_mib()}
            if len(slate.items) != K:
                raise RuntimeError(f"expected {K} items, got {len(slate.items)}")
            wait_for_copy(kafka, role)
            role.process.kill()
    return taken | {"parts": parts_of(words)}


def wait_for_copy(kafka: Engine, role: Any) -> None:
    """Until the recommender has written its copy of the catalogue, as it does some seconds after its start."""
    deadline_s = time.monotonic() + 120
    while not list((kafka.folder / "cache").glob("catalogue/*/snapshot-*")) and time.monotonic() < deadline_s:
        role.check()
        time.sleep(0.2)


def first_batch(kafka: Engine, size: Size) -> dict[str, Any]:
    """One start of a trainer: seconds until it has told what it learned first.

    What an earlier start had learned and not kept is in the ledger: it is learned again, and then what is new.
    """
    words = kafka.folder / "trainer.log"
    started_s = time.perf_counter()
    wishes = {"evaluate_sample": SAMPLE}
    with kafka.role("trainer", {"trainer": wishes, **tables(kafka)}, words=words) as role:
        learned = kafka.wait_until_learned(role, size.events + 1, timeout_s=TIMEOUT_S)
        taken = {"seconds": time.perf_counter() - started_s, "learned": learned - size.events}
        taken |= {"cpu_s": role.cpu_s(), "rss_mib": role.rss_mib()}
        role.process.kill()
    return taken


def tables(kafka: Engine) -> dict[str, dict[str, object]]:
    """Settings of both roles: caches of their own, so that the first start is a first one."""
    return {"": {"cache_dir": str(kafka.folder / "cache")}}


def parts_of(words: Path) -> dict[str, float]:
    """Seconds of each part of a start, from the line that the recommender says."""
    found = re.search(r"ready after [\d.]+ s: (.*)", words.read_text(encoding="utf-8"))
    if found is None:
        return {}
    return {name: float(value) for name, value in re.findall(r"([a-z][a-z ]*) ([\d.]+)", found[1])}


def main() -> None:
    """Prepare, restart, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 of each: to see that it runs")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    options = parser.parse_args()
    with_kernels("benchmarks.bench_restart")
    size = Size(items=20_000, users=20_000) if options.quick else Size(items=options.items, users=options.users)
    with engine() as kafka:
        facts = prepare(kafka, size)
        starts = []
        for number in range(STARTS):
            starts.append(first_slate(kafka, size, number))
            say(f"recommender, start {number + 1}: {json.dumps(starts[-1])}")
        batches = []
        for number in range(2):
            batches.append(first_batch(kafka, size))
            say(f"trainer, start {number + 1}: {json.dumps(batches[-1])}")
    again = starts[1:]
    report(
        Figure(
            name=f"restart to first slate, {size.items:,} items and {size.users:,} users", unit="s",
            ours=statistics.median(start["seconds"] for start in again), goal=f"ours <= {GOAL_S}",
        ),
        Figure(name="the first start on a machine: nothing compiled, no copy of the catalogue", unit="s",
               ours=starts[0]["seconds"]),
        Figure(name="restart of the trainer to its first learned batch", ours=batches[-1]["seconds"], unit="s"),
        starts=starts, trainer=batches, **facts,
    )  # fmt: skip


if __name__ == "__main__":
    main()
