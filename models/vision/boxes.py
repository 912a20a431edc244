"""Boxes of a picture: their overlap, and what of a detector's output is fit to be followed.

A box is left, top, right, bottom in pixels. Where boxes come from is left to others.
"""

import numpy as np

from models.errors import ShapeError
from models.typing import F64, Bools

MOST_PX = 1e6
"""No picture is as large; beyond, areas would lose their digits."""
MOST_SCORE = 1 + 1e-6
"""A softmax in float32 may end a little above 1."""
LEAST_AREA_PX2 = 1e-4
"""A box below this shows nothing, and its ratio of sides is noise."""


def usable(boxes: F64, scores: F64) -> Bools:
    """Which boxes can be followed: False for those without an area, which detectors give at a picture's edge.

    Args:
      boxes: [D, 4]. scores: [D], 0..1.

    Returns:
      bool [D].

    Raises:
      ShapeError: another shape, a value that is not finite or beyond `MOST_PX`, a score outside 0..1, a right or lower
        edge before the left or upper one.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ShapeError(f"expected boxes [D, 4] and scores [D], got {boxes.shape} and {scores.shape}")
    good = (np.abs(boxes) <= MOST_PX).all(axis=1) & (scores >= 0) & (scores <= MOST_SCORE)  # False for NaN
    sides = boxes[:, 2:] - boxes[:, :2]
    good &= ~(sides < 0).any(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise ShapeError(
            f"expected finite left <= right and top <= bottom within {MOST_PX:g} px and a score 0..1, got "
            f"{boxes[row].tolist()} with score {scores[row]} in row {row}; leave such boxes out before tracking"
        )
    return np.asarray(sides[:, 0] * sides[:, 1] >= LEAST_AREA_PX2)


def overlaps(left: F64, right: F64) -> F64:
    """Intersection over union of each of N boxes with each of M, [N, M]; 0 where neither has an area.

    Args:
      left: [N, 4]. right: [M, 4].
    """
    ends = np.minimum(left[:, None, 2:], right[None, :, 2:])
    sides = np.maximum(ends - np.maximum(left[:, None, :2], right[None, :, :2]), 0.0)
    both = sides[..., 0] * sides[..., 1]
    either = areas(left)[:, None] + areas(right)[None, :] - both
    return np.asarray(both / np.where(either > 0, either, 1.0))


def areas(boxes: F64) -> F64:
    """Areas of boxes [N, 4] in square pixels, [N]."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
