"""The filter beside a case worked by hand and beside a second one, written slowly out of a textbook."""

import numpy as np
import pytest

from models.errors import ConfigError
from models.vision import kalman
from models.vision.kalman import KalmanConfig
from tests import slow_kalman

CONFIG = KalmanConfig()


def test_a_box_is_measured_and_given_back() -> None:
    boxes = np.array([[10.0, 20, 30, 60], [0, 0, 7, 3]])
    measured = kalman.measure(boxes)

    np.testing.assert_allclose(measured, [[20, 40, 800, 0.5], [3.5, 1.5, 21, 7 / 3]])
    np.testing.assert_allclose(kalman.boxes_of(kalman.begin(measured, CONFIG)), boxes)


def test_the_second_sighting_by_hand() -> None:
    """Of x: variance 10 and rate's 10000 become 10 + 10000 + 1 a frame later, 10000 both; the detector's is 1."""
    motion = kalman.predict(kalman.begin(np.array([[0.0, 0, 100, 0.5]]), CONFIG), CONFIG)
    np.testing.assert_allclose(motion.covariance[0, [0, 0, 4], [0, 4, 4]], [10011, 10000, 10000.01])
    after = kalman.update(motion, np.array([[5.0, 0, 100, 1.0]]), CONFIG)

    np.testing.assert_allclose(after.mean[0, 0], 5 * 10011 / 10012)
    np.testing.assert_allclose(after.mean[0, 4], 5 * 10000 / 10012)
    np.testing.assert_allclose(after.mean[0, 3], 0.5 + 0.5 * 11 / 21)  # ratio: 10 + 1 against 10
    np.testing.assert_allclose(after.covariance[0, 0, 0], 10011 / 10012)
    np.testing.assert_allclose(after.mean[0, [1, 2, 5, 6]], [0, 100, 0, 0], atol=1e-12)


def test_many_boxes_at_once_are_the_textbook_s_one_by_one() -> None:
    chance = np.random.default_rng(0)
    config = KalmanConfig(measured=(2.0, 3.0, 40.0, 0.1), drift=(1.0, 2.0, 30.0, 0.01, 0.1, 0.2, 3.0))
    first = np.column_stack([chance.uniform(0, 500, (4, 2)), chance.uniform(1e3, 2e3, 4), chance.uniform(0.3, 2, 4)])
    motion = kalman.begin(first, config)
    slow = [([[value] for value in [*row, 0.0, 0.0, 0.0]], slow_kalman.diagonal(list(config.begin))) for row in first]
    for frame in range(12):
        motion = kalman.predict(motion, config)
        slow = [slow_kalman.predict(x, p, list(config.drift)) for x, p in slow]
        if frame % 3 == 2:
            continue  # not seen
        measured = first + chance.normal(0, 1, first.shape) * [3, 3, 20, 0.01] + [2 * frame, 0, 5 * frame, 0]
        motion = kalman.update(motion, measured, config)
        slow = [
            slow_kalman.update(x, p, list(z), list(config.measured)) for (x, p), z in zip(slow, measured, strict=True)
        ]

    np.testing.assert_allclose(motion.mean, np.array([x for x, _ in slow])[..., 0], rtol=1e-8)
    np.testing.assert_allclose(motion.covariance, np.array([p for _, p in slow]), rtol=1e-6, atol=1e-8)


def test_an_area_never_falls_to_nothing() -> None:
    motion = kalman.begin(kalman.measure(np.array([[0.0, 0, 10, 10]])), CONFIG)
    motion.mean[0, 6] = -60.0
    motion = kalman.predict(motion, CONFIG)
    assert motion.mean[0, 2] == 40
    for _ in range(5):
        motion = kalman.predict(motion, CONFIG)

    assert motion.mean[0, 2] == 40
    assert motion.mean[0, 6] == 0


def test_surprises_by_hand() -> None:
    """Height 100: a twentieth is 5, so that x has variance 25 and what the motion has itself, here 10."""
    motion = kalman.begin(kalman.measure(np.array([[0.0, 0, 100, 100]])), CONFIG)
    measured = np.concatenate([motion.mean[:, :4], motion.mean[:, :4] + [7.0, 0, 0, 0]])

    np.testing.assert_allclose(kalman.surprises(motion, measured), [[0, 49 / 35]])


@pytest.mark.parametrize("wrong", [{"measured": (1.0,) * 3}, {"drift": (0.0,) * 7}, {"begin": (float("nan"),) * 7}])
def test_variances_of_another_count_or_sign_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="variances above 0"):
        KalmanConfig(**wrong)
