"""SORT: predicted boxes against detected ones by overlap; a track ends as soon as it is missed for longer than a frame.

References:
  Bewley et al., Simple Online and Realtime Tracking, ICIP 2016.
"""

import dataclasses

import numpy as np

from models.errors import ConfigError
from models.vision import tracks as at
from models.vision.assignment import assign
from models.vision.boxes import overlaps
from models.vision.kalman import KalmanConfig, boxes_of
from models.vision.tracks import Detections, Seen, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class SortConfig:
    """The defaults are those of the authors' program.

    Attributes:
      least_overlap: of a track's predicted box and its detection, 0..1.
      most_missed: frames that a track may go without a detection.
      least_streak: matches in a row before a track is told of; not asked for in as many first frames.
      kalman: variances.
    """

    least_overlap: float = 0.3
    most_missed: int = 1
    least_streak: int = 3
    kalman: KalmanConfig = dataclasses.field(default_factory=KalmanConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.least_overlap <= 1 or self.most_missed < 0 or self.least_streak < 0:
            raise ConfigError(
                f"least_overlap must be in [0, 1], most_missed and least_streak >= 0, got {self.least_overlap}, "
                f"{self.most_missed} and {self.least_streak}"
            )


def step(tracks: Tracks, detections: Detections, config: SortConfig) -> tuple[Tracks, Seen]:
    """One frame. Every detection counts alike, whatever its score.

    Raises:
      ShapeError: as `tracks.fit`.
    """
    usable = at.fit(tracks, detections)
    tracks = at.moved(tracks, config.kalman, is_lost_steady=False)
    shared = overlaps(boxes_of(tracks.motion), detections.boxes[usable])
    columns = assign(-shared)
    rows = np.flatnonzero(columns >= 0)
    rows = rows[shared[rows, columns[rows]] >= config.least_overlap]
    found = usable[columns[rows]]
    owners = np.full(len(detections.boxes), at.NOBODY, np.int64)
    owners[found] = tracks.ids[rows]
    tracks = at.matched(tracks, detections, rows, found, config.kalman)
    new = usable[owners[usable] == at.NOBODY]
    owners[new] = np.arange(tracks.next_id, tracks.next_id + len(new))
    tracks = at.begun(tracks, detections, new, config.kalman, is_confirmed=True)
    tracks = at.kept(tracks, tracks.missed <= config.most_missed)
    is_early = tracks.frame <= config.least_streak
    return tracks, at.seen(tracks, detections, owners, (tracks.streak >= config.least_streak) | is_early)
