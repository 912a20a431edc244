"""What the ledger costs: events per second from a real Kafka to learned, with it and without, in turns.

Without it the trainer is the same program with a writer that acknowledges at once. Both write the snapshots that they
write by default. The shares that both runs of a machine differ by anyway are in the output: judge the ratio by them.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from benchmarks.bench_learn import LOG, from_kafka
from benchmarks.engine import engine, public_log, say
from benchmarks.report import Figure, report
from streams.contract import topics
from streams.replay.player import play

WITH = "streams.cli"
EVENTS, QUICK_EVENTS, TURNS = 150_000, 20_000, 2


def main() -> None:
    """Learn in turns, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS:,} events, once: to see that it runs")
    options = parser.parse_args()
    log = public_log(LOG).head(QUICK_EVENTS if options.quick else EVENTS)
    found: dict[str, list[dict[str, Any]]] = {WITH: [], "benchmarks.without_ledger": []}
    for _ in range(1 if options.quick else TURNS):
        for program, runs in found.items():
            with engine() as kafka:  # a broker of its own: nothing is found there that another run has written
                play(log, kafka.connection)
                runs.append(from_kafka(kafka, log, len(log) // 10, program=program))
                if (kafka.ends(topics.LEDGER) > 0) != (program == WITH):
                    raise RuntimeError(
                        f"expected a ledger of {WITH} alone, got {kafka.ends(topics.LEDGER)} records of {program}"
                    )
            rate_per_s, cpu_us = runs[-1]["events_per_s"], runs[-1]["cpu_us_per_event"]
            say(f"{program}: {rate_per_s:,.0f} events/s, {cpu_us:.0f} us of CPU an event")
    rate, cpu = (
        {program: [run[key] for run in runs] for program, runs in found.items()}
        for key in ("events_per_s", "cpu_us_per_event")
    )
    ours, limit = (statistics.median(rate[program]) for program in found)
    cpu_ours, cpu_limit = (statistics.median(cpu[program]) for program in found)
    report(
        Figure(
            name=f"{len(log):,} events of {LOG}, Kafka to learned, with the ledger beside without", ours=ours,
            limit=limit, unit="events/s", goal="ratio >= 0.97",
        ),
        Figure(
            name="the same, CPU an event", ours=cpu_ours, limit=cpu_limit, unit="us", goal="ratio <= 1.03",
        ),
        runs={program: {"events_per_s": rate[program], "cpu_us_per_event": cpu[program]} for program in found},
    )  # fmt: skip


if __name__ == "__main__":
    main()
