"""One learning step of the towers, and reading them: pure functions over donated tables.

A step touches only the rows it gathered: gradients are taken with respect to those rows, never the table,
and the tables are donated, so that a step costs the same at ten thousand and at ten million items. The dense weights
follow Adam; rows follow RMSProp, because the momentum of a row that is seldom in a step would never be spent. What is
read is not what learns but its decayed mean (Polyak and Juditsky 1992): rates high enough to follow a stream are noisy.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from models.recommend.losses import candidate_softmax_loss
from models.recommend.towers import ItemRows, TowerConfig, Towers, score


class Tables(NamedTuple):
    """One row an item (V of capacity); row 0 is the unknown item.

    Attributes:
      id: ID embedding and bias as they are read, float32 [V, D + 1]: the decayed mean of fast, which learns.
      second: decayed mean of the squared gradients.
      content: content features, float32 [V, C]. Not learned.
    """

    id: Float[Array, "V D1"]
    fast: Float[Array, "V D1"]
    second: Float[Array, "V D1"]
    content: Float[Array, "V C"]


class Learned(NamedTuple):
    """Everything that a step changes.

    Attributes:
      weights: the dense weights of `Towers` as they are read: the decayed mean of fast, which learns.
      moments: optax state of fast. tables: sparse rows. step: int32.
    """

    weights: Any
    fast: Any
    moments: Any
    tables: Tables
    step: Int[Array, ""]


class TrainingBatch(NamedTuple):
    """Windows with their items as columns of one candidate set.

    Attributes:
      rows: candidates, strictly ascending item rows, int32 [U]; places beyond the catalogue pad.
      seen: sightings of the candidates [U]. log_q: see `candidate_softmax_loss` [U]. usable: False pads [U].
      item: candidate of each input event, -1 pads, int32 [W, L].
      value, action, gap: buckets as in `Windows`, int32 [W, L].
      place: which places of the flattened windows are learned, int32 [P]. target: candidate of the event that
        followed there, -1 pads, int32 [P].
    """

    rows: Int[Array, " U"]
    seen: Float[Array, " U"]
    log_q: Float[Array, " U"]
    usable: Bool[Array, " U"]
    item: Int[Array, "W L"]
    value: Int[Array, "W L"]
    action: Int[Array, "W L"]
    gap: Int[Array, "W L"]
    place: Int[Array, " P"]
    target: Int[Array, " P"]


def _graph(config: TowerConfig) -> nnx.GraphDef[Towers]:
    graph: nnx.GraphDef[Towers] = nnx.graphdef(nnx.eval_shape(lambda: Towers(config, rngs=nnx.Rngs(0))))
    return graph


def _optimizer(config: TowerConfig) -> optax.GradientTransformation:
    return optax.adam(config.rate, b2=config.beta2)


def fresh_rows(rows: int, config: TowerConfig, key: Array) -> Float[Array, "rows D1"]:
    """ID embeddings of rows that have learned nothing; bias 0."""
    vectors = 0.1 * jax.random.normal(key, (rows, config.dim), jnp.float32)
    return jnp.concatenate([vectors, jnp.zeros((rows, 1), jnp.float32)], axis=1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def fresh_weights(config: TowerConfig, seed: int) -> Any:
    """Dense weights that have learned nothing; compiled as one, which starts a process seconds sooner."""
    return nnx.state(Towers(config, rngs=nnx.Rngs(seed)), nnx.Param)


def fresh(config: TowerConfig, *, rows: int, seed: int) -> Learned:
    """Towers that have learned nothing, for ``rows`` item rows."""
    weights = fresh_weights(config, seed)
    id_rows = fresh_rows(rows, config, jax.random.fold_in(jax.random.key(seed), 0))
    zeros = jnp.zeros_like(id_rows)
    tables = Tables(id_rows, id_rows.copy(), zeros, jnp.zeros((rows, config.content_dim), jnp.float32))
    fast = jax.tree.map(jnp.copy, weights)
    return Learned(weights, fast, _optimizer(config).init(weights), tables, jnp.int32(0))


def grown(learned: Learned, config: TowerConfig, *, rows: int, seed: int) -> Learned:
    """The same towers with tables of ``rows`` rows; existing rows keep their place and bytes."""
    missing = rows - learned.tables.id.shape[0]
    if missing <= 0:
        return learned
    new = fresh_rows(missing, config, jax.random.fold_in(jax.random.key(seed), rows))
    zeros = jnp.zeros_like(new)
    t = learned.tables
    more = Tables(new, new, zeros, jnp.zeros((missing, config.content_dim), jnp.float32))
    return learned._replace(tables=Tables(*(jnp.concatenate(pair) for pair in zip(t, more, strict=True))))


@functools.partial(jax.jit, static_argnames="config", donate_argnames="learned")
def train_steps(learned: Learned, batches: TrainingBatch, *, config: TowerConfig) -> tuple[Learned, Float[Array, ""]]:
    """Learn from several batches of windows, one step each, in order.

    Args:
      batches: each field with the number of steps as its first axis.

    Returns:
      The new state (the old one's buffers are gone) and the mean loss of the last step in nats.
    """
    learned, losses = jax.lax.scan(functools.partial(_train_step, config=config), learned, batches)
    return learned, losses[-1]


def _kept(key: Array, shape: tuple[int, int], dropout: float) -> Float[Array, "P D"]:
    """0 where a number is left out, else what makes up for it; a byte of chance each is a quarter of the drawing."""
    among = max(1, round(256 * (1.0 - dropout)))  # of the values of a byte
    is_kept: Array = jax.random.bits(key, shape, jnp.uint8) <= jnp.uint8(among - 1)
    return is_kept.astype(jnp.float32) * (256 / among)


def _train_step(learned: Learned, batch: TrainingBatch, *, config: TowerConfig) -> tuple[Learned, Float[Array, ""]]:
    graph = _graph(config)
    t = learned.tables
    at = batch.rows
    gathered = [table.at[at].get(mode="fill", fill_value=0.0) for table in (t.id, t.fast, t.second, t.content)]
    read_rows, id_rows, second, content = gathered

    def loss_of(weights: Any, id_rows: Float[Array, "U D1"]) -> Float[Array, ""]:
        towers = nnx.merge(graph, weights)
        items = towers.items(ItemRows(id_rows, content, batch.seen))
        known = (batch.item >= 0).astype(jnp.float32)
        inputs = items[jnp.maximum(batch.item, 0), :-1] * known[:, :, None]
        states = towers.users(inputs, known, batch.value, batch.action, batch.gap)
        states = states.reshape(-1, config.dim)[batch.place] * kept
        logits = score(states, items, config.bias_factor)
        logits = jnp.where(batch.usable[None, :], logits, -1e9)
        return candidate_softmax_loss(logits, batch.target, batch.log_q)

    key = jax.random.fold_in(jax.random.key(0), learned.step)
    shape = (batch.place.shape[0], config.dim)
    kept = _kept(key, shape, config.dropout)
    loss, (weight_grads, row_grads) = jax.value_and_grad(loss_of, argnums=(0, 1))(learned.fast, id_rows)
    with jax.numpy_dtype_promotion("standard"):  # optax raises a float to an integer power
        updates, moments = _optimizer(config).update(weight_grads, learned.moments, learned.fast)
    fast = optax.apply_updates(learned.fast, updates)

    step = learned.step + 1
    touched = jnp.any(row_grads != 0.0, axis=1, keepdims=True)
    second = jnp.where(touched, config.beta2 * second + (1 - config.beta2) * row_grads**2, second)
    unbiased = second / (1 - config.beta2 ** step.astype(jnp.float32))
    move = row_grads / (jnp.sqrt(unbiased) + 1e-8)
    id_rows = id_rows - config.row_rate * jnp.where(touched, move, 0.0)

    age = learned.step.astype(jnp.float32)
    keep = jnp.minimum(config.average, (1.0 + age) / (10.0 + age))  # few steps make a short mean
    weights = jax.tree.map(lambda mean, new: keep * mean + (1.0 - keep) * new, learned.weights, fast)
    read_rows = jnp.where(touched, keep * read_rows + (1.0 - keep) * id_rows, read_rows)

    def put(table: Array, rows: Array) -> Array:
        return table.at[at].set(rows, mode="drop", unique_indices=True, indices_are_sorted=True)

    tables = Tables(put(t.id, read_rows), put(t.fast, id_rows), put(t.second, second), t.content)
    return Learned(weights, fast, moments, tables, step), loss


@functools.partial(jax.jit, static_argnames="config")
def item_vectors(
    weights: Any, tables: Tables, rows: Int[Array, " M"], seen: Float[Array, " M"], *, config: TowerConfig
) -> Float[Array, "M D1"]:
    """The item tower's output for ``rows``; the last column is the bias, already scaled for `score`."""
    towers = nnx.merge(_graph(config), weights)
    items = towers.items(ItemRows(tables.id[rows], tables.content[rows], seen))
    return items.at[:, -1].multiply(config.bias_factor)


@functools.partial(jax.jit, static_argnames="config")
def all_item_vectors(
    weights: Any, tables: Tables, seen: Float[Array, " V"], *, config: TowerConfig
) -> Float[Array, "V D1"]:
    """The same for every row, without a copy of the tables: gathering wide content costs more than the tower itself."""
    towers = nnx.merge(_graph(config), weights)
    items = towers.items(ItemRows(tables.id, tables.content, seen))
    return items.at[:, -1].multiply(config.bias_factor)


@functools.partial(jax.jit, static_argnames="config")
def user_states(
    weights: Any,
    vectors: Float[Array, "V D1"],
    item: Int[Array, "W L"],
    value: Int[Array, "W L"],
    action: Int[Array, "W L"],
    gap: Int[Array, "W L"],
    *,
    config: TowerConfig,
) -> Float[Array, "W D"]:
    """The user tower's state after the last event of each window, read from all item vectors."""
    states: Array = states_of_inputs(weights, vectors[item], item, value, action, gap, config=config)
    return states


@functools.partial(jax.jit, static_argnames="config")
def states_of_inputs(
    weights: Any,
    inputs: Float[Array, "W L D1"],
    item: Int[Array, "W L"],
    value: Int[Array, "W L"],
    action: Int[Array, "W L"],
    gap: Int[Array, "W L"],
    *,
    config: TowerConfig,
) -> Float[Array, "W D"]:
    """As `user_states`, with the vectors of the windows' items already gathered: no table travels."""
    towers = nnx.merge(_graph(config), weights)
    known = (item > 0).astype(jnp.float32)
    inputs = inputs[:, :, :-1] * known[:, :, None]
    return towers.users(inputs, known, value, action, gap, unroll=config.window)[:, -1]


@functools.partial(jax.jit, donate_argnames="tables")
def put_content(tables: Tables, rows: Int[Array, " M"], content: Float[Array, "M C"]) -> Tables:
    """Write content features of ``rows`` (unique and ascending; rows beyond the table are dropped)."""
    new = tables.content.at[rows].set(content, mode="drop", unique_indices=True, indices_are_sorted=True)
    return tables._replace(content=new)


@functools.partial(jax.jit, static_argnames="config", donate_argnames="learned")
def reset_rows(learned: Learned, rows: Int[Array, " M"], key: Array, *, config: TowerConfig) -> Learned:
    """Make ``rows`` (those beyond the table are dropped) as if they had never learned: their items were evicted."""
    new = fresh_rows(rows.shape[0], config, key)
    t = learned.tables
    blank = jnp.zeros_like(new)
    no_content = jnp.zeros((rows.shape[0], config.content_dim), jnp.float32)
    values = (new, new, blank, no_content)
    put = (table.at[rows].set(value, mode="drop") for table, value in zip(t, values, strict=True))
    return learned._replace(tables=Tables(*put))
