"""The moves that trackers share, by hand."""

import numpy as np

from models.vision import tracks
from models.vision.kalman import KalmanConfig

BOX = np.array([[10.0, 10, 60, 110]])


def begun(*, gallery: int = 0, looks: int = 0, look: list[float] | None = None) -> tracks.Tracks:
    found = tracks.detections(BOX, looks=None if look is None else np.array([look], np.float32))
    state = tracks.empty(gallery=gallery, looks=looks)
    return tracks.begun(state, found, np.array([0]), KalmanConfig(), is_confirmed=True)


def test_the_area_of_a_lost_track_stands_still_where_asked() -> None:
    now = begun()
    now.motion.mean[0, 6] = 100.0
    lost = now._replace(missed=np.array([1]))

    for before, is_steady, area in ((now, True, 5100), (lost, True, 5000), (lost, False, 5100)):
        assert tracks.moved(before, KalmanConfig(), is_lost_steady=is_steady).motion.mean[0, 2] == area
    assert lost.motion.mean[0, 6] == 100.0


def test_a_gallery_keeps_the_newest_looks_at_unit_length() -> None:
    """Room for two: the third takes the place of the first."""
    now = begun(gallery=2, looks=2, look=[3.0, 4.0])
    for look in ([0.0, 2.0], [5.0, 0.0]):
        found = tracks.detections(BOX, looks=np.array([look], np.float32))
        now = tracks.matched(now, found, np.array([0]), np.array([0]), KalmanConfig())

    np.testing.assert_allclose(now.looks[0], [[1, 0], [0, 1]])
    assert now.looks_count.tolist() == [3]


def test_a_look_of_length_nought_stays_so() -> None:
    np.testing.assert_array_equal(tracks.unit(np.zeros((1, 3), np.float32)), np.zeros((1, 3)))


def test_who_was_seen_is_said_of_the_tracks_that_are_told_alone() -> None:
    now = begun()
    found = tracks.detections(np.concatenate([BOX, BOX + 200, BOX + 400]))
    owners = np.array([1, tracks.NOBODY, 7])  # 7 is gone

    assert tracks.seen(now, found, owners, np.array([True])).ids.tolist() == [1, -1, -1]
    assert tracks.seen(now, found, owners, np.array([False])).ids.tolist() == [-1, -1, -1]
