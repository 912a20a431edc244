"""Generated scenes: the same for the same seed, and true about themselves."""

from itertools import pairwise

import numpy as np
import pytest

from models.errors import ConfigError
from models.vision.figures import CLASSES, Figure, draw
from models.vision.scenes import LEAST_SHOWN, clip, scene


def extent(owner, row):
    ys, xs = np.nonzero(owner == row)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_a_seed_is_a_scene() -> None:
    one, again, other = scene((0, 1)), scene((0, 1)), scene((0, 2))

    np.testing.assert_array_equal(one.picture, again.picture)
    np.testing.assert_array_equal(one.owner, again.owner)
    assert (one.picture != other.picture).any()


@pytest.mark.parametrize("number", range(12))
def test_boxes_and_masks_are_of_the_same_pixels(number) -> None:
    one = scene((3, number), width=96, height=64)

    assert one.picture.shape == (64, 96, 3)
    assert one.owner.max() < len(one.labels)
    for row, box in enumerate(one.boxes.tolist()):
        assert box == extent(one.owner, row)
    shown = np.concatenate([[0], one.labels + 1])[one.owner + 1]
    np.testing.assert_array_equal(one.classes(), shown)


def test_a_figure_that_another_one_hides_is_not_asked_for() -> None:
    scenes = [scene((4, number)) for number in range(60)]

    assert any(not one.is_asked.all() for one in scenes)
    assert {int(label) for one in scenes for label in one.labels} == set(range(len(CLASSES)))
    assert 0 < LEAST_SHOWN < 1


def test_identities_stay_through_a_clip_and_figures_move_smoothly() -> None:
    frames = clip((5, 0), frames=12, width=128, height=80)

    for before, now in pairwise(frames):
        for row, identity in enumerate(now.ids):
            was = np.flatnonzero(before.ids == identity)
            if len(was) and now.is_asked[row] and before.is_asked[was[0]]:
                assert now.labels[row] == before.labels[was[0]]
    assert any((before.picture != now.picture).any() for before, now in pairwise(frames))


def test_the_subject_of_a_clip_is_its_only_person() -> None:
    frames = clip((5, 1), frames=6, subject=True)

    for one in frames:
        assert one.ids[one.labels == CLASSES.index("person")].tolist() == [1]


def test_what_is_outside_is_not_drawn() -> None:
    figure = Figure(2, -50.0, 10.0, 20.0, 0.0, 0.0, 1.0, np.ones((4, 3), np.float32), 0.0, 4.0)

    assert draw(figure, 64, 64) is None
    inside = draw(figure._replace(x=32.0, y=32.0), 64, 64)
    assert inside is not None
    assert inside.cover.sum() == pytest.approx(np.pi * 9.8**2, rel=0.03)  # a ball, 0.49 of its height in radius


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="32 px a side or more"):
        scene((0, 0), width=16)
