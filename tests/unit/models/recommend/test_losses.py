"""The candidate softmax: by hand, against optax, and against the full softmax that it estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models.recommend.frequency import log_q
from models.recommend.losses import candidate_softmax_loss

_loss = jax.jit(candidate_softmax_loss)


def loss(logits, target, log_q):
    return float(_loss(jnp.array(logits, jnp.float32), jnp.array(target), jnp.array(log_q, jnp.float32)))


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)


def test_by_hand():
    # log(e^0 + e^0 * 2 + e^log3) - 0: the second item stands for two, its log-Q being log(1/2).
    assert loss([[0.0, 0.0, np.log(3.0)]], [0], [np.log(0.1), np.log(0.5), 0.0]) == pytest.approx(np.log(6.0))


def test_with_all_items_and_no_correction_it_is_the_full_softmax(logits):
    target = np.array([3, 0, 11, 7, 7])
    want = optax.softmax_cross_entropy_with_integer_labels(jnp.array(logits), jnp.array(target)).mean()
    assert loss(logits, target, np.zeros(12)) == pytest.approx(float(want), rel=1e-6)


def test_padding_changes_nothing(logits):
    target, q = np.array([3, 0, 11, 7, 7]), -np.arange(12) / 7.0
    padded_logits = np.concatenate([np.pad(logits, ((0, 0), (0, 4)), constant_values=-np.inf), np.full((3, 16), 9.0)])
    padded_target, padded_q = np.concatenate([target, [-1, -1, -1]]), np.pad(q, (0, 4))
    assert loss(padded_logits, padded_target, padded_q) == pytest.approx(loss(logits, target, q), rel=1e-6)


def test_padding_alone_costs_nothing_and_teaches_nothing():
    slope = jax.grad(lambda x: candidate_softmax_loss(x, jnp.array([-1, -1]), jnp.zeros(3)))(jnp.ones((2, 3)))
    assert loss(np.ones((2, 3)), [-1, -1], np.zeros(3)) == 0.0
    assert not slope.any()


def test_a_sample_with_log_q_estimates_the_full_softmax():
    rng = np.random.default_rng(1)
    items, negatives = 2_000, 500
    scores = rng.normal(size=items)
    full = np.log(np.exp(scores).sum()) - scores[7]
    estimates, uncorrected = [], []
    for _ in range(40):
        others = rng.choice(np.delete(np.arange(items), 7), negatives, replace=False)
        q = log_q(np.zeros(negatives + 1, np.float32), recent_total=1.0, drawn=1, negatives=negatives, items=items)
        sampled = scores[np.concatenate([[7], others])][None]
        estimates.append(loss(sampled, [0], q))
        uncorrected.append(loss(sampled, [0], np.zeros(negatives + 1)))
    assert np.mean(estimates) == pytest.approx(full, abs=0.02)
    assert np.mean(uncorrected) < full - 1.0, "without the correction the sample passes for the whole"
