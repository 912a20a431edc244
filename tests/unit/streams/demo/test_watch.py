"""Figures out of records whose answers are known by hand."""

from __future__ import annotations

import pytest

from streams.contract import ids
from streams.contract.events import AsOf, Metric, ModelRef, Slate, SlateItem
from streams.demo.watch import FOLLOW_S, RANKERS, Sent, Watch, curve_of, rate


def slate(user_id: str, event_id: str, *items: str) -> Slate:
    return Slate(
        request_id=ids.pushed_request_id(user_id=user_id, event_id=event_id),
        user_id=user_id,
        generated_at_ms=1,
        as_of=AsOf(event_time_ms=1),
        model=ModelRef(version=1, step=1, state_hash="0"),
        k=len(items),
        items=[
            SlateItem(item_id=item, rank=rank, score=1.0 / rank, source="tower", reasons=["why", "not"])
            for rank, item in enumerate(items, start=1)
        ],
    )


def shown_user(watch: Watch) -> str | None:
    shown = watch.figures().shown
    return shown.user_id if shown else None


def sent(user_id: str, event_id: str, at_s: float, *, is_measured: bool = True) -> Sent:
    return Sent(user_id, event_id, f"item of {event_id}", 8.0, at_s, is_measured)


def window(learned: float, events: int, value: float) -> Metric:
    values = {"learned": learned} | {
        f"{total}{ranker}_{name}_at_10": value
        for ranker in RANKERS for total in ("", "total_") for name in ("hr", "ndcg")
    }  # fmt: skip
    return Metric(series="prequential", at_ms=0, step=1, events=events, values=values)


def trainer(learned: int) -> Metric:
    return Metric(
        series="trainer", at_ms=0, step=7, events=learned, values={"learned": learned, "items": 3, "users": 2}
    )


@pytest.fixture
def watch() -> Watch:
    return Watch({"a": "Alien", "b": ""}, expected=100)


def test_nothing_seen_is_nothing_told(watch):
    figures = watch.figures()
    assert (figures.produced, figures.learned, figures.waiting, figures.fresh_p50_ms) == (0, 0, 0, None)
    assert not figures.quality
    assert figures.shown is None


def test_freshness_is_from_producing_to_the_slate_that_names_the_interaction(watch):
    watch.take_sent(sent("u", "e1", 10.0))
    watch.take_slate(slate("u", "e1", "a"), 10.25)
    figures = watch.figures()
    assert figures.fresh_p50_ms == pytest.approx(250.0)
    assert (figures.reflected, figures.waiting, figures.produced, figures.slates) == (1, 0, 1, 1)


def test_a_slate_reflects_everything_that_its_user_did_before_so_the_skipped_wait_longest(watch):
    for at, event in enumerate(("e1", "e2", "e3")):
        watch.take_sent(sent("u", event, float(at)))
    watch.take_slate(slate("u", "e2", "a"), 2.0)
    figures = watch.figures()
    assert (figures.reflected, figures.waiting) == (2, 1)
    assert figures.fresh_p99_ms == pytest.approx(2000.0, rel=0.01)
    assert figures.fresh_p50_ms == pytest.approx(1500.0)


def test_an_answer_to_somebody_else_or_to_a_request_reflects_nothing(watch):
    watch.take_sent(sent("u", "e1", 0.0))
    watch.take_slate(slate("other", "e1", "a"), 1.0)
    watch.take_slate(slate("u", "unknown", "a"), 1.0)
    assert (watch.figures().reflected, watch.figures().waiting) == (0, 1)


def test_the_warm_up_is_waited_for_and_not_measured(watch):
    watch.take_sent(sent("u", "e1", 0.0, is_measured=False))
    assert watch.figures().waiting == 1
    watch.take_slate(slate("u", "e1", "a"), 9.0)
    assert (watch.figures().waiting, watch.figures().reflected) == (0, 0)


def test_ranks_are_compared_with_the_slate_before(watch):
    watch.take_slate(slate("u", "e1", "a", "b", "c"), 0.0)
    watch.take_sent(sent("u", "e2", 1.0))
    watch.take_slate(slate("u", "e2", "c", "a", "d"), 1.0)
    shown = watch.figures().shown
    assert shown is not None
    assert [(place.title, place.moved) for place in shown.places] == [("c", 2), ("Alien", -1), ("d", None)]
    assert (shown.chose, shown.value, shown.number) == ("item of e2", 8.0, 2)
    assert shown.places[0].reason == "why"


def test_a_user_is_followed_for_a_while_and_then_another_who_has_slates_enough(watch):
    watch.take_slate(slate("u", "e", "a"), 0.0)
    for at_s in (1.0, 2.0, 3.0):
        watch.take_slate(slate("v", "e", "a"), at_s)
    watch.take_slate(slate("w", "e", "a"), FOLLOW_S + 1)  # too few
    assert shown_user(watch) == "u"
    watch.take_slate(slate("v", "e", "a"), FOLLOW_S + 1)
    assert shown_user(watch) == "v"


def test_a_chosen_user_is_the_only_one_shown():
    watch = Watch({}, expected=1, follow="v")
    watch.take_slate(slate("u", "e", "a"), 0.0)
    assert shown_user(watch) is None
    watch.take_slate(slate("v", "e", "a"), 0.0)
    assert shown_user(watch) == "v"


def test_a_dead_letter_that_comes_again_counts_once(watch):
    watch.take_dead_letter(b"t/0/1", "first")
    watch.take_dead_letter(b"t/0/1", "first")
    watch.take_dead_letter(b"t/0/2", "second")
    assert (watch.figures().dead_letters, watch.figures().last_reason) == (2, "second")


def test_counts_are_the_trainers_and_the_rate_is_over_the_last_seconds(watch):
    for at_s, learned in ((0.0, 0), (1.0, 1_000), (5.0, 1_400), (6.0, 1_500)):
        watch.take_metric(trainer(learned), at_s)
    figures = watch.figures()
    assert (figures.learned, figures.steps, figures.items, figures.users) == (1_500, 7, 3, 2)
    assert figures.per_second == pytest.approx(100.0)


def test_other_series_are_left_alone(watch):
    watch.take_metric(Metric(series="recommender", at_ms=0, step=0, events=0, values={}), 0.0)
    assert watch.figures().learned == 0


def test_quality_is_that_of_the_newest_window_and_its_curve_has_all(watch):
    watch.take_metric(window(50, 50, 0.25), 0.0)
    watch.take_metric(window(100, 50, 0.75), 1.0)
    quality = watch.figures(points=2).quality["model"]
    assert (quality.hr_at_10, quality.ndcg_at_10, quality.curve) == (0.75, 0.75, (0.25, 0.75))


def test_windows_of_one_stretch_are_weighed_and_gaps_are_bridged():
    windows = [window(10, 10, 0.2), window(20, 30, 0.6), window(70, 5, 1.0)]
    assert curve_of(windows, "model_hr_at_10", points=4, expected=100) == (
        pytest.approx(0.5),
        pytest.approx(0.5),
        1,
        None,
    )


def test_more_than_expected_stays_in_the_last_stretch():
    assert curve_of([window(500, 1, 0.5)], "model_hr_at_10", points=2, expected=100) == (None, 0.5)


@pytest.mark.parametrize("seen", [[], [(1.0, 5)], [(1.0, 5), (1.0, 9)]])
def test_a_rate_needs_two_moments(seen):
    assert rate(seen) == 0.0
