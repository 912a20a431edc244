"""Whom a shot is about: detections become tracks, and of these one is followed, kept sharp, or hidden.

Detections come from a network or, where it finds nobody, from what moves. Identities are ByteTrack's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.typing import F64, I64, U8
from models.vision import bytetrack
from models.vision.bytetrack import ByteConfig
from models.vision.clips import follow
from models.vision.figures import CLASSES
from models.vision.precision import Found
from models.vision.tracks import NOBODY

TRACKING = ByteConfig(sure=0.4, unsure=0.1, new=0.5)
"""The detector's scores are lower than those that ByteTrack's defaults are for."""
LIKED = {CLASSES.index("person"): 2.0}
"""How much more a shot is about one class than about another of the same size."""
LEAST_SEEN = 0.3
"""Share of a shot's frames in which its subject must have been found."""
LEAST_MOTION = 12
"""Change of grey between two frames, of 255, from which something moves there."""
MOST_MOVING = 0.35
"""Share of the picture beyond which it is the camera that moves."""


class Track(NamedTuple):
    """One figure over a shot.

    ``id``: ByteTrack's. ``label``: class seen most. ``frames``: rising, int64 [F]. ``boxes``: px, float64 [F, 4].
    ``scores``: float64 [F].
    """

    id: int
    label: int
    frames: I64
    boxes: F64
    scores: F64


def tracks_of(found: Sequence[Found], config: ByteConfig = TRACKING) -> list[Track]:
    """The tracks of a shot, given the detections of each of its frames."""
    counts = [len(one.scores) for one in found]
    if not sum(counts):
        return []
    frame = np.repeat(np.arange(len(found)), counts).astype(np.int64)
    boxes, scores = np.concatenate([one.boxes for one in found]), np.concatenate([one.scores for one in found])
    labels = np.concatenate([one.labels for one in found])
    seen = follow(bytetrack.step, config, frame, boxes, scores)
    made = []
    for identity in np.unique(seen.ids[seen.ids != NOBODY]):
        rows = np.flatnonzero(seen.ids == identity)
        votes = np.bincount(labels[rows], weights=scores[rows])
        made.append(Track(int(identity), int(votes.argmax()), frame[rows], boxes[rows], scores[rows]))
    return made


def subject_of(tracks: Sequence[Track], frames: int, *, width: int, height: int) -> Track | None:
    """The track that a shot is about: large, sure, long, and rather a person; None: none is there long enough."""
    best, most = None, 0.0
    for track in tracks:
        if len(track.frames) < LEAST_SEEN * frames:
            continue
        sides = (track.boxes[:, 2:] - track.boxes[:, :2]) / np.array([width, height])
        worth = float((track.scores * np.sqrt(sides.prod(axis=1))).sum()) * LIKED.get(track.label, 1.0)
        if worth > most:
            best, most = track, worth
    return best


def edges_of(track: Track, frames: int, *, width: int, height: int) -> F64:
    """Left, top, right and bottom of a track in each frame, shares of the sides, NaN where not seen, [T, 4]."""
    edges = np.full((frames, 4), np.nan)
    edges[track.frames] = np.clip(track.boxes / np.array([width, height, width, height]), 0, 1)
    return edges


def filled(edges: F64, *, beyond: int) -> F64:
    """The same with gaps filled straight, and the first and last box held for some frames before and after."""
    seen = np.flatnonzero(np.isfinite(edges[:, 0]))
    if not len(seen):
        return edges
    whole = np.full_like(edges, np.nan)
    span = np.arange(max(0, seen[0] - beyond), min(len(edges), seen[-1] + beyond + 1))
    for column in range(4):
        whole[span, column] = np.interp(span, seen, edges[seen, column])
    return whole


def moving(before: U8, now: U8) -> Found:
    """What moves between two pictures uint8 [H, W, 3] as one detection of class 0; none, where nothing or all does."""
    grey = [one.astype(np.int16).sum(axis=2) // 3 for one in (before, now)]
    change = np.abs(grey[1] - grey[0])
    height, width = change.shape
    cells = change[: height // 4 * 4, : width // 4 * 4].reshape(height // 4, 4, width // 4, 4).mean(axis=(1, 3))
    is_moving = cells >= LEAST_MOTION
    share = float(is_moving.mean())
    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    if not 0 < share <= MOST_MOVING or is_moving.sum() < 3:
        return nothing
    ys, xs = np.nonzero(is_moving)
    left, right = np.quantile(xs, [0.1, 0.9])
    top, bottom = np.quantile(ys, [0.1, 0.9])
    box = np.array([[left, top, right + 1, bottom + 1]]) * 4.0
    return Found(box, np.array([0.6]), np.zeros(1, np.int64))
