"""How well the planner finds unmet demand whose truth is known, and how fast it reads.

For each seed a world of `benchmarks.demand` runs for so many events; halfway a studio makes some of the tasks, and the
planner learns from what they change. At the end the tasks that stand are compared with what each asset would really
earn: their order, and beside it the best cells that there are, most of which have too little evidence yet; the share of
90 % intervals that hold the truth; and how many tasks were ever told for cells where nothing is missing. Seeds are
fresh with every run unless named.
"""

from __future__ import annotations

import argparse
import math
import secrets
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.demand import World, cell_of
from benchmarks.report import Figure, report
from streams.contract.events import ContentTask
from streams.cores.plan import Entry, PlanConfig, Planner

EVENTS: Final = 50_000
MADE: Final = 15
"""Tasks that the studio makes halfway."""
AT: Final = 20
BATCH: Final = 1_000


def main() -> None:
    """Run all seeds, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", help="by default ten fresh ones")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--quick", action="store_true", help="two seeds: to see that it runs")
    options = parser.parse_args()
    seeds = options.seeds or [secrets.randbelow(2**31) for _ in range(2 if options.quick else 10)]
    runs = [run(seed, options.events) for seed in seeds]
    for one in runs:
        print(", ".join(f"{name} {value:.4g}" for name, value in one.items()), flush=True)
    pooled = sum(one["held"] for one in runs) / max(1, sum(one["tasks"] for one in runs))
    false = sum(one["false"] for one in runs)
    report(
        Figure(
            name=f"order of the tasks after {options.events:,} events, nDCG against their true gains, median seed",
            ours=statistics.median(one["order"] for one in runs), unit="", goal="ours >= 0.9",
        ),
        Figure(name="the same, worst seed", ours=min(one["order"] for one in runs), unit=""),
        Figure(
            name=f"the first {AT} tasks beside the best {AT} of all cells that there are, nDCG, median seed",
            ours=statistics.median(one["best"] for one in runs), unit="",
        ),
        Figure(name="90 % intervals that hold the truth", ours=pooled, unit="", goal="ours >= 0.85"),
        Figure(name="tasks for satisfied audiences, all seeds", ours=float(false), unit="tasks", goal="ours <= 0"),
        Figure(
            name="events counted and planned, a window every six hours",
            ours=statistics.median(one["events_per_s"] for one in runs), unit="events per CPU second",
        ),
        Figure(name="events counted alone", ours=_counted_per_s(seeds[0]), unit="events per CPU second"),
        runs=runs,
    )  # fmt: skip


def run(seed: int, events: int) -> dict[str, Any]:
    """One seed's figures."""
    world, planner = World(seed), Planner()
    spent_s, published = 0.0, []
    halves: list[Sequence[Entry]] = [[*world.catalogue(), *world.events(events // 2)]]
    for half in range(2):
        for first in range(0, len(halves[half]), BATCH):
            chunk = halves[half][first : first + BATCH]
            start_s = time.process_time()
            published += planner.take(chunk)
            spent_s += time.process_time() - start_s
        if half == 0:
            false = _false(world, published)
            for task in _standing(planner, published)[:MADE]:
                if cell_of(task) not in world.made:  # subtitles where a dub was just made
                    planner.take([world.make(task)])
            halves.append(list(world.events(events - events // 2)))
            published = [task for task in published if task.task_id in planner.open]
    truth, lucky = world.gains(with_luck=False), world.gains(with_luck=True)
    standing = _standing(planner, published)
    gained = [truth[cell_of(task)] for task in standing]
    best = sorted(truth.values(), reverse=True)
    held = sum(
        task.expected_gain.interval[0] <= lucky[cell_of(task)] <= task.expected_gain.interval[1] for task in standing
    )
    ids = {task.task_id for task in standing}
    return {
        "seed": seed,
        "best": _dcg(gained[:AT]) / _dcg(best[:AT]),
        "order": _dcg(gained) / max(1e-9, _dcg(sorted(gained, reverse=True))),
        "tasks": len(standing),
        "held": held,
        "false": false + _false(world, [task for task in published if task.task_id in ids]),
        "share_of_gain": sum(gained) / sum(truth.values()),
        "events_per_s": events / spent_s,
    }


def _counted_per_s(seed: int) -> float:
    """Interactions a second of processor time with no window's end among them."""
    world, planner = World(seed), Planner(PlanConfig(window_ms=10**13))
    planner.take(world.catalogue())
    entries = list(world.events(EVENTS))
    start_s = time.process_time()
    planner.take(entries)
    return len(entries) / (time.process_time() - start_s)


def _standing(planner: Planner, published: Sequence[ContentTask]) -> list[ContentTask]:
    """The last record of each task that stands, the best first."""
    newest = {task.task_id: task for task in published if not task.withdrawn}
    return sorted(
        (newest[task_id] for task_id in planner.open if task_id in newest),
        key=lambda task: (-task.priority, task.task_id),
    )


def _false(world: World, published: Sequence[ContentTask]) -> int:
    return len({task.task_id for task in published if not task.withdrawn and world.is_satisfied(cell_of(task))})


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


if __name__ == "__main__":
    main()
