"""A small U-Net: the class of each pixel, how it learns that, and how masks of one track are steadied over time.

References:
  Ronneberger et al., U-Net, MICCAI 2015; Shi et al., Real-Time Single Image and Video Super-Resolution, CVPR 2016 (the
  last layer tells four pixels at a place); Milletari et al., V-Net, 3DV 2016 (Dice loss).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from models.typing import F32, F64
from models.vision.figures import CLASSES
from models.vision.pyramid import Pyramid, PyramidConfig, prepared


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmenterConfig(PyramidConfig):
    """Sizes of the segmenter.

    Attributes:
      classes: what it tells apart, beside nothing.
    """

    classes: int = len(CLASSES)


class Segmenter(nnx.Module):
    """Pictures in, logits of nothing and of each class for each pixel out."""

    def __init__(self, config: SegmenterConfig, *, rngs: nnx.Rngs) -> None:
        self.pyramid = Pyramid(config, rngs=rngs, is_fine=True)
        self.told = nnx.Conv(config.widths[0], 4 * (config.classes + 1), (3, 3), padding="SAME", rngs=rngs)

    def __call__(self, pictures: Array) -> Float[Array, "B H W C1"]:
        """Logits; class 0 is nothing.

        Args:
          pictures: uint8 [B, H, W, 3]; sides are multiples of 16.
        """
        x = self.told(self.pyramid(prepared(pictures)))
        batch, rows, columns, depth = x.shape
        parts = x.reshape(batch, rows, columns, 2, 2, depth // 4).transpose(0, 1, 3, 2, 4, 5)
        return parts.reshape(batch, 2 * rows, 2 * columns, depth // 4)


def loss(logits: Float[Array, "B H W C1"], classes: Int[Array, "B H W"]) -> Float[Array, ""]:
    """Cross entropy a pixel, nats, and the Dice loss of the classes that are there, in equal parts."""
    sure = jax.nn.log_softmax(logits)
    wanted = jax.nn.one_hot(classes, logits.shape[-1], dtype=jnp.float32)
    entropy = -(sure * wanted).sum(axis=-1).mean()
    chance = jnp.exp(sure)
    both, either = (chance * wanted).sum(axis=(0, 1, 2)), (chance + wanted).sum(axis=(0, 1, 2))
    is_there = (wanted.sum(axis=(0, 1, 2)) > 0).astype(jnp.float32)
    dice = 1 - (2 * both + 1) / (either + 1)
    return entropy + (dice * is_there).sum() / jnp.maximum(is_there.sum(), 1.0)


def steadied(before: F32, now: F32, moved: F64, *, keep: float = 0.5) -> F32:
    """A track's mask of this frame, steadied by that of the last one.

    Args:
      before: what this gave for the last frame, 0..1, float32 [H, W]. now: of this frame alone, the same shape.
      moved: px that the track moved right and down since, [2].
      keep: share of the last frame's.
    """
    across, down = (int(np.rint(one)) for one in moved)
    shifted = np.zeros_like(before)
    height, width = before.shape
    if abs(down) < height and abs(across) < width:
        to_y, to_x = slice(max(0, down), height + min(0, down)), slice(max(0, across), width + min(0, across))
        of_y, of_x = slice(max(0, -down), height + min(0, -down)), slice(max(0, -across), width + min(0, -across))
        shifted[to_y, to_x] = before[of_y, of_x]
    return np.asarray(np.float32(keep) * shifted + np.float32(1 - keep) * now)
