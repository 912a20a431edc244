"""Prequential figures by hand."""

import numpy as np
import pytest

from models.recommend import metrics


def ranks(*rows):
    return np.array(rows, np.float32)


def test_ndcg():
    got = metrics.ndcg(ranks(1, 2, 3, 10, 11, np.inf))
    np.testing.assert_allclose(got, [1, 1 / np.log2(3), 0.5, 1 / np.log2(11), 0, 0], rtol=1e-6)


def test_sums_and_figures():
    # Three scored events, one of them a first-ever item; the fourth was not scored.
    batch = ranks([1, 11, 3], [3, 1, 1], [np.inf] * 3, [0, 0, 0])
    total = metrics.sums(batch)
    np.testing.assert_allclose(total, [3, 2, 1.5, 1, 1, 2, 1.5])
    found = metrics.figures(total + metrics.sums(ranks([12, 12, 12])))
    assert found.events == 4
    assert found.hr_at_10 == pytest.approx((0.5, 0.25, 0.5))
    assert found.ndcg_at_10 == pytest.approx((0.375, 0.25, 0.375))


def test_nothing_scored_is_zero():
    assert metrics.sums(np.zeros((5, 3), np.float32)).tolist() == [0.0] * metrics.SUMS
    assert metrics.figures(np.zeros(metrics.SUMS)) == (0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
