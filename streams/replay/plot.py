"""An evaluation as a picture: its course over time with bands, the rankers, and the segments.

Colours are those of Okabe and Ito, which colour-blind people can tell apart.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.evaluate.estimates import interval
from models.evaluate.summary import Summary
from streams.errors import EvaluationError
from streams.replay.evaluation import Evaluation
from streams.replay.tables import shown

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#999999", "#000000")
ENDINGS: Final = (".png", ".svg", ".pdf")
SIZE_INCHES: Final = (11.0, 7.2)
DOTS_PER_INCH: Final = 150
LEGEND_ROOM: Final = 1.3
"""How much higher than its curves the first panel is, so that the legend covers none."""


def check_plotting(path: Path) -> None:
    """Say before the work begins that the picture could not be drawn.

    Raises:
      EvaluationError: matplotlib is missing, the file's ending is not a picture's, or its folder is not there.
    """
    if path.suffix not in ENDINGS:
        raise EvaluationError(f"expected a picture ending in {', '.join(ENDINGS)}, got {path.name}; rename it")
    if not path.resolve().parent.is_dir():
        raise EvaluationError(f"expected a folder for {path}, got none; make it first")
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise EvaluationError(
            f"expected the package matplotlib for --plot, got: {error}; pip install 'marquee[eval]'"
        ) from error


def draw(evaluation: Evaluation, path: Path) -> None:
    """Write the picture; the same evaluation gives the same bytes.

    Raises:
      EvaluationError: see `check_plotting`.
    """
    check_plotting(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 1.05), width_ratios=(1.55, 1.0))
    _draw_curve(figure.add_subplot(grid[0, 0]), evaluation)
    _draw_rankers(figure.add_subplot(grid[0, 1]), evaluation.summary)
    _draw_segments(figure.add_subplot(grid[1, :]), evaluation.summary)
    figure.suptitle(
        f"{evaluation.log}: {evaluation.protocol}, {evaluation.scored:,} of {evaluation.events:,} events scored "
        "against the whole catalogue",
        x=0.01, ha="left", fontsize=12, fontweight="bold",
    )  # fmt: skip
    figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)


def _tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_curve(axes: Any, evaluation: Evaluation) -> None:
    """HR@10 along the log, each point over as many events."""
    summary = evaluation.summary
    x = evaluation.passage.place[summary.curve_at] / 1e3
    for place, name in enumerate(summary.rankers):
        bands = np.array([interval(summary.curve.resampled[:, group, place]) for group in range(len(x))])
        is_main = place in {0, summary.best}
        axes.plot(
            x, summary.curve.mean[:, place], color=_colour(place), label=shown(name), zorder=3 if place == 0 else 2,
            linewidth=2.2 if place == 0 else 1.5 if is_main else 1.0,
        )  # fmt: skip
        if is_main:
            axes.fill_between(x, bands[:, 0], bands[:, 1], color=_colour(place), alpha=0.15, linewidth=0)
    axes.set_ylim(0, axes.get_ylim()[1] * LEGEND_ROOM)
    axes.set_xlabel("events of the log, thousands")
    axes.set_title("HR@10 over time, bands of 95 % by resampling users", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    _tidy(axes)


def _draw_rankers(axes: Any, summary: Summary) -> None:
    """Both measures of each ranker with intervals, best on top."""
    rankers = len(summary.rankers)
    order = np.argsort(summary.overall.mean[0, :rankers], kind="stable")
    for row, place in enumerate(order.tolist()):
        for offset, column, alpha in ((0.2, place, 1.0), (-0.2, rankers + place, 0.55)):
            value = float(summary.overall.mean[0, column])
            low, high = interval(summary.overall.resampled[:, 0, column])
            axes.barh(row + offset, value, height=0.36, color=_colour(place), alpha=alpha)
            axes.plot([low, high], [row + offset] * 2, color="#222222", linewidth=1.2)
            axes.annotate(f"{value:.3f}", (high, row + offset), xytext=(4, 0), textcoords="offset points", va="center",
                          fontsize=8)  # fmt: skip
    axes.set_yticks(range(rankers), [shown(summary.rankers[place]) for place in order.tolist()])
    axes.margins(x=0.16)
    axes.set_xlim(left=0)
    axes.set_title("HR@10 (full) and NDCG@10 (pale)", loc="left", fontsize=10)
    _tidy(axes)
    axes.grid(visible=False)


def _draw_segments(axes: Any, summary: Summary) -> None:
    """HR@10 of the model and of the best baseline by segment; groups with nothing to score are left out."""
    best, at, ticks, labels = summary.best, 0.0, [], []
    for segments, means in summary.segments:
        first = at
        for group, label in enumerate(segments.labels):
            if not means.events[group]:
                continue
            for offset, place in ((-0.2, 0), (0.2, best)):
                value = float(means.mean[group, place])
                low, high = interval(means.resampled[:, group, place])
                axes.bar(at + offset, value, width=0.38, color=_colour(place))
                axes.plot([at + offset] * 2, [low, high], color="#222222", linewidth=1.2)
            ticks.append(at)
            labels.append(f"{label.replace(' or more', '+')}\n{means.events[group] / summary.overall.events[0]:.0%}")
            at += 1.0
        axes.annotate(segments.name, ((first + at - 1) / 2, 1.0), xycoords=("data", "axes fraction"), ha="center",
                      va="bottom", fontsize=9, fontweight="bold")  # fmt: skip
        at += 0.7
    axes.set_xticks(ticks, labels, fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_title(
        f"HR@10 by segment, {shown(summary.rankers[0])} and {shown(summary.rankers[best])}; share of events below",
        loc="left", fontsize=10, pad=18,
    )  # fmt: skip
    _tidy(axes)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
