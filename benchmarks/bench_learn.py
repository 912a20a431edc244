"""Events per second from a real Kafka to learned, against the same learning function fed from memory.

The topics are filled with MovieLens-1M first; then the trainer runs alone and is timed by its own metrics records.
In turns with it, a process without Kafka, snapshots and publishing learns the same events. Both leave out the first
tenth, in which kernels are compiled, and evaluate 5 % of the events.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.engine import Engine, clean_environment, engine, public_log, say
from benchmarks.report import Figure, report
from streams.replay.logs import EventLog
from streams.replay.player import play
from streams.settings import TrainerSettings

LOG = "ml-1m"
BATCH, SAMPLE, WARM_SHARE = TrainerSettings().batch_size, 0.05, 0.1
QUICK_EVENTS = 60_000
TIMEOUT_S = 1200.0


def from_kafka(kafka: Engine, log: EventLog, warm: int, *, program: str = "streams.cli") -> dict[str, Any]:
    """Learn what the topics hold; the rate between the first and the last figures after the warm-up."""
    tables = {"trainer": {"batch_size": BATCH, "evaluate_sample": SAMPLE}}
    started_ms = time.time_ns() // 1_000_000
    with kafka.role("trainer", tables, program=program) as trainer:
        warmed = kafka.wait_until_learned(trainer, warm, timeout_s=TIMEOUT_S, say=say)
        cpu_s = trainer.cpu_s()
        kafka.wait_until_learned(trainer, len(log), timeout_s=TIMEOUT_S, say=say)
        cpu_s = trainer.cpu_s() - cpu_s
    seen = [(at_ms, metric.values) for at_ms, metric in kafka.metrics("trainer") if at_ms >= started_ms]
    curve = [(at_ms, values["learned"]) for at_ms, values in seen if warm <= values["learned"]]
    first = curve[0]
    last = next(point for point in curve if point[1] == curve[-1][1])
    if last[1] <= first[1]:
        raise RuntimeError(f"expected figures from {warm} to {len(log)} events learned, got one; use more events")
    return {
        "events_per_s": (last[1] - first[1]) / (last[0] - first[0]) * 1000,
        "cpu_us_per_event": cpu_s / (len(log) - warmed) * 1e6,
        "skew_ms": seen[-1][1]["skew_ms"],
        "rejected": seen[-1][1]["rejected"],
    }


def from_memory(events: int, warm: int) -> dict[str, Any]:
    """Learn the same events in a process without a broker."""
    command = [sys.executable, "-m", "benchmarks.pure_learn", LOG, "--batch", str(BATCH), "--sample", str(SAMPLE)]
    command += ["--events", str(events), "--warm", str(warm)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=clean_environment())
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Fill the topics, learn from both, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_EVENTS:,} events: to see that it runs")
    parser.add_argument("--events", type=int, help="only so many events")
    options = parser.parse_args()
    log = public_log(LOG)
    log = log.head(options.events or (QUICK_EVENTS if options.quick else len(log)))
    warm = int(len(log) * WARM_SHARE)
    with engine() as kafka:
        played = play(log, kafka.connection)
        say(
            f"filled the topics: {played.interactions:,} interactions and {played.items:,} items "
            f"in {played.elapsed_s:.1f} s"
        )
        ours = from_kafka(kafka, log, warm)
    say(f"from Kafka: {ours['events_per_s']:,.0f} events/s, {ours['cpu_us_per_event']:.0f} us of CPU an event")
    pure = from_memory(len(log), warm)
    pure_rate = pure["events"] / pure["taken_s"]
    bare_rate = BATCH / pure["steps_s"]
    say(
        f"from memory: {pure_rate:,.0f} events/s, {pure['cpu_s'] / pure['events'] * 1e6:.0f} us of CPU an event; "
        f"bare tower update: {bare_rate:,.0f} events/s"
    )
    name = f"{len(log):,} events of {LOG}, Kafka to learned, {SAMPLE:.0%} evaluated"
    report(
        Figure(name=name, ours=ours["events_per_s"], limit=pure_rate, unit="events/s", goal="ratio >= 0.8"),
        Figure(name="the same, absolute", ours=ours["events_per_s"], unit="events/s", goal="ours >= 10000"),
        Figure(
            name="learning from memory, beside the bare tower update", ours=pure_rate, limit=bare_rate, unit="events/s"
        ),
        cpu_us_per_event={
            "from Kafka, all threads": ours["cpu_us_per_event"],
            "from memory": pure["cpu_s"] / pure["events"] * 1e6,
        },
        greatest_skew_ms=ours["skew_ms"],
        rejected=ours["rejected"],
        batch_size=BATCH,
        tower_steps_ms=pure["steps_s"] * 1e3,
    )


if __name__ == "__main__":
    main()
