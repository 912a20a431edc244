"""Rows a second that `marquee import` brings from a file to a real Kafka, and whether its memory grows with the file.

A feed of fifteen columns is made, as Parquet and as CSV, and imported by a mapping of the packaged kind, each by a
process of its own, whose start is not counted; acknowledged by the broker, which shares the machine. Then three times
as many rows: the peak of memory beside the first one's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from benchmarks.engine import Engine, clean_environment, engine, say
from benchmarks.report import Figure, report

ROWS: Final = 1_000_000
TIMES: Final = 3
"""How much longer the file is with which memory is compared."""
START_MS: Final = 1_650_000_000_000
MAPPING: Final = """
[mapping.interactions]
user = "user_id"
item = "video_id"
time = "time_ms"
time_unit = "ms"
rules = [{ column = "is_click", equals = 1, action = "click" }, { action = "impression" }]
dwell_ms = "play_time_ms"
duration_ms = "duration_ms"
surface = "tab"
surface_prefix = "tab"
"""


class Imported(NamedTuple):
    """One import: rows, seconds, the most memory that its process held, MiB, and CPU a row, its start included, us."""

    rows: int
    elapsed_s: float
    peak_mib: float
    cpu_us: float


def feed(rows: int, *, seed: int = 0) -> pl.DataFrame:
    """Showings of a video feed: who, what, when, and flags of what was done."""
    rng = np.random.default_rng(seed)
    flags = ("is_click", "long_view", "is_like", "is_follow", "is_comment", "is_forward", "is_hate")
    columns: dict[str, Any] = {
        "user_id": rng.integers(0, 25_000, rows), "video_id": rng.zipf(1.3, rows) % 7_500,
        "time_ms": START_MS + np.sort(rng.integers(0, 7 * 86_400_000, rows)),
    }  # fmt: skip
    columns |= {name: (rng.random(rows) < 0.3).astype(np.int64) for name in flags}
    columns |= {
        "play_time_ms": rng.integers(0, 120_000, rows), "duration_ms": rng.integers(5_000, 120_000, rows),
        "tab": rng.integers(0, 12, rows), "tag": rng.integers(0, 60, rows).astype(str),
        "author_id": rng.integers(0, 10_000_000, rows),
    }  # fmt: skip
    return pl.DataFrame(columns)


def imported(running: Engine, file: Path, mapping: Path) -> Imported:
    """Import a file in a process of its own."""
    command = [
        sys.executable, "-m", "streams.cli", "import", str(file), "--mapping", str(mapping), "--json", "--broker",
        running.connection.bootstrap,
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, env=clean_environment())
        peak_mib = 0.0
        while process.poll() is None:
            peak_mib = max(peak_mib, _anonymous_mib(process.pid))
            time.sleep(0.02)
        out.seek(0)
        told = out.read()
    if process.returncode:
        raise RuntimeError(f"the import ended with {process.returncode}; its words are above")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(told)
    if found["bad"] or found["sent"] != {"interactions.v1": found["rows"]}:
        raise RuntimeError(f"expected every row on the topic, got {found}")
    return Imported(found["rows"], found["elapsed_s"], peak_mib, cpu_s / found["rows"] * 1e6)


def _anonymous_mib(pid: int) -> float:
    """Memory that a process holds now, MiB, without pages of files, which the system takes back when it likes."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows: figures of no worth")
    rows = 20_000 if parser.parse_args().quick else ROWS
    with engine() as running:
        folder = running.folder
        mapping = folder / "mapping.toml"
        mapping.write_text(MAPPING, encoding="utf-8")
        found: dict[str, Imported] = {}
        for count in (rows, TIMES * rows):
            frame = feed(count)
            for ending in ("parquet", "csv"):
                file = folder / f"feed-{count}.{ending}"
                frame.write_parquet(file) if ending == "parquet" else frame.write_csv(file)
                one = found[f"{ending} {count}"] = imported(running, file, mapping)
                file.unlink()
                rate_s = one.rows / one.elapsed_s
                say(f"{ending}: {one.rows:,} rows, {rate_s:,.0f}/s, {one.cpu_us:.1f} us CPU, {one.peak_mib:.0f} MiB")
    rate = {ending: max(
        one.rows / one.elapsed_s for name, one in found.items() if name.startswith(ending)
    ) for ending in ("parquet", "csv")}  # fmt: skip
    grown = {
        ending: (found[f"{ending} {TIMES * rows}"].peak_mib, found[f"{ending} {rows}"].peak_mib) for ending in rate
    }
    report(
        Figure(name="rows imported from Parquet", ours=rate["parquet"], unit="rows/s", goal="ours >= 200000"),
        Figure(name="rows imported from CSV", ours=rate["csv"], unit="rows/s", goal="ours >= 100000"),
        *(
            Figure(
                name=f"peak memory at {TIMES} times the rows, {ending}", ours=more, limit=less, unit="MiB",
                goal="ratio <= 1.2",
            )
            for ending, (more, less) in grown.items()
        ),
        cpu_us={name: round(one.cpu_us, 2) for name, one in found.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
