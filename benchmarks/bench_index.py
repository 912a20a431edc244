"""Exact search at 10 k and 100 k items, against the bare jitted ``matmul + top_k`` (limit) and FAISS flat (peer)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import faiss
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from benchmarks.report import Figure, report
from index.exact import ExactIndex
from index.protocol import IndexConfig

D, K = 80, 150
ITEMS_COUNTS, BATCHES = (10_000, 100_000), (1, 8, 64)
MAIN_BATCH = 64
ROUNDS_COUNT = 60
GOAL = "ratio >= 0.9"


def medians_s(ways: Mapping[str, Callable[[], object]]) -> tuple[dict[str, float], dict[str, float]]:
    """Median time of each way, in shuffled turns after a warm-up, and the spread of its quartiles relative to it."""
    shuffled = np.random.default_rng(0)  # what ran before leaves the caches warm or cold
    for way in ways.values():
        way()
        way()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS_COUNT):
        for name in shuffled.permutation(list(ways)).tolist():
            way = ways[name]
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    middle = {name: statistics.median(times) for name, times in taken.items()}
    quartiles = {name: statistics.quantiles(times, n=4) for name, times in taken.items()}
    return middle, {name: (quartiles[name][2] - quartiles[name][0]) / middle[name] for name in taken}


def measure(items_count: int, batch: int) -> tuple[dict[str, float], dict[str, float]]:
    """Queries per second of each way, and the spread of each."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((items_count, D), dtype=np.float32)
    queries = generator.standard_normal((batch, D), dtype=np.float32)
    ours = ExactIndex(IndexConfig(dim=D))
    ours.upsert(np.arange(items_count), vectors)
    mask = generator.random(items_count) < 0.95
    flat = faiss.IndexFlatIP(D)
    flat.add(vectors)
    faiss.omp_set_num_threads(1)
    on_device = jnp.asarray(vectors)

    @jax.jit
    def top_k(table: jax.Array, asked: jax.Array) -> tuple[jax.Array, jax.Array]:
        best, rows = jax.lax.top_k(asked @ table.T, K)
        return rows, best

    def limit() -> npt.NDArray[np.int32]:
        rows, best = top_k(on_device, queries)
        np.asarray(best)
        return np.asarray(rows)

    agreement = np.mean(ours.search(queries, K).rows == limit())
    if agreement < 0.99:  # not 1.0: the last places may swap where two scores differ by a rounding
        raise RuntimeError(
            f"ours and the limit must find the same rows, got {agreement:.3f} of them equal; mend that first"
        )
    times_s, spreads = medians_s(
        {
            "ours": lambda: ours.search(queries, K),
            "ours, masked": lambda: ours.search(queries, K, mask=mask),
            "limit": limit,
            "faiss flat": lambda: flat.search(queries, K),
        }
    )
    return {name: batch / time_s for name, time_s in times_s.items()}, spreads


def main() -> None:
    """Measure every size, print each, and report those of full batches."""
    figures, spreads, all_rates = [], {}, {}
    for items_count in ITEMS_COUNTS:
        for batch in BATCHES:
            rates, spread = measure(items_count, batch)
            case = f"{items_count:,} items, batch {batch}"
            print(f"{case}: " + ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items()), flush=True)
            all_rates[case], spreads[case] = rates, spread
            name = f"exact search, {case}, D {D}, k {K}"
            if batch == MAIN_BATCH:
                figures.append(Figure(name=name, ours=rates["ours"], limit=rates["limit"], unit="queries/s", goal=GOAL))
                figures.append(
                    Figure(
                        name=f"{name}, beside FAISS flat",
                        ours=rates["ours"],
                        peer=rates["faiss flat"],
                        unit="queries/s",
                    )
                )
    report(*figures, rates=all_rates, spread=spreads)


if __name__ == "__main__":
    main()
