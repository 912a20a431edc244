"""A decoder of the Llama family: piece ids in, logits of the next piece out, with what was attended kept in a cache.

RMS norm before each part, rotary places, queries that share keys and values in groups, SwiGLU, and the embedding read
backwards as the last layer. Weights come as named arrays of a GGUF file; who reads it, and how a piece is chosen, is
decided elsewhere.

References:
  Touvron et al., LLaMA, 2023; Su et al., RoFormer, 2021 (rotary places); Ainslie et al., GQA, EMNLP 2023; Shazeer, GLU
  Variants Improve Transformer, 2020; Zhang and Sennrich, RMSNorm, NeurIPS 2019; Allal et al., SmolLM2, 2025.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from models.errors import ConfigError
from models.text.encoder import WeightsError

_FAR = -1e9


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Sizes of the network; the defaults are those of SmolLM2-135M.

    Attributes:
      layers: one after the other. dim: E, of a piece. heads: of the queries. groups: of keys and values.
      inner: width of the feed-forward part. pieces: V, size of the vocabulary. places: longest text, pieces.
      epsilon: added to the mean square of a norm. base: of the slowest rotation's wavelength.
    """

    layers: int = 30
    dim: int = 576
    heads: int = 9
    groups: int = 3
    inner: int = 1536
    pieces: int = 49_152
    places: int = 8192
    epsilon: float = 1e-5
    base: float = 100_000.0

    def __post_init__(self) -> None:
        if self.dim % self.heads or self.heads % self.groups or self.dim // self.heads % 2:
            raise ConfigError(
                f"dim must be an even multiple of heads, and heads a multiple of groups, got {self.dim}, {self.heads} "
                f"and {self.groups}"
            )

    @property
    def head_dim(self) -> int:
        """Numbers of one head."""
        return self.dim // self.heads


class DecoderLayer(NamedTuple):
    """One layer; each kernel is [out, in], as the file has it.

    ``qkv``: queries, keys and values one below the other. ``gate_up``: the gate, then what it gates.
    """

    attention_norm: Float[Array, " E"]
    qkv: Float[Array, "Q E"]
    attended: Float[Array, "E E"]
    inner_norm: Float[Array, " E"]
    gate_up: Float[Array, "F E"]
    down: Float[Array, "E G"]


class DecoderWeights(NamedTuple):
    """Everything that the network knows; ``piece`` is read both ways. Layers are not stacked: slices are copies."""

    piece: Float[Array, "V E"]
    layers: tuple[DecoderLayer, ...]
    norm: Float[Array, " E"]


class Cache(NamedTuple):
    """Keys and values of the places so far, a pair a layer: [B, S, groups, head_dim], in the dtype of the weights."""

    keys: tuple[Float[Array, "B S K H"], ...]
    values: tuple[Float[Array, "B S K H"], ...]


def decoder_weights(
    arrays: Mapping[str, NDArray[Any]], config: DecoderConfig, *, dtype: Any = jnp.float32
) -> DecoderWeights:
    """The weights out of arrays named as GGUF names them (``blk.0.attn_q.weight``), each read once.

    Args:
      dtype: that kernels are kept and multiplied in; norms stay float32.

    Raises:
      WeightsError: an array is missing, or has another shape than ``config`` says.
    """
    e, f, kv = config.dim, config.inner, config.groups * config.head_dim

    def array(name: str, *shape: int) -> NDArray[np.float32]:
        if name not in arrays:
            raise WeightsError(f"expected an array {name!r}, got none of that name; is this a Llama decoder?")
        held = arrays[name]
        if held.shape != shape:
            raise WeightsError(f"expected {name} of shape {shape}, got {held.shape}; check the config")
        return np.asarray(held, np.float32)

    def kernel(*parts: tuple[str, int, int]) -> Array:
        return jnp.asarray(np.concatenate([array(f"{name}.weight", o, i) for name, o, i in parts]), dtype)

    def norm(name: str) -> Array:
        return jnp.asarray(array(f"{name}.weight", e))

    def layer(prefix: str) -> DecoderLayer:
        return DecoderLayer(
            attention_norm=norm(f"{prefix}.attn_norm"),
            qkv=kernel((f"{prefix}.attn_q", e, e), (f"{prefix}.attn_k", kv, e), (f"{prefix}.attn_v", kv, e)),
            attended=kernel((f"{prefix}.attn_output", e, e)),
            inner_norm=norm(f"{prefix}.ffn_norm"),
            gate_up=kernel((f"{prefix}.ffn_gate", f, e), (f"{prefix}.ffn_up", f, e)),
            down=kernel((f"{prefix}.ffn_down", e, f)),
        )

    return DecoderWeights(
        piece=kernel(("token_embd", config.pieces, e)),
        layers=tuple(layer(f"blk.{at}") for at in range(config.layers)),
        norm=norm("output_norm"),
    )


def empty_cache(config: DecoderConfig, *, rows: int, places: int, dtype: Any = jnp.float32) -> Cache:
    """Room for ``places`` places of ``rows`` texts."""
    shape = (rows, places, config.groups, config.head_dim)
    return Cache(
        keys=tuple(jnp.zeros(shape, dtype) for _ in range(config.layers)),
        values=tuple(jnp.zeros(shape, dtype) for _ in range(config.layers)),
    )


def hidden_states(
    weights: DecoderWeights, pieces: Int[Array, "B T"], cache: Cache, first: Int[Array, ""], *, config: DecoderConfig
) -> tuple[Float[Array, "B T E"], Cache]:
    """What the network makes of T more pieces of B texts, and the cache with them in it.

    Args:
      pieces: ids. What pads the end of a prompt does no harm: later pieces are written over it, and none looks ahead.
      cache: of the places before. first: place of the first of the pieces, the same in all texts.

    Returns:
      float32 [B, T, E] before `next_logits`, and the cache.
    """
    b, t = pieces.shape
    h, k, d = config.heads, config.groups, config.head_dim
    places = first + jnp.arange(t)
    is_seen = jnp.arange(cache.keys[0].shape[1])[None, :] <= places[:, None]
    turn = _turns(places, config)
    x = weights.piece[pieces].astype(jnp.float32)
    keys, values = list(cache.keys), list(cache.values)
    for at, layer in enumerate(weights.layers):
        mixed = _times(_rms(x, layer.attention_norm, config.epsilon), layer.qkv)
        query, key, value = jnp.split(mixed, [h * d, (h + k) * d], axis=-1)
        rotated = _rotate(key.reshape(b, t, k, d), turn)
        start = (0, first, 0, 0)
        keys[at] = jax.lax.dynamic_update_slice(keys[at], rotated.astype(keys[at].dtype), start)
        values[at] = jax.lax.dynamic_update_slice(values[at], value.reshape(b, t, k, d).astype(values[at].dtype), start)
        grouped = _rotate(query.reshape(b, t, h, d), turn).reshape(b, t, k, h // k, d)
        scores = jnp.einsum("btkgd,bskd->bkgts", grouped, keys[at].astype(jnp.float32)) * d**-0.5
        shares = jax.nn.softmax(jnp.where(is_seen[None, None, None], scores, _FAR), axis=-1)
        read = jnp.einsum("bkgts,bskd->btkgd", shares, values[at].astype(jnp.float32)).reshape(b, t, h * d)
        x = x + _times(read, layer.attended)
        gate, up = jnp.split(_times(_rms(x, layer.inner_norm, config.epsilon), layer.gate_up), 2, axis=-1)
        x = x + _times(jax.nn.silu(gate) * up, layer.down)
    return x, Cache(keys=tuple(keys), values=tuple(values))


def next_logits(weights: DecoderWeights, x: Float[Array, "B E"], *, config: DecoderConfig) -> Float[Array, "B V"]:
    """Logits of the piece after each state of `hidden_states`, float32."""
    return _times(_rms(x, weights.norm, config.epsilon), weights.piece)


def _times(x: Float[Array, "... I"], kernel: Float[Array, "O I"]) -> Float[Array, "... O"]:
    """Rows times a kernel [out, in], multiplied in the kernel's dtype and summed in float32."""
    over = (((x.ndim - 1,), (1,)), ((), ()))
    return jax.lax.dot_general(x.astype(kernel.dtype), kernel, over, preferred_element_type=jnp.float32)


def _rms(x: Float[Array, "... E"], scale: Float[Array, " E"], epsilon: float) -> Float[Array, "... E"]:
    mean_square = jnp.square(x).mean(axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(mean_square + epsilon) * scale.reshape((1,) * (x.ndim - 1) + (-1,))


def _turns(places: Int[Array, " T"], config: DecoderConfig) -> tuple[Float[Array, "T P"], Float[Array, "T P"]]:
    """Cosine and sine of each place's rotation of each pair of numbers."""
    speed = config.base ** -(jnp.arange(0, config.head_dim, 2, dtype=jnp.float32) / config.head_dim)
    angle = places.astype(jnp.float32)[:, None] * speed[None, :]
    return jnp.cos(angle), jnp.sin(angle)


def _rotate(
    x: Float[Array, "B T N H"], turn: tuple[Float[Array, "T P"], Float[Array, "T P"]]
) -> Float[Array, "B T N H"]:
    """Each pair of neighbours turned by its angle (GGUF orders them so; other checkpoints pair halves)."""
    cosine, sine = (part[None, :, None, :] for part in turn)
    left, right = x[..., 0::2], x[..., 1::2]
    return jnp.stack([left * cosine - right * sine, left * sine + right * cosine], axis=-1).reshape(x.shape)
