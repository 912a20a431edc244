"""The encoder against a second, slow version; batches, padding, and what is wrong with weights."""

import numpy as np
import pytest

from models.errors import ConfigError, ShapeError
from models.text.encoder import EncoderConfig, WeightsError, encode, weights_from
from tests import slow_bert

CONFIG = EncoderConfig(layers=2, dim=12, heads=3, inner=20, pieces=50, places=10)
ARRAYS = slow_bert.random_arrays(layers=2, dim=12, inner=20, pieces=50, places=10)
TEXTS = [[1, 7, 2], [1, 2], [1, 9, 9, 33, 4, 2], [1, 49, 0, 2], [1, 3, 3, 3, 3, 3, 3, 3, 3, 2]]


@pytest.fixture(scope="module")
def weights():
    return weights_from(ARRAYS, CONFIG)


def batch(texts, *, width=10, fill=0):
    pieces = np.full((len(texts), width), fill, np.int32)
    for row, ids in enumerate(texts):
        pieces[row, : len(ids)] = ids
    return pieces, np.array([len(ids) for ids in texts], np.int32)


def test_vectors_are_those_of_the_definition(weights):
    got = encode(weights, *batch(TEXTS), config=CONFIG)
    want = [slow_bert.vector_of(ids, ARRAYS, layers=2, heads=3) for ids in TEXTS]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, atol=2e-6)
    likeness = np.array(want) @ np.array(want).T
    assert likeness[np.triu_indices(5, 1)].max() < 0.99, "texts that are all alike would test nothing"


def test_padding_is_not_read(weights):
    plain = encode(weights, *batch(TEXTS), config=CONFIG)
    pieces, lengths = batch(TEXTS, fill=17)
    np.testing.assert_array_equal(encode(weights, pieces, lengths, config=CONFIG), plain)
    np.testing.assert_allclose(encode(weights, *batch(TEXTS[:4], width=6), config=CONFIG), plain[:4], atol=2e-6)


def test_a_row_of_padding_is_zero(weights):
    pieces, lengths = batch([[], TEXTS[0]])
    got = np.asarray(encode(weights, pieces, lengths, config=CONFIG))
    assert not got[0].any()
    assert np.linalg.norm(got[1]) == pytest.approx(1, abs=1e-6)


def test_a_text_that_is_too_long_is_refused(weights):
    with pytest.raises(ShapeError, match="a text may have 10 pieces, got 11; cut it first"):
        encode(weights, np.zeros((1, 11), np.int32), np.array([11], np.int32), config=CONFIG)


def test_weights_that_are_missing_or_of_another_size():
    with pytest.raises(WeightsError, match=r"got none of that name; is this a BERT encoder\?"):
        weights_from({}, CONFIG)
    name = "encoder.layer.1.output.dense.weight"
    with pytest.raises(WeightsError, match=rf"expected {name} of shape \(12, 20\), got \(20, 12\)"):
        weights_from(ARRAYS | {name: ARRAYS[name].T}, CONFIG)


def test_heads_must_divide_the_dimension():
    with pytest.raises(ConfigError, match="dim must be a multiple of heads, got 384 and 7"):
        EncoderConfig(heads=7)
