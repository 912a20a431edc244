"""Likeness of candidates to a history, against the slow version and against numbers by hand."""

import numpy as np
import pytest

from models.recommend import likeness
from tests.slow_likenesses import likenesses

NOTHING = np.zeros((0, 9), np.float32)


def read(vectors, history, rows):
    """The kernel's lines; ``history`` newest first, with an event behind that does not count."""
    out = np.full((len(rows) + 1, likeness.LIKENESSES + 1), 77, np.float32)
    items = np.array([*history[::-1], 1], np.int32)
    likeness.likenesses(vectors.astype(np.float32), items, len(history), np.array(rows, np.int32), len(rows), out)
    assert (out[-1] == 77).all(), "candidates beyond the count are left alone"
    assert (out[:, -1] == 77).all(), "and so are other inputs"
    return out[:-1, :-1]


@pytest.mark.parametrize("length", [0, 1, 5, 8, 9, 20, 21, 150])
def test_likenesses_are_those_of_the_slow_version(length):
    generator = np.random.default_rng(length)
    vectors = generator.normal(size=(40, 9))
    vectors[7] = 0.0
    history, rows = generator.integers(0, 45, length).tolist(), list(range(45))
    np.testing.assert_allclose(read(vectors, history, rows), likenesses(vectors, history, rows), atol=2e-5)


def test_by_hand():
    vectors = np.array([[9, 9, 9], [1, 0, 5], [0, 2, -5], [3, 3, 0], [0, 0, 1]], np.float32)  # bias last: not read
    along, across, between, zero = read(vectors, [1, 2], [1, 2, 3, 4])
    slant, lately = np.sqrt(0.5), 1 / 1.85
    np.testing.assert_allclose(along, [1, lately, 0.5, 1], atol=1e-4)
    np.testing.assert_allclose(across, [0, 0.85 * lately, 0.5, 1], atol=1e-4)
    np.testing.assert_allclose(between, [slant] * 4, atol=1e-4)
    assert not zero.any()


@pytest.mark.parametrize(("vectors", "history"), [(NOTHING, [1, 2]), (np.ones((4, 9)), []), (np.ones((4, 9)), [0, 9])])
def test_without_vectors_or_a_history_nothing_is_alike(vectors, history):
    assert not read(vectors, history, [1, 2, 3]).any()
