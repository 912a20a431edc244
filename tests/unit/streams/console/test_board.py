"""The board: rates, lag and freshness by hand, told of times by the test."""

from __future__ import annotations

import pytest

from streams.console.alarms import alarms_of
from streams.console.board import HISTORY, WAIT_S, Board, Freshness, Rate
from streams.contract.events import ModelRef, OffsetRange
from tests import factories

TOPIC = "interactions.v1"
MODEL = ModelRef(version=7, step=70, state_hash="a")


def board() -> Board:
    made = Board(TOPIC)
    made.take_edges({(TOPIC, 0): (0, 100), (TOPIC, 1): (50, 80), ("items.v1", 0): (0, 9)}, 0.0)
    return made


def learned(made: Board, partition: int, last: int) -> None:
    span = OffsetRange(topic=TOPIC, partition=partition, first=0, last=last)
    made.take_ledger(factories.make_ledger_record(ranges=[span]))


def test_a_rate_is_over_the_last_seconds_and_falls_when_nothing_comes():
    rate = Rate()
    assert rate.per_second(0.0) == 0.0
    for second in range(11):
        rate.take(100 * second, float(second))
    assert rate.per_second(10.0) == pytest.approx(100.0)
    for second in range(11, 21):
        rate.take(1_000, float(second))
    assert rate.per_second(20.0) == 0.0


def test_a_rate_falls_to_nothing_where_nobody_tells_a_count_any_more():
    rate = Rate()
    for second in range(11):
        rate.take(100 * second, float(second))
    assert rate.per_second(12.0) == pytest.approx(300 / 5)
    assert rate.per_second(15.0) == 0.0


def test_a_count_that_falls_begins_a_new_rate():
    rate = Rate()
    rate.take(1_000, 0.0)
    rate.take(10, 1.0)
    rate.take(30, 2.0)
    assert rate.per_second(2.0) == pytest.approx(20.0)


def test_lag_is_what_the_ledger_and_the_slates_leave_over():
    made = board()
    assert made.figures(0.0, 0)["trainer_lag"] is None
    learned(made, 0, 89)
    assert made.figures(0.0, 0)["trainer_lag"] == 10 + 30  # of partition 1 nothing was learned, and 50 are gone
    learned(made, 1, 79)
    assert made.figures(0.0, 0)["trainer_lag"] == 10
    made.take_slate(0, {"0": 60, "1": 80}, MODEL, 0.0)
    assert made.figures(0.0, 0)["slate_lag"] == 40
    assert made.figures(0.0, 0)["model"]["version"] == 7


def test_records_of_other_topics_and_marks_of_hashes_move_no_lag():
    made = board()
    made.take_ledger(factories.make_ledger_record(ranges=[]))
    span = OffsetRange(topic="items.v1", partition=0, first=0, last=8)
    made.take_ledger(factories.make_ledger_record(ranges=[span]))
    assert made.figures(0.0, 0)["trainer_lag"] is None
    assert [one["records"] for one in made.log(0.0, 0)["ledger"]] == [9]


def test_freshness_is_from_a_chunk_to_the_first_slate_that_knows_it():
    fresh = Freshness()
    fresh.arrived(0, 10, 1.0)
    fresh.arrived(0, 20, 1.5)
    fresh.arrived(1, 10, 1.0)
    fresh.reflected(0, 10, 1.1)  # next offset 10: the record at 10 is not known yet
    assert fresh.percentiles(1.1)["samples"] == 0
    fresh.reflected(0, 11, 1.25)
    fresh.reflected(0, 30, 1.75)
    told = fresh.percentiles(2.0)
    assert (told["samples"], told["p50_ms"], told["p99_ms"]) == (2, pytest.approx(250.0), pytest.approx(250.0))
    assert fresh.percentiles(100.0)["samples"] == 0


def test_a_sample_that_nobody_reflected_for_long_is_given_up():
    fresh = Freshness()
    fresh.arrived(0, 10, 0.0)
    fresh.reflected(0, 5, WAIT_S + 1)
    fresh.reflected(0, 50, WAIT_S + 2)
    assert fresh.percentiles(WAIT_S + 2)["samples"] == 0


def test_the_curves_of_rates_have_a_point_a_second_and_a_bound():
    made = board()
    told = [made.tick(at / 2) for at in range(2 * HISTORY + 100)]
    assert told[:4] == [True, False, True, False]
    columns = made.history(1_000.0)
    assert {len(column) for column in columns.values()} == {HISTORY}


def test_an_older_model_does_not_take_the_newer_one_s_place():
    made = board()
    made.take_slate(0, {}, MODEL, 0.0)
    made.take_slate(1, {}, ModelRef(version=6, step=60, state_hash="b"), 0.0)
    assert made.figures(0.0, 0)["model"]["version"] == 7


def test_snapshots_have_an_age_and_can_be_taken_back():
    made = board()
    made.take_snapshot("trainer", factories.make_snapshot_notice(version=5), 10_000)
    assert made.figures(0.0, 70_000)["snapshot"] == {"version": 5, "age_s": 60, "uri": "file:///snapshots/3"}
    made.take_snapshot("trainer", None, 20_000)
    assert made.figures(0.0, 70_000)["snapshot"] is None


# --- alarms --------------------------------------------------------------------------------------------------------


def words(made: Board, now_s: float, *, refused: int = 0) -> list[str]:
    return [one.text for one in alarms_of(made.figures(now_s, 0), refused=refused)]


def trainer(made: Board, at_s: float, **values: float) -> None:
    made.take_metric(factories.make_metric(series="trainer", values={"learned": 100.0, **values}), at_s)


def test_all_is_well_where_everything_keeps_up():
    made = board()
    trainer(made, 0.0)
    learned(made, 0, 99)
    learned(made, 1, 79)
    assert words(made, 1.0) == []


def test_what_has_stopped_comes_before_what_may_stop():
    made = board()
    trainer(made, 0.0, recovering=12.0)
    made.problem = "No broker."
    assert words(made, 75.0, refused=3) == [
        "No broker.",
        "The trainer has said nothing for 75 s.",
        "The trainer learns 12 steps of the ledger again.",
        "3 records were refused within a minute.",
    ]


def test_no_trainer_at_all_is_no_alarm_of_a_dead_one():
    assert words(board(), 0.0) == ["No trainer has said anything yet."]


def test_lag_alarms_by_the_time_that_it_stands_for():
    made = Board(TOPIC)
    made.take_edges({(TOPIC, 0): (0, 3_000), (TOPIC, 1): (50, 80)}, 0.0)
    trainer(made, 0.0)
    learned(made, 0, 0)
    assert words(made, 0.0) == ["The trainer is 3,029 interactions behind."]
    for second in range(1, 7):  # 1,000 arrive a second: 9 s of the stream wait
        made.take_edges({(TOPIC, 0): (0, 3_000 + 1_000 * second), (TOPIC, 1): (50, 80)}, float(second))
    assert words(made, 6.0) == []
