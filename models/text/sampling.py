"""Texts of a decoder, several at a time out of one prompt: which piece comes next is drawn, bounded and seeded.

All candidates take each step together: the step's time goes into reading the weights, which is done once for them all.

References:
  Keskar et al., CTRL, 2019 (the penalty on what was written already); Holtzman et al., The Curious Case of Neural Text
  Degeneration, ICLR 2020 (the nucleus).
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from models.errors import ConfigError, ShapeError
from models.text.decoder import Cache, DecoderConfig, DecoderWeights, empty_cache, hidden_states, next_logits

_NEVER = -1e9


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How texts are drawn.

    Attributes:
      rows: R, texts at a time. most: pieces of a text.
      temperature: divides the logits; 0 takes the likeliest piece always.
      top_k: pieces that may come next. top_p: of those the likeliest whose probabilities reach this together.
      penalty: logits of pieces that the text has already are divided by it, or multiplied where they are negative.
      end: id of the piece that ends a text.
    """

    rows: int = 8
    most: int = 80
    temperature: float = 0.7
    top_k: int = 64
    top_p: float = 0.9
    penalty: float = 1.2
    end: int = 2

    def __post_init__(self) -> None:
        if self.rows < 1 or self.most < 1 or self.top_k < 1:
            raise ConfigError(f"rows, most and top_k must be >= 1, got {self.rows}, {self.most} and {self.top_k}")
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.penalty < 1:
            raise ConfigError(
                f"temperature must be >= 0, top_p in (0, 1] and penalty >= 1, got {self.temperature}, {self.top_p} "
                f"and {self.penalty}"
            )


class Drawn(NamedTuple):
    """What was drawn.

    Attributes:
      pieces: int32 [R, most], the end's id beyond a text. lengths: int32 [R], before the piece that ends a text.
      scores: mean log-probability of each text's pieces and its end among those that may come, nats, float32 [R].
      steps: taken in all.
    """

    pieces: Int[Array, "R M"]
    lengths: Int[Array, " R"]
    scores: Float[Array, " R"]
    steps: Int[Array, ""]


class _Loop(NamedTuple):
    cache: Cache
    logits: Float[Array, "R V"]
    pieces: Int[Array, "R M"]
    is_used: Bool[Array, "R V"]
    lengths: Int[Array, " R"]
    is_over: Bool[Array, " R"]
    total: Float[Array, " R"]
    at: Int[Array, ""]


@functools.partial(jax.jit, static_argnames=("config", "sampling"))
def draw(
    weights: DecoderWeights, prompt: Int[Array, " T"], length: Int[Array, ""], may: Bool[Array, " V"],
    key: Key[Array, ""], *, config: DecoderConfig, sampling: SamplingConfig,
) -> Drawn:  # fmt: skip
    """R texts that go on from a prompt.

    Args:
      prompt: ids, of any value beyond ``length``. length: pieces of it, >= 1.
      may: False for pieces that never come; ``sampling.end`` always may.
      key: of every draw; text r has a key of its own, so that it is the same however long the others are.

    Raises:
      ShapeError: prompt and texts have no room in ``config.places``.
    """
    room = prompt.shape[0] + sampling.most
    if room > config.places:
        raise ShapeError(f"prompt and text may have {config.places} pieces together, got {room}; cut the prompt")
    dtype = weights.piece.dtype
    states, cache = hidden_states(
        weights, prompt[None], empty_cache(config, rows=1, places=room, dtype=dtype), jnp.int32(0), config=config
    )
    last = jax.lax.dynamic_index_in_dim(states[0], length - 1, keepdims=True)
    rows = sampling.rows
    begin = _Loop(
        cache=jax.tree.map(lambda one: jnp.repeat(one, rows, axis=0), cache),
        logits=jnp.repeat(next_logits(weights, last, config=config), rows, axis=0),
        pieces=jnp.full((rows, sampling.most), sampling.end, jnp.int32),
        is_used=jnp.zeros((rows, config.pieces), bool),
        lengths=jnp.zeros(rows, jnp.int32),
        is_over=jnp.zeros(rows, bool),
        total=jnp.zeros(rows),
        at=jnp.int32(0),
    )
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(rows))
    allowed = may.at[sampling.end].set(True)

    def goes_on(loop: _Loop) -> Bool[Array, ""]:
        return (loop.at < sampling.most) & ~loop.is_over.all()

    def step(loop: _Loop) -> _Loop:
        plain = jnp.where(allowed[None], loop.logits, _NEVER)
        logits = jnp.where(allowed[None], penalised(loop.logits, loop.is_used, sampling.penalty), _NEVER)
        now = jax.vmap(lambda one: jax.random.fold_in(one, loop.at))(keys)
        drawn = jnp.where(
            loop.is_over, sampling.end, jax.vmap(functools.partial(choose, sampling=sampling))(logits, now)
        )
        is_over = loop.is_over | (drawn == sampling.end)
        nats = jnp.take_along_axis(plain, drawn[:, None], axis=1)[:, 0] - jax.nn.logsumexp(plain, axis=1)
        states, cache = hidden_states(weights, drawn[:, None], loop.cache, length + loop.at, config=config)
        return _Loop(
            cache=cache,
            logits=next_logits(weights, states[:, 0], config=config),
            pieces=jax.lax.dynamic_update_slice(loop.pieces, drawn[:, None], (0, loop.at)),
            is_used=loop.is_used.at[jnp.arange(rows), drawn].set(True),
            lengths=loop.lengths + (~is_over).astype(jnp.int32),
            is_over=is_over,
            total=loop.total + jnp.where(loop.is_over, 0.0, nats),
            at=loop.at + 1,
        )

    end = jax.lax.while_loop(goes_on, step, begin)
    counted = jnp.minimum(end.lengths + 1, sampling.most).astype(jnp.float32)
    return Drawn(end.pieces, end.lengths, end.total / counted, end.at)


def penalised(logits: Float[Array, "R V"], is_used: Bool[Array, "R V"], penalty: float) -> Float[Array, "R V"]:
    """Logits with those of used pieces made less likely."""
    less = jnp.where(logits > 0, logits / penalty, logits * penalty)
    return jnp.where(is_used, less, logits)


def choose(logits: Float[Array, " V"], key: Key[Array, ""], *, sampling: SamplingConfig) -> Int[Array, ""]:
    """The next piece of one text, int32.

    A piece is among those drawn from while the likelier ones before it have less than ``top_p`` together.
    """
    best, ids = jax.lax.top_k(logits, min(sampling.top_k, logits.shape[0]))
    if sampling.temperature == 0:
        return ids[0].astype(jnp.int32)
    scaled = best / sampling.temperature
    shares = jax.nn.softmax(scaled)
    before = jnp.cumsum(shares) - shares
    drawn = jax.random.categorical(key, jnp.where(before < sampling.top_p, scaled, -jnp.inf))
    return ids[drawn].astype(jnp.int32)
