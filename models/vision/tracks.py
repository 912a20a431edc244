"""What a tracker knows between two frames, and the moves that all trackers share: state in, state out.

How detections are matched to tracks is decided by `sort`, `bytetrack` and `deepsort`.
"""

from typing import NamedTuple

import numpy as np

from models.errors import ShapeError
from models.typing import F32, F64, I64, Bools
from models.vision import boxes as box
from models.vision import kalman
from models.vision.kalman import KalmanConfig, Motion

NOBODY = -1
"""Id of a detection that is no track's."""


class Detections(NamedTuple):
    """What a detector found in one frame.

    Attributes:
      boxes: left, top, right, bottom, px, float64 [D, 4]. scores: 0..1, float64 [D].
      looks: appearance embeddings, float32 [D, E]; E is 0 for trackers that go by place alone.
    """

    boxes: F64
    scores: F64
    looks: F32


class Seen(NamedTuple):
    """What a tracker says of the detections of one frame, row for row.

    Attributes:
      ids: the track's id from 1 up, never given twice; `NOBODY` for detections of no confirmed track. int64 [D].
      boxes: the track's filtered box, or the detection as it came where there is no track, float64 [D, 4].
    """

    ids: I64
    boxes: F64


class Tracks(NamedTuple):
    """State of N tracks; nothing else is remembered.

    Attributes:
      ids: int64 [N], rising. motion: of each.
      began: frame of its first sighting, counted from 1, int64 [N].
      missed: frames since it was matched, int64 [N]. streak: matches in a row after the first sighting, int64 [N].
      is_confirmed: whether it counts as a track, bool [N].
      looks: the newest embeddings of each, unit length, float32 [N, G, E], row ``looks_count % G`` next.
      looks_count: embeddings taken so far, int64 [N].
      frame: frames so far. next_id: of the next track that begins.
    """

    ids: I64
    motion: Motion
    began: I64
    missed: I64
    streak: I64
    is_confirmed: Bools
    looks: F32
    looks_count: I64
    frame: int
    next_id: int


def empty(*, gallery: int = 0, looks: int = 0) -> Tracks:
    """The state before the first frame.

    Args:
      gallery: G, embeddings kept a track. looks: E, length of an embedding.
    """
    whole = np.zeros(0, np.int64)
    motion = Motion(np.zeros((0, kalman.STATES)), np.zeros((0, kalman.STATES, kalman.STATES)))
    nothing = np.zeros((0, gallery, looks), np.float32)
    return Tracks(whole, motion, whole, whole, whole, np.zeros(0, bool), nothing, whole, 0, 1)


def detections(boxes: F64, scores: F64 | None = None, looks: F32 | None = None) -> Detections:
    """Detections of a frame; scores are 1 and embeddings empty where none are given."""
    count = len(boxes)
    return Detections(
        boxes,
        np.ones(count) if scores is None else scores,
        np.zeros((count, 0), np.float32) if looks is None else looks,
    )


def fit(tracks: Tracks, found: Detections) -> I64:
    """Rows of the detections that can be followed, int64 [D']; those without an area are left out.

    Raises:
      ShapeError: boxes, scores or embeddings of another shape, or values that are not finite.
    """
    if found.looks.shape != (len(found.boxes), tracks.looks.shape[2]):
        raise ShapeError(
            f"expected embeddings {(len(found.boxes), tracks.looks.shape[2])}, as the state was made for, got "
            f"{found.looks.shape}; make the state with empty(looks=...) of the same length"
        )
    if not np.isfinite(found.looks).all():
        raise ShapeError("expected finite embeddings, got a value that is not; leave such detections out")
    return np.flatnonzero(box.usable(found.boxes, found.scores))


def moved(tracks: Tracks, config: KalmanConfig, *, is_lost_steady: bool) -> Tracks:
    """Tracks a frame later, none matched yet.

    Args:
      is_lost_steady: areas of tracks that were not matched in the frame before stop changing.
    """
    motion = tracks.motion
    if is_lost_steady:
        mean = motion.mean.copy()
        mean[tracks.missed > 0, 6] = 0.0
        motion = Motion(mean, motion.covariance)
    return tracks._replace(
        motion=kalman.predict(motion, config),
        missed=tracks.missed + 1,
        streak=np.where(tracks.missed > 0, 0, tracks.streak),
        frame=tracks.frame + 1,
    )


def matched(tracks: Tracks, found: Detections, track_rows: I64, found_rows: I64, config: KalmanConfig) -> Tracks:
    """Tracks after some were seen: row ``track_rows[i]`` as detection ``found_rows[i]``."""
    if not len(track_rows):
        return tracks
    mean, covariance = tracks.motion.mean.copy(), tracks.motion.covariance.copy()
    mean[track_rows], covariance[track_rows] = kalman.update(
        tracks.motion.taken(track_rows), kalman.measure(found.boxes[found_rows]), config
    )
    missed, streak, count, looks = tracks.missed.copy(), tracks.streak.copy(), tracks.looks_count, tracks.looks
    missed[track_rows] = 0
    streak[track_rows] += 1
    if looks.size:
        looks, count = looks.copy(), count.copy()
        looks[track_rows, count[track_rows] % looks.shape[1]] = unit(found.looks[found_rows])
        count[track_rows] += 1
    return tracks._replace(
        motion=Motion(mean, covariance), missed=missed, streak=streak, looks=looks, looks_count=count
    )


def begun(tracks: Tracks, found: Detections, rows: I64, config: KalmanConfig, *, is_confirmed: bool) -> Tracks:
    """Tracks with a new one at the end for each of these detections."""
    count = len(rows)
    if not count:
        return tracks
    motion = kalman.begin(kalman.measure(found.boxes[rows]), config)
    looks = np.zeros((count, *tracks.looks.shape[1:]), np.float32)
    if looks.size:
        looks[:, 0] = unit(found.looks[rows])
    none = np.zeros(count, np.int64)
    return tracks._replace(
        ids=np.concatenate([tracks.ids, np.arange(tracks.next_id, tracks.next_id + count)]),
        motion=Motion(*(np.concatenate(pair) for pair in zip(tracks.motion, motion, strict=True))),
        began=np.concatenate([tracks.began, none + tracks.frame]),
        missed=np.concatenate([tracks.missed, none]),
        streak=np.concatenate([tracks.streak, none]),
        is_confirmed=np.concatenate([tracks.is_confirmed, np.full(count, is_confirmed)]),
        looks=np.concatenate([tracks.looks, looks]),
        looks_count=np.concatenate([tracks.looks_count, none + 1]),
        next_id=tracks.next_id + count,
    )


def kept(tracks: Tracks, stays: Bools) -> Tracks:
    """The tracks that stay."""
    if stays.all():
        return tracks
    return tracks._replace(
        ids=tracks.ids[stays],
        motion=tracks.motion.taken(stays),
        began=tracks.began[stays],
        missed=tracks.missed[stays],
        streak=tracks.streak[stays],
        is_confirmed=tracks.is_confirmed[stays],
        looks=tracks.looks[stays],
        looks_count=tracks.looks_count[stays],
    )


def seen(tracks: Tracks, found: Detections, owners: I64, tells: Bools) -> Seen:
    """What is said of a frame.

    Args:
      owners: id of the track of each detection, `NOBODY` where none, int64 [D].
      tells: which tracks are told of, bool [N].
    """
    ids = np.full(len(found.boxes), NOBODY, np.int64)
    boxes = found.boxes.copy()
    rows = np.searchsorted(tracks.ids, owners)
    inside = np.flatnonzero(rows < len(tracks.ids))
    told = inside[(tracks.ids[rows[inside]] == owners[inside]) & tells[rows[inside]]]
    ids[told] = owners[told]
    boxes[told] = kalman.boxes_of(tracks.motion.taken(rows[told]))
    return Seen(ids, boxes)


def unit(looks: F32) -> F32:
    """Embeddings [D, E] at unit length; those of length 0 stay 0."""
    length = np.sqrt((looks**2).sum(axis=1, keepdims=True))
    return np.asarray(looks / np.where(length > 0, length, np.float32(1)), np.float32)
