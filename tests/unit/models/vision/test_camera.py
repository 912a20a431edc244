"""Ways of a window: against a dense solver, and what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ConfigError, ShapeError
from models.vision.camera import CameraConfig, _graduated, follow, is_safe, jerk

CONFIG = CameraConfig()


@pytest.mark.parametrize("count", [4, 5, 7, 60])
def test_smoothing_agrees_with_a_dense_solver(count) -> None:
    chance = np.random.default_rng(count)
    wanted, weights, strength = chance.normal(size=count), chance.uniform(0.1, 3, count), 37.0
    third = np.diff(np.eye(count), n=3, axis=0)

    dense = np.linalg.solve(np.diag(weights) + strength * third.T @ third, weights * wanted)

    np.testing.assert_allclose(_graduated(wanted, weights, strength), dense, atol=1e-10)


@given(st.integers(0, 2**31), st.integers(1, 120), st.floats(0.1, 1.0))
def test_the_window_stays_in_the_picture_and_below_its_jerk(seed, count, share) -> None:
    chance = np.random.default_rng(seed)
    middle = chance.uniform(0, 1) + np.cumsum(chance.normal(0, 0.05, count))
    low, high = np.clip(middle - 0.05, 0, 1), np.clip(middle + 0.05, 0, 1)
    low[chance.uniform(size=count) < 0.2] = np.nan
    low[0] = 0.1

    edge = follow(low, high, share=share, fps=25.0, config=CONFIG)

    assert (edge >= -1e-9).all()
    assert (edge <= 1 - share + 1e-9).all()
    assert np.abs(jerk(edge, 25.0)).max(initial=0.0) <= CONFIG.most_jerk * (1 + 1e-6)


def test_somebody_who_walks_is_kept_in_the_safe_area_without_the_jitter_of_the_detections() -> None:
    chance = np.random.default_rng(0)
    middle = 0.5 + 0.35 * np.sin(np.arange(250) / 25) + chance.normal(0, 0.004, 250)
    low, high = middle - 0.05, middle + 0.05

    edge = follow(low, high, share=81 / 256, fps=25.0, config=CONFIG)

    assert is_safe(low, high, edge, share=81 / 256, config=CONFIG).all()
    assert np.abs(jerk(middle, 25.0)).max() > 100 * np.abs(jerk(edge, 25.0)).max()


def test_what_stands_still_is_not_moved_after() -> None:
    still = np.full(50, 0.5)

    np.testing.assert_allclose(follow(still - 0.1, still + 0.1, share=0.4, fps=25.0, config=CONFIG), 0.3)


def test_the_safe_area_by_hand() -> None:
    low, high, edge = np.array([0.3, 0.21, 0.0, np.nan]), np.array([0.5, 0.3, 0.1, 0.2]), np.array([0.2, 0.2, 0.0, 0.2])

    # The window is 0.4 wide, its safe part 0.02 narrower at each side, except at the picture's own edge.
    assert is_safe(low, high, edge, share=0.4, config=CONFIG).tolist() == [True, False, True, False]


def test_nothing_seen_and_bad_configs_are_refused() -> None:
    with pytest.raises(ShapeError, match="something seen"):
        follow(np.full(3, np.nan), np.full(3, np.nan), share=0.5, fps=25.0, config=CONFIG)
    with pytest.raises(ConfigError, match="most_jerk"):
        CameraConfig(most_jerk=0.0)
