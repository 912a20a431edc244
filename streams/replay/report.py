"""An evaluation as one JSON object: the figures, their intervals, and what they are told apart by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.evaluate.estimates import Difference, Means, difference, interval
from models.evaluate.lists import ListFigures
from models.evaluate.summary import Summary
from streams.replay.evaluation import Evaluation

HR, NDCG = "hr_at_10", "ndcg_at_10"


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """The model's figures at the top, each baseline's under ``baselines``; NaN becomes None."""
    summary = evaluation.summary
    names, best = summary.rankers, summary.best
    of_all = _figures(summary.overall, 0, len(names))
    report: dict[str, Any] = {
        "name": f"{evaluation.protocol} {evaluation.log}",
        "log": evaluation.log,
        "protocol": evaluation.protocol,
        "repeats": "score" if evaluation.repeats else "skip",
        "events": evaluation.events,
        "users": evaluation.users,
        "items": evaluation.items,
        "learned": evaluation.learned,
        "scored": evaluation.scored,
        **of_all[0],
        "hr_at_10_standard_error": float(np.nanstd(summary.overall.resampled[:, 0, 0])),
        "baselines": dict(zip(names[1:], of_all[1:], strict=True)),
        "best_baseline": names[best],
        **_ratios(summary),
        "against": {name: _against(summary, place) for place, name in enumerate(names) if place > 0},
        "segments": [
            {"by": segments.name, "is": label, **_group(means, group, names)}
            for segments, means in summary.segments
            for group, label in enumerate(segments.labels)
        ],
        "curve": [
            {
                "until_event": int(evaluation.passage.place[at]),
                "until_ms": int(evaluation.passage.at_ms[at]),
                **_group(summary.curve, group, names),
            }
            for group, at in enumerate(summary.curve_at)
        ],
        "lists": {name: _list(figures) for name, figures in zip(names, summary.lists, strict=True)},
    }
    if evaluation.slates is not None:
        report["slates"] = slates_to_dict(evaluation.slates)
    if evaluation.frozen is not None:
        report["frozen"] = to_dict(evaluation.frozen)
    cleaned: dict[str, Any] = _without_nan(report)
    return cleaned


def slates_to_dict(slates: Summary) -> dict[str, Any]:
    """Of each mix: both measures, what they are relative to the first mix's less 1 (``price``), and its lists."""
    names = slates.rankers
    return {
        name: figures
        | {f"price_{measure}": price(slates, place, metric) for metric, measure in enumerate((HR, NDCG))}
        | {"against_first": {m: difference_to_dict(paired(slates, place, 0, at)) for at, m in enumerate((HR, NDCG))}}
        | _list(slates.lists[place])
        for place, (name, figures) in enumerate(zip(names, _figures(slates.overall, 0, len(names)), strict=True))
    }


def price(slates: Summary, place: int, metric: int) -> float:
    """What a mix does to HR@10 (``metric`` 0) or NDCG@10 (1) as a share of the first mix's; negative: it costs."""
    mean, first = slates.overall.mean[0], metric * len(slates.rankers)
    return float(mean[first + place] / mean[first] - 1) if mean[first] > 0 else float("nan")


def paired(summary: Summary, mine: int, theirs: int, metric: int) -> Difference:
    """The difference of two rankers, by place, in HR@10 (``metric`` 0) or NDCG@10 (1)."""
    first, second = (metric * len(summary.rankers) + place for place in (mine, theirs))
    means = summary.overall
    return difference(
        float(means.mean[0, first]), float(means.mean[0, second]), means.resampled[:, 0, first],
        means.resampled[:, 0, second],
    )  # fmt: skip


def difference_to_dict(apart: Difference) -> dict[str, Any]:
    """The difference, its interval, and how likely one as large is by chance."""
    return {"difference": apart.value, "interval": list(apart.interval), "p": apart.p}


def _against(summary: Summary, baseline: int) -> dict[str, Any]:
    return {name: difference_to_dict(paired(summary, 0, baseline, metric)) for metric, name in enumerate((HR, NDCG))}


def _ratios(summary: Summary) -> dict[str, Any]:
    """To the baseline that is best by each of the two measures."""
    rankers, means = len(summary.rankers), summary.overall
    made: dict[str, Any] = {}
    for metric, name in enumerate(("hr", "ndcg")):
        mine, theirs = metric * rankers, metric * rankers + np.arange(1, rankers)
        best = int(theirs[np.argmax(np.nan_to_num(means.mean[0, theirs]))])
        made[f"ratio_{name}"] = float(means.mean[0, mine] / max(means.mean[0, best], 1e-9))
        ratios = means.resampled[:, 0, mine] / np.maximum(means.resampled[:, 0, best], 1e-9)
        made[f"ratio_{name}_interval"] = list(interval(ratios))
    return made


def _group(means: Means, group: int, names: tuple[str, ...]) -> dict[str, Any]:
    figures = _figures(means, group, len(names))
    return {
        "events": int(means.events[group]),
        **figures[0],
        "baselines": dict(zip(names[1:], figures[1:], strict=True)),
    }


def _figures(means: Means, group: int, rankers: int) -> list[dict[str, Any]]:
    """Of each ranker: both measures with their intervals."""
    return [
        {
            key: value
            for name, column in ((HR, place), (NDCG, rankers + place))
            for key, value in (
                (name, float(means.mean[group, column])),
                (f"{name}_interval", list(interval(means.resampled[:, group, column]))),
            )
        }
        for place in range(rankers)
    ]


def _list(figures: ListFigures) -> dict[str, Any]:
    return {
        "lists": figures.lists,
        "coverage": figures.coverage,
        "novelty_bits": figures.novelty,
        "intra_list_distance": figures.distance,
        "popularity_bias": figures.popularity_bias,
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
