"""The figures of small clips, counted by hand."""

import numpy as np

from models.vision.clear_mot import Figures, Told, judge, total


def told(*rows: tuple[int, int, float]) -> Told:
    """Rows of frame, id and where the box begins."""
    boxes = np.array([[at, 0, at + 10, 10] for _, _, at in rows], float).reshape(-1, 4)
    return Told(np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.int64), boxes)


def test_a_switch_a_miss_and_a_false_alarm() -> None:
    truth = told((1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 0))
    tracks = told((1, 7, 0), (2, 8, 0), (3, 8, 0), (3, 9, 500))
    figures = judge(truth, tracks)

    assert figures == Figures(truths=4, told=4, misses=1, false_alarms=1, switches=1, kept=2)
    assert figures.mota == 1 - 3 / 4
    assert figures.idf1 == 2 * 2 / 8


def test_the_last_track_is_kept_while_it_overlaps_even_if_another_fits_better() -> None:
    truth = told((1, 1, 0), (2, 1, 0))
    tracks = told((1, 7, 0), (2, 7, 3), (2, 8, 0))  # 3 px off: 70 of 130, above a half

    assert judge(truth, tracks) == Figures(truths=2, told=3, misses=0, false_alarms=1, switches=0, kept=2)


def test_a_track_after_a_gap_is_a_switch_if_it_is_another() -> None:
    truth = told((1, 1, 0), (2, 1, 0), (3, 1, 0))

    assert judge(truth, told((1, 7, 0), (3, 8, 0))).switches == 1
    assert judge(truth, told((1, 7, 0), (3, 7, 0))).switches == 0


def test_a_track_is_one_s_alone() -> None:
    """Both had track 7 last; where both are there again, the first keeps it and the other is missed."""
    truth = told((1, 1, 0), (2, 2, 0), (3, 1, 0), (3, 2, 1))

    assert judge(truth, told((1, 7, 0), (2, 7, 0), (3, 7, 0))) == Figures(4, 3, 1, 0, 0, 2)


def test_boxes_that_overlap_by_less_than_a_half_are_both_errors() -> None:
    assert judge(told((1, 1, 0)), told((1, 1, 4))) == Figures(1, 1, 1, 1, 0, 0)  # 60 of 140


def test_two_who_swap_are_two_switches() -> None:
    truth = told((1, 1, 0), (1, 2, 50), (2, 1, 0), (2, 2, 50))

    assert judge(truth, told((1, 1, 0), (1, 2, 50), (2, 2, 0), (2, 1, 50))).switches == 2


def test_of_nothing_there_are_no_figures_but_zeros() -> None:
    figures = judge(told(), told())

    assert (figures.mota, figures.idf1) == (0.0, 0.0)
    assert judge(told(), told((1, 1, 0))).false_alarms == 1


def test_clips_are_added() -> None:
    assert total([Figures(1, 2, 3, 4, 5, 6), Figures(10, 20, 30, 40, 50, 60)]) == Figures(11, 22, 33, 44, 55, 66)
