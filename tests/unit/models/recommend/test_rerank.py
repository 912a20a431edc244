"""The re-ranker against its matrix form, its step against `jax.grad`, and what it can learn that a sum cannot."""

import numpy as np
import pytest

from models.recommend import rerank
from models.recommend.combiner import CONTEXTS
from models.recommend.rerank import HIDDEN, INPUTS, empty_reranker
from tests.slow_learning import WEIGHTS, SlowReranker

MOST = 12


def random_reranker(seed=0):
    """One whose last layer is not zero, so that every weight has a part in the result."""
    rng, first = np.random.default_rng(seed), empty_reranker(CONTEXTS, seed=seed)
    first.out[:] = rng.normal(0, 0.3, HIDDEN)
    first.offset[:] = rng.normal(0, 0.3, HIDDEN)
    first.linear[:] = rng.normal(0, 0.1, INPUTS)
    return first


def request(seed, count=MOST):
    rng = np.random.default_rng(seed)
    context = np.zeros(CONTEXTS, np.float32)
    context[[seed % 6, 6 + seed % 7]] = 1.0
    context[-2:] = rng.uniform(0, 2, 2)
    raw = np.full((MOST, INPUTS), 1e9, np.float32)  # what lies behind the candidates must not matter
    raw[:count] = rng.normal(2, 3, (count, INPUTS))
    return raw, context, rng.normal(0, 2, count).astype(np.float32)


def corrected(reranker, inputs, count, context):
    hidden, out = np.zeros((MOST, HIDDEN), np.float32), np.zeros(MOST, np.float32)
    rerank.corrections(reranker, inputs, count, context, hidden, out)
    return hidden, out[:count]


def test_it_starts_as_the_identity():
    raw, context, _ = request(0)
    assert not corrected(empty_reranker(CONTEXTS, seed=3), raw, MOST, context)[1].any()


def test_the_seed_decides():
    a, b, other = (empty_reranker(CONTEXTS, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.hidden, b.hidden)
    drawn = np.setdiff1d(np.arange(len(a.hidden)), rerank.OF_SHOWINGS)
    assert (a.hidden[drawn] != other.hidden[drawn]).all()
    assert not a.hidden[list(rerank.OF_SHOWINGS)].any()
    assert a.hidden.shape == (INPUTS + CONTEXTS, HIDDEN)


def test_every_input_has_a_name():
    assert len(set(rerank.INPUT_NAMES)) == INPUTS
    assert rerank.INPUT_NAMES[rerank.AT_SCORE] == "linear score"
    assert rerank.INPUT_NAMES[rerank.AT_BIAS] == "bias"
    assert rerank.INPUT_NAMES[rerank.AT_AFFINITY] == "tags of the last 100"


@pytest.mark.parametrize("count", [1, 5, MOST])
def test_corrections_are_those_of_the_matrix_form(count):
    first = random_reranker()
    raw, context, _ = request(1, count)
    slow = SlowReranker(first, rate=0.0)
    _, got = corrected(first, raw, count, context)
    np.testing.assert_allclose(got, slow.corrections(raw[:count].astype(float), context), rtol=1e-4, atol=1e-4)


def test_steps_are_those_of_the_slow_version():
    fast = random_reranker()
    slow = SlowReranker(fast, rate=0.05)
    for seed in range(40):
        count = 2 + seed % (MOST - 1)
        raw, context, linear = request(seed, count)
        inputs = raw.copy()
        rerank.standardise(fast, inputs, count)
        want = slow.standardised(raw[:count].astype(float))
        np.testing.assert_allclose(inputs[:count], want, rtol=1e-4, atol=1e-4)
        hidden, added = corrected(fast, inputs, count, context)
        np.testing.assert_allclose(added, slow.corrections(want, context), rtol=1e-2, atol=1e-2)
        final, target = linear + added, seed % count
        rerank.learn_choice(fast, inputs, count, context, hidden, final, target, np.float32(0.05))
        slow.learn(want, context, linear.astype(float), target)
        rerank.note_inputs(fast, raw, count)
        slow.note(raw[:count].astype(float))
    moved = random_reranker()
    for name in WEIGHTS:
        got = getattr(fast, name)
        np.testing.assert_allclose(got, slow.weights[name], rtol=5e-3, atol=5e-3, err_msg=name)
        np.testing.assert_allclose(getattr(fast, f"squares_{name}"), slow.squares[name], rtol=0.02, atol=1e-3)
        assert np.abs(got - getattr(moved, name)).max() > 0.02, "the steps were no small thing"
    np.testing.assert_allclose(fast.mean, slow.mean, rtol=1e-5)
    np.testing.assert_allclose(fast.square, slow.square, rtol=1e-5)
    assert fast.learned[0] == 40


def test_inputs_are_cut_off_at_six_deviations():
    first = empty_reranker(CONTEXTS, seed=0)
    raw = np.zeros((2, INPUTS), np.float32)
    raw[0, :3] = [1e6, -1e6, 5.0]
    rerank.standardise(first, raw, 2)
    assert raw[0, :4].tolist() == [6, -6, 5, 0]


def test_an_input_that_never_varies_does_not_blow_up():
    first = empty_reranker(CONTEXTS, seed=0)
    raw = np.full((4, INPUTS), 7.0, np.float32)
    for _ in range(5):
        rerank.note_inputs(first, raw, 4)
    rerank.standardise(first, raw, 4)
    assert np.isfinite(raw).all()
    assert np.abs(raw).max() <= 1e-2


def test_it_learns_what_no_sum_of_its_inputs_says():
    """The right candidate is the one whose two inputs have the same sign: four corners, no line between them."""
    rng, network = np.random.default_rng(0), empty_reranker(CONTEXTS, seed=0)
    context, hits = np.zeros(CONTEXTS, np.float32), []
    for _ in range(1_500):
        inputs = np.zeros((4, INPUTS), np.float32)
        signs = rng.choice([-1.0, 1.0], 4)
        inputs[:, 0], inputs[:, 1] = signs, -signs
        target = int(rng.integers(4))
        inputs[target, 1] *= -1
        hidden, scores = corrected(network, inputs, 4, context)
        hits.append(int(scores.argmax()) == target)
        rerank.learn_choice(network, inputs, 4, context, hidden, scores, target, np.float32(0.05))
    # A sum of the inputs gets at best the half of them right: whatever its signs, another has them as often.
    assert np.mean(hits[-300:]) > 0.95
