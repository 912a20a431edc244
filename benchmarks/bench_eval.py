"""What `marquee eval` says of two public logs, with one configuration: the defaults."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.engine import clean_environment, public_log, say
from benchmarks.report import Figure, report

GOALS = {"ml-100k": (0.21, 0.107), "movietweetings": (0.235, 0.145)}
"""HR@10 and NDCG@10 that are promised."""
QUICK_EVENTS = 5_000


def evaluate(log: str, first: int | None) -> dict[str, Any]:
    """The JSON of the command."""
    public_log(log)  # fetches it
    command = [sys.executable, "-m", "streams.cli", "eval", log, "--json"]
    command += ["--first", str(first)] if first else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=clean_environment())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Evaluate both logs and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_EVENTS:,} events: to see that it runs")
    options = parser.parse_args()
    figures, rates = [], {}
    for log, goals in GOALS.items():
        started_s = time.monotonic()
        found = evaluate(log, QUICK_EVENTS if options.quick else None)
        say(
            f"{log}: HR@10 {found['hr_at_10']:.4f}, NDCG@10 {found['ndcg_at_10']:.4f} over {found['scored']:,} events, "
            f"in {time.monotonic() - started_s:.0f} s"
        )
        rates[log] = found["events_per_s"]
        baseline = found["baselines"][found["best_baseline"]]
        for metric, goal in zip(("hr_at_10", "ndcg_at_10"), goals, strict=True):
            name = f"{log}, {metric}, beside {found['best_baseline'].replace('_', ' ')}"
            figures.append(
                Figure(name=name, ours=found[metric], peer=baseline[metric], unit="", goal=f"ours >= {goal}")
            )
    report(*figures, events_per_s_fully_evaluated=rates)


if __name__ == "__main__":
    main()
