"""The probability of being a candidate: by hand, and by drawing candidate sets."""

import numpy as np
import pytest

from models.recommend.frequency import log_q


def chance(recent, **changes):
    arguments = {"recent_total": 10.0, "drawn": 2, "negatives": 0, "items": 100} | changes
    return np.exp(log_q(np.array(recent, np.float32), **arguments))


def test_by_hand():
    # A tenth of the stream, drawn twice: 1 - 0.9^2. With 25 uniform ones of 100 items: 0.19 + 0.81 / 4.
    np.testing.assert_allclose(chance([1.0]), [0.19], rtol=1e-5)
    np.testing.assert_allclose(chance([1.0], negatives=25), [0.3925], rtol=1e-5)
    np.testing.assert_allclose(chance([0.0], negatives=25), [0.25], rtol=1e-5)


def test_it_is_how_often_an_item_is_drawn():
    rng = np.random.default_rng(0)
    share = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
    drawn, negatives, rounds = 5, 2, 4_000
    held = np.zeros(6)
    for _ in range(rounds):
        from_stream = rng.choice(6, drawn, p=share)
        held[np.union1d(from_stream, rng.choice(6, negatives, replace=False))] += 1
    want = chance(10 * share, drawn=drawn, negatives=negatives, items=6)
    np.testing.assert_allclose(held / rounds, want, atol=0.025)


@pytest.mark.parametrize("recent", [0.0, 1e-9, 10.0, 1e9])
def test_it_is_a_probability_whatever_comes(recent):
    got = log_q(np.array([recent], np.float32), recent_total=0.0, drawn=10_000, negatives=0, items=0)
    assert np.isfinite(got).all()
    assert (got <= 0).all()
    assert got.dtype == np.float32
