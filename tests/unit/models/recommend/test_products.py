"""The product and its gradients against those that JAX takes by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.recommend.products import inner, product


@pytest.mark.parametrize(
    ("ours", "plain", "shape"), [(inner, lambda a, b: a @ b.T, (7, 3)), (product, lambda a, b: a @ b, (3, 7))]
)
def test_it_is_the_product_and_so_are_its_gradients(ours, plain, shape):
    generator = np.random.default_rng(0)
    a, b, weight = (jnp.array(generator.normal(size=size), jnp.float32) for size in ((5, 3), shape, (5, 7)))

    def loss(product):
        return lambda a, b: jnp.sum(weight * product(a, b) ** 2)

    got = jax.jit(jax.value_and_grad(loss(ours), argnums=(0, 1)))(a, b)
    want = jax.value_and_grad(loss(plain), argnums=(0, 1))(a, b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5), got, want)
