"""Texts drawn from a small random decoder: greedy by the slow version, and each bound by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.errors import ConfigError, ShapeError
from models.text.decoder import DecoderConfig, decoder_weights
from models.text.sampling import SamplingConfig, choose, draw, penalised
from tests import slow_llama

SIZES = {"layers": 2, "dim": 24, "heads": 6, "groups": 2, "inner": 32, "pieces": 40}
CONFIG = DecoderConfig(**SIZES, places=32)
ARRAYS = slow_llama.random_arrays(**SIZES, seed=5)
PROMPT = [3, 17, 9]
EVERY = np.ones(40, bool)


@pytest.fixture(scope="module")
def weights():
    return decoder_weights(ARRAYS, CONFIG)


def drawn(weights, *, seed=0, may=EVERY, fill=0, **changes):
    sampling = SamplingConfig(**{"rows": 4, "most": 9, "end": 2} | changes)
    padded = jnp.asarray([*PROMPT, fill, fill], jnp.int32)
    return draw(
        weights, padded, jnp.int32(len(PROMPT)), jnp.asarray(may), jax.random.key(seed), config=CONFIG,
        sampling=sampling,
    )  # fmt: skip


def slowly(*, penalty, may=EVERY, most=9):
    """The likeliest piece each time, by the slow decoder over the whole text so far."""
    ids: list[int] = []
    while len(ids) < most:
        scores = slow_llama.logits_of([*PROMPT, *ids], ARRAYS, layers=2, heads=6, groups=2)[-1]
        scores = [
            s / penalty if s > 0 and at in ids else s * penalty if at in ids else s for at, s in enumerate(scores)
        ]
        best = max((at for at in range(40) if may[at] or at == 2), key=lambda at: scores[at])
        if best == 2:
            break
        ids.append(best)
    return ids


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_the_likeliest_text_is_the_slow_version_s(weights, penalty):
    want = slowly(penalty=penalty)
    assert len(want) >= 3, "a text that ends at once would test nothing"
    got = drawn(weights, temperature=0.0, penalty=penalty)
    for row in range(4):
        assert got.pieces[row, : got.lengths[row]].tolist() == want


def test_pieces_that_may_not_come_never_do(weights):
    banned = slowly(penalty=1.0)[0]
    may = EVERY.copy()
    may[[banned, 2]] = False
    got = drawn(weights, may=may, temperature=0.0, penalty=1.0)
    assert got.pieces[0, : got.lengths[0]].tolist() == slowly(penalty=1.0, may=may)
    assert banned not in np.asarray(drawn(weights, may=may, temperature=5.0, top_p=1.0, rows=16).pieces)


def test_a_seed_gives_its_texts_whatever_pads_the_prompt(weights):
    got, again, other = drawn(weights, seed=1), drawn(weights, seed=1, fill=7), drawn(weights, seed=2)
    np.testing.assert_array_equal(got.pieces, again.pieces)
    assert np.asarray(got.pieces).tolist() != np.asarray(other.pieces).tolist()
    assert len({tuple(row) for row in np.asarray(got.pieces).tolist()}) > 1, "candidates differ"


def test_after_its_end_a_text_has_no_pieces(weights):
    got = drawn(weights, rows=16, temperature=5.0, top_p=1.0, most=24)
    for pieces, length in zip(np.asarray(got.pieces), np.asarray(got.lengths), strict=True):
        assert 2 not in pieces[:length]
        assert (pieces[length:] == 2).all()
    assert np.asarray(got.lengths).min() < 24, "a text that ends early is what is tested"


def test_pieces_come_as_often_as_their_probabilities_say():
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    logits = jnp.log(jnp.asarray(shares, jnp.float32))
    keys = jax.random.split(jax.random.key(0), 4000)

    def counts(**changes):
        sampling = SamplingConfig(**{"temperature": 1.0, "top_p": 1.0} | changes)
        return np.bincount(jax.vmap(lambda key: choose(logits, key, sampling=sampling))(keys), minlength=4) / 4000

    np.testing.assert_allclose(counts(), shares, atol=0.03)
    np.testing.assert_allclose(counts(top_p=0.75), [0.625, 0.375, 0, 0], atol=0.03)  # 0.5 alone is not enough
    np.testing.assert_allclose(counts(top_k=1), [1, 0, 0, 0])
    np.testing.assert_allclose(counts(temperature=0.5), shares**2 / (shares**2).sum(), atol=0.03)
    np.testing.assert_allclose(counts(temperature=0.0), [1, 0, 0, 0])


def test_used_pieces_become_less_likely_on_both_sides_of_zero():
    logits = jnp.asarray([[2.0, -2.0, 3.0]])
    got = penalised(logits, jnp.asarray([[True, True, False]]), 2.0)
    np.testing.assert_array_equal(got, [[1.0, -4.0, 3.0]])


def test_limits_are_checked(weights):
    for wrong in ({"rows": 0}, {"top_p": 0.0}, {"penalty": 0.5}, {"temperature": -1.0}):
        with pytest.raises(ConfigError, match="must be"):
            SamplingConfig(**wrong)
    with pytest.raises(ShapeError, match="32 pieces together, got 35; cut the prompt"):
        drawn(weights, most=30)
