"""A Kalman filter of boxes that move evenly, for many boxes at once.

State: centre x and y, area, ratio of width to height, and how the first three change a frame; the ratio is held to
stay. A frame is the unit of time, so that rates are px/frame. Which box belongs to which motion is left to others.

References:
  Bewley et al., Simple Online and Realtime Tracking, ICIP 2016 (state and noise); Kalman, A New Approach to Linear
  Filtering and Prediction Problems, 1960; Wojke et al., Simple Online and Realtime Tracking with a Deep Association
  Metric, ICIP 2017 (the gate).
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from models.errors import ConfigError
from models.typing import F64, I64, Bools

STATES, MEASURED = 7, 4
STEP: F64 = np.eye(STATES)
"""A frame: centre and area move by their rates."""
STEP[[0, 1, 2], [4, 5, 6]] = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class KalmanConfig:
    """Variances; the defaults are those of SORT's authors.

    Attributes:
      measured: of what a detector says: x, y (px^2), area (px^4), ratio.
      begin: of the state of a box seen once; its rates are unknown.
      drift: added to the state a frame.
    """

    measured: tuple[float, ...] = (1.0, 1.0, 10.0, 10.0)
    begin: tuple[float, ...] = (10.0, 10.0, 10.0, 10.0, 1e4, 1e4, 1e4)
    drift: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1e-2, 1e-2, 1e-4)

    def __post_init__(self) -> None:
        for name, count in (("measured", MEASURED), ("begin", STATES), ("drift", STATES)):
            values = getattr(self, name)
            if len(values) != count or not all(0 < value < np.inf for value in values):
                raise ConfigError(f"{name} must be {count} variances above 0, got {values}")


class Motion(NamedTuple):
    """Where N boxes are and go.

    Attributes:
      mean: [N, 7]. covariance: [N, 7, 7].
    """

    mean: F64
    covariance: F64

    def taken(self, rows: I64 | Bools) -> "Motion":
        """The motions of some rows."""
        return Motion(self.mean[rows], self.covariance[rows])


def measure(boxes: F64) -> F64:
    """Boxes [N, 4] with areas above 0 as centre x, centre y, area and ratio, [N, 4]."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.column_stack([centres, sides[:, 0] * sides[:, 1], sides[:, 0] / sides[:, 1]])


def boxes_of(motion: Motion) -> F64:
    """The boxes where motions are, [N, 4]."""
    mean = motion.mean
    width = np.sqrt(mean[:, 2] * mean[:, 3])
    half = np.column_stack([width, mean[:, 2] / width]) / 2
    return np.concatenate([mean[:, :2] - half, mean[:, :2] + half], axis=1)


def begin(measured: F64, config: KalmanConfig) -> Motion:
    """Motions of boxes seen for the first time, at rest.

    Args:
      measured: by `measure`, [N, 4].
    """
    mean = np.concatenate([measured, np.zeros((len(measured), STATES - MEASURED))], axis=1)
    return Motion(mean, np.tile(np.diag(config.begin), (len(measured), 1, 1)))


def predict(motion: Motion, config: KalmanConfig) -> Motion:
    """The same motions a frame later. An area that would fall to 0 stays as it is, and stops changing."""
    mean = motion.mean.copy()
    mean[mean[:, 2] + mean[:, 6] <= 0, 6] = 0.0
    return Motion(mean @ STEP.T, STEP @ motion.covariance @ STEP.T + np.diag(config.drift))


def update(motion: Motion, measured: F64, config: KalmanConfig) -> Motion:
    """Motions after each was seen once more.

    The covariance is taken in Joseph's form, which stays symmetric and positive where digits run out.

    Args:
      measured: by `measure`, [N, 4], row for row.
    """
    covariance = motion.covariance
    noise = np.diag(config.measured)
    gain = np.linalg.solve(covariance[:, :MEASURED, :MEASURED] + noise, covariance[:, :MEASURED]).transpose(0, 2, 1)
    mean = motion.mean + (gain @ (measured - motion.mean[:, :MEASURED])[..., None])[..., 0]
    keep = np.tile(np.eye(STATES), (len(mean), 1, 1))
    keep[:, :, :MEASURED] -= gain
    after = keep @ covariance @ keep.transpose(0, 2, 1) + gain @ noise @ gain.transpose(0, 2, 1)
    return Motion(mean, after)


def surprises(motion: Motion, measured: F64) -> F64:
    """Squared Mahalanobis distance of each of N predicted motions to each of M measurements, [N, M].

    A detector's error grows with the box: a twentieth of its height for the centre, a tenth of its area, 0.1 for the
    ratio. These are DeepSORT's weights, in this state's terms.

    Args:
      measured: by `measure`, [M, 4].
    """
    mean = motion.mean
    place = np.sqrt(mean[:, 2] / mean[:, 3]) / 20
    spread = np.column_stack([place, place, mean[:, 2] / 10, np.full(len(mean), 0.1)])
    noise = np.eye(MEASURED) * (spread**2)[:, :, None]
    apart = measured[None] - mean[:, None, :MEASURED]
    inverse = np.linalg.inv(motion.covariance[:, :MEASURED, :MEASURED] + noise)
    return np.asarray(((apart @ inverse) * apart).sum(axis=2))
