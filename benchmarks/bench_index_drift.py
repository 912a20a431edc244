"""Recall of the live index while a million vectors drift away from the lists that they were filed in (budget: 0.99).

Items look like those that serving searches: decayed popularity with a long tail, a tower vector near a theme, a bias.
Each round moves every vector and the users' tastes with it, and rewrites all items in flushes; the index maintains
itself between flushes, as it would beside a stream. Recall is judged on fresh queries, never on those the index knows.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import numpy.typing as npt

from benchmarks.report import Figure, report
from index.live import LiveConfig, LiveIndex
from index.protocol import IndexConfig
from index.recall import measured_recall
from index.table import VectorTable

POPULARITIES, TOWER, THEMES_COUNT = 8, 64, 2000
DIM = POPULARITIES + TOWER + 1
K, BATCH, FLUSHES_COUNT = 100, 64, 20
TASTE_LENGTH = 8.0  # how much the tower's score weighs beside popularity
DRIFT = 0.15  # length of a round's common movement, as a share of a tower vector's


class World:
    """Items and users that move together."""

    def __init__(self, items_count: int) -> None:
        self.generator = np.random.default_rng(0)
        self.themes = self._unit(self.generator.standard_normal((THEMES_COUNT, TOWER)))
        self.theme_of = self.generator.integers(0, THEMES_COUNT, items_count)
        counts = self.generator.zipf(1.3, (items_count, 1)).clip(max=10**6)
        self.popularity = np.log1p(counts * self.generator.random((items_count, POPULARITIES)))
        self.own = 0.6 * self._unit(self.generator.standard_normal((items_count, TOWER)))

    def drift(self) -> None:
        """Move every theme, and so every item and taste."""
        self.themes = self._unit(self.themes + DRIFT * self._unit(self.generator.standard_normal(self.themes.shape)))

    def vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """float32 [M, D] of some items, now."""
        tower = self._unit(self.themes[self.theme_of[rows]] + self.own[rows])
        return np.concatenate([self.popularity[rows], tower, np.ones((len(rows), 1))], axis=1).astype(np.float32)

    def queries(self, count: int) -> npt.NDArray[np.float32]:
        """float32 [count, D] of some users, now."""
        taste = self.themes[self.generator.integers(0, THEMES_COUNT, count)]
        taste = TASTE_LENGTH * self._unit(taste + 0.6 * self._unit(self.generator.standard_normal(taste.shape)))
        weights = 0.2 * self.generator.random((count, POPULARITIES))
        return np.concatenate([weights, taste, np.ones((count, 1))], axis=1).astype(np.float32)

    @staticmethod
    def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        lengths: npt.NDArray[np.float64] = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / lengths


def main() -> None:
    """Drift, maintain, and report the lowest recall and what searching cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2, help="times that every vector moves")
    options = parser.parse_args()

    world, rows = World(options.items), np.arange(options.items)
    index = LiveIndex(LiveConfig(index=IndexConfig(dim=DIM), recall_k=K))
    judge = VectorTable(IndexConfig(dim=DIM))
    for target in (index, judge):
        target.upsert(rows, world.vectors(rows))
    exact_s = []
    for _ in range(5):
        started = time.perf_counter()
        index.search(world.queries(BATCH), K)
        exact_s.append(time.perf_counter() - started)
    recalls, search_s, upkeep = [], [], []

    def maintain() -> None:
        while True:
            started = time.perf_counter()
            plan = index.maintain()
            if plan.action == "upsert":
                return
            upkeep.append((plan.action, round(time.perf_counter() - started, 1)))
            print(f"  {plan.action} in {upkeep[-1][1]} s: {plan.reason}", flush=True)

    def judged() -> None:
        recalls.append(measured_recall(index, judge, world.queries(BATCH), K))
        for _ in range(10):
            queries = world.queries(BATCH)
            started = time.perf_counter()
            index.search(queries, K)
            search_s.append(time.perf_counter() - started)

    maintain()
    judged()
    for number in range(1, options.rounds + 1):
        world.drift()
        order = world.generator.permutation(options.items)
        for flush in np.array_split(order, FLUSHES_COUNT):
            vectors = world.vectors(flush)
            index.upsert(flush, vectors)
            judge.upsert(flush, vectors)
            judged()
            maintain()
        print(
            f"round {number}: lowest recall so far {min(recalls):.4f}, probes {index.health().probes_count}", flush=True
        )
    name = f"recall@{K} while drifting, lowest, {options.items:,} items"
    rate, exact_rate = (BATCH / statistics.median(times) for times in (search_s, exact_s))
    report(
        Figure(name=name, ours=min(recalls), unit="share", goal="ours >= 0.99"),
        Figure(name="search while drifting, beside exact search", ours=rate, peer=exact_rate, unit="queries/s"),
        recall_median=statistics.median(recalls),
        search_p99_ms=1e3 * float(np.quantile(search_s, 0.99)),
        upkeep_s=upkeep,
    )


if __name__ == "__main__":
    main()
