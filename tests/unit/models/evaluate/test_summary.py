"""All figures of a handful of records, by hand."""

import numpy as np
import pytest

from models.evaluate.passage import passage_of
from models.evaluate.summary import Records, summarise, values_of

USERS = np.array([0, 0, 1, 1], np.int32)
PASSAGE = passage_of(
    USERS, np.array([0, 1, 0, 1], np.int32), np.arange(4), place=np.arange(4), learns=np.ones(4, bool),
    judged=np.ones(4, bool),
)  # fmt: skip
RANKS = np.array([[1, 3, 20], [11, 10, np.inf], [2, 1, 3], [np.inf, np.inf, np.inf]], np.float32)


def summary(rankers=("model", "a", "b"), ranks=RANKS):
    records = Records(np.arange(4), rankers, ranks, np.full((4, len(rankers), 2), -1, np.int32))
    return summarise(
        records,
        PASSAGE,
        surface=np.array([0, 1, 0, 1], np.int32),
        surfaces=["x", "y"],
        tags=None,
        seed=0,
        resamples=200,
    )


def test_values_are_hits_then_gains():
    got = values_of(RANKS)
    assert got[:, :3].tolist() == [[1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]
    gains = [[1, 0.5, 0], [0, 1 / np.log2(11), 0], [1 / np.log2(3), 1, 0.5], [0, 0, 0]]
    np.testing.assert_allclose(got[:, 3:], gains, rtol=1e-6)


def test_means_segments_and_curve():
    found = summary()
    np.testing.assert_allclose(found.overall.mean[0, :3], [0.5, 0.75, 0.25])
    assert found.best == 1
    by_surface = {segments.name: means for segments, means in found.segments}["surface"]
    assert by_surface.events.tolist() == [2, 2]
    np.testing.assert_allclose(by_surface.mean[:, :3], [[1, 1, 0.5], [0, 0.5, 0]])
    assert found.curve.events.tolist() == [1, 1, 1, 1]
    assert found.curve_at.tolist() == [0, 1, 2, 3]
    assert found.curve.mean[:, 0].tolist() == [1, 0, 1, 0]
    # Two users: resamples are the first twice, both, or the second twice.
    assert set(found.overall.resampled[:, 0, 1].round(6).tolist()) <= {1.0, 0.75, 0.5}
    assert [one.lists for one in found.lists] == [0, 0, 0]


def test_a_model_alone_is_its_own_best():
    assert summary(("model",), RANKS[:, :1]).best == 0
    assert summary().overall.mean[0, 3] == pytest.approx((1 + 1 / np.log2(3)) / 4)
