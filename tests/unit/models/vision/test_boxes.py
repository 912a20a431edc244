"""Overlaps by hand, and what boxes are refused or left out."""

import numpy as np
import pytest

from models.errors import ShapeError
from models.vision.boxes import overlaps, usable


def test_overlaps_by_hand() -> None:
    left = np.array([[0.0, 0, 10, 10], [0, 0, 0, 0]])
    right = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 0, 0], [2, 2, 4, 4]])

    np.testing.assert_allclose(overlaps(left, right), [[1.0, 50 / 150, 0.0, 0.0, 4 / 100], [0.0] * 5])


def test_no_boxes_overlap_nothing() -> None:
    assert overlaps(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_boxes_without_an_area_are_left_out() -> None:
    boxes = np.array([[0.0, 0, 5, 5], [3, 3, 3, 9], [3, 3, 9, 3], [0, 0, 1e-3, 1e-3]])

    assert usable(boxes, np.ones(4)).tolist() == [True, False, False, False]


@pytest.mark.parametrize("bad", [[np.nan, 0, 1, 1], [0, 0, np.inf, 1], [5, 0, 4, 1], [0, 5, 1, 4], [0, 0, 1e7, 1]])
def test_broken_boxes_are_refused_with_their_row(bad) -> None:
    with pytest.raises(ShapeError, match=r"in row 1; leave such boxes out"):
        usable(np.array([[0.0, 0, 1, 1], bad]), np.ones(2))


@pytest.mark.parametrize("score", [np.nan, -0.1, 55.0, np.inf])
def test_a_score_that_is_no_share_is_refused(score) -> None:
    with pytest.raises(ShapeError, match=rf"a score 0..1, got .* with score {score} in row 0"):
        usable(np.array([[0.0, 0, 1, 1]]), np.array([score]))


@pytest.mark.parametrize(("boxes", "scores"), [((2, 3), 2), ((2, 4), 3), ((4,), 4)])
def test_other_shapes_are_refused(boxes, scores) -> None:
    with pytest.raises(ShapeError, match=r"expected boxes \[D, 4\]"):
        usable(np.zeros(boxes), np.zeros(scores))
