"""The two towers: items from ID and content, users from what they last did.

The item tower is a hybrid: ``vector = gate(sightings) * id + W content``, so that an item nobody has seen
lives on its content and a much seen one on its ID (flavours switch one part off). The user tower is a GRU
over the vectors of the last events with embeddings of value, action and the time to the next event; it
knows no user ID, so a new user counts from the first click and erasing one leaves nothing in the weights' keys.
"""

import dataclasses
from typing import Any, Final, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from models.errors import ConfigError, ModelError
from models.recommend.gru import gru
from models.recommend.products import inner, product
from models.recommend.windows import ACTIONS, GAP_BUCKETS, VALUE_BUCKETS

MAX_DIM = 128
"""Largest D: beyond it the weights of the user tower outgrow one record."""
MAX_CONTENT_DIM = 1024
"""Largest C: 4 kB an item."""
Flavour = Literal["collaborative", "content", "hybrid", "counts"]
"""Which parts of an item's vector are used; with "counts" the towers neither learn nor score."""
TextEncoder = Literal["hashed", "minilm"]
"""What reads an item's words: "hashed" only hashes them, "minilm" adds the vector of a pretrained encoder."""
TEXT_DIMS: Final[dict[str, int]] = {"hashed": 0, "minilm": 128}
"""Numbers that each adds to an item's content: MiniLM's 384, folded."""


class FlavourError(ModelError):
    """A flavour that does not exist."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """Sizes and rates of the towers.

    Attributes:
      dim: D, of item vectors and of the user tower's state.
      content_dim: C, of an item's content: hashed features, and behind them the text vector if there is one.
      text_encoder: what reads an item's words; its numbers are the last of the content.
      window: L, events that the user tower reads.
      gate_half: sightings at which ID and content weigh alike.
      bias_factor: multiplies the item bias so that it follows the stream under Adam.
      dropout: share of the user's state that a training step leaves out.
      rate: Adam's learning rate of the dense weights. row_rate: RMSProp's of the items' rows.
      average: decay, per step, of the means of weights and rows that are read; 0 reads what the last step left.
      beta2: decay of both one's squared gradients, low so that old items stay plastic.
    """

    flavour: Flavour = "hybrid"
    dim: int = 64
    content_dim: int = 128
    text_encoder: TextEncoder = "hashed"
    window: int = 32
    gate_half: float = 3.0
    bias_factor: float = 5.0
    dropout: float = 0.3
    rate: float = 4e-3
    row_rate: float = 8e-3
    average: float = 0.99
    beta2: float = 0.99

    def __post_init__(self) -> None:
        if not 1 <= self.dim <= MAX_DIM or not 1 <= self.content_dim <= MAX_CONTENT_DIM:
            raise ConfigError(
                f"dim must be 1 to {MAX_DIM}, content_dim 1 to {MAX_CONTENT_DIM}, got {self.dim} and "
                f"{self.content_dim}; the user tower travels as one record of less than 1 MB, and a catalogue of "
                "content must fit in memory"
            )
        if self.flavour not in get_args(Flavour):
            raise FlavourError(f"flavour must be one of {', '.join(get_args(Flavour))}, got {self.flavour!r}")
        if self.text_encoder not in TEXT_DIMS:
            raise ConfigError(f"text_encoder must be one of {', '.join(TEXT_DIMS)}, got {self.text_encoder!r}")
        if self.hashed_dim < 1:
            raise ConfigError(
                f"content_dim must leave room for hashed features beside the {self.text_dim} numbers of "
                f"{self.text_encoder}, got {self.content_dim}; make it larger"
            )

    @property
    def text_dim(self) -> int:
        """Numbers of the content that are the text vector."""
        return TEXT_DIMS[self.text_encoder]

    @property
    def hashed_dim(self) -> int:
        """Numbers of the content that are hashed features."""
        return self.content_dim - self.text_dim


class ItemRows(NamedTuple):
    """What the item tower knows of M items, gathered from the tables.

    Attributes:
      id: ID embedding and bias in the last column, float32 [M, D + 1].
      content: hashed features of unit length, then the text vector; either may be zero, float32 [M, C].
      seen: sightings, float32 [M].
    """

    id: Float[Array, "M D1"]
    content: Float[Array, "M C"]
    seen: Float[Array, " M"]


class Towers(nnx.Module):
    """The dense weights of both towers.

    References:
      Covington et al., Deep Neural Networks for YouTube Recommendations, RecSys 2016 (two stages, history as user);
      Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016 (GRU over items).
    """

    def __init__(self, config: TowerConfig, *, rngs: nnx.Rngs) -> None:
        d = config.dim
        small = nnx.initializers.normal(0.05)
        self.content = nnx.Linear(config.content_dim, d + 1, use_bias=False, kernel_init=small, rngs=rngs)
        self.value = nnx.Embed(VALUE_BUCKETS, d, embedding_init=small, rngs=rngs)
        self.action = nnx.Embed(ACTIONS, d, embedding_init=small, rngs=rngs)
        self.gap = nnx.Embed(GAP_BUCKETS, d, embedding_init=small, rngs=rngs)
        self.inputs = nnx.Linear(d, 3 * d, rngs=rngs)
        self.recurrent = nnx.Linear(d, 3 * d, use_bias=False, kernel_init=nnx.initializers.orthogonal(), rngs=rngs)
        self.config = config

    def items(self, rows: ItemRows) -> Float[Array, "M D1"]:
        """Vectors of M items, the bias in the last column."""
        config = self.config
        if config.flavour == "collaborative":
            return rows.id
        content = product(rows.content, self.content.kernel[...])
        if config.flavour == "content":
            return content
        gate = rows.seen / (rows.seen + config.gate_half)
        return gate[:, None] * rows.id + content

    def users(
        self,
        item: Float[Array, "W L D"],
        known: Float[Array, "W L"],
        value: Int[Array, "W L"],
        action: Int[Array, "W L"],
        gap: Int[Array, "W L"],
        *,
        unroll: int = 1,
    ) -> Float[Array, "W L D"]:
        """State after each place of the windows, scaled for scoring against item vectors.

        Args:
          item: vectors of the events' items, zero where padding. known: 1.0 where there is an event.
          value, action, gap: buckets as in `Windows`.
          unroll: places compiled as one turn of the loop. All of them read twice as quickly; with gradients 1 is best.
        """
        known_ = known[:, :, None]
        count, length, d = item.shape
        kinds = zip((self.value, self.action, self.gap), (value, action, gap), strict=True)
        tables, places = zip(*((kind.embedding[...], at) for kind, at in kinds), strict=True)
        picks = [jax.nn.one_hot(at, len(table), dtype=jnp.float32) for table, at in zip(tables, places, strict=True)]
        read = product(jnp.concatenate(picks, axis=2).reshape(count * length, -1), jnp.concatenate(tables))
        x = item + known_ * read.reshape(item.shape)
        bias: Any = self.inputs.bias  # there is one: nnx.Linear's default
        gates = product(x.reshape(-1, d), self.inputs.kernel[...]) + bias[...][None]
        gates = gates.reshape(count, length, -1).swapaxes(0, 1)
        states = gru(gates, known_.swapaxes(0, 1), self.recurrent.kernel[...], unroll)
        return states.swapaxes(0, 1) * (2.0 / jnp.sqrt(jnp.float32(d)))


def score(users: Float[Array, "B D"], items: Float[Array, "M D1"], bias_factor: float) -> Float[Array, "B M"]:
    """Logits of every user state against every item: inner product plus the item's scaled bias."""
    scales = jnp.full((users.shape[0], 1), bias_factor, users.dtype)
    return inner(jnp.concatenate([users, scales], axis=1), items)
