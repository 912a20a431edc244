"""The decoder against a second, slow version: all at once, in steps with a cache, and what is wrong with weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.errors import ConfigError
from models.text.decoder import (
    DecoderConfig,
    decoder_weights,
    empty_cache,
    hidden_states,
    next_logits,
)
from models.text.encoder import WeightsError
from tests import slow_llama

SIZES = {"layers": 2, "dim": 24, "heads": 6, "groups": 2, "inner": 32, "pieces": 40}
CONFIG = DecoderConfig(**SIZES, places=16)
ARRAYS = slow_llama.random_arrays(**SIZES)
IDS = [3, 17, 17, 0, 39, 5, 8]


@jax.jit
def compiled(weights, pieces, cache, first):
    states, cache = hidden_states(weights, pieces, cache, first, config=CONFIG)
    found = [next_logits(weights, states[:, at], config=CONFIG) for at in range(states.shape[1])]
    return jnp.stack(found, 1), cache


def logits(pieces, cache, first, weights):
    return compiled(weights, jnp.asarray(pieces, jnp.int32), cache, jnp.int32(first))


@pytest.fixture(scope="module")
def weights():
    return decoder_weights(ARRAYS, CONFIG)


@pytest.fixture(scope="module")
def want():
    return slow_llama.logits_of(IDS, ARRAYS, layers=2, heads=6, groups=2)


def test_logits_are_those_of_the_definition(weights, want):
    got, _ = logits([IDS, IDS[::-1]], empty_cache(CONFIG, rows=2, places=16), 0, weights)
    np.testing.assert_allclose(got[0], want, rtol=1e-4, atol=2e-4)
    backwards = slow_llama.logits_of(IDS[::-1], ARRAYS, layers=2, heads=6, groups=2)
    np.testing.assert_allclose(got[1], backwards, rtol=1e-4, atol=2e-4)
    assert np.abs(want[0] - want[-1]).max() > 1, "logits that are all alike would test nothing"


def test_steps_with_a_cache_are_the_whole(weights, want):
    padded = [[*IDS[:3], 11, 11]]
    first, cache = logits(padded, empty_cache(CONFIG, rows=1, places=16), 0, weights)
    np.testing.assert_allclose(first[0, :3], want[:3], rtol=1e-4, atol=2e-4)
    for at in range(3, len(IDS)):
        got, cache = logits([[IDS[at]]], cache, at, weights)
        np.testing.assert_allclose(got[0, 0], want[at], rtol=1e-4, atol=2e-4)


def test_half_the_bits_give_nearly_the_same(want):
    narrow = decoder_weights(ARRAYS, CONFIG, dtype=jnp.bfloat16)
    got, _ = logits([IDS], empty_cache(CONFIG, rows=1, places=16, dtype=jnp.bfloat16), 0, narrow)
    assert got.dtype == np.float32
    assert np.corrcoef(np.asarray(got)[0].ravel(), want.ravel())[0, 1] > 0.99


def test_weights_that_are_missing_or_of_another_size():
    with pytest.raises(WeightsError, match=r"got none of that name; is this a Llama decoder\?"):
        decoder_weights({}, CONFIG)
    name = "blk.1.ffn_down.weight"
    with pytest.raises(WeightsError, match=rf"expected {name} of shape \(24, 32\), got \(32, 24\)"):
        decoder_weights(ARRAYS | {name: ARRAYS[name].T}, CONFIG)


def test_heads_must_divide_the_dimension_and_groups_the_heads():
    for wrong in ({"heads": 7}, {"groups": 2}, {"dim": 27, "heads": 9}):
        with pytest.raises(ConfigError, match="heads a multiple of groups"):
            DecoderConfig(**wrong)
