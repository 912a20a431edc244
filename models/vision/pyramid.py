"""The network that detector and segmenter share: down to a sixteenth of the picture, and up again with what was seen.

Plain 3x3 convolutions of few channels: on a processor XLA is quick at those, and slow at grouped ones. Norms are over
groups of channels of one picture, so that a picture's answer does not depend on its batch.

References:
  Ronneberger et al., U-Net, MICCAI 2015; Lin et al., Feature Pyramid Networks, CVPR 2017; He et al., ResNet, CVPR 2016;
  Wu and He, Group Normalization, ECCV 2018.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.errors import ConfigError

STRIDE = 16
"""Sides of a picture are multiples of it."""
GROUPS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class PyramidConfig:
    """Sizes of the network.

    Attributes:
      widths: channels at a half, a quarter, an eighth and a sixteenth of the picture, multiples of 8.
    """

    widths: tuple[int, int, int, int] = (16, 32, 64, 96)

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or any(one < GROUPS or one % GROUPS for one in self.widths):
            raise ConfigError(f"expected four widths that are multiples of {GROUPS}, got {self.widths}")


class Convolution(nnx.Module):
    """A convolution, its norm, and what makes it bend."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs, kernel: int = 3, stride: int = 1) -> None:
        self.kernel = nnx.Conv(
            inputs, outputs, (kernel, kernel), strides=stride, padding="SAME", use_bias=False,
            kernel_init=nnx.initializers.he_normal(), rngs=rngs,
        )  # fmt: skip
        self.norm = nnx.GroupNorm(outputs, num_groups=GROUPS, rngs=rngs)

    def __call__(self, x: Float[Array, "B H W I"]) -> Float[Array, "B P Q O"]:
        """At stride 1 the same sides, at 2 half of them."""
        return nnx.relu(self.norm(self.kernel(x)))


class Residual(nnx.Module):
    """Two convolutions beside the way straight on."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.first, self.second = Convolution(width, width, rngs=rngs), Convolution(width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B H W D"]) -> Float[Array, "B H W D"]:
        """The same shape."""
        return x + self.second(self.first(x))


class Rise(nnx.Module):
    """Twice the sides, with what was seen there on the way down."""

    def __init__(self, below: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.across = nnx.Conv(below, width, (1, 1), use_bias=False, rngs=rngs)
        self.mixed = Convolution(width, width, rngs=rngs)

    def __call__(self, below: Float[Array, "B H W I"], beside: Float[Array, "B P Q D"]) -> Float[Array, "B P Q D"]:
        """What was seen, in the light of what lies below."""
        return self.mixed(beside + doubled(self.across(below)))


class Pyramid(nnx.Module):
    """Features of a picture at a quarter of its sides, and at a half where they are asked for."""

    def __init__(self, config: PyramidConfig, *, rngs: nnx.Rngs, is_fine: bool) -> None:
        half, quarter, eighth, sixteenth = config.widths
        self.stem = Convolution(3, half, rngs=rngs, stride=2)
        self.down = nnx.List(
            [
                Convolution(a, b, rngs=rngs, stride=2)
                for a, b in ((half, quarter), (quarter, eighth), (eighth, sixteenth))
            ]
        )
        self.stay = nnx.List([Residual(one, rngs=rngs) for one in (quarter, eighth, sixteenth)])
        self.up = nnx.List([Rise(sixteenth, eighth, rngs=rngs), Rise(eighth, quarter, rngs=rngs)])
        if is_fine:
            self.up.append(Rise(quarter, half, rngs=rngs))

    def __call__(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B P Q D"]:
        """Features; sides a quarter of the pictures', or a half.

        Args:
          pictures: -1..1; sides are multiples of `STRIDE`.
        """
        seen = [self.stem(pictures)]
        for down, stay in zip(self.down, self.stay, strict=True):
            seen.append(stay(down(seen[-1])))
        x = seen.pop()
        for up in self.up:
            x = up(x, seen.pop())
        return x


def doubled(x: Float[Array, "B H W D"]) -> Float[Array, "B P Q D"]:
    """Twice the sides, each value four times."""
    batch, height, width, depth = x.shape
    wide = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, 2, width, 2, depth))
    return wide.reshape(batch, 2 * height, 2 * width, depth)


def prepared(pictures: Array) -> Float[Array, "B H W 3"]:
    """Pictures uint8 [B, H, W, 3] as the networks take them, -1..1."""
    return jax.lax.convert_element_type(pictures, jnp.float32) / 127.5 - 1.0
