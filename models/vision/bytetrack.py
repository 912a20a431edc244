"""ByteTrack: sure detections are matched first, then unsure ones to what is left; lost tracks are kept for a while.

A detection that a detector is unsure of is often somebody half hidden: it may continue a track, never begin one.

References:
  Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022.
"""

import dataclasses

import numpy as np

from models.errors import ConfigError
from models.typing import I64, Bools
from models.vision import tracks as at
from models.vision.assignment import assign_within
from models.vision.boxes import overlaps
from models.vision.kalman import KalmanConfig, boxes_of
from models.vision.tracks import Detections, Seen, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByteConfig:
    """The defaults are those of the authors' program, at 30 frames a second; the variances are SORT's.

    Attributes:
      sure: score from which a detection is in the first round; below, down to ``unsure``, in the second.
      new: score from which one may begin a track.
      most_cost: of the first round, 1 minus overlap times score. most_cost_unsure: of the second, 1 minus overlap.
      most_cost_new: of tracks seen once, as in the first round.
      most_missed: frames that a lost track is kept.
      same: overlap from which a lost track and one that is seen are one and the same; the one
        that was followed for less long goes.
      kalman: variances.
    """

    sure: float = 0.6
    unsure: float = 0.1
    new: float = 0.7
    most_cost: float = 0.8
    most_cost_unsure: float = 0.5
    most_cost_new: float = 0.7
    most_missed: int = 30
    same: float = 0.85
    kalman: KalmanConfig = dataclasses.field(default_factory=KalmanConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= self.sure <= self.new <= 1:
            raise ConfigError(
                f"expected 0 <= unsure <= sure <= new <= 1, got {self.unsure}, {self.sure} and {self.new}"
            )
        shares = (self.most_cost, self.most_cost_unsure, self.most_cost_new, self.same)
        if not all(0 <= share <= 1 for share in shares) or self.most_missed < 0:
            raise ConfigError(
                f"costs and same must be in [0, 1] and most_missed >= 0, got {shares} and {self.most_missed}"
            )


def step(tracks: Tracks, detections: Detections, config: ByteConfig) -> tuple[Tracks, Seen]:
    """One frame. A new track is told of from its second sighting on, but at once in the first frame.

    Raises:
      ShapeError: as `tracks.fit`.
    """
    usable = at.fit(tracks, detections)
    scores = detections.scores[usable]
    sure, unsure = usable[scores >= config.sure], usable[(scores >= config.unsure) & (scores < config.sure)]
    tracks = at.moved(tracks, config.kalman, is_lost_steady=True)
    is_first = tracks.frame == 1
    shared = overlaps(boxes_of(tracks.motion), detections.boxes)
    certain = 1 - shared * detections.scores
    found = np.full(len(tracks.ids), -1, np.int64)  # detection of each track
    for rows, among, cost, most in (
        (tracks.is_confirmed, sure, certain, config.most_cost),
        (tracks.is_confirmed & (tracks.missed == 1), unsure, 1 - shared, config.most_cost_unsure),
        (~tracks.is_confirmed, sure, certain, config.most_cost_new),
    ):
        free = np.flatnonzero(rows & (found < 0))
        left = among[~np.isin(among, found)]
        columns = assign_within(cost[np.ix_(free, left)], most)
        found[free[columns >= 0]] = left[columns[columns >= 0]]

    owners = np.full(len(detections.boxes), at.NOBODY, np.int64)
    rows_found = np.flatnonzero(found >= 0)
    owners[found[rows_found]] = tracks.ids[rows_found]
    tracks = at.matched(tracks, detections, rows_found, found[rows_found], config.kalman)
    new = sure[(owners[sure] == at.NOBODY) & (detections.scores[sure] >= config.new)]
    stays = (found >= 0) | (tracks.is_confirmed & (tracks.missed <= config.most_missed))
    tracks = at.kept(tracks._replace(is_confirmed=tracks.is_confirmed | (found >= 0)), stays)
    owners[new] = np.arange(tracks.next_id, tracks.next_id + len(new))
    tracks = at.begun(tracks, detections, new, config.kalman, is_confirmed=is_first)
    tracks = at.kept(tracks, ~_repeated(tracks, config.same))
    return tracks, at.seen(tracks, detections, owners, tracks.is_confirmed)


def _repeated(tracks: Tracks, same: float) -> Bools:
    """Which tracks go because another is in their place: of a lost one and a seen one that followed for less long."""
    goes = np.zeros(len(tracks.ids), bool)
    lost: I64 = np.flatnonzero(tracks.missed > 0)
    if not len(lost):
        return goes
    seen = np.flatnonzero(tracks.is_confirmed & (tracks.missed == 0))
    boxes = boxes_of(tracks.motion)
    pairs = np.argwhere(overlaps(boxes[lost], boxes[seen]) > same)
    gone, here = lost[pairs[:, 0]], seen[pairs[:, 1]]
    followed = tracks.frame - tracks.missed - tracks.began
    goes[np.where(followed[here] > followed[gone], gone, here)] = True
    return goes
