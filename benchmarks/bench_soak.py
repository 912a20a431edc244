"""Memory, files, threads and tasks while 5 M events are learned and served at full speed: none of them may grow.

Events by Zipf's law on a catalogue that grows to its full size in the first tenth, by users who all come in it too, so
that what the state has to hold is there after the warm-up; what still grows by itself (histories, sparse rows) has its
bound. Trainer and recommender run as ever on a real Kafka and are asked for a slate now and then. Growth is a straight
line through the samples after the warm-up (the first three tenths), from its beginning to its end.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.bench_restart import Sender
from benchmarks.engine import Engine, Role, engine, say
from benchmarks.large import Size, item_of, ranks_of
from benchmarks.report import Figure, report
from streams.contract import codec, topics
from streams.contract.events import Interaction, Metric, Request

EVENTS, QUICK_EVENTS = 5_000_000, 60_000
ITEMS, USERS = 20_000, 20_000
HISTORY_MOST, SUCCESSORS = 1024, 64
AHEAD = 40_000
"""Events written ahead of what the trainer has learned: what is learned at full speed has no more in memory."""
SAMPLES, WARM_SHARE = 200, 0.3
GOAL = "ratio <= 1.05"
K = 20
SAMPLE = 0.05


class Log:
    """The events, in blocks, from one seed."""

    def __init__(self, size: Size, count: int) -> None:
        self._size, self._count, self._generator, self._number = size, count, np.random.default_rng(7), 0
        self._place = self._generator.permutation(size.items)

    def block(self, count: int) -> list[Interaction]:
        """The next ones."""
        first, self._number = self._number, self._number + count
        reach = np.minimum(1.0, 0.01 + 10.0 * np.arange(first, first + count) / self._count)
        users = (self._generator.random(count) * self._size.users * reach).astype(np.int64).tolist()
        ranks = ranks_of(count, self._size.items, self._generator)
        items = self._place[(ranks * reach).astype(np.int64)].tolist()
        return [
            Interaction(
                event_id=f"event-{first + at}", user_id=f"user-{user}", item_id=f"item-{item}", action="play",
                occurred_at_ms=self._size.end_ms + (first + at) * self._size.every_ms,
            )
            for at, (user, item) in enumerate(zip(users, items, strict=True))
        ]  # fmt: skip


def figures_of(role: Role) -> dict[str, float]:
    """Resident memory, MiB, CPU, open files and threads of a process."""
    return {
        "rss_mib": role.rss_mib(),
        "cpu_s": role.cpu_s(),
        "files": role.files_count(),
        "threads": role.threads_count(),
    }


def soak(kafka: Engine, size: Size, count: int, roles: dict[str, Role]) -> list[dict[str, Any]]:
    """Write all events, no faster than they are learned, and look at the processes in between."""
    sender, log = Sender(kafka), Log(size, count)
    for at in range(size.items):
        item = item_of(size, at)
        sender.send(topics.ITEMS, item.item_id, codec.encode(item), size.end_ms)
    sender.settle()
    samples: list[dict[str, Any]] = []
    sent, learned, started_s = 0, 0, time.monotonic()
    with kafka.tail(topics.METRICS) as metrics:
        while learned < count:
            if sent < min(count, learned + AHEAD):
                block = log.block(min(2_000, count - sent))
                for event in block:
                    sender.send(topics.INTERACTIONS, event.user_id, codec.encode(event), event.occurred_at_ms)
                sent += len(block)
            if sent < min(count, learned + AHEAD):
                continue
            for message in metrics.consume(1_000, timeout=0.2):
                metric = codec.decode(Metric, message.value() or b"", timestamp_ms=-1)
                if isinstance(metric, Metric) and metric.series == "trainer":
                    learned = int(metric.values["learned"])
            if learned >= len(samples) * count / SAMPLES:
                ask(sender, size, len(samples))
                samples.append(
                    {"learned": learned, "at_s": time.monotonic() - started_s}
                    | {name: figures_of(role) for name, role in roles.items()}
                )
                if len(samples) % (SAMPLES // 10) == 0:
                    say(f"  {learned:,} learned, {learned / samples[-1]['at_s']:,.0f} a second: {samples[-1]}")
            for role in roles.values():
                role.check()
    return samples


def ask(sender: Sender, size: Size, number: int) -> None:
    """A few slates."""
    for at in range(10):
        request = Request(request_id=f"soak-{number}-{at}", user_id=f"user-{(number * 10 + at) % size.users}", k=K)
        sender.send(topics.REQUESTS, request.user_id, codec.encode(request), size.end_ms)
    sender.settle()


def growth(samples: list[dict[str, Any]], role: str, figure: str) -> tuple[float, float]:
    """Values at the beginning and at the end of a straight line through the samples after the warm-up."""
    last = samples[-1]["learned"]
    kept = [one for one in samples if one["learned"] >= WARM_SHARE * last]
    learned, values = [one["learned"] for one in kept], [one[role][figure] for one in kept]
    slope, level = np.polyfit(learned, values, 1)
    return float(level + slope * learned[0]), float(level + slope * learned[-1])


def main() -> None:
    """Soak and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS:,} events: to see that it runs")
    options = parser.parse_args()
    count = QUICK_EVENTS if options.quick else options.events
    size = Size(items=ITEMS, users=USERS)
    model: dict[str, object] = {"history_most": HISTORY_MOST, "successors": SUCCESSORS}
    with engine() as kafka:
        trainer = kafka.role("trainer", {"trainer": {"evaluate_sample": SAMPLE}, "model": model})
        recommender = kafka.role("recommender", {"recommender": {"push_slates": True}, "model": model})
        with trainer as one, recommender as other:
            samples = soak(kafka, size, count, {"trainer": one, "recommender": other})
    figures = []
    for name in ("trainer", "recommender"):
        first, last = growth(samples, name, "rss_mib")
        figures.append(
            Figure(
                name=f"resident memory of the {name}, end beside warm", ours=last, limit=first, unit="MiB", goal=GOAL
            )
        )
        for figure in ("files", "threads"):
            first, last = growth(samples, name, figure)
            figures.append(
                Figure(name=f"{figure} of the {name}, end beside warm", ours=last, limit=first, unit=figure, goal=GOAL)
            )
    rate = count / samples[-1]["at_s"]
    every = max(1, len(samples) // 20)
    report(*figures, events=count, events_per_s=rate, items=size.items, users=size.users, samples=samples[::every])


if __name__ == "__main__":
    main()
