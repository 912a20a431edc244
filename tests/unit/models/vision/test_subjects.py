"""Whom a shot is about, out of detections with a known answer."""

import numpy as np

from models.vision import subjects
from models.vision.precision import Found

NOTHING = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


def walking(frames, *, gone=()):
    """A person who walks to the right, a small star that stands, and a ball that is there for a moment."""
    found = []
    for at in range(frames):
        boxes, labels = [[200.0, 10, 220, 30]], [4]
        if at not in gone:
            boxes.append([20.0 + 2 * at, 40, 50 + 2 * at, 120])
            labels.append(0)
        if at < 3:
            boxes.append([100.0, 0, 250, 144])
            labels.append(2)
        found.append(Found(np.array(boxes), np.full(len(boxes), 0.9), np.array(labels)))
    return found


def test_the_person_is_the_subject_although_the_ball_is_larger() -> None:
    tracks = subjects.tracks_of(walking(30))
    subject = subjects.subject_of(tracks, 30, width=256, height=144)

    assert subject is not None
    assert subject.label == 0
    assert subject.frames.tolist() == list(range(30))


def test_gaps_are_filled_straight_and_ends_held() -> None:
    frames = 30
    subject = subjects.subject_of(
        subjects.tracks_of(walking(frames, gone=(0, 1, 2, 10, 11, 12))), frames, width=256, height=144
    )
    assert subject is not None
    edges = subjects.edges_of(subject, frames, width=256, height=144)

    assert np.isnan(edges[11]).all()
    whole = subjects.filled(edges, beyond=2)
    np.testing.assert_allclose(whole[11, 0], (20.0 + 22) / 256, atol=0.01)
    first = int(subject.frames[0])  # its second sighting: of the first one nothing is told
    assert first == 4
    assert np.isnan(whole[first - 3]).all()
    np.testing.assert_allclose(whole[first - 2], edges[first])


def test_nobody_is_the_subject_of_nothing() -> None:
    assert subjects.tracks_of([NOTHING] * 5) == []
    assert subjects.subject_of([], 5, width=256, height=144) is None
    assert np.isnan(subjects.filled(np.full((4, 4), np.nan), beyond=3)).all()


def test_what_moves_is_found_and_a_moving_camera_is_not() -> None:
    before = np.full((144, 256, 3), 90, np.uint8)
    now = before.copy()
    now[40:80, 100:160] = 200

    box = subjects.moving(before, now).boxes[0]
    assert np.abs(box - np.array([100, 40, 160, 80])).max() <= 12
    assert len(subjects.moving(before, before).scores) == 0
    assert len(subjects.moving(before, np.full_like(before, 200)).scores) == 0
