"""A small one-stage detector without anchors: where middles are, how far the sides lie, and how it learns that.

Heat of each class at a quarter of the picture's sides, high at the middles of figures, and at each place the distances
to the four sides. The peaks of heat are the detections. Losses are weighted by nearness to a middle, so that more than
one place learns from a figure.

References:
  Zhou et al., Objects as Points, 2019 (CenterNet: heat, its loss, peaks by a 3x3 maximum); Liu et al., Training-Time-
  Friendly Network for Real-Time Object Detection, AAAI 2020 (distances learned around the middle); Rezatofighi et al.,
  Generalized Intersection over Union, CVPR 2019.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.typing import F32, F64, I64
from models.vision.boxes import overlaps
from models.vision.figures import CLASSES
from models.vision.pyramid import Convolution, Pyramid, PyramidConfig, prepared

CELL = 4
"""Pixels of a side of one place of the heat."""
NARROW = 0.54
"""Standard deviations of the heat around a middle, in sixths of the box's side, as in TTFNet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorConfig(PyramidConfig):
    """Sizes of the detector.

    Attributes:
      classes: what it tells apart.
    """

    classes: int = len(CLASSES)


class Detector(nnx.Module):
    """Pictures in, heat and distances out."""

    def __init__(self, config: DetectorConfig, *, rngs: nnx.Rngs) -> None:
        width = config.widths[1]
        self.pyramid = Pyramid(config, rngs=rngs, is_fine=False)
        self.heat_mixed, self.sides_mixed = Convolution(width, width, rngs=rngs), Convolution(width, width, rngs=rngs)
        rare = nnx.initializers.constant(-2.19)  # a tenth of all places at first, as in CenterNet
        small = nnx.initializers.normal(0.01)
        self.heat = nnx.Conv(width, config.classes, (1, 1), kernel_init=small, bias_init=rare, rngs=rngs)
        self.sides = nnx.Conv(width, 4, (1, 1), kernel_init=small, rngs=rngs)

    def __call__(self, pictures: Array) -> tuple[Float[Array, "B P Q C"], Float[Array, "B P Q 4"]]:
        """Logits of heat, and distances to left, top, right and bottom in cells, above 0.

        Args:
          pictures: uint8 [B, H, W, 3]; sides are multiples of 16.
        """
        x = self.pyramid(prepared(pictures))
        sides = jnp.exp(jnp.clip(self.sides(self.sides_mixed(x)) + 1.0, -4.0, 5.0))
        return self.heat(self.heat_mixed(x)), sides


class Targets(NamedTuple):
    """What a detector should say of B pictures.

    ``heat``: float32 [B, P, Q, C]. ``boxes``: the box that each place belongs to, in cells, float32 [B, P, Q, 4];
    ``weight``: of its distances, 0 where it belongs to none, float32 [B, P, Q]. ``asked``: 0 where nothing is asked,
    float32 [B, P, Q].
    """

    heat: F32
    boxes: F32
    weight: F32
    asked: F32


def targets(
    boxes: F64, labels: I64, is_asked: np.ndarray[tuple[int], np.dtype[np.bool_]], height: int, width: int, *,
    classes: int = len(CLASSES),
) -> Targets:  # fmt: skip
    """The targets of one picture, with B left out.

    Args:
      boxes: px, [N, 4]. labels: [N]. is_asked: [N]; around the middles of others nothing is asked.
      height, width: of the picture, px.
    """
    rows, columns = height // CELL, width // CELL
    found = Targets(
        np.zeros((rows, columns, classes), np.float32), np.zeros((rows, columns, 4), np.float32),
        np.zeros((rows, columns), np.float32), np.ones((rows, columns), np.float32),
    )  # fmt: skip
    y, x = np.arange(rows)[:, None] + 0.5, np.arange(columns)[None, :] + 0.5
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for row in np.argsort(-areas, kind="stable"):  # where two claim a place the smaller one has it
        left, top, right, bottom = boxes[row] / CELL
        across, down = max(right - left, 1.0), max(bottom - top, 1.0)
        middle_x, middle_y = np.floor((left + right) / 2) + 0.5, np.floor((top + bottom) / 2) + 0.5
        near = np.exp(
            -(((x - middle_x) / (NARROW * across / 3)) ** 2 + ((y - middle_y) / (NARROW * down / 3)) ** 2) / 2
        ).astype(np.float32)
        if not is_asked[row]:
            found.asked[near > 0.1] = 0
            continue
        heat = found.heat[..., labels[row]]
        np.maximum(heat, near, out=heat)
        is_its = near > 0.25
        found.boxes[is_its] = boxes[row] / CELL
        found.weight[is_its] = near[is_its] / near[is_its].sum() * np.log1p(areas[row] / CELL**2)
        found.asked[int(min(middle_y, rows - 0.5)), int(min(middle_x, columns - 0.5))] = 1
    return found


def loss(heat: Float[Array, "B P Q C"], sides: Float[Array, "B P Q 4"], wanted: Targets) -> Float[Array, ""]:
    """Focal loss of the heat a figure, and five times the weighted loss of the boxes, nats and shares."""
    wanted_heat, wanted_boxes, weight, asked = (jnp.asarray(one) for one in wanted)
    sure, unsure = jax.nn.log_sigmoid(heat), jax.nn.log_sigmoid(-heat)
    chance = jax.nn.sigmoid(heat)
    is_middle = (wanted_heat > 0.999).astype(jnp.float32)
    right = is_middle * (1 - chance) ** 2 * sure
    wrong = (1 - is_middle) * (1 - wanted_heat) ** 4 * chance**2 * unsure
    count = jnp.maximum(is_middle.sum(), 1.0)
    of_heat = -((right + wrong) * asked[..., None]).sum() / count
    share = generalised_overlap(boxes_at(sides), wanted_boxes)
    of_boxes = ((1 - share) * weight).sum() / jnp.maximum(weight.sum(), 1e-3)
    return of_heat + 5.0 * of_boxes


def boxes_at(sides: Float[Array, "B P Q 4"]) -> Float[Array, "B P Q 4"]:
    """Boxes in cells out of the distances of each place."""
    rows, columns = sides.shape[1], sides.shape[2]
    x = jnp.broadcast_to(jnp.arange(columns, dtype=jnp.float32)[None, None, :] + 0.5, sides.shape[:3])
    y = jnp.broadcast_to(jnp.arange(rows, dtype=jnp.float32)[None, :, None] + 0.5, sides.shape[:3])
    return jnp.stack([x - sides[..., 0], y - sides[..., 1], x + sides[..., 2], y + sides[..., 3]], axis=-1)


def generalised_overlap(one: Float[Array, "... 4"], other: Float[Array, "... 4"]) -> Float[Array, "..."]:
    """Intersection over union of boxes pair by pair, less the share of their hull that neither has; -1..1."""
    inner = jnp.maximum(jnp.minimum(one[..., 2:], other[..., 2:]) - jnp.maximum(one[..., :2], other[..., :2]), 0.0)
    hull = jnp.maximum(one[..., 2:], other[..., 2:]) - jnp.minimum(one[..., :2], other[..., :2])
    both, around = inner.prod(axis=-1), hull.prod(axis=-1)
    either = (one[..., 2:] - one[..., :2]).prod(axis=-1) + (other[..., 2:] - other[..., :2]).prod(axis=-1) - both
    return both / jnp.maximum(either, 1e-6) - (around - either) / jnp.maximum(around, 1e-6)


def peaks(
    heat: Float[Array, "B P Q C"], sides: Float[Array, "B P Q 4"], *, most: int = 40
) -> tuple[Float[Array, "B K 4"], Float[Array, "B K"], Array]:
    """The strongest peaks of each picture: boxes in px, scores 0..1 falling, and classes int32 [B, K]."""
    chance = jax.nn.sigmoid(heat)
    highest = jax.lax.reduce_window(chance, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    kept = jnp.where(chance >= highest, chance, 0.0)
    batch, rows, columns, classes = kept.shape
    scores, at = jax.lax.top_k(kept.reshape(batch, -1), most)
    boxes = jnp.take_along_axis(boxes_at(sides).reshape(batch, rows * columns, 4), (at // classes)[..., None], axis=1)
    edges = jnp.array([columns, rows, columns, rows], jnp.float32) * CELL
    return jnp.clip(boxes * CELL, 0.0, edges[None, None, :]), scores, at % classes


def unlike(boxes: F64, scores: F64, labels: I64, *, most_overlap: float = 0.6, across: float = 0.8) -> I64:
    """Rows of the detections that are no repetition of a surer one: greedy suppression, int64, surest first.

    Args:
      most_overlap: with a surer one of the same class. across: with one of another class.
    """
    order = np.argsort(-scores, kind="stable")
    shared = overlaps(boxes, boxes)
    most = np.where(labels[:, None] == labels[None, :], most_overlap, across)
    kept: list[int] = []
    for row in order:
        if not kept or (shared[row, kept] <= most[row, kept]).all():
            kept.append(int(row))
    return np.array(kept, np.int64)
