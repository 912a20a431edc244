"""Quick logarithms and powers against NumPy's in float64."""

import numpy as np
import pytest

from models.recommend.fastmath import decayed_to, exp2_in_place, log1p_scaled


def test_logarithm():
    value = np.concatenate([[0.0], np.geomspace(1e-7, 1e6, 5_000)]).astype(np.float32)
    bits, out = np.empty(len(value), np.int32), np.empty_like(value)
    log1p_scaled(value, np.float32(10.0), bits, out)
    np.testing.assert_allclose(out, np.log1p(10.0 * value.astype(np.float64)), atol=1e-5, rtol=1e-6)
    assert out[0] == 0, "no evidence is exactly nothing"


def test_power():
    x = np.concatenate([[-126.0, -1.0, 0.0, 1.0], np.linspace(-120, 100, 5_000)]).astype(np.float32)
    want = 2.0 ** x.astype(np.float64)
    exp2_in_place(x, np.empty(len(x), np.int32))
    np.testing.assert_allclose(x, want, rtol=1e-4)


@pytest.mark.parametrize("half", [100.0, 604_800_000.0])
def test_decay(half):
    rng = np.random.default_rng(0)
    value = rng.uniform(0, 50, 500).astype(np.float32)
    now, last = 10**12, 10**12 - (half * rng.uniform(0, 30, 500)).astype(np.int64)
    out = np.empty(500, np.float32)
    decayed_to(value, last, now, half, np.empty(500, np.int32), out)
    np.testing.assert_allclose(out, value * 2.0 ** (-(now - last) / half), rtol=2e-4)


def test_what_comes_late_is_not_grown_and_what_is_long_past_is_nothing():
    out = np.empty(2, np.float32)
    decayed_to(np.ones(2, np.float32), np.array([20, -(10**9)]), 10, 100.0, np.empty(2, np.int32), out)
    assert out[0] == 1.0
    assert 0 <= out[1] < 1e-30
