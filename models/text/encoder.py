"""A BERT encoder of sentences: piece ids in, one unit vector a text out. Weights come as named arrays.

It is the network of sentence-transformers: embeddings, post-norm transformer layers, the mean over the pieces, length
one. Where the names of the arrays come from and how text becomes pieces is decided elsewhere.

References:
  Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, NAACL 2019; Reimers and Gurevych,
  Sentence-BERT, EMNLP 2019; Wang et al., MiniLM, NeurIPS 2020.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import NDArray

from models.errors import ConfigError, ModelError, ShapeError

_FAR = -1e9


class WeightsError(ModelError):
    """Named arrays that are not those of the encoder."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of the network; the defaults are those of MiniLM-L6.

    Attributes:
      layers: transformer layers. dim: E, of a piece and of the text's vector. heads: of the attention.
      inner: width of the feed-forward part. pieces: size of the vocabulary. places: longest text, pieces.
      epsilon: added to the variance of a layer norm.
    """

    layers: int = 6
    dim: int = 384
    heads: int = 12
    inner: int = 1536
    pieces: int = 30_522
    places: int = 512
    epsilon: float = 1e-12

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ConfigError(f"dim must be a multiple of heads, got {self.dim} and {self.heads}")


class Norm(NamedTuple):
    """Layer norm: factor and offset, float32 [E]."""

    scale: Float[Array, " E"]
    offset: Float[Array, " E"]


class Dense(NamedTuple):
    """Linear map of rows: kernel float32 [in, out], bias [out]."""

    kernel: Float[Array, "I O"]
    bias: Float[Array, " O"]


class Layer(NamedTuple):
    """One transformer layer. ``qkv``: query, key and value side by side, [E, 3 E]."""

    qkv: Dense
    attended: Dense
    attended_norm: Norm
    inner: Dense
    outer: Dense
    outer_norm: Norm


class Weights(NamedTuple):
    """Everything that the network knows.

    Attributes:
      piece: float32 [pieces, E]. place: float32 [places, E], the embedding of the only segment added to each.
      norm: of the embeddings. layers: one after the other; not stacked, since a loop over slices copies each.
    """

    piece: Float[Array, "P E"]
    place: Float[Array, "T E"]
    norm: Norm
    layers: tuple[Layer, ...]


def weights_from(arrays: Mapping[str, NDArray[Any]], config: EncoderConfig) -> Weights:
    """The weights out of arrays with the names of a BERT checkpoint (``encoder.layer.0.output.dense.weight``).

    Args:
      arrays: float32; linear kernels are [out, in], as PyTorch keeps them. Others, such as the pooler's, are ignored.

    Raises:
      WeightsError: an array is missing, or has another shape than ``config`` says.
    """
    e, f = config.dim, config.inner

    def array(name: str, *shape: int) -> NDArray[np.float32]:
        if name not in arrays:
            raise WeightsError(f"expected an array {name!r}, got none of that name; is this a BERT encoder?")
        if arrays[name].shape != shape:
            raise WeightsError(f"expected {name} of shape {shape}, got {arrays[name].shape}; check the config")
        return np.asarray(arrays[name], np.float32)

    def dense(i: int, o: int, *prefixes: str) -> Dense:
        kernels = [array(f"{prefix}.weight", o, i).T for prefix in prefixes]
        biases = [array(f"{prefix}.bias", o) for prefix in prefixes]
        return Dense(jnp.asarray(np.concatenate(kernels, axis=1)), jnp.asarray(np.concatenate(biases)))

    def norm(prefix: str) -> Norm:
        return Norm(jnp.asarray(array(f"{prefix}.weight", e)), jnp.asarray(array(f"{prefix}.bias", e)))

    def layer(prefix: str) -> Layer:
        return Layer(
            qkv=dense(e, e, *(f"{prefix}.attention.self.{name}" for name in ("query", "key", "value"))),
            attended=dense(e, e, f"{prefix}.attention.output.dense"),
            attended_norm=norm(f"{prefix}.attention.output.LayerNorm"),
            inner=dense(e, f, f"{prefix}.intermediate.dense"),
            outer=dense(f, e, f"{prefix}.output.dense"),
            outer_norm=norm(f"{prefix}.output.LayerNorm"),
        )

    segment = array("embeddings.token_type_embeddings.weight", 2, e)[:1]
    return Weights(
        piece=jnp.asarray(array("embeddings.word_embeddings.weight", config.pieces, e)),
        place=jnp.asarray(array("embeddings.position_embeddings.weight", config.places, e) + segment),
        norm=norm("embeddings.LayerNorm"),
        layers=tuple(layer(f"encoder.layer.{at}") for at in range(config.layers)),
    )


def _dense(x: Float[Array, "B T I"], layer: Dense) -> Float[Array, "B T O"]:
    return x @ layer.kernel + layer.bias[None, None]


def _norm(x: Float[Array, "B T E"], layer: Norm, epsilon: float) -> Float[Array, "B T E"]:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + epsilon) * layer.scale[None, None] + layer.offset[None, None]


def _attend(x: Float[Array, "B T E"], known: Bool[Array, "B T"], layer: Dense, heads: int) -> Float[Array, "B T E"]:
    b, t, e = x.shape
    query, key, value = (part.reshape(b, t, heads, e // heads) for part in jnp.split(_dense(x, layer), 3, axis=-1))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * (e // heads) ** -0.5
    shares = jax.nn.softmax(jnp.where(known[:, None, None, :], scores, _FAR), axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", shares, value).reshape(b, t, e)


@functools.partial(jax.jit, static_argnames="config")
def encode(
    weights: Weights, pieces: Int[Array, "B T"], lengths: Int[Array, " B"], *, config: EncoderConfig
) -> Float[Array, "B E"]:
    """Vectors of B texts.

    Args:
      pieces: ids, the marks of begin and end included; what stands beyond a text's length is not read.
      lengths: pieces of each text; 0 pads the batch, and its row of the result is zero.

    Returns:
      float32 [B, E] of length 1.

    Raises:
      ShapeError: T is more than ``config.places``.
    """
    if pieces.shape[1] > config.places:
        raise ShapeError(f"a text may have {config.places} pieces, got {pieces.shape[1]}; cut it first")
    known = jnp.arange(pieces.shape[1])[None, :] < lengths[:, None]
    x = weights.piece[jnp.where(known, pieces, 0)] + weights.place[None, : pieces.shape[1]]
    x = _norm(x, weights.norm, config.epsilon)

    for at in weights.layers:
        x = _norm(x + _dense(_attend(x, known, at.qkv, config.heads), at.attended), at.attended_norm, config.epsilon)
        inner = jax.nn.gelu(_dense(x, at.inner), approximate=False)
        x = _norm(x + _dense(inner, at.outer), at.outer_norm, config.epsilon)
    total = jnp.where(known[:, :, None], x, 0.0).sum(axis=1)
    return total / jnp.maximum(jnp.linalg.norm(total, axis=1, keepdims=True), 1e-12)
