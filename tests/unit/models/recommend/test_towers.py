"""The towers against a slow version in NumPy."""

import flax.nnx as nnx
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from models.errors import ConfigError, ModelError
from models.recommend.towers import FlavourError, ItemRows, TowerConfig, Towers, score

CONFIG = TowerConfig(dim=6, content_dim=5, window=4)


def towers(flavour="hybrid"):
    return Towers(TowerConfig(flavour=flavour, dim=6, content_dim=5, window=4), rngs=nnx.Rngs(0))


def item_rows(seen=(0.0, 3.0, 9.0)):
    rng = np.random.default_rng(0)
    m = len(seen)
    return ItemRows(
        jnp.array(rng.normal(size=(m, 7)), jnp.float32), jnp.array(rng.normal(size=(m, 5)), jnp.float32),
        jnp.array(seen, jnp.float32),
    )  # fmt: skip


def windows(count=3, length=4, seed=0):
    rng = np.random.default_rng(seed)
    item = jnp.array(rng.normal(size=(count, length, 6)), jnp.float32)
    buckets = [jnp.array(rng.integers(0, most, (count, length)), jnp.int32) for most in (12, 16, 26)]
    return item, jnp.ones((count, length), jnp.float32), *buckets


users = nnx.jit(Towers.users)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def slow_gru(model, item, known, value, action, gap):
    """The reset gate multiplies the recurrent part, as in cuDNN; states scaled by 2 / sqrt(D)."""
    weights = {name: np.asarray(getattr(model, name).embedding[...]) for name in ("value", "action", "gap")}
    w, b = np.asarray(model.inputs.kernel[...]), np.asarray(model.inputs.bias[...])
    u = np.asarray(model.recurrent.kernel[...])
    states = np.zeros(item.shape)
    for window in range(item.shape[0]):
        h = np.zeros(6)
        for at in range(item.shape[1]):
            if known[window, at]:
                parts = [
                    weights[n][int(c[window, at])] for n, c in (("value", value), ("action", action), ("gap", gap))
                ]
                x = w.T @ (np.asarray(item[window, at]) + sum(parts)) + b
                r = u.T @ h
                update, reset = sigmoid(x[:6] + r[:6]), sigmoid(x[6:12] + r[6:12])
                h = (1 - update) * h + update * np.tanh(x[12:] + reset * r[12:])
            states[window, at] = h * 2 / np.sqrt(6)
    return states


@pytest.mark.parametrize("length", [1, 4, 32, 37])
def test_user_tower_is_the_slow_gru(length):
    model, batch = towers(), windows(length=length)
    model.inputs.bias[...] = jnp.linspace(-1, 1, 18)
    got, want = users(model, *batch), slow_gru(model, *batch)
    assert np.abs(want).max() > 0.1
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_padding_changes_no_state():
    model = towers()
    item, known, *buckets = windows()
    padded = [jnp.pad(item, ((0, 0), (3, 0), (0, 0))), jnp.pad(known, ((0, 0), (3, 0)))]
    padded += [jnp.pad(bucket, ((0, 0), (3, 0)), constant_values=5) for bucket in buckets]
    np.testing.assert_allclose(users(model, *padded)[:, 3:], users(model, item, known, *buckets), atol=1e-6)
    assert not users(model, *padded)[:, :3].any()


def test_no_state_depends_on_what_comes_after():
    model = towers()
    item, known, *buckets = windows()
    later = item.at[:, 3].set(99.0)
    np.testing.assert_array_equal(
        users(model, later, known, *buckets)[:, :3], users(model, item, known, *buckets)[:, :3]
    )


def test_hybrid_items_live_on_content_until_they_are_seen():
    model, rows = towers(), item_rows()
    content = np.asarray(rows.content) @ np.asarray(model.content.kernel[...])
    # gate = seen / (seen + 3): 0, 1/2, 3/4.
    want = np.array([0, 0.5, 0.75])[:, None] * np.asarray(rows.id) + content
    np.testing.assert_allclose(model.items(rows), want, atol=1e-6)


def test_flavours():
    rows = item_rows()
    np.testing.assert_array_equal(towers("collaborative").items(rows), rows.id)
    model = towers("content")
    want = np.asarray(rows.content) @ np.asarray(model.content.kernel[...])
    np.testing.assert_allclose(model.items(rows), want, atol=1e-6)


def test_an_unknown_flavour_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # in production nothing checks types
    with pytest.raises(FlavourError, match="one of collaborative, content, hybrid, counts, got 'sweet'"):
        TowerConfig(flavour="sweet")  # type: ignore[arg-type]
    assert issubclass(FlavourError, ModelError)


def test_the_content_holds_hashed_features_and_then_the_text(monkeypatch):
    hashed = TowerConfig(content_dim=128)
    assert (hashed.hashed_dim, hashed.text_dim) == (128, 0)
    both = TowerConfig(content_dim=256, text_encoder="minilm")
    assert (both.hashed_dim, both.text_dim) == (128, 128)
    with pytest.raises(ConfigError, match="room for hashed features beside the 128 numbers of minilm, got 128"):
        TowerConfig(content_dim=128, text_encoder="minilm")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ConfigError, match="text_encoder must be one of hashed, minilm, got 'psychic'"):
        TowerConfig(text_encoder="psychic")  # type: ignore[arg-type]


def test_score_by_hand():
    users = jnp.array([[1.0, 2.0], [0.0, 0.0]])
    items = jnp.array([[3.0, 1.0, 0.1], [0.0, -1.0, 0.2], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(score(users, items, 5.0), [[5.5, -1.0, 0.0], [0.5, 1.0, 0.0]], atol=1e-6)
