"""Results of a run of all benchmarks -> one markdown page. Decides what a reader sees; measures and writes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

REQUIRED = ("name", "ours", "ratio", "goal", "ok", "unit", "machine", "versions")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one benchmark: the parsed last line, or why there is none.

    Attributes:
      benchmark: its file's name without ``.py``.
      line: the parsed last line; None if it crashed.
      crash: what happened, for a reader; None if it ended well.
    """

    benchmark: str
    line: Mapping[str, Any] | None = None
    crash: str | None = None


def markdown(results: Sequence[Result], *, measured_on: str) -> str:
    """The page: one row a figure, then the machine and the versions.

    Args:
      results: one for each benchmark, in the order of the rows.
      measured_on: the day, as ``2026-01-31``.
    """
    rows = [row for result in results for row in _rows(result)]
    page = [
        "# Benchmark results",
        "",
        f"Measured on {measured_on} by `make bench`; [how to read it](README.md).",
        "",
        "| benchmark | figure | ours | limit or peer | ratio | goal | met |",
        "|---|---|---:|---:|---:|---|---|",
        *rows,
    ]
    for title, key in (("Machine", "machine"), ("Versions", "versions")):
        facts: dict[str, object] = {}
        for result in results:
            facts.update((result.line or {}).get(key, {}))
        if facts:
            page += ["", f"{title}: " + ", ".join(f"{name} {_cell(value)}" for name, value in facts.items()) + "."]
    return "\n".join(page) + "\n"


def _rows(result: Result) -> list[str]:
    if result.line is None:
        return [f"| {result.benchmark} | **crashed:** {_cell(result.crash)} | | | | | |"]
    return [_row(result.benchmark, figure) for figure in (result.line, *result.line.get("also", ()))]


def _row(benchmark: str, figure: Mapping[str, Any]) -> str:
    kind = next((kind for kind in ("limit", "peer") if kind in figure), None)
    cells = (
        benchmark,
        _cell(figure["name"]),
        f"{_number(figure['ours'])} {_cell(figure['unit'])}",
        "" if kind is None else f"{_number(figure[kind])} ({kind})",
        _number(figure["ratio"]),
        _cell(figure["goal"] or "none"),
        {True: "yes", False: "**no**", None: ""}[figure["ok"]],
    )
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    """Four digits are what a noisy machine can tell apart."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cell(value: object) -> str:
    """Text that cannot break out of its cell."""
    return str(value).replace("|", "\\|").replace("\n", " ")
