"""Time of one learning step as the catalogue grows: 10 thousand to 4 million item rows, in shuffled turns.

A step counts 256 events, remembers them and takes the tower steps; evaluation is off, since a full ranking is linear in
the catalogue by its nature. The same users with the same histories' lengths act in every size, so only the rows differ:
spread evenly over the catalogue, which finds no row in a cache, and by Zipf's law, as in real logs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.engine import clean_environment, say
from benchmarks.report import Figure, report

if TYPE_CHECKING:
    from models.recommend.learning import Columns
    from models.recommend.state import ModelConfig, State

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000, 4_000_000), (2_000, 20_000)
BATCH, USERS_COUNT = 256, 5_000
WARM_STEPS, STEPS, QUICK_STEPS = 40, 150, 10
GOAL = "ratio <= 1.15"
PATTERNS = ("even", "zipf")


def state_of(items_count: int, config: ModelConfig) -> State:
    """A state whose vocabulary holds so many items, none of them counted yet."""
    from models.recommend import state as states

    state = states.fresh(config)
    state.items.admit(f"item-{at}" for at in range(items_count))
    state.users.admit(f"user-{at}" for at in range(USERS_COUNT))
    states.fit_capacity(state, config)
    return state


def batch_of(pattern: str, items_count: int, generator: np.random.Generator, at_ms: int) -> Columns:
    """Events on rows spread evenly, or by popularity 1 / rank with the popular rows anywhere in the table."""
    from models.recommend.learning import Columns

    if pattern == "even":
        items = generator.integers(1, items_count + 1, BATCH)
    else:
        rank = np.minimum(items_count, np.exp(generator.random(BATCH) * np.log(items_count)).astype(np.int64))
        items = 1 + rank * 2_654_435_761 % items_count
    return Columns(
        generator.integers(1, USERS_COUNT + 1, BATCH).astype(np.int32),
        items.astype(np.int32),
        at_ms + np.arange(BATCH, dtype=np.int64),
        np.full(BATCH, np.nan, np.float32),
        np.full(BATCH, 2, np.uint8),
        np.zeros(BATCH, np.uint8),
        np.zeros(BATCH, np.int32),
        np.zeros(BATCH, np.uint8),
    )


def memory_mib() -> float:
    """Memory of this process, MiB; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(pattern: str, sizes: tuple[int, ...], steps: int) -> tuple[dict[int, float], dict[int, float]]:
    """Median milliseconds of a step by size, and the MiB that its state took."""
    import jax

    from models.recommend import learning
    from models.recommend.state import ModelConfig

    config = ModelConfig(evaluate_sample=0.0)
    held, memory, generators = {}, {}, {}
    for size in sizes:
        before = memory_mib()
        held[size] = state_of(size, config)
        generators[size] = np.random.default_rng(0)
        for step in range(WARM_STEPS):
            batch = batch_of(pattern, size, generators[size], 1_000 * step + 1)
            learning.learn(held[size], batch, config)
        jax.block_until_ready(held[size].towers)  # type: ignore[no-untyped-call]
        memory[size] = memory_mib() - before
        say(f"  {size:,} rows: {memory[size]:,.0f} MiB")
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    shuffled = np.random.default_rng(1)
    for step in range(steps):
        for size in shuffled.permutation(sizes).tolist():
            batch = batch_of(pattern, size, generators[size], 1_000 * (WARM_STEPS + step) + 1)
            started_s = time.perf_counter()
            learning.learn(held[size], batch, config)
            jax.block_until_ready(held[size].towers)  # type: ignore[no-untyped-call]
            taken[size].append((time.perf_counter() - started_s) * 1000)
    return {size: statistics.median(times) for size, times in taken.items()}, memory


def main() -> None:
    """Measure both patterns and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small sizes: to see that it runs")
    options = parser.parse_args()
    os.environ |= clean_environment()  # read when numba and jax are imported
    sizes, steps = (QUICK_SIZES, QUICK_STEPS) if options.quick else (SIZES, STEPS)
    figures, by_size, memory = [], {}, {}
    for pattern in PATTERNS:
        times_ms, memory[pattern] = measure(pattern, sizes, steps)
        by_size[pattern] = times_ms
        say(f"{pattern}: " + ", ".join(f"{size:,} rows {time_ms:.2f} ms" for size, time_ms in times_ms.items()))
        slowest, quickest = max(times_ms.values()), min(times_ms.values())
        name = f"step of {BATCH} events, {sizes[0]:,} to {sizes[-1]:,} rows, {pattern} access: slowest beside quickest"
        figures.append(Figure(name=name, ours=slowest, limit=quickest, unit="ms", goal=GOAL))
    report(*figures, step_ms=by_size, memory_mib=memory)


if __name__ == "__main__":
    main()
