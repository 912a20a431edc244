"""Quick figures against the implementation that others keep."""

import numpy as np
import pytest

from models.vision.precision import Found, average_precision, class_overlaps, confusion
from models.vision.scenes import scene
from streams.studio.vision_eval import coco


def noisy(one, chance):
    """Detections of a scene: moved, some missed, some of another class, some of nothing."""
    kept = chance.uniform(size=len(one.labels)) < 0.85
    boxes = np.clip(one.boxes[kept] + chance.normal(0, 3, (int(kept.sum()), 4)), 0, 128)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    labels = np.where(chance.uniform(size=len(boxes)) < 0.8, one.labels[kept], chance.integers(0, 5, len(boxes)))
    false = chance.uniform(0, 90, (2, 4))
    false[:, 2:] = false[:, :2] + 25
    scores = np.concatenate([chance.uniform(0.3, 1, len(boxes)), chance.uniform(0, 0.7, 2)])
    return Found(np.concatenate([boxes, false]), scores, np.concatenate([labels, chance.integers(0, 5, 2)]))


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_coco(seed) -> None:
    chance = np.random.default_rng(seed)
    scenes = [scene((7, seed, number)) for number in range(15)]
    found = [noisy(one, chance) for one in scenes]

    assert average_precision(scenes, found, classes=5) == pytest.approx(coco(scenes, found)["map50"], abs=1e-6)


def test_the_truth_itself_is_perfect_and_nothing_is_nothing() -> None:
    scenes = [scene((8, number)) for number in range(5)]
    truth = [Found(one.boxes, np.ones(len(one.labels)), one.labels) for one in scenes]
    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))

    assert average_precision(scenes, truth, classes=5) == 1.0
    assert average_precision(scenes, [nothing] * 5, classes=5) == 0.0


def test_overlaps_of_classes_by_hand() -> None:
    wanted, told = np.array([[0, 0, 1, 1]], np.int32), np.array([[0, 1, 1, 1]], np.int32)

    np.testing.assert_allclose(class_overlaps(confusion(told, wanted, 3)), [1 / 2, 2 / 3, 0.0])
