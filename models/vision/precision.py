"""How good detections and masks are, quickly: average precision at one overlap, and overlaps of classes.

It says when training may stop. Figures that are reported come from an implementation that others keep
(`faster-coco-eval`), against which this one is tested.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.typing import F64, I32, I64
from models.vision.boxes import areas, overlaps
from models.vision.scenes import Scene


class Found(NamedTuple):
    """Detections of one picture.

    ``boxes``: px, float64 [D, 4]. ``scores``: 0..1, float64 [D]. ``labels``: int64 [D].
    """

    boxes: F64
    scores: F64
    labels: I64


def average_precision(scenes: Sequence[Scene], found: Sequence[Found], *, classes: int, least: float = 0.5) -> float:
    """Mean over the classes that are there of COCO's average precision at one overlap; figures not asked are left out.

    Args:
      found: of each scene. least: overlap from which a figure is found.
    """
    values = []
    for label in range(classes):
        truths = 0
        scores: list[float] = []
        hits: list[bool] = []
        for scene, told in zip(scenes, found, strict=True):
            mine = np.flatnonzero(scene.labels == label)
            mine = mine[np.argsort(~scene.is_asked[mine], kind="stable")]  # those asked for are taken first
            asked = scene.is_asked[mine]
            truths += int(asked.sum())
            theirs = np.flatnonzero(told.labels == label)
            theirs = theirs[np.argsort(-told.scores[theirs], kind="stable")]
            shared = overlaps(told.boxes[theirs], scene.boxes[mine])
            shared = np.where(asked[None, :], shared, _inside(told.boxes[theirs], scene.boxes[mine]))
            free = np.ones(len(mine), bool)
            for row, at in enumerate(theirs):
                fit = np.where(free & (shared[row] >= least), shared[row] + 2 * asked, -1.0)
                best = int(fit.argmax()) if len(fit) else -1
                is_hit = best >= 0 and fit[best] > 0
                if is_hit and not asked[best]:
                    continue  # it counts for nothing, and others may fall there too, as in COCO's crowds
                if is_hit:
                    free[best] = False
                scores.append(float(told.scores[at]))
                hits.append(is_hit)
        if truths:
            values.append(_area(np.array(scores), np.array(hits, bool), truths))
    return float(np.mean(values)) if values else 0.0


def _inside(boxes: F64, others: F64) -> F64:
    """Share of each box that lies in each other one, [N, M]."""
    sides = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    both = np.maximum(sides, 0.0).prod(axis=2)
    return np.asarray(both / np.maximum(areas(boxes), 1e-9)[:, None])


def _area(scores: F64, hits: np.ndarray[tuple[int], np.dtype[np.bool_]], truths: int) -> float:
    """Area under precision over recall, at COCO's 101 recalls."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hits[order])
    if not len(right):
        return 0.0
    precision = right / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / truths, np.linspace(0, 1, 101))
    return float(np.where(at < len(precision), precision[np.minimum(at, len(precision) - 1)], 0.0).mean())


def confusion(told: I32, wanted: I32, classes: int) -> I64:
    """Pixels by wanted and told class, int64 [classes, classes]."""
    counts = np.bincount(wanted.reshape(-1) * classes + told.reshape(-1), minlength=classes**2)
    return np.asarray(counts.reshape(classes, classes).astype(np.int64))


def class_overlaps(pixels: I64) -> F64:
    """Intersection over union of each class out of the counts of `confusion`, 0 where there is neither."""
    both = np.diag(pixels)
    either = pixels.sum(axis=0) + pixels.sum(axis=1) - both
    return np.asarray(both / np.maximum(either, 1))
