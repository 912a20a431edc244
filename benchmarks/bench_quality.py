"""What `marquee eval` says of four public logs, with one configuration: the defaults, words hashed.

KuaiRand (Gao et al. 2022) may not be passed on; give its `exposures.parquet` by --kuairand or KUAIRAND, else it is left
out and the last line says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.engine import clean_environment, public_log, say
from benchmarks.report import Figure, report

QUICK_EVENTS = 5_000
METRICS = ("hr_at_10", "ndcg_at_10")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A log, the arguments of the command, and HR@10 and NDCG@10 that are wanted, None where nothing is.

    Attributes:
      events_per_s: least speed of the whole evaluation that is wanted; None where nothing is.
    """

    name: str
    log: str
    arguments: Sequence[str] = ()
    goals: tuple[float | None, float | None] = (None, None)
    events_per_s: float | None = None


PUBLIC = (
    Case(name="ml-100k", log="ml-100k", goals=(0.245, 0.128), events_per_s=1_500),
    Case(name="movietweetings", log="movietweetings", goals=(0.280, 0.180), events_per_s=1_000),
    Case(name="ml-1m, first 300,000", log="ml-1m", arguments=("--first", "300000"), goals=(0.355, 0.205)),
    Case(
        name="ml-1m, first 300,000, ties shuffled",
        log="ml-1m",
        arguments=("--first", "300000", "--order", "shuffled-ties"),
    ),
)


def kuairand(path: str) -> Case:
    """Clicks of seven days are judged, the app's tab is the surface; showings without a click count as impressions."""
    return Case(name="kuairand clicks", log=path, arguments=("--mapping", "kuairand-impressions"), goals=(0.090, 0.048))


def evaluate(log: str, arguments: Sequence[str], first: int | None = None) -> dict[str, Any]:
    """The JSON of the command; ``first`` comes before a ``--first`` among the arguments."""
    if os.sep not in log:
        public_log(log)  # fetches it
    environment = clean_environment() | {"MARQUEE_TEXT_ENCODER": "hashed"}
    command = [sys.executable, "-m", "streams.cli", "eval", log, *arguments, "--json"]
    command += ["--first", str(first)] if first else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Evaluate each log and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_EVENTS:,} events: to see that it runs")
    parser.add_argument("--kuairand", default=os.environ.get("KUAIRAND"), help="path of exposures.parquet")
    options = parser.parse_args()
    figures: list[Figure] = []
    cases = [*PUBLIC, *([kuairand(os.path.abspath(options.kuairand))] if options.kuairand else [])]
    for case in cases:
        found = evaluate(case.log, case.arguments, QUICK_EVENTS if options.quick else None)
        best = found["best_baseline"]
        say(
            f"{case.name}: HR@10 {found['hr_at_10']:.4f}, NDCG@10 {found['ndcg_at_10']:.4f} over {found['scored']:,} "
            f"events at {found['events_per_s']:,.0f} events/s"
        )
        for metric, goal in zip(METRICS, case.goals, strict=True):
            figures.append(
                Figure(
                    name=f"{case.name}, {metric}, beside {best.replace('_', ' ')}",
                    ours=found[metric],
                    peer=found["baselines"][best][metric],
                    unit="",
                    goal=None if goal is None else f"ours >= {goal}",
                )
            )
        figures.append(
            Figure(
                name=f"{case.name}, events evaluated",
                ours=found["events_per_s"],
                unit="events/s",
                goal=None if case.events_per_s is None else f"ours >= {case.events_per_s:.0f}",
            )
        )
    report(*figures, left_out=[] if options.kuairand else ["kuairand: no --kuairand PATH was given"])


if __name__ == "__main__":
    main()
