"""The figures as JSON, as tables, as a picture, and two models' beside each other."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from models.evaluate.passage import passage_of
from models.evaluate.summary import Records, summarise
from streams.errors import EvaluationError
from streams.replay.comparison import compared
from streams.replay.evaluation import Asked, Evaluation
from streams.replay.logs import EventLog, read_log
from streams.replay.plot import check_plotting, draw
from streams.replay.report import to_dict
from streams.replay.tables import comparison_table, evaluation_table

EVENTS = 400
NAMES = ("model", "decayed_popularity", "transitions", "knn")
FIGURES = ("hr_at_10", "hr_at_10_interval", "ndcg_at_10", "ndcg_at_10_interval")


def evaluation(seed: int = 0, *, better: float = 1.0) -> Evaluation:
    """400 scored events of 40 users; the model's ranks are the baselines' divided by ``better``."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, 40, EVENTS).astype(np.int32)
    passage = passage_of(
        user, np.arange(EVENTS, dtype=np.int32) % 50, 1_000 * np.arange(EVENTS), place=np.arange(EVENTS),
        learns=np.ones(EVENTS, bool), judged=np.ones(EVENTS, bool),
    )  # fmt: skip
    ranks = np.round(1 + rng.exponential(15, (EVENTS, 4))).astype(np.float32)
    ranks[:, 0] = np.maximum(1, np.round(ranks[:, 1] / better))
    ranks[::50] = np.inf
    records = Records(np.arange(EVENTS), NAMES, ranks, (np.arange(8) % 50 * np.ones((EVENTS, 4, 1))).astype(np.int32))
    summary = summarise(
        records, passage, surface=(np.arange(EVENTS) % 2).astype(np.int32), surfaces=["home", "search"], tags=None,
        seed=0, resamples=100,
    )  # fmt: skip
    return Evaluation(
        log="small", protocol="prequential", events=EVENTS, users=40, items=50, learned=EVENTS, repeats=False,
        passage=passage, records=records, summary=summary,
    )  # fmt: skip


@pytest.fixture
def log(tmp_path) -> EventLog:
    """As many events as `evaluation` has."""
    rows = (f"u{n},i{n % 50},{n + 1},{('home', 'search')[n % 2]}\n" for n in range(EVENTS))
    (tmp_path / "small.csv").write_text("user_id,item_id,timestamp,surface\n" + "".join(rows), encoding="utf-8")
    return read_log(tmp_path / "small.csv")


def part_of(records: Records, rows: slice) -> Records:
    return records._replace(at=records.at[rows], ranks=records.ranks[rows], tops=records.tops[rows])


def printed(renderable) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(renderable)
    return out.getvalue()


def test_the_object_has_each_figure_of_each_ranker_everywhere():
    found = evaluation(better=2.0)
    report = to_dict(found)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["baselines"]) == set(NAMES[1:]) == set(report["against"])
    for place in [report, *report["segments"], *report["curve"]]:
        assert set(FIGURES) <= set(place)
        assert all(set(FIGURES) == set(baseline) for baseline in place["baselines"].values())
    assert report["hr_at_10"] == pytest.approx((found.records.ranks[:, 0] <= 10).mean())
    assert (report["events"], report["scored"], report["learned"]) == (EVENTS, EVENTS, EVENTS)
    low, high = report["hr_at_10_interval"]
    assert low < report["hr_at_10"] < high
    best = max(NAMES[1:], key=lambda name: report["baselines"][name]["hr_at_10"])
    assert report["best_baseline"] == best
    assert report["ratio_hr"] == pytest.approx(report["hr_at_10"] / report["baselines"][best]["hr_at_10"])
    best_ndcg = max(baseline["ndcg_at_10"] for baseline in report["baselines"].values())
    assert report["ratio_ndcg"] == pytest.approx(report["ndcg_at_10"] / best_ndcg)
    against = report["against"]["decayed_popularity"]["hr_at_10"]
    assert against["difference"] > 0
    assert against["interval"][0] > 0
    assert against["p"] < 0.05
    assert sum(part["events"] for part in report["curve"]) == EVENTS
    assert [part["until_event"] for part in report["curve"]][-1] == EVENTS - 1
    assert {part["is"] for part in report["segments"] if part["by"] == "surface"} == {"home", "search"}
    assert "frozen" not in report


def test_a_figure_that_is_none_is_null_and_frozen_stands_inside():
    made = evaluation()
    report = to_dict(dataclasses.replace(made, frozen=made))
    assert report["lists"]["model"]["intra_list_distance"] is None
    assert report["frozen"]["hr_at_10"] == report["hr_at_10"]


def test_the_table_shows_every_ranker_segment_and_measure():
    made = evaluation(better=2.0)
    text = printed(evaluation_table(dataclasses.replace(made, frozen=made)))
    for word in ("Marquee", "decayed popularity", "transitions", "kNN", "HR@10", "NDCG@10", "95 %", "0-4 (new)",
                 "surface", "search", "coverage", "popularity bias", "along the log", "400 of 400 events"):  # fmt: skip
        assert word in text
    assert f"{made.hr_at_10['model']:.4f}" in text


def test_a_model_that_is_no_better_than_a_baseline_is_marked():
    # Better than none: it is the decayed popularity itself.
    lines = printed(evaluation_table(evaluation())).splitlines()
    assert "1.00x*" in next(line for line in lines if line.startswith("decayed popularity"))


def test_two_models_are_compared_on_the_events_that_both_scored(log):
    one, two = evaluation(), evaluation(better=2.0)
    two = dataclasses.replace(two, records=part_of(two.records, slice(5, None)))
    found = compared(log, Asked(resamples=200), ("a.toml", one), ("b.toml", two))
    hits = [(made.records.ranks[:, 0] <= 10)[skip:].mean() for made, skip in ((one, 5), (two, 0))]
    assert found.hr.value == pytest.approx(hits[1] - hits[0])
    assert found.hr.interval.low > 0
    report = found.to_dict()
    assert json.loads(json.dumps(report)) == report
    assert (report["scored"], report["first"]["config"]) == (EVENTS - 5, "a.toml")
    assert report["second"]["hr_at_10"] == pytest.approx(hits[1])
    text = printed(comparison_table(found))
    assert all(word in text for word in ("a.toml", "b.toml", "second less first", "by chance", "surface"))
    same = compared(log, Asked(resamples=50), ("a", one), ("a", one))
    assert (same.hr.value, same.hr.p, same.ndcg.p) == (0, 1, 1)


def test_models_that_scored_no_event_in_common_are_not_compared(log):
    one = evaluation()
    halves = [dataclasses.replace(one, records=part_of(one.records, slice(half, None, 2))) for half in (0, 1)]
    with pytest.raises(EvaluationError, match="expected events that both models scored, got none"):
        compared(log, Asked(), ("a", halves[0]), ("b", halves[1]))


@pytest.mark.slow
def test_the_picture_is_one_and_always_the_same(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.png", "b.png"):
        draw(evaluation(better=2.0), tmp_path / name)
    picture = (tmp_path / "a.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) > 20_000, "not an empty page"
    assert picture == (tmp_path / "b.png").read_bytes()
    draw(evaluation(better=1.0), tmp_path / "c.png")
    assert picture != (tmp_path / "c.png").read_bytes()


def test_a_picture_that_cannot_be_drawn_is_said_at_once(tmp_path, monkeypatch):
    with pytest.raises(EvaluationError, match=r"expected a picture ending in .png, .svg, .pdf, got out.txt; rename it"):
        check_plotting(tmp_path / "out.txt")
    with pytest.raises(EvaluationError, match=r"expected a folder for .*got none; make it first"):
        check_plotting(tmp_path / "nowhere" / "out.png")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(EvaluationError, match=r"expected the package matplotlib for --plot.*marquee\[eval\]"):
        check_plotting(tmp_path / "out.png")
