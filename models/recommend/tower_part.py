"""What the towers say of the events of a batch that are ranked, before any of the batch is learned."""

from typing import NamedTuple

import jax
import numpy as np

from models.recommend import shortlist as shortlisting
from models.recommend import step
from models.recommend.state import ModelConfig, State
from models.recommend.windows import Windows, empty_windows, query_windows
from models.typing import F32, I32, I64


class TowerPart(NamedTuple):
    """By the weights of the batch before.

    Attributes:
      of_users: logits of every row in use, float32 [B, used]; or the users' states, [B, D], where the catalogue is too
        large to be ranked whole.
      vectors: of the item rows, bias last, float32 [N, D + 1]; of no row where there are no towers or no events.
    """

    of_users: F32
    vectors: F32


def tower_part(state: State, users: I32, at_ms: I64, pos: I32, config: ModelConfig) -> TowerPart:
    """Of B events to rank: their users' rows, their times, and how much of each user's history comes before them."""
    if state.shortlist is None:
        return tower_logits(state, users, at_ms, pos, config)
    count, vectors = len(users), state.shortlist.vectors
    if count == 0 or config.towers.flavour == "counts":
        return TowerPart(np.zeros((count, config.towers.dim), np.float32), vectors)
    shortlisting.settle(state.shortlist)
    windows = _windows(state, users, at_ms, pos, config)
    states = step.states_of_inputs(state.towers.weights, vectors[windows.item], *windows, config=config.towers)
    return TowerPart(np.asarray(states)[:count], vectors)


def tower_logits(state: State, users: I32, at_ms: I64, pos: I32, config: ModelConfig) -> TowerPart:
    """The same with logits, whatever the size of the catalogue."""
    count, n = len(users), state.items.used
    if count == 0 or config.towers.flavour == "counts":
        nothing = np.zeros((0, config.towers.dim + 1), np.float32)
        nothing.flags.writeable = False  # as what JAX gives, so that one kernel is compiled for both
        return TowerPart(np.zeros((count, n), np.float32), nothing)
    vectors = all_vectors(state, config)
    states = step.user_states(
        state.towers.weights, vectors, *_windows(state, users, at_ms, pos, config), config=config.towers
    )
    return TowerPart(np.asarray(_logits(states, vectors))[:count, :n], np.asarray(vectors))


def all_vectors(state: State, config: ModelConfig) -> jax.Array:
    """Tower vectors of every row of capacity, bias in the last column, float32 [V, D + 1]."""
    vectors: jax.Array = step.all_item_vectors(
        state.towers.weights, state.towers.tables, state.counts.seen, config=config.towers
    )
    return vectors


def bucket(count: int) -> int:
    """The power of two, at least 16, that holds ``count``: few shapes compile."""
    return max(16, 1 << (count - 1).bit_length())


def _windows(state: State, users: I32, at_ms: I64, pos: I32, config: ModelConfig) -> Windows:
    windows = empty_windows(bucket(len(users)), config.towers.window)
    query_windows(state.histories, users, pos, at_ms, windows)
    return windows


@jax.jit
def _logits(states: jax.Array, vectors: jax.Array) -> jax.Array:
    return states @ vectors[:, :-1].T + vectors[None, :, -1]
