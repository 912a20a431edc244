"""A whole clip followed at once, out of columns with a row a detection.

The columns are checked once for all frames; association is a matter of order, so frames are taken one after the other.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from models.errors import ShapeError
from models.typing import F32, F64, I64
from models.vision import tracks as at
from models.vision.boxes import usable
from models.vision.tracks import Detections, Seen, Tracks

Config = TypeVar("Config")
MOST_FRAMES = 10_000_000
"""Four days at 30 frames a second; more is taken for a broken number."""


def follow(
    step: Callable[[Tracks, Detections, Config], tuple[Tracks, Seen]], config: Config, frame: I64, boxes: F64,
    scores: F64 | None = None, looks: F32 | None = None, *, gallery: int = 0,
) -> Seen:  # fmt: skip
    """What a tracker says of every detection of a clip.

    Args:
      step, config: such as ``sort.step`` and ``SortConfig()``.
      frame: number of each detection's frame, falling nowhere, int64 [B]; those left out are frames without
        detections.
      boxes: float64 [B, 4]. scores: float64 [B]. looks: float32 [B, E].
      gallery: embeddings kept a track, as ``DeepConfig().gallery``.

    Returns:
      Ids and boxes of all B detections, as frame by frame.

    Raises:
      ShapeError: columns of unequal length, frames out of order or too many, or as `boxes.usable`.
    """
    if frame.shape != boxes.shape[:1] or (np.diff(frame) < 0).any():
        raise ShapeError(f"expected frames [B] that never fall, got {frame.shape} for boxes {boxes.shape}; sort them")
    if len(frame) and frame[-1] - frame[0] >= MOST_FRAMES:
        raise ShapeError(f"expected fewer than {MOST_FRAMES} frames, got {frame[0]} to {frame[-1]}; cut the clip")
    found = at.detections(boxes, scores, looks)
    usable(found.boxes, found.scores)
    ids, filtered = np.full(len(boxes), at.NOBODY, np.int64), boxes.copy()
    if not len(frame):
        return Seen(ids, filtered)
    state = at.empty(gallery=gallery, looks=found.looks.shape[1])
    numbers = np.arange(frame[0], frame[-1] + 1)
    starts, ends = np.searchsorted(frame, numbers), np.searchsorted(frame, numbers, side="right")
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        here = slice(start, end)
        state, seen = step(state, Detections(found.boxes[here], found.scores[here], found.looks[here]), config)
        ids[here], filtered[here] = seen
    return Seen(ids, filtered)
