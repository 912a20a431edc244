"""DeepSORT's gate, its order of tracks and its last round, by hand."""

import numpy as np
import pytest

from models.errors import ShapeError
from models.vision import deepsort, tracks
from models.vision.deepsort import DeepConfig

BOX = [10.0, 10, 60, 110]
ONE, OTHER = [1.0, 0, 0], [0.0, 1, 0]


def after(now: tracks.Tracks, *found: tuple[list[float], list[float]]) -> tuple[tracks.Tracks, list[int]]:
    """The state after a frame of boxes and looks, and the ids that were told."""
    boxes = np.array([box for box, _ in found], float).reshape(-1, 4)
    looks = np.array([look for _, look in found], np.float32).reshape(-1, 3)
    now, seen = deepsort.step(now, tracks.detections(boxes, looks=looks), DeepConfig())
    return now, seen.ids.tolist()


def followed(*found: tuple[list[float], list[float]]) -> tracks.Tracks:
    """Tracks that were seen in five frames at rest."""
    now = tracks.empty(gallery=DeepConfig().gallery, looks=3)
    for _ in range(5):
        now, _ = after(now, *found)
    return now


def aside(px: float) -> list[float]:
    return [BOX[0] + px, BOX[1], BOX[2] + px, BOX[3]]


def test_a_track_is_told_of_from_its_third_sighting_on() -> None:
    now, told = tracks.empty(gallery=DeepConfig().gallery, looks=3), []
    for _ in range(4):
        now, ids = after(now, (BOX, ONE))
        told += ids

    assert told == [-1, -1, 1, 1]


def test_the_same_look_too_far_away_is_another() -> None:
    """The centre of a box 100 px high may be 5 px off, and what the motion has; 300 px is out of all question."""
    now = followed((BOX, ONE))

    assert after(now, (aside(5), ONE))[1] == [1]
    assert after(now, (aside(300), ONE))[1] == [tracks.NOBODY]


def test_another_look_is_matched_by_overlap_if_the_track_was_seen_a_frame_ago() -> None:
    now = followed((BOX, ONE))
    assert after(now, (BOX, OTHER))[1] == [1]
    now, _ = after(now)
    assert after(now, (BOX, OTHER))[1] == [tracks.NOBODY]
    assert after(now, (BOX, ONE))[1] == [1]


def test_who_was_seen_last_comes_first() -> None:
    """Two of much the same look side by side; the one lost for longer is nearer in looks, and waits all the same."""
    nearly = [0.95, 0.3, 0]
    now = followed((BOX, ONE), (aside(6), nearly))
    for _ in range(4):
        now, ids = after(now, (aside(6), nearly))
        assert ids == [2]

    assert after(now, (aside(3), ONE))[1] == [2]


def test_a_state_without_room_for_looks_and_looks_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"make it with empty\(gallery"):
        deepsort.step(tracks.empty(), tracks.detections(np.array([BOX])), DeepConfig())
    with pytest.raises(ShapeError, match="finite embeddings"):
        after(followed((BOX, ONE)), (BOX, [np.nan, 0, 0]))
