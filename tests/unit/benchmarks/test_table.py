"""The page of results: a row a figure, a crash shown as one, nothing that breaks a table."""

from benchmarks.table import Result, markdown

LINE = {
    "name": "rate",
    "ours": 12345.678,
    "limit": 15432.1,
    "ratio": 0.80001,
    "goal": "ratio >= 0.8",
    "ok": True,
    "unit": "events/s",
    "machine": {"cpu": "abacus", "core_count": 2},
    "versions": {"jax": "1.2.3"},
    "also": [{"name": "p99", "ours": 2.5, "ratio": None, "goal": "ours <= 2", "ok": False, "unit": "ms"}],
}


def test_each_figure_has_a_row_and_a_missed_goal_stands_out():
    page = markdown([Result(benchmark="bench_a", line=LINE)], measured_on="2026-01-31")

    assert "| bench_a | rate | 12,346 events/s | 15,432 (limit) | 0.8 | ratio >= 0.8 | yes |" in page.splitlines()
    assert "| bench_a | p99 | 2.5 ms |  |  | ours <= 2 | **no** |" in page.splitlines()
    assert "Measured on 2026-01-31" in page
    assert "Machine: cpu abacus, core_count 2." in page.splitlines()
    assert "Versions: jax 1.2.3." in page.splitlines()


def test_versions_of_several_benchmarks_are_joined():
    other = {**LINE, "versions": {"faiss-cpu": "9"}}

    page = markdown([Result(benchmark="a", line=LINE), Result(benchmark="b", line=other)], measured_on="2026-01-31")

    assert "Versions: jax 1.2.3, faiss-cpu 9." in page.splitlines()


def test_a_crash_has_a_row_and_cannot_break_the_table():
    page = markdown([Result(benchmark="bench_b", crash="got 'a|b\nc'")], measured_on="2026-01-31")

    assert "| bench_b | **crashed:** got 'a\\|b c' | | | | | |" in page.splitlines()
    assert "Machine" not in page
