"""Curves: intervals by hand, sums that neither lose nor double an event, baselines that are better beyond doubt."""

from __future__ import annotations

import pytest

from streams.console.curves import MOST_KEPT, MOST_POINTS, RANKERS, Curves, wilson
from streams.contract.events import Metric
from tests import factories


def window(learned: int, *, events: int = 100, model: float = 0.2, other: float = 0.1) -> Metric:
    figures = {"learned": float(learned), "total_events": float(learned)}
    for ranker in RANKERS:
        value = model if ranker == "model" else other
        figures |= {f"{ranker}_hr_at_10": value, f"{ranker}_ndcg_at_10": value / 2}
    return factories.make_metric(series="prequential", events=events, values=figures)


def test_wilson_is_the_textbook_s():
    # Brown, Cai, DasGupta 2001: for 0 of n the upper edge is z^2 / (n + z^2)
    low, high = wilson(0.0, 20)
    assert (low, high) == (0.0, pytest.approx(1.96**2 / (20 + 1.96**2)))
    low, high = wilson(1.0, 20)
    assert (low, high) == (pytest.approx(20 / (20 + 1.96**2)), pytest.approx(1.0))


def test_long_streams_are_put_together_without_losing_an_event():
    curves = Curves()
    count = 2 * MOST_KEPT + 1
    for at in range(1, count + 1):
        curves.take(window(100 * at, model=at / count))
    told = curves.plain()
    assert MOST_POINTS / 2 < len(told["learned"]) <= MOST_POINTS + 1
    assert sum(told["events"]) == 100 * count
    assert told["learned"][-1] == 100 * count
    means = told["curves"]["model"]["hr_at_10"]["mean"]
    whole = sum(mean * events for mean, events in zip(means, told["events"], strict=True)) / sum(told["events"])
    assert whole == pytest.approx((count + 1) / 2 / count, abs=1e-4)
    assert means == sorted(means)


def test_a_trainer_that_went_back_tells_the_same_windows_once():
    curves = Curves()
    for learned in (100, 200, 300, 200, 300, 400):
        curves.take(window(learned))
    assert curves.plain()["learned"] == [100, 200, 300, 400]


def test_windows_of_another_version_are_left_out():
    curves = Curves()
    curves.take(factories.make_metric(series="prequential", values={"learned": 100.0}))
    curves.take(window(100, events=0))
    assert curves.plain()["learned"] == []


def test_a_baseline_is_better_only_beyond_both_intervals():
    worse, close, few = Curves(), Curves(), Curves()
    for at in range(1, 5):
        worse.take(window(1_000 * at, events=1_000, model=0.1, other=0.2))
        close.take(window(1_000 * at, events=10, model=0.18, other=0.2))
    few.take(window(1_000, events=1_000, model=0.1, other=0.2))
    assert worse.is_behind_baseline() == "transitions"
    assert close.is_behind_baseline() is None
    assert few.is_behind_baseline() is None
