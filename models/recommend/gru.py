"""A gated recurrent unit over windows, with the gradient written out: what XLA makes of the scan's takes twice as long.

The gradient of the recurrent weights is one product over all places at the end, not a sum that every turn carries on.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.recommend.products import apart


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def gru(
    gates: Float[Array, "L W G"], known: Float[Array, "L W 1"], recurrent: Float[Array, "D G"], unroll: int = 1
) -> Float[Array, "L W D"]:
    """The state after each place of W windows; it begins at zero and passes places that are not known as it is.

    Args:
      gates: what the inputs say to the update gate, the reset gate and the new state, G = 3 D.
      known: 1.0 where there is an event, else 0.0; not differentiated. recurrent: the state's weights on the same.
      unroll: places compiled as one turn of the loop.

    References:
      Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014; the reset gate after the
      product, as in cuDNN.
    """

    def turn(h: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        h = _next(h, *at, recurrent)[0]
        return h, h

    states: Array = jax.lax.scan(turn, _zero(gates), (gates, known), unroll=unroll)[1]
    return states


def _zero(gates: Float[Array, "L W G"]) -> Float[Array, "W D"]:
    return jnp.zeros((gates.shape[1], gates.shape[2] // 3), jnp.float32)


def _next(h: Array, gates: Array, known: Array, recurrent: Array) -> tuple[Array, tuple[Array, ...]]:
    d = h.shape[1]
    own = h @ recurrent
    update = jax.nn.sigmoid(gates[:, :d] + own[:, :d])
    reset = jax.nn.sigmoid(gates[:, d : 2 * d] + own[:, d : 2 * d])
    new = jnp.tanh(gates[:, 2 * d :] + reset * own[:, 2 * d :])
    return jnp.where(known > 0, (1.0 - update) * h + update * new, h), (h, update, reset, new, own[:, 2 * d :])


def _forward(gates: Array, known: Array, recurrent: Array, unroll: int) -> tuple[Array, Any]:
    def turn(h: Array, at: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        h, parts = _next(h, *at, recurrent)
        return h, (h, jnp.concatenate(parts, axis=1))

    _, (states, parts) = jax.lax.scan(turn, _zero(gates), (gates, known), unroll=unroll)
    return states, (parts, known, recurrent)


def _backward(unroll: int, kept: Any, out: Float[Array, "L W D"]) -> tuple[Array, None, Array]:
    parts, known, recurrent = kept
    d = recurrent.shape[0]
    turned = apart(recurrent.T)

    def turn(slope: Array, at: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        here_out, here, part = at
        h, update, reset, new, own = (part[:, k * d : (k + 1) * d] for k in range(5))
        slope = slope + here_out
        moved = slope * here
        by_update = moved * (new - h) * update * (1.0 - update)
        by_new = moved * update * (1.0 - new * new)
        by_reset = by_new * own * reset * (1.0 - reset)
        by_own = by_new * reset
        before = slope - moved * update + jnp.concatenate([by_update, by_reset, by_own], axis=1) @ turned
        return before, (jnp.concatenate([by_update, by_reset, by_new], axis=1), by_own)

    first = jnp.zeros_like(out[0])
    _, (by_gates, by_own) = jax.lax.scan(turn, first, (out, known, parts), reverse=True, unroll=unroll)
    by_product = jnp.concatenate([by_gates[:, :, : 2 * d], by_own], axis=2).reshape(-1, 3 * d)
    return by_gates, None, apart(parts[:, :, :d].reshape(-1, d).T) @ by_product


gru.defvjp(_forward, _backward)
