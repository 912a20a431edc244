"""What a detector is asked to say, and what is read out of it."""

import jax.numpy as jnp
import numpy as np
import pytest

from models.vision import detector
from models.vision.detector import CELL, Targets

BOXES = np.array([[8.0, 12, 40, 60], [70, 20, 110, 44], [64, 80, 80, 96]])
LABELS = np.array([0, 1, 4])


def wanted(is_asked=(True, True, True)):
    return detector.targets(BOXES, LABELS, np.array(is_asked), 112, 128)


def said(target):
    """Heat and distances of a detector that says exactly what it should, for one picture."""
    rows, columns = target.weight.shape
    x, y = np.arange(columns)[None, :] + 0.5, np.arange(rows)[:, None] + 0.5
    left, top, right, bottom = np.moveaxis(target.boxes, -1, 0)
    sides = np.stack([x - left, y - top, right - x, bottom - y], axis=-1).astype(np.float32)
    chance = np.clip(target.heat, 1e-4, 1 - 1e-4)
    return jnp.asarray(np.log(chance / (1 - chance))[None]), jnp.asarray(sides[None])


def test_what_is_asked_is_what_is_read() -> None:
    boxes, scores, labels = (np.asarray(one)[0] for one in detector.peaks(*said(wanted()), most=5))

    found = sorted(zip(labels[:3].tolist(), boxes[:3].round(3).tolist(), strict=True))
    assert found == sorted(zip(LABELS.tolist(), BOXES.tolist(), strict=True))
    assert (scores[:3] > 0.999).all()
    assert (scores[3:] < 0.9).all()


def test_saying_what_is_asked_costs_least() -> None:
    target = Targets(*(one[None] for one in wanted()))
    heat, sides = said(wanted())

    right = float(detector.loss(heat, sides, target))
    assert right < 0.2
    assert float(detector.loss(heat, sides + 1.0, target)) > right + 0.5
    assert float(detector.loss(-heat, sides, target)) > right + 1.0


def test_around_a_figure_that_is_not_asked_for_nothing_is() -> None:
    target = wanted((True, False, True))
    at = int(32 / CELL), int(90 / CELL)

    assert target.asked[at] == 0
    assert target.weight[at] == 0
    assert target.heat[..., 1].max() == 0


def test_generalised_overlap_by_hand() -> None:
    one = jnp.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    other = jnp.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])

    np.testing.assert_allclose(detector.generalised_overlap(one, other), [1.0, 1 / 3, -1 / 3], atol=1e-6)


def test_a_repetition_gives_way_to_the_surer_one() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [30, 30, 40, 40]])

    kept = detector.unlike(boxes, np.array([0.5, 0.9, 0.8, 0.1]), np.array([0, 0, 1, 0]))

    assert kept.tolist() == [1, 3]  # the third is of another class, and all but the same box


@pytest.mark.parametrize("count", [0, 1])
def test_few_boxes_are_no_special_case(count) -> None:
    kept = detector.unlike(BOXES[:count], np.ones(count), LABELS[:count])

    assert kept.tolist() == list(range(count))
