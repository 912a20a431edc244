"""How long learning stands still for a snapshot: 1 M items and 1 M users, against an ordinary step of a full batch.

The trainer's own learner takes batches of 512 events, 5 % of them ranked. Before one batch in so many a twin of the
process is made, as the trainer does on its learning thread, and writes the state while learning goes on; with `--copy`
the state is copied instead. The stall is the longest time from one learned step to the next with a snapshot before it,
less the median of the steps without one. Steps while one is written copy pages late, and share the cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.engine import say, with_kernels
from benchmarks.large import Size, large_state, ranks_of
from benchmarks.report import Figure, report
from models.recommend.state import Arrays, ModelConfig, at_rest, to_arrays
from streams.contract.events import Interaction
from streams.cores.learn import Learner
from streams.durability import snapshots
from streams.durability.twin import Twin

BATCH, SAMPLE = 512, 0.05
WARM, ORDINARY, SNAPSHOTS = 20, 60, 5


class Events:
    """Batches of new events on a platform of this size, from one seed."""

    def __init__(self, size: Size) -> None:
        self._size, self._generator, self._number = size, np.random.default_rng(3), 0

    def batch(self) -> list[Interaction]:
        """The next events."""
        users = self._generator.integers(0, self._size.users, BATCH).tolist()
        items = ranks_of(BATCH, self._size.items, self._generator).tolist()
        first, self._number = self._number, self._number + BATCH
        return [
            Interaction(
                event_id=f"new-{first + at}", user_id=f"user-{user}", item_id=f"item-{item}", action="play",
                occurred_at_ms=self._size.end_ms + (first + at) * self._size.every_ms,
            )
            for at, (user, item) in enumerate(zip(users, items, strict=True))
        ]  # fmt: skip


def timed(learner: Learner, batch: list[Interaction], before: Callable[[], Any] = lambda: None) -> tuple[float, float]:
    """Milliseconds from the end of one step to the end of the next, on the wall and of this thread's processor time."""
    jax.block_until_ready(learner.state.towers)  # type: ignore[no-untyped-call]
    started_s, cpu_s = time.perf_counter(), time.thread_time()
    before()
    learner.learn(batch)
    jax.block_until_ready(learner.state.towers)  # type: ignore[no-untyped-call]
    return (time.perf_counter() - started_s) * 1000, (time.thread_time() - cpu_s) * 1000


def kept(learner: Learner, *, copies: bool) -> Twin | Arrays:
    """The state as it is now, as the trainer keeps it."""
    towers = None if copies else at_rest(learner.state)
    return to_arrays(learner.state) if towers is None else Twin(lambda: to_arrays(learner.state, towers))


def measure(learner: Learner, events: Events, folder: Path, *, copies: bool) -> dict[str, Any]:
    """Times of ordinary steps, of those with a snapshot before them, and of those while one is written."""
    for _ in range(WARM):
        learner.learn(events.batch())
    ordinary = [timed(learner, events.batch()) for _ in range(ORDINARY)]
    copied: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    with ThreadPoolExecutor(1) as disk:
        for number in range(SNAPSHOTS):
            made: list[Twin | Arrays] = []
            copied.append(timed(learner, events.batch(), lambda made=made: made.append(kept(learner, copies=copies))))  # type: ignore[misc]
            say(f"  snapshot {number + 1}: {copied[-1][0]:,.0f} ms, {copied[-1][1]:,.0f} ms of CPU")
            writing: Future[Any] = disk.submit(
                snapshots.save, folder, learner.state.step, made.pop(), offsets={}, meta={}, keep=1
            )
            while not writing.done():
                beside.append(timed(learner, events.batch()))
            writing.result()
    return {"ordinary": ordinary, "copied": copied, "beside": beside}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60,000 of each: to see that it runs")
    parser.add_argument("--copy", action="store_true", help="copy the state, as without `fork_snapshots`")
    options = parser.parse_args()
    with_kernels("benchmarks.bench_stall")
    size = Size(items=60_000, users=60_000) if options.quick else Size(items=1_000_000, users=1_000_000)
    config = ModelConfig(evaluate_sample=SAMPLE)
    state = large_state(size, config)
    say(f"{size.items:,} items and {size.users:,} users are there")
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as folder:
        found = measure(Learner(config, first=state), Events(size), Path(folder), copies=options.copy)
    step_ms = statistics.median(wall for wall, _ in found["ordinary"])
    longest_ms = max(wall for wall, _ in found["copied"])
    say(f"a step {step_ms:.1f} ms, longest with a snapshot {longest_ms:,.0f} ms")
    report(
        Figure(
            name=f"stall for a snapshot, {size.items:,} items and {size.users:,} users, beside a step", unit="ms",
            ours=longest_ms - step_ms, limit=step_ms, goal="ratio <= 1",
        ),
        Figure(
            name="a step while a snapshot is written, median", unit="ms",
            ours=statistics.median(wall for wall, _ in found["beside"]), limit=step_ms,
        ),
        step_spread_ms=[min(wall for wall, _ in found["ordinary"]), max(wall for wall, _ in found["ordinary"])],
        kept_ms=[wall for wall, _ in found["copied"]], kept_cpu_ms=[cpu for _, cpu in found["copied"]],
        longest_beside_ms=max(wall for wall, _ in found["beside"]), is_copied=options.copy,
        step_cpu_ms=statistics.median(cpu for _, cpu in found["ordinary"]), steps_beside=len(found["beside"]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
