"""The loss of the towers: softmax over shared candidates, exact when they are the whole catalogue."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def candidate_softmax_loss(
    logits: Float[Array, "P U"], target: Int[Array, " P"], log_q: Float[Array, " U"]
) -> Float[Array, ""]:
    """Mean cross-entropy over the positions that have a target.

    Every position shares one set of candidates that holds all targets. A candidate stands for
    ``1 / q`` items of its kind, so ``log_q`` is subtracted from its logit, but never from a position's own
    target, which is there for certain. With ``log_q`` = 0 and all items as candidates it is the full softmax.

    Args:
      logits: score of each candidate at each position; -inf marks a candidate that is not one.
      target: column of each position's item; -1 marks padding.
      log_q: log of the probability that the candidate is in the set, nats, <= 0.

    Returns:
      Nats; 0.0 if every position is padding.

    References:
      Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, RecSys 2019;
      the positive is left uncorrected as in later work on the correction's bias (RecSys 2025).
    """
    own = jnp.arange(logits.shape[1])[None, :] == target[:, None]
    corrected = jnp.where(own, logits, logits - log_q[None, :])
    right = jnp.sum(jnp.where(own, logits, 0.0), axis=1)
    losses = jax.nn.logsumexp(corrected, axis=1) - right
    known = (target >= 0).astype(jnp.float32)
    return jnp.sum(losses * known) / jnp.maximum(jnp.sum(known), 1.0)
