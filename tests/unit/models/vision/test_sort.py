"""SORT's rules of when a track is told of, by hand."""

import numpy as np

from models.vision import sort, tracks
from models.vision.sort import SortConfig

FIRST, LATER = [10.0, 10, 60, 110], [400.0, 10, 450, 110]


def told(*frames: list[list[float]]) -> list[list[int]]:
    """Ids of the detections of each frame."""
    now, ids = tracks.empty(), []
    for boxes in frames:
        now, seen = sort.step(now, tracks.detections(np.array(boxes, float).reshape(-1, 4)), SortConfig())
        ids.append(seen.ids.tolist())
    return ids


def test_a_track_is_told_of_after_three_matches() -> None:
    """By the authors' program: in the first three frames at once, later after a sighting and three matches."""
    frames = [[FIRST]] * 3 + [[FIRST, LATER]] * 5

    assert told(*frames) == [[1], [1], [1], [1, -1], [1, -1], [1, -1], [1, 2], [1, 2]]


def test_after_a_frame_without_it_three_matches_are_asked_for_again() -> None:
    assert told(*[[FIRST]] * 5, [], *[[FIRST]] * 4) == [[1]] * 5 + [[]] + [[-1], [-1], [1], [1]]


def test_boxes_that_share_too_little_are_not_matched() -> None:
    """40 px of 50 off: 10 shared of 90, below 0.3; 20 px: 30 of 70, above."""
    assert told([FIRST], [[50.0, 10, 100, 110]]) == [[1], [2]]
    assert told([FIRST], [[30.0, 10, 80, 110]]) == [[1], [1]]
