"""ByteTrack's rounds and thresholds, by hand."""

import numpy as np

from models.vision import bytetrack, tracks
from models.vision.bytetrack import ByteConfig

BOX, OTHER = [10.0, 10, 60, 110], [400.0, 10, 450, 110]


def after(now: tracks.Tracks, *boxes: list[float], score: float = 0.9) -> tuple[tracks.Tracks, list[int]]:
    """The state after a frame, and the ids that were told."""
    found = tracks.detections(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), score))
    now, seen = bytetrack.step(now, found, ByteConfig())
    return now, seen.ids.tolist()


def test_unsure_detections_continue_a_track_and_begin_none() -> None:
    now = tracks.empty()
    for score in (0.9, 0.9, 0.4, 0.4):
        now, ids = after(now, BOX, score=score)
        assert ids == [1]
    for _ in range(3):
        now, ids = after(now, OTHER, score=0.4)
        assert ids == [tracks.NOBODY]


def test_unsure_detections_do_not_bring_a_lost_track_back() -> None:
    now, _ = after(tracks.empty(), BOX)
    now, _ = after(now)
    now, ids = after(now, BOX, score=0.4)
    assert ids == [tracks.NOBODY]
    assert after(now, BOX)[1] == [1]


def test_a_new_track_wants_a_high_score_and_a_second_sighting() -> None:
    now, _ = after(tracks.empty())
    now, ids = after(now, BOX, score=0.65)
    assert (len(now.ids), ids) == (0, [tracks.NOBODY])
    now, ids = after(now, BOX, score=0.75)
    assert ids == [tracks.NOBODY]
    assert after(now, BOX, score=0.65)[1] == [1]
    assert len(after(now)[0].ids) == 0, "seen once and no more"


def test_overlaps_count_by_their_score() -> None:
    """30 of 50 px off: 20 shared of 80; with a score of 0.9 the cost is 0.775, with 0.75 it is 0.8125, above 0.8."""
    now, _ = after(tracks.empty(), BOX)
    aside = [40.0, 10, 90, 110]

    assert after(now, aside, score=0.9)[1] == [1]
    assert after(now, aside, score=0.75)[1] == [tracks.NOBODY]


def test_of_two_tracks_in_one_place_the_one_that_was_followed_for_less_long_goes() -> None:
    """Two detections of one thing make two tracks; when one of them is lost its box lies in the other's."""
    now = tracks.empty()
    for frame in range(9):
        now, _ = after(now, *([BOX, [10.0, 10, 61, 110]] if 3 <= frame < 6 else [BOX]))

    assert now.ids.tolist() == [1]
    assert now.missed.tolist() == [0]
