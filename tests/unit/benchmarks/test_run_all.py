"""Running benchmarks: the last line is read, each way to crash is told apart, nothing is left running."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.report import Figure, last_line
from benchmarks.run_all import discover, main, parse, run_one

LINE = last_line(Figure(name="f", ours=1.0, unit="ms"), machine={"cpu": "abacus"}, versions={})


def run(code: str, tmp_path: Path, *, timeout_s: float = 60.0):
    return run_one("bench_x", [sys.executable, "-c", code], cwd=tmp_path, timeout_s=timeout_s)


def test_discover_finds_benchmarks_only_in_order(tmp_path):
    for name in ("bench_b.py", "bench_a.py", "report.py", "bench_notes.md"):
        (tmp_path / name).touch()

    assert discover(tmp_path) == ["bench_a", "bench_b"]


def test_the_last_line_that_is_not_empty_is_the_result(tmp_path, capsys):
    result = run(f"print('warming up'); print({LINE!r}); print()", tmp_path)

    assert result.crash is None
    assert result.line == json.loads(LINE)
    assert "warming up" in capsys.readouterr().out


def test_an_exit_code_is_a_crash_even_after_a_good_line(tmp_path):
    assert run(f"print({LINE!r}); raise SystemExit(3)", tmp_path).crash == "exit code 3"


@pytest.mark.parametrize("last", ["", "done", "[1]", "3"])
def test_a_last_line_of_another_form_is_a_crash(last):
    assert "must be JSON of benchmarks.report" in str(parse("bench_x", last).crash)


def test_a_line_that_lacks_a_field_says_which():
    assert "lacks ours, ratio, goal, ok, unit, machine, versions" in str(parse("bench_x", '{"name": "f"}').crash)


@pytest.mark.slow
def test_a_benchmark_that_does_not_end_is_stopped_with_its_children(tmp_path):
    """Both write to our pipe, which `run_one` reads to its end: with one of them alive it would not return."""
    child = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    code = f"import signal, subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); signal.pause()"

    assert run(code, tmp_path, timeout_s=2.0).crash == "did not end within 2 s"


def test_an_unknown_name_is_a_usage_error(capsys):
    assert main(["bench_of_nothing"]) == 2
    assert "bench_of_nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_a_missed_goal_is_a_result_and_a_crash_fails_the_run(tmp_path):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    missed = Figure(name="rate", ours=1.0, limit=4.0, unit="events/s", goal="ratio >= 0.5")
    line = last_line(missed, machine={"cpu": "abacus"}, versions={})
    (folder / "bench_missed.py").write_text(f"print({line!r})\n", encoding="utf-8")
    (folder / "bench_broken.py").write_text("raise SystemExit(7)\n", encoding="utf-8")

    assert main(["bench_missed"], folder=folder) == 0
    assert not (folder / "results.md").exists(), "a run of some never replaces the table of all"
    assert main([], folder=folder) == 1
    page = (folder / "results.md").read_text(encoding="utf-8").splitlines()
    assert "| bench_broken | **crashed:** exit code 7 | | | | | |" in page
    assert "| bench_missed | rate | 1 events/s | 4 (limit) | 0.25 | ratio >= 0.5 | **no** |" in page
