"""The recurrent unit and its written-out gradients against those that JAX takes by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.recommend.gru import gru

LENGTH, WINDOWS, DIM = 7, 3, 5


def plain(gates, known, recurrent):
    """The same, place by place."""
    h, states = jnp.zeros((WINDOWS, DIM)), []
    for at in range(LENGTH):
        own = h @ recurrent
        update, reset = (
            jax.nn.sigmoid(gates[at, :, k * DIM : (k + 1) * DIM] + own[:, k * DIM : (k + 1) * DIM]) for k in (0, 1)
        )
        new = jnp.tanh(gates[at, :, 2 * DIM :] + reset * own[:, 2 * DIM :])
        h = jnp.where(known[at] > 0, (1.0 - update) * h + update * new, h)
        states.append(h)
    return jnp.stack(states)


@pytest.mark.parametrize("unroll", [1, LENGTH])
def test_states_and_gradients_are_those_of_the_plain_unit(unroll):
    generator = np.random.default_rng(0)
    shapes = (LENGTH, WINDOWS, 3 * DIM), (DIM, 3 * DIM), (LENGTH, WINDOWS, DIM)
    gates, recurrent, weight = (jnp.array(generator.normal(size=shape), jnp.float32) for shape in shapes)
    known = jnp.array(generator.random((LENGTH, WINDOWS, 1)) < 0.7, jnp.float32)

    def loss(unit):
        return lambda gates, recurrent: jnp.sum(weight * unit(gates, recurrent) ** 2)

    got = jax.value_and_grad(loss(lambda g, r: gru(g, known, r, unroll)), argnums=(0, 1))(gates, recurrent)
    want = jax.value_and_grad(loss(lambda g, r: plain(g, known, r)), argnums=(0, 1))(gates, recurrent)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5), got, want)
    np.testing.assert_allclose(gru(gates, known, recurrent, unroll), plain(gates, known, recurrent), atol=1e-6)
