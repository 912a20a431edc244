"""One learning step against optax on the whole table, and what it must leave alone."""

import dataclasses
from typing import Any

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models.recommend import step
from models.recommend.losses import candidate_softmax_loss
from models.recommend.step import TrainingBatch
from models.recommend.towers import ItemRows, TowerConfig, Towers, score

CONFIG = TowerConfig(dim=6, content_dim=5, window=4, rate=0.01, row_rate=0.03, average=0.0, dropout=0.0)
DROPPING = dataclasses.replace(CONFIG, dropout=0.4, rate=0.0, row_rate=0.0)
ROWS, CANDIDATES, WINDOWS, PLACES = 16, 12, 3, 8
BEYOND = 2**30


def copied(tree):
    """Donation takes the buffers: keep some that stay."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def fresh(seed=0):
    learned = step.fresh(CONFIG, rows=ROWS, seed=seed)
    content = jnp.array(np.random.default_rng(seed).normal(size=(ROWS, 5)), jnp.float32)
    return learned._replace(tables=learned.tables._replace(content=content))


def batch(rows=range(1, 11), seed=0, usable=None):
    rng = np.random.default_rng(seed)
    rows = np.array(rows, np.int32)
    fill = len(rows)
    item = rng.integers(0, fill, (WINDOWS, 4)).astype(np.int32)
    item[0, :2] = -1
    target = rng.integers(0, fill, PLACES).astype(np.int32)
    target[-2:] = -1
    columns: dict[str, Any] = {
        "rows": np.concatenate([rows, BEYOND + np.arange(fill, CANDIDATES)]).astype(np.int32),
        "seen": 1 + np.arange(CANDIDATES, dtype=np.float32),
        "log_q": np.where(np.arange(CANDIDATES) < fill, -0.1 * np.arange(CANDIDATES), 0.0).astype(np.float32),
        "usable": np.arange(CANDIDATES) < fill,
        "item": item,
        "value": rng.integers(0, 12, (WINDOWS, 4)).astype(np.int32),
        "action": rng.integers(0, 16, (WINDOWS, 4)).astype(np.int32),
        "gap": rng.integers(0, 26, (WINDOWS, 4)).astype(np.int32),
        "place": rng.permutation(WINDOWS * 4)[:PLACES].astype(np.int32),
        "target": target,
    }
    return TrainingBatch(**columns)


def stacked(batches):
    columns: list[Any] = [np.stack(column) for column in zip(*batches, strict=True)]
    return TrainingBatch(*columns)


def one_step(learned, data, config=CONFIG):
    return step.train_steps(learned, stacked([data]), config=config)


def dense_loss(weights, id_table, tables, data):
    """The same loss with gradients of the whole table."""
    towers = nnx.merge(nnx.graphdef(Towers(CONFIG, rngs=nnx.Rngs(0))), weights)
    at = jnp.minimum(data.rows, ROWS - 1)
    items = towers.items(ItemRows(id_table[at], tables.content[at], jnp.array(data.seen)))
    known = jnp.array(data.item >= 0, jnp.float32)
    inputs = items[jnp.maximum(data.item, 0), :-1] * known[:, :, None]
    states = towers.users(inputs, known, jnp.array(data.value), jnp.array(data.action), jnp.array(data.gap))
    logits = score(states.reshape(-1, CONFIG.dim)[data.place], items, CONFIG.bias_factor)
    logits = jnp.where(jnp.array(data.usable)[None], logits, -1e9)
    return candidate_softmax_loss(logits, jnp.array(data.target), jnp.array(data.log_q))


def test_steps_are_those_of_optax_on_the_dense_table():
    learned = fresh()
    weights, table = copied(learned.weights), copied(learned.tables.id)
    tables = copied(learned.tables)
    adam = optax.adam(CONFIG.rate, b2=CONFIG.beta2)
    rmsprop = optax.adam(CONFIG.row_rate, b1=0.0, b2=CONFIG.beta2)
    moments, squares = adam.init(weights), rmsprop.init(table)
    slope = jax.value_and_grad(dense_loss, argnums=(0, 1))
    for seed in range(3):
        # The same rows in every step: here a step on rows and one on the table agree.
        data = batch(seed=seed)
        want, grads = slope(weights, table, tables, data)
        with jax.numpy_dtype_promotion("standard"):
            updates, moments = adam.update(grads[0], moments)
            moves, squares = rmsprop.update(grads[1], squares)
        weights, table = optax.apply_updates(weights, updates), optax.apply_updates(table, moves)
        learned, loss = one_step(learned, data)
        assert float(loss) == pytest.approx(float(want), rel=1e-5)
    np.testing.assert_allclose(learned.tables.id, table, atol=2e-6)
    for got, expected in zip(jax.tree.leaves(learned.weights), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_what_is_read_is_the_decayed_mean_of_what_learns():
    averaged = dataclasses.replace(CONFIG, average=0.8)
    one, two = fresh(), fresh()
    means = [copied(two.weights), copied(two.tables.id)]
    for number in range(60):
        data = batch(seed=number)  # the same rows in every step
        one, _ = one_step(one, data)
        two, _ = one_step(two, data, averaged)
        keep = min(0.8, (1 + number) / (10 + number))
        means = jax.tree.map(
            lambda mean, new, keep=keep: keep * mean + (1 - keep) * new, means, [one.weights, one.tables.id]
        )
    got = [two.fast, two.tables.fast, two.weights, two.tables.id]
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves([one.weights, one.tables.id, *means]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_row_that_no_step_moves_is_read_as_it_was():
    learned, _ = one_step(fresh(), batch(), dataclasses.replace(CONFIG, average=0.8))
    far = np.setdiff1d(np.arange(ROWS), np.asarray(batch().rows))
    np.testing.assert_array_equal(np.asarray(learned.tables.id)[far], np.asarray(fresh().tables.id)[far])
    assert (np.asarray(learned.tables.id) != np.asarray(fresh().tables.id)).any()


def test_several_steps_at_once_are_the_steps_one_by_one():
    batches = [batch(rows=range(1 + seed, 9 + seed), seed=seed) for seed in range(4)]
    dropping = dataclasses.replace(CONFIG, dropout=0.4)
    at_once, loss = step.train_steps(fresh(), stacked(batches), config=dropping)
    learned = fresh()
    for data in batches:
        learned, last = one_step(learned, data, dropping)
    assert float(loss) == pytest.approx(float(last), rel=1e-6)
    assert int(at_once.step) == int(learned.step) == 4
    for a, b in zip(jax.tree.leaves(at_once), jax.tree.leaves(learned), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_dropout_is_drawn_anew_at_every_step_and_the_same_in_every_run():
    """At a rate of 0 nothing moves, so losses differ by what was left out alone; on average nothing is missing."""
    whole = float(one_step(fresh(), batch(), dataclasses.replace(DROPPING, dropout=0.0))[1])
    runs = []
    for _ in range(2):
        learned, losses = fresh(), []
        for _ in range(200):
            learned, loss = one_step(learned, batch(), DROPPING)
            losses.append(float(loss))
        runs.append(losses)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 190
    spread = np.std(runs[0])
    assert spread > 1e-4
    # Logits are small here, so the loss is nearly linear in them: three standard errors and what is left of a curve.
    assert np.mean(runs[0]) == pytest.approx(whole, abs=3 * spread / np.sqrt(200) + spread**2)


def test_rows_that_were_not_gathered_keep_their_bytes():
    learned, _ = one_step(fresh(), batch())
    before = copied(learned.tables)
    learned, _ = one_step(learned, batch(rows=[2, 5, 9], seed=1))
    for old, new in zip(before, learned.tables, strict=True):
        others = np.setdiff1d(np.arange(ROWS), [2, 5, 9])
        np.testing.assert_array_equal(np.asarray(old)[others], np.asarray(new)[others])
    assert (np.asarray(before.id)[[2, 5, 9]] != np.asarray(learned.tables.id)[[2, 5, 9]]).any(axis=1).all()
    assert int(learned.step) == 2


def test_padding_changes_nothing():
    data = batch(rows=range(1, 9))
    garbage = data._replace(
        seen=np.where(data.usable, data.seen, 1e6).astype(np.float32),
        log_q=np.where(data.usable, data.log_q, -3.0).astype(np.float32),
        value=np.where(data.item < 0, 11, data.value).astype(np.int32),
    )
    a, loss = one_step(fresh(), data)
    b, same_loss = one_step(fresh(), garbage)
    assert float(loss) == float(same_loss)
    for x, y in zip(jax.tree.leaves(a.tables), jax.tree.leaves(b.tables), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_batch_of_padding_moves_no_table():
    before = copied(fresh().tables)
    data = batch()._replace(target=np.full(PLACES, -1, np.int32))
    learned, loss = one_step(fresh(), data)
    assert float(loss) == 0.0
    for old, new in zip(before, learned.tables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_shape_is_compiled_once():
    learned, _ = one_step(fresh(), batch())
    data = batch(rows=[3, 4], seed=5)
    with jax.no_tracing():
        one_step(learned, data)


def test_the_same_seed_gives_the_same_towers():
    a, b, other = fresh(), fresh(), fresh(seed=1)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert (np.asarray(a.tables.id) != np.asarray(other.tables.id))[:, :-1].all()
    assert not np.asarray(a.tables.id)[:, -1].any(), "the bias starts at 0"


def test_growth_keeps_the_rows():
    learned, _ = one_step(fresh(), batch())
    before = copied(learned)
    grown = step.grown(learned, CONFIG, rows=2 * ROWS, seed=0)
    for old, new in zip(before.tables, grown.tables, strict=True):
        assert new.shape[0] == 2 * ROWS
        np.testing.assert_array_equal(new[:ROWS], old)
    for old, new in zip(jax.tree.leaves(before[:2]), jax.tree.leaves(grown[:2]), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(np.unique(np.asarray(grown.tables.id)[:, 0])) == 2 * ROWS, "new rows differ from old ones"
    assert step.grown(grown, CONFIG, rows=ROWS, seed=0) is grown


def test_put_content_writes_its_rows_and_drops_the_rest():
    tables = copied(fresh().tables)
    want = np.asarray(tables.content).copy()
    rows = np.array([3, 7, BEYOND, BEYOND + 1], np.int32)
    new = np.arange(20, dtype=np.float32).reshape(4, 5)
    want[[3, 7]] = new[:2]
    before = np.asarray(tables.id).copy()
    got = step.put_content(tables, rows, new)
    np.testing.assert_array_equal(got.content, want)
    np.testing.assert_array_equal(got.id, before)


def test_reset_rows_are_as_if_they_had_never_learned():
    learned, _ = one_step(fresh(), batch())
    before = copied(learned.tables)
    rows = jnp.array([2, 9])
    tables = step.reset_rows(learned, rows, jax.random.key(3), config=CONFIG).tables
    want = step.fresh_rows(2, CONFIG, jax.random.key(3))
    np.testing.assert_allclose(tables.id[rows], want, atol=1e-6)
    np.testing.assert_array_equal(tables.fast[rows], tables.id[rows])
    assert not any(np.asarray(table[rows]).any() for table in (tables.second, tables.content))
    others = np.setdiff1d(np.arange(ROWS), [2, 9])
    for old, new in zip(before, tables, strict=True):
        np.testing.assert_array_equal(np.asarray(new)[others], np.asarray(old)[others])


def test_reading_agrees_with_the_towers():
    learned, seen = fresh(), np.arange(ROWS, dtype=np.float32)
    towers = nnx.merge(nnx.graphdef(Towers(CONFIG, rngs=nnx.Rngs(0))), learned.weights)
    t = learned.tables
    vectors = step.item_vectors(learned.weights, t, np.arange(ROWS, dtype=np.int32), seen, config=CONFIG)
    plain = towers.items(ItemRows(t.id, t.content, jnp.array(seen)))
    np.testing.assert_allclose(vectors[:, :-1], plain[:, :-1], atol=1e-6)
    np.testing.assert_allclose(vectors[:, -1], 5.0 * plain[:, -1], atol=1e-6)
    every = step.all_item_vectors(learned.weights, t, seen, config=CONFIG)
    np.testing.assert_allclose(every, vectors, atol=1e-6)

    item = np.array([[0, 0, 3, 4], [1, 2, 3, 15]], np.int32)
    buckets = [np.where(item > 0, b, 0).astype(np.int32) for b in (3, 2, 7)]
    states = step.user_states(learned.weights, vectors, item, *buckets, config=CONFIG)
    known = jnp.array(item > 0, jnp.float32)
    want = towers.users(plain[item, :-1] * known[:, :, None], known, *(jnp.array(b) for b in buckets))[:, -1]
    np.testing.assert_allclose(states, want, atol=1e-5)
    gathered = step.states_of_inputs(learned.weights, vectors[item], item, *buckets, config=CONFIG)
    np.testing.assert_allclose(gathered, states, atol=1e-6)
    # What is read is what is learned: the logits of a step are state . vector + bias.
    np.testing.assert_allclose(
        score(states, plain, CONFIG.bias_factor), states @ vectors[:, :-1].T + vectors[None, :, -1], atol=1e-5
    )


def test_the_first_move_is_as_long_as_the_rate():
    learned, _ = one_step(fresh(), batch())
    moved = np.abs(np.asarray(learned.tables.id) - np.asarray(fresh().tables.id))
    assert moved.max() == pytest.approx(CONFIG.row_rate, rel=1e-3)
