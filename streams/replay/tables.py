"""An evaluation for people: figures with their intervals, segments, lists and the course over time, on a terminal."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.evaluate.estimates import Difference, interval
from models.evaluate.lists import ListFigures
from models.evaluate.summary import Summary
from streams.replay.comparison import Comparison
from streams.replay.evaluation import Evaluation
from streams.replay.report import paired, price

BAR_CELLS: Final = 16
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
LEVELS: Final = "▁▂▃▄▅▆▇█"
NAMES: Final = {"model": "Marquee", "knn": "kNN", "ease": "EASE", "als": "ALS", "bpr": "BPR"}
LIST_FIGURES: Final = ("coverage", "novelty, bits", "distance inside", "popularity bias")
STYLES: Final = ("bold cyan", "yellow")
"""Of the model, and of the best baseline."""


def shown(name: str) -> str:
    """A ranker's name as people read it."""
    return NAMES.get(name, name.replace("_", " "))


def evaluation_table(evaluation: Evaluation) -> RenderableType:
    """Everything about one evaluation, from the headline down."""
    parts: list[RenderableType] = [_headline(evaluation), Text(), _rankers(evaluation.summary), Text()]
    if evaluation.frozen is not None:
        parts += [_headline(evaluation.frozen), Text(), _rankers(evaluation.frozen.summary), Text()]
    parts += [_segments(evaluation.summary), Text(), _lists(evaluation.summary), Text(), _curve(evaluation)]
    if evaluation.slates is not None:
        parts += [Text(), _slates(evaluation.slates)]
    return Group(*parts)


def comparison_table(comparison: Comparison) -> RenderableType:
    """Two configurations side by side, and what lies between them."""
    summary = comparison.summary
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in ("HR@10", "NDCG@10"):
        table.add_column(name, justify="right")
        table.add_column("95 %", style="dim")
    rankers = len(summary.rankers)
    for name, place in ((comparison.first, 1), (comparison.second, 0)):
        table.add_row(name, *_with_interval(summary, place), *_with_interval(summary, rankers + place))
    table.add_row("second less first", *_apart(comparison.hr), *_apart(comparison.ndcg), style="bold")
    table.add_row("by chance (p)", f"{comparison.hr.p:.3f}", "", f"{comparison.ndcg.p:.3f}", "")
    head = Text.assemble(
        (comparison.evaluations[0].log, "bold"), f"  {comparison.evaluations[0].protocol}, "
        f"{int(summary.overall.events[0]):,} events scored by both; intervals by resampling users",
    )  # fmt: skip
    segments = Table(box=None, header_style="bold", pad_edge=False)
    for title, justify in (
        ("", "left"),
        ("events", "right"),
        ("first", "right"),
        ("second", "right"),
        ("HR@10", "right"),
    ):
        segments.add_column(title, justify="right" if justify == "right" else "left")
    segments.add_column("95 %", style="dim")
    for parts, means in summary.segments:
        segments.add_row(Text(parts.name, style="bold"))
        for group, label in enumerate(parts.labels):
            if means.events[group]:
                apart = means.resampled[:, group, 0] - means.resampled[:, group, 1]
                value = float(means.mean[group, 0] - means.mean[group, 1])
                segments.add_row(
                    f"  {label}", f"{means.events[group]:,}", f"{means.mean[group, 1]:.4f}",
                    f"{means.mean[group, 0]:.4f}", f"{value:+.4f}", _signed(*interval(apart)),
                )  # fmt: skip
    return Group(head, Text(), table, Text(), segments)


def _headline(evaluation: Evaluation) -> Text:
    repeats = ", repeats too" if evaluation.repeats else ""
    return Text.assemble(
        (evaluation.log, "bold"),
        f"  {evaluation.protocol}{repeats}: {evaluation.scored:,} of {evaluation.events:,} events scored, "
        f"{evaluation.users:,} users, {evaluation.items:,} items",
    )


def _rankers(summary: Summary) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("ranker")
    for name in ("HR@10", "NDCG@10"):
        table.add_column(name, justify="right")
        table.add_column("95 %", style="dim")
        table.add_column("model is", justify="right")
    rankers = len(summary.rankers)
    for place, name in enumerate(summary.rankers):
        cells = []
        for metric in (0, 1):
            cells += _with_interval(summary, metric * rankers + place)
            cells.append("" if place == 0 else _times(summary, metric, place))
        style = STYLES[0] if place == 0 else STYLES[1] if place == summary.best else ""
        table.add_row(Text(shown(name), style=style), *cells)
    table.caption = "intervals by resampling users, 95 %; ratios with * are not above 1 by more than chance"
    table.caption_style = "dim"
    table.caption_justify = "left"
    return table


def _times(summary: Summary, metric: int, baseline: int) -> str:
    mean, rankers = summary.overall.mean[0], len(summary.rankers)
    theirs = mean[metric * rankers + baseline]
    if not theirs > 0:
        return "-"
    is_sure = paired(summary, 0, baseline, metric).interval.low > 0
    return f"{mean[metric * rankers] / theirs:.2f}x{' ' if is_sure else '*'}"


def _segments(summary: Summary) -> Table:
    best, total = summary.best, int(summary.overall.events[0])
    largest = max((float(np.nanmax(means.mean[:, [0, best]], initial=0.0)) for _, means in summary.segments), default=0)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("HR@10 by")
    table.add_column("events", justify="right")
    table.add_column("Marquee", justify="right", style=STYLES[0])
    table.add_column("95 %", style="dim")
    table.add_column("", no_wrap=True)
    table.add_column(shown(summary.rankers[best]), justify="right", style=STYLES[1])
    table.add_column("ratio", justify="right")
    for segments, means in summary.segments:
        table.add_row(Text(segments.name, style="bold"))
        for group, label in enumerate(segments.labels):
            events = int(means.events[group])
            if not events:
                continue
            mine, theirs = float(means.mean[group, 0]), float(means.mean[group, best])
            low, high = interval(means.resampled[:, group, 0])
            table.add_row(
                f"  {label}", f"{events / total:.0%}", f"{mine:.4f}", f"{low:.3f} to {high:.3f}",
                Text(_bar(mine / largest if largest else 0.0), style=STYLES[0]), f"{theirs:.4f}",
                f"{mine / theirs:.2f}x" if theirs > 0 else "-",
            )  # fmt: skip
    return table


def _lists(summary: Summary) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("lists of 10")
    for name in LIST_FIGURES:
        table.add_column(name, justify="right")
    for place, (name, of) in enumerate(zip(summary.rankers, summary.lists, strict=True)):
        style = STYLES[0] if place == 0 else STYLES[1] if place == summary.best else ""
        table.add_row(Text(shown(name), style=style), *_list_cells(of))
    return table


def _list_cells(of: ListFigures) -> list[str]:
    values = (of.coverage, of.novelty, of.distance, of.popularity_bias)
    written = ("{:.1%}", "{:.2f}", "{:.3f}", "{:.2f}x")
    return ["-" if math.isnan(value) else form.format(value) for value, form in zip(values, written, strict=True)]


def _slates(slates: Summary) -> Table:
    """What each mix costs in accuracy, against the first, and what its lists are like."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("slates of 10", no_wrap=True)
    for name in ("HR@10", "price", "NDCG@10", "price", *LIST_FIGURES):
        table.add_column(name, justify="right")
    for place, name in enumerate(slates.rankers):
        cells = []
        for metric in (0, 1):
            mean = slates.overall.mean[0, metric * len(slates.rankers) + place]
            cost = price(slates, place, metric)
            cells += [f"{mean:.4f}", "" if place == 0 else "-" if math.isnan(cost) else f"{cost:+.2%}"]
        table.add_row(name, *cells, *_list_cells(slates.lists[place]))
    return table


def _curve(evaluation: Evaluation) -> RenderableType:
    summary = evaluation.summary
    rows = [(0, STYLES[0]), (summary.best, STYLES[1])][: 1 + (summary.best > 0)]
    top = float(np.nanmax(summary.curve.mean[:, [place for place, _ in rows]], initial=0.0))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("HR@10 along the log")
    table.add_column("", no_wrap=True)
    table.add_column("first", justify="right")
    table.add_column("last", justify="right")
    for place, style in rows:
        values = summary.curve.mean[:, place]
        line = "".join(LEVELS[min(7, int(8 * value / top))] if top else LEVELS[0] for value in values)
        table.add_row(
            Text(shown(summary.rankers[place]), style=style), Text(line, style=style), f"{values[0]:.4f}",
            f"{values[-1]:.4f}",
        )  # fmt: skip
    return table


def _with_interval(summary: Summary, column: int) -> list[str]:
    low, high = interval(summary.overall.resampled[:, 0, column])
    return [f"{summary.overall.mean[0, column]:.4f}", f"{low:.4f} to {high:.4f}"]


def _apart(apart: Difference) -> list[str]:
    return [f"{apart.value:+.4f}", _signed(*apart.interval)]


def _signed(low: float, high: float) -> str:
    return f"{low:+.4f} to {high:+.4f}"


def _bar(share: float) -> str:
    """A bar of `BAR_CELLS` cells, in eighths."""
    eighths = round(max(0.0, min(1.0, share)) * BAR_CELLS * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
