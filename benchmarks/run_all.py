"""Run every benchmark in a process of its own and write the figures to ``benchmarks/results.md``.

A missed goal is a result and is shown as one; a benchmark that crashed makes this command fail.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import REQUIRED, Result, markdown

FOLDER = Path(__file__).resolve().parent
GRACE_S = 10.0  # for a stopped benchmark to stop the broker that it started


def main(arguments: Sequence[str] | None = None, *, folder: Path = FOLDER) -> int:
    """The command; 0 if every benchmark ran to its end, whatever it measured, 1 if one crashed, 2 for a wrong name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_all", description=__doc__)
    parser.add_argument("only", nargs="*", help="names such as bench_index; results are then printed, not written")
    parser.add_argument("--timeout-s", type=float, default=3600.0, help="for each benchmark (default: 3600)")
    options = parser.parse_args(arguments)

    found = discover(folder)
    unknown = sorted(set(options.only) - set(found))
    if unknown or not found:
        print(f"expected names of {found}, got {unknown or 'no benchmark at all'}", file=sys.stderr)
        return 2
    results = []
    for name in options.only or found:
        print(f"== {name}", flush=True)
        results.append(
            run_one(name, [sys.executable, "-m", f"benchmarks.{name}"], cwd=folder.parent, timeout_s=options.timeout_s)
        )
    page = markdown(results, measured_on=datetime.datetime.now(datetime.UTC).date().isoformat())
    print(page)
    if not options.only:
        (folder / "results.md").write_text(page, encoding="utf-8")
    return 1 if any(result.crash for result in results) else 0


def discover(folder: Path) -> list[str]:
    """Names of the benchmarks in ``folder``, sorted."""
    return sorted(path.stem for path in folder.glob("bench_*.py"))


def run_one(benchmark: str, command: Sequence[str], *, cwd: Path, timeout_s: float) -> Result:
    """Run one benchmark, pass its output on as it comes, and read the last line.

    Whatever it started in its process group is stopped with it when time is up or we are interrupted.
    """
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", start_new_session=True
    )
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        _stop(process)

    timer = threading.Timer(timeout_s, give_up)
    timer.start()
    last = ""
    try:
        assert process.stdout is not None  # PIPE above
        with process.stdout:
            for line in process.stdout:
                print(line, end="", flush=True)
                last = line.strip() or last
        process.wait()
    finally:
        timer.cancel()
        timer.join()
        _stop(process)
    if timed_out.is_set():
        return Result(benchmark=benchmark, crash=f"did not end within {timeout_s:g} s")
    if process.returncode != 0:
        return Result(benchmark=benchmark, crash=f"exit code {process.returncode}")
    return parse(benchmark, last)


def parse(benchmark: str, last: str) -> Result:
    """The last line as a result; a line of another form is a crash, since nothing was measured."""
    try:
        line: Any = json.loads(last)
    except json.JSONDecodeError:
        line = None
    if not isinstance(line, dict):
        return Result(benchmark=benchmark, crash=f"the last line must be JSON of benchmarks.report, got {last[:80]!r}")
    missing = [key for key in REQUIRED if key not in line]
    if missing:
        return Result(
            benchmark=benchmark, crash=f"the last line lacks {', '.join(missing)}; print it with benchmarks.report"
        )
    return Result(benchmark=benchmark, line=line)


def _stop(process: subprocess.Popen[str]) -> None:
    """Stop a process that still runs: its group is asked first, then what is left of the group is killed."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
