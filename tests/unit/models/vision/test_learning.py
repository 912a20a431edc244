"""What learning sees, and how its state is named; that it learns is shown where it is trained."""

import numpy as np
import pytest

from models.errors import ConfigError, StateError
from models.vision.detector import DetectorConfig
from models.vision.learning import DETECT, LearnConfig, Scenes, begin, filled, named, varied
from models.vision.pyramid import PyramidConfig
from models.vision.scenes import scene

HOW = LearnConfig(steps=4, batch=2, scenes=3, side=32)


def test_a_step_sees_the_same_whenever_it_comes() -> None:
    one, other = Scenes(HOW), Scenes(HOW)
    for step in range(4):
        one.batch(step)

    for mine, theirs in zip(one.batch(5), other.batch(5), strict=True):
        np.testing.assert_array_equal(mine.picture, theirs.picture)
        np.testing.assert_array_equal(mine.boxes, theirs.boxes)


@pytest.mark.parametrize("number", range(6))
def test_a_mirrored_scene_is_still_true(number) -> None:
    one = varied(scene((9, number)), np.random.default_rng(number))

    for row, box in enumerate(one.boxes.tolist()):
        ys, xs = np.nonzero(one.owner == row)
        assert box == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_a_state_is_what_its_arrays_say() -> None:
    _, state = begin(DETECT, DetectorConfig(widths=(8, 8, 8, 8)), HOW)
    arrays = named(state.weights)
    again = named(filled(state.weights, {name: 2 * one for name, one in arrays.items()}))

    assert all((again[name] == 2 * one).all() for name, one in arrays.items())
    first = sorted(arrays)[0]
    with pytest.raises(StateError, match="exactly the network's names"):
        filled(state.weights, {name: one for name, one in arrays.items() if name != first})
    with pytest.raises(StateError, match=f"expected {first} as float32"):
        filled(state.weights, arrays | {first: np.zeros(3, np.float32)})


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of 16"):
        LearnConfig(side=40)
    with pytest.raises(ConfigError, match="in \\[0, 1\\)"):
        LearnConfig(rate=2.0)
    with pytest.raises(ConfigError, match="multiples of 8"):
        PyramidConfig(widths=(8, 8, 8, 9))
