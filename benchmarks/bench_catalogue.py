"""Streaming events per second as the catalogue grows: 3.7 thousand, 100 thousand and a million items, by Zipf's law.

Events go through the trainer's core, 5 % of them ranked before they are learned: the small catalogue whole, the large
ones among candidates. Vocabulary, sightings and histories are put there at their size; successors and company come from
the events of the warm-up. Each size has a process of its own, so that its memory can be told, and they are timed in
turns. Batches that put the whole catalogue in order once in a while are in the mean, and missing in the median.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from benchmarks.engine import clean_environment, say
from benchmarks.report import Figure, report

if TYPE_CHECKING:
    from streams.contract.events import Interaction
    from streams.cores.learn import Learner

SIZES, QUICK_SIZES = (3_700, 100_000, 1_000_000), (1_000, 60_000)
GOALS = {3_700: "ours >= 10000", 1_000_000: "ours >= 5000"}
GROWTH_GOAL = "ratio <= 1.3"
BATCH, SAMPLE, USERS_COUNT, HISTORY = 512, 0.05, 5_000, 40
WARM_BATCHES, ROUNDS, BATCHES_A_ROUND = 80, 24, 5
EVERY_MS, CLOCK = 10, 10_000_000
NOW_MS = 1_700_000_000_000
AT_ONCE = 65_536


def ranks_of(count: int, items: int, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places in the order of popularity, 0 the most popular, each as likely as 1 / (place + 1)."""
    raw: np.ndarray[Any, np.dtype[np.int64]] = np.exp(generator.random(count) * np.log(items)).astype(np.int64)
    places: np.ndarray[Any, np.dtype[np.int64]] = np.minimum(raw, items) - 1
    return places


class Platform:
    """A learner that has seen much of a catalogue of so many items, and the events that come next."""

    def __init__(self, items: int) -> None:
        from models.recommend.state import ModelConfig, fit_capacity
        from streams.cores.learn import Learner

        self.generator, self.items, self.number = np.random.default_rng(0), items, 0
        self.learner = Learner(ModelConfig(evaluate_sample=SAMPLE))
        state = self.learner.state
        state.items.admit(f"item-{at}" for at in range(items))
        state.users.admit(f"user-{at}" for at in range(USERS_COUNT))
        fit_capacity(state, self.learner.config)
        self.place = 1 + self.generator.permutation(items)  # popular rows lie anywhere in the table
        self._describe()
        self._count()
        self._remember()

    def _describe(self) -> None:
        from models.recommend import step

        state = self.learner.state
        for first in range(1, self.items + 1, AT_ONCE):
            rows = np.arange(first, first + AT_ONCE, dtype=np.int32)
            rows[rows > self.items] += 2**29  # dropped
            content = self.generator.standard_normal((AT_ONCE, self.learner.config.towers.content_dim), np.float32)
            content /= np.linalg.norm(content, axis=1, keepdims=True)
            state.towers = state.towers._replace(tables=step.put_content(state.towers.tables, rows, content))

    def _count(self) -> None:
        """Sightings and decayed counts as they would be after very many events."""
        from models.recommend.sources import HALF_LIVES_EVENTS, HALF_LIVES_MS

        counts, generator = self.learner.state.counts, self.generator
        share = 1.0 / np.arange(1, self.items + 1) / (np.log(self.items) + 0.5772)
        counts.clock[0] = CLOCK
        counts.seen[self.place] = np.maximum(1.0, CLOCK * share)
        idle = np.minimum(generator.exponential(1.0 / share), CLOCK - 1).astype(np.int64)
        counts.last_event[self.place] = CLOCK - 1 - idle
        counts.last_ms[self.place] = NOW_MS - idle * EVERY_MS
        counts.first_ms[self.place] = NOW_MS - CLOCK * EVERY_MS
        halves = [*HALF_LIVES_EVENTS, *(half_ms / EVERY_MS for half_ms in HALF_LIVES_MS)]
        for at, half in enumerate(halves):
            counts.decayed[at, self.place] = 1.0 + np.minimum(share * half / np.log(2.0), CLOCK * share)

    def _remember(self) -> None:
        """A history of `HISTORY` events for each user."""
        from models.recommend import pools
        from models.recommend.windows import append_all

        state, count = self.learner.state, USERS_COUNT * HISTORY
        users = np.tile(np.arange(1, USERS_COUNT + 1, dtype=np.int32), HISTORY)
        items = self.place[ranks_of(count, self.items, self.generator)].astype(np.int32)
        state.histories = pools.reserve_appends(state.histories, users)
        times = NOW_MS - (count - np.arange(count, dtype=np.int64)) * EVERY_MS
        values, actions = np.full(count, np.nan, np.float32), np.full(count, 2, np.uint8)
        most, pos = self.learner.config.history_most, np.zeros(count, np.int32)
        append_all(state.histories, users, items, values, times, actions, most, pos)

    def batch(self) -> list[Interaction]:
        """The next events."""
        from streams.contract.events import Interaction

        users = self.generator.integers(0, USERS_COUNT, BATCH).tolist()
        items = (self.place[ranks_of(BATCH, self.items, self.generator)] - 1).tolist()
        first, self.number = self.number, self.number + BATCH
        return [
            Interaction(
                event_id=f"event-{first + at}", user_id=f"user-{user}", item_id=f"item-{item}", action="play",
                occurred_at_ms=NOW_MS + (first + at) * EVERY_MS,
            )
            for at, (user, item) in enumerate(zip(users, items, strict=True))
        ]  # fmt: skip


def work(items: int, commands: IO[str]) -> None:
    """Warm up, then time as many batches as each line says; prints a JSON object for each line."""
    platform = Platform(items)
    for _ in range(WARM_BATCHES):
        platform.learner.learn(platform.batch())
    print(json.dumps({"warm": len(platform.learner.state.items)}), flush=True)
    for line in commands:
        batches = [platform.batch() for _ in range(int(line))]
        wait_for(platform.learner)
        taken_ms, cpu_s = [], time.process_time()
        for batch in batches:
            started_s = time.perf_counter()
            platform.learner.learn(batch)
            taken_ms.append((time.perf_counter() - started_s) * 1000)
        started_s = time.perf_counter()
        wait_for(platform.learner)
        taken_ms[-1] += (time.perf_counter() - started_s) * 1000
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        cpu_ms = (time.process_time() - cpu_s) * 1000 / len(batches)
        print(json.dumps({"taken_ms": taken_ms, "cpu_ms": cpu_ms, "peak_mib": peak_mib}), flush=True)


def wait_for(learner: Learner) -> None:
    """Until the towers have taken their steps."""
    import jax

    jax.block_until_ready(learner.state.towers)  # type: ignore[no-untyped-call]


def measure(sizes: tuple[int, ...], rounds: int) -> dict[int, dict[str, Any]]:
    """Times of batches and peak memory by size."""
    processes = {}
    for size in sizes:
        processes[size] = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bench_catalogue", "--work", str(size)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment(),
        )  # fmt: skip
        answer(processes[size])
        say(f"  {size:,} items: warm")
    found: dict[int, dict[str, Any]] = {size: {"taken_ms": [], "cpu_ms": []} for size in sizes}
    shuffled = np.random.default_rng(1)
    for _ in range(rounds):
        for size in shuffled.permutation(sizes).tolist():
            stdin = processes[size].stdin
            assert stdin is not None  # PIPE above
            stdin.write(f"{BATCHES_A_ROUND}\n")
            stdin.flush()
            told = answer(processes[size])
            found[size]["taken_ms"] += told["taken_ms"]
            found[size]["cpu_ms"].append(told["cpu_ms"])
            found[size]["peak_mib"] = told["peak_mib"]
    for process in processes.values():
        process.communicate()
    return found


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of a worker.

    Raises:
      RuntimeError: it ended; what it had to say is above.
    """
    assert process.stdout is not None  # PIPE
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"expected a line of a worker, it ended with status {process.wait()}; its words are above")
    found: dict[str, Any] = json.loads(line)
    return found


def main() -> None:
    """Measure all sizes and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small sizes: to see that it runs")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, sys.stdin)
        return
    sizes, rounds = (QUICK_SIZES, 2) if options.quick else (SIZES, ROUNDS)
    found = measure(sizes, rounds)
    figures, batch_ms = [], {}
    for size, told in found.items():
        mean_ms, middle_ms = statistics.fmean(told["taken_ms"]), statistics.median(told["taken_ms"])
        batch_ms[size] = {
            "mean": mean_ms,
            "median": middle_ms,
            "greatest": max(told["taken_ms"]),
            "cpu median": statistics.median(told["cpu_ms"]),
        }
        say(
            f"{size:,} items: {BATCH * 1000 / mean_ms:,.0f} events/s, batch {middle_ms:.1f} ms (median), "
            f"{batch_ms[size]['cpu median']:.1f} ms of CPU, peak {told['peak_mib']:,.0f} MiB"
        )
        name = f"streaming, {size:,} items, {SAMPLE:.0%} evaluated"
        figures.append(Figure(name=name, ours=BATCH * 1000 / mean_ms, unit="events/s", goal=GOALS.get(size)))
    large, small = sizes[-1], sizes[-2]
    growth = Figure(
        name=f"batch of {BATCH} events, {large:,} items beside {small:,}: median",
        ours=batch_ms[large]["median"], limit=batch_ms[small]["median"], unit="ms",
        goal=None if options.quick else GROWTH_GOAL,
    )  # fmt: skip
    report(*figures, growth, batch_ms=batch_ms, peak_mib={size: told["peak_mib"] for size, told in found.items()})


if __name__ == "__main__":
    main()
