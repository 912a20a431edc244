"""DeepSORT: tracks found again by how they look, those seen last first; what is left by overlap.

Embeddings come from whoever calls: the detector's feature map, or a network of its own.

References:
  Wojke et al., Simple Online and Realtime Tracking with a Deep Association Metric, ICIP 2017.
"""

import dataclasses

import numpy as np

from models.errors import ConfigError, ShapeError
from models.typing import F32, F64, I64
from models.vision import tracks as at
from models.vision.assignment import assign_within
from models.vision.boxes import overlaps
from models.vision.kalman import KalmanConfig, boxes_of, measure, surprises
from models.vision.tracks import Detections, Seen, Tracks

_FAR = 2.0
"""Cosine distance of opposite embeddings: what a pair outside the gate costs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepConfig:
    """The defaults are those of the paper and the authors' program; the variances are SORT's.

    Attributes:
      least_score: of a detection that counts.
      most_apart: cosine distance of a detection to the nearest embedding of its track, 0..2.
      gate: most squared Mahalanobis distance to where a track should be; 95 % of chi^2 with 4 degrees of freedom.
      least_overlap: in the last round, of tracks not yet confirmed or seen a frame ago.
      matches: in a row after the first sighting, until a track is confirmed.
      most_missed: frames that a confirmed track is kept.
      gallery: embeddings kept a track; make the state with ``empty(gallery=..., looks=...)``.
      kalman: variances.
    """

    least_score: float = 0.3
    most_apart: float = 0.2
    gate: float = 9.4877
    least_overlap: float = 0.3
    matches: int = 2
    most_missed: int = 30
    gallery: int = 100
    kalman: KalmanConfig = dataclasses.field(default_factory=KalmanConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.least_score <= 1 or not 0 <= self.least_overlap <= 1 or not 0 <= self.most_apart < _FAR:
            raise ConfigError(
                f"least_score and least_overlap must be in [0, 1] and most_apart in [0, 2), got {self.least_score}, "
                f"{self.least_overlap} and {self.most_apart}"
            )
        if self.gate <= 0 or min(self.matches, self.most_missed) < 0 or self.gallery < 1:
            raise ConfigError(
                f"gate must be > 0, matches and most_missed >= 0 and gallery >= 1, got {self.gate}, {self.matches}, "
                f"{self.most_missed} and {self.gallery}"
            )


def step(tracks: Tracks, detections: Detections, config: DeepConfig) -> tuple[Tracks, Seen]:
    """One frame. A track is told of once it is confirmed.

    Raises:
      ShapeError: as `tracks.fit`; or the state has no room for embeddings.
    """
    if tracks.looks.shape[1] != config.gallery or not tracks.looks.shape[2]:
        raise ShapeError(
            f"expected a state with {config.gallery} embeddings a track of length 1 or more, got "
            f"{tracks.looks.shape[1:]}; make it with empty(gallery=config.gallery, looks=...)"
        )
    usable = at.fit(tracks, detections)
    usable = usable[detections.scores[usable] >= config.least_score]
    tracks = at.moved(tracks, config.kalman, is_lost_steady=True)
    found = np.full(len(tracks.ids), -1, np.int64)  # detection of each track
    confirmed = np.flatnonzero(tracks.is_confirmed)
    if len(confirmed) and len(usable):
        cost = _apart(tracks, detections.looks[usable], confirmed)
        cost[surprises(tracks.motion.taken(confirmed), measure(detections.boxes[usable])) > config.gate] = _FAR
        is_free = np.ones(len(usable), bool)
        for missed in np.unique(tracks.missed[confirmed]):
            rows, left = np.flatnonzero(tracks.missed[confirmed] == missed), np.flatnonzero(is_free)
            columns = assign_within(cost[np.ix_(rows, left)], config.most_apart)
            taken = left[columns[columns >= 0]]
            found[confirmed[rows[columns >= 0]]] = usable[taken]
            is_free[taken] = False
        usable_left = usable[is_free]
    else:
        usable_left = usable
    rows = np.flatnonzero((found < 0) & (~tracks.is_confirmed | (tracks.missed == 1)))
    shared = overlaps(boxes_of(tracks.motion.taken(rows)), detections.boxes[usable_left])
    columns = assign_within(1 - shared, 1 - config.least_overlap)
    found[rows[columns >= 0]] = usable_left[columns[columns >= 0]]

    owners = np.full(len(detections.boxes), at.NOBODY, np.int64)
    rows = np.flatnonzero(found >= 0)
    owners[found[rows]] = tracks.ids[rows]
    tracks = at.matched(tracks, detections, rows, found[rows], config.kalman)
    new = usable[owners[usable] == at.NOBODY]
    is_confirmed = tracks.is_confirmed | ((found >= 0) & (tracks.streak >= config.matches))
    stays = (found >= 0) | (is_confirmed & (tracks.missed <= config.most_missed))
    tracks = at.kept(tracks._replace(is_confirmed=is_confirmed), stays)
    owners[new] = np.arange(tracks.next_id, tracks.next_id + len(new))
    tracks = at.begun(tracks, detections, new, config.kalman, is_confirmed=config.matches == 0)
    return tracks, at.seen(tracks, detections, owners, tracks.is_confirmed)


def _apart(tracks: Tracks, looks: F32, rows: I64) -> F64:
    """Cosine distance of each detection to the nearest embedding of each of these tracks, [N, D]."""
    gallery = tracks.looks[rows]  # [N, G, E]
    alike = gallery @ at.unit(looks).T  # [N, G, D]
    alike[np.arange(gallery.shape[1]) >= tracks.looks_count[rows, None]] = -1.0
    return np.asarray(1 - alike.max(axis=1), np.float64)
