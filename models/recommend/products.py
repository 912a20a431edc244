"""Products of matrices whose gradients XLA would take by a slow path on a CPU.

The gradient of ``a @ b.T`` for ``b`` contracts the first axes of two arrays. XLA folds the turning into the product and
then packs the large array by columns, which costs three times the product itself; turned by itself first, the small
array is cheap and the product quick.
"""

import jax
from jaxtyping import Array, Float


@jax.custom_vjp
def inner(a: Float[Array, "B D"], b: Float[Array, "M D"]) -> Float[Array, "B M"]:
    """Inner products of the rows of ``a`` with those of ``b``: ``a @ b.T``, quick to differentiate."""
    return a @ b.T


def _forward(
    a: Float[Array, "B D"], b: Float[Array, "M D"]
) -> tuple[Float[Array, "B M"], tuple[Float[Array, "B D"], Float[Array, "M D"]]]:
    return a @ b.T, (a, b)


def _backward(
    kept: tuple[Float[Array, "B D"], Float[Array, "M D"]], out: Float[Array, "B M"]
) -> tuple[Float[Array, "B D"], Float[Array, "M D"]]:
    a, b = kept
    return out @ b, apart(apart(a.T) @ out).T


@jax.custom_vjp
def product(a: Float[Array, "B D"], b: Float[Array, "D M"]) -> Float[Array, "B M"]:
    """``a @ b``, quick to differentiate."""
    return a @ b


def _product_forward(
    a: Float[Array, "B D"], b: Float[Array, "D M"]
) -> tuple[Float[Array, "B M"], tuple[Float[Array, "B D"], Float[Array, "D M"]]]:
    return a @ b, (a, b)


def _product_backward(
    kept: tuple[Float[Array, "B D"], Float[Array, "D M"]], out: Float[Array, "B M"]
) -> tuple[Float[Array, "B D"], Float[Array, "D M"]]:
    a, b = kept
    return out @ b.T, apart(a.T) @ out


def apart(value: Array) -> Array:
    """The value as an array of its own, which nothing before or after it is folded into."""
    kept: Array = jax.lax.optimization_barrier(value)  # type: ignore[no-untyped-call]
    return kept


inner.defvjp(_forward, _backward)
product.defvjp(_product_forward, _product_backward)
