"""Where a window looks that follows somebody: a way as smooth as asked for, near what it follows.

Of all ways the one with the least squares of distance and of third differences, which are jerk, is taken (Whittaker's
smoother of order 3); how much the second counts is what it takes to keep jerk below its bound. Where what is followed
would then leave the safe area, distance counts more there, as far as the bound allows: jerk comes first.

References:
  Whittaker, On a New Method of Graduation, 1923; Grundmann et al., Auto-Directed Video Stabilization with Robust L1
  Optimal Camera Paths, CVPR 2011 (smoothness as a bound on derivatives).
"""

import dataclasses

import numpy as np

from models.compiled import kernel
from models.errors import ConfigError, ShapeError
from models.typing import F64, Bools

AT_EDGE = 0.01
"""Share of the side within which a window counts as standing at the picture's edge."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """How a window moves.

    Attributes:
      most_jerk: sides of the picture a second, a second, a second.
      safe: share of the window, around its middle, in which what is followed should be.
      rounds: how often distance is made to count more where it is not.
    """

    most_jerk: float = 4.0
    safe: float = 0.9
    rounds: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.most_jerk <= 1e4 or not 0 < self.safe <= 1 or not 0 <= self.rounds <= 50:
            raise ConfigError(
                f"expected most_jerk in (0, 10000], safe in (0, 1] and rounds 0 to 50, got {self.most_jerk}, "
                f"{self.safe} and {self.rounds}"
            )


def follow(low: F64, high: F64, *, share: float, fps: float, config: CameraConfig) -> F64:
    """Where the window's left (or upper) edge is in each frame, share of the picture's side, [T].

    Args:
      low, high: edges of what is followed, 0..1, [T]; NaN where it is not seen.
      share: of the side that the window has, 0..1. fps: frames a second.

    Raises:
      ShapeError: lengths differ, or nothing is seen in any frame.
    """
    is_seen = np.isfinite(low) & np.isfinite(high)
    if low.shape != high.shape or not is_seen.any():
        raise ShapeError(
            f"expected edges [T] of something seen, got {low.shape} and {high.shape}, seen {is_seen.sum()}"
        )
    frames = np.arange(len(low))
    middle = np.interp(frames, frames[is_seen], (low + high)[is_seen] / 2)
    room = max(0.0, 1 - share) / 2
    wanted = np.clip(middle, 0.5 - room, 0.5 + room)
    weights = np.where(is_seen, 1.0, 0.05)
    best, best_outside = wanted, len(low) + 1
    for _ in range(config.rounds + 1):
        way = _within(_smooth(wanted, weights, fps, config.most_jerk), room)
        outside = is_seen & ~is_safe(low, high, way - share / 2, share=share, config=config)
        if outside.sum() < best_outside:
            best, best_outside = way, int(outside.sum())
        if not outside.any():
            break
        weights = np.where(outside, np.minimum(weights * 4, 1e5), weights)
    return np.asarray(best - share / 2)


def is_safe(low: F64, high: F64, edge: F64, *, share: float, config: CameraConfig) -> Bools:
    """Whether what is followed is in the safe area, [T]; what does not fit there must be so around its middle.

    Args:
      edge: of the window, [T].
    """
    half = share * config.safe / 2
    middle = edge + share / 2
    # At the picture's edge the window can go no further: there its own edge is the limit.
    lowest = np.where(edge <= AT_EDGE, 0.0, middle - half)
    highest = np.where(edge + share >= 1 - AT_EDGE, 1.0, middle + half)
    fits = high - low <= 2 * half
    centre = (low + high) / 2
    inside = np.where(fits, (low >= lowest - 1e-9) & (high <= highest + 1e-9), (centre >= lowest) & (centre <= highest))
    return np.asarray(inside & np.isfinite(centre))


def jerk(way: F64, fps: float) -> F64:
    """Third derivative of a way by frame, sides a second cubed, [T - 3]; empty for fewer than four frames."""
    return np.asarray(np.diff(way, n=3) * fps**3) if len(way) > 3 else np.zeros(0)


def _smooth(wanted: F64, weights: F64, fps: float, most_jerk: float) -> F64:
    """The least smoothing that keeps jerk within its bound, to a fifth of an order of magnitude."""
    if len(wanted) < 4 or np.abs(jerk(wanted, fps)).max() <= most_jerk:
        return wanted
    low, high = -2.0, 14.0
    way: F64 = _graduated(wanted, weights, 10.0**high)
    while high - low > 0.2:
        middle = (low + high) / 2
        tried: F64 = _graduated(wanted, weights, 10.0**middle)
        if np.abs(jerk(tried, fps)).max() <= most_jerk:
            high, way = middle, tried
        else:
            low = middle
    return np.asarray(way)


def _within(way: F64, room: float) -> F64:
    """The way drawn towards the middle as a whole, so that the window stays in the picture: jerk only falls."""
    most = float(np.abs(way - 0.5).max())
    return way if most <= room else np.asarray(0.5 + (way - 0.5) * (room / most))


@kernel()
def _graduated(wanted: F64, weights: F64, strength: float) -> F64:
    """Solves (W + strength D'D) p = W c, where D takes third differences, by a banded LDL' factorisation."""
    count = wanted.shape[0]
    band = np.zeros((count, 4))  # of row i, columns i to i - 3
    right = weights * wanted
    row = np.array([-1.0, 3.0, -3.0, 1.0])
    for at in range(count):
        band[at, 0] = weights[at]
    for first in range(count - 3):
        for i in range(4):
            for j in range(i + 1):
                band[first + i, i - j] += strength * row[i] * row[j]
    for i in range(count):
        for back in range(min(3, i), 0, -1):
            j = i - back
            total = band[i, back]
            for k in range(max(0, i - 3), j):
                if j - k <= 3:
                    total -= band[i, i - k] * band[j, j - k] * band[k, 0]
            band[i, back] = total / band[j, 0]
        for back in range(1, min(3, i) + 1):
            band[i, 0] -= band[i, back] ** 2 * band[i - back, 0]
    for i in range(count):
        for back in range(1, min(3, i) + 1):
            right[i] -= band[i, back] * right[i - back]
    for i in range(count):
        right[i] /= band[i, 0]
    for i in range(count - 1, -1, -1):
        for ahead in range(1, min(3, count - 1 - i) + 1):
            right[i] -= band[i + ahead, ahead] * right[i + ahead]
    return right
