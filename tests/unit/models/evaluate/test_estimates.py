"""Intervals by resampling users: against the textbook where there is one, and what must hold always."""

import numpy as np
import pytest

from models.evaluate.estimates import difference, grouped_means, interval

USERS = 400


def estimated(user, values, *, seed=1, resamples=2_000):
    whole = (np.zeros(len(user), np.int32), 1)
    return grouped_means(user.astype(np.int32), [whole], values.astype(float), seed=seed, resamples=resamples)[0]


def test_with_one_event_a_user_the_spread_is_the_textbook_s():
    hits = (np.random.default_rng(0).random(USERS) < 0.3).astype(float)
    found = estimated(np.arange(USERS), hits[:, None])
    share = hits.mean()
    assert found.events.tolist() == [USERS]
    assert found.mean[0, 0] == pytest.approx(share)
    error = np.sqrt(share * (1 - share) / USERS)
    assert found.resampled.std() == pytest.approx(error, rel=0.08)
    low, high = interval(found.resampled[:, 0, 0])
    assert (share - low, high - share) == pytest.approx((1.96 * error, 1.96 * error), rel=0.15)


def test_events_of_one_user_that_are_alike_count_as_one():
    hits = (np.random.default_rng(0).random(USERS) < 0.3).astype(float)
    once = estimated(np.arange(USERS), hits[:, None])
    ten_times = estimated(np.repeat(np.arange(USERS), 10), np.repeat(hits, 10)[:, None])
    np.testing.assert_allclose(ten_times.resampled, once.resampled, err_msg="ten like events must not narrow it")


def test_one_user_alone_has_no_spread_and_no_event_no_figure():
    found = grouped_means(
        np.full(6, 9, np.int32), [(np.array([0, 0, 0, 1, 1, -1], np.int32), 3)], np.arange(6.0)[:, None], seed=0,
        resamples=20,
    )[0]  # fmt: skip
    assert found.events.tolist() == [3, 2, 0]
    assert found.mean[:2, 0].tolist() == [1.0, 3.5]
    assert np.isnan(found.mean[2, 0])
    assert np.ptp(found.resampled[:, :2, 0], axis=0).tolist() == [0, 0]
    assert np.isnan(interval(found.resampled[:, 2, 0])).all()


def test_groupings_share_their_resamples():
    rng = np.random.default_rng(3)
    user, values = rng.integers(0, 50, 300).astype(np.int32), rng.random((300, 2))
    whole, halves = grouped_means(
        user, [(np.zeros(300, np.int32), 1), ((np.arange(300) % 2).astype(np.int32), 2)], values, seed=5, resamples=30
    )
    # The whole is the mean of its halves, weighted by their events in each resample: so it must lie between them.
    low, high = np.nanmin(halves.resampled, axis=1), np.nanmax(halves.resampled, axis=1)
    assert ((whole.resampled[:, 0] >= low - 1e-12) & (whole.resampled[:, 0] <= high + 1e-12)).all()


def test_many_users_are_drawn_in_parts():
    user, values = np.arange(3_000), np.random.default_rng(0).random((3_000, 1))
    found = estimated(user, values, resamples=900)  # more than one part of DRAWS_AT_ONCE
    assert np.isfinite(found.resampled).all()
    assert len(np.unique(found.resampled)) > 890, "parts must not repeat one another"
    np.testing.assert_array_equal(found.resampled, estimated(user, values, resamples=900).resampled)


def test_paired_differences():
    rng = np.random.default_rng(0)
    theirs = rng.normal(0.2, 0.05, 999)
    same = difference(0.2, 0.2, theirs, theirs)
    assert (same.value, tuple(same.interval), same.p) == (0.0, (0.0, 0.0), 1.0)
    # Always a little better, though by far less than the spread of either: pairing sees it.
    better = difference(0.21, 0.2, theirs + 0.01, theirs)
    assert better.value == pytest.approx(0.01)
    assert better.interval.low == pytest.approx(0.01)
    assert better.p == pytest.approx(2 / 1000)
    worse = difference(0.2, 0.21, theirs, theirs + 0.01)
    assert (worse.p, worse.interval.high) == (better.p, pytest.approx(-0.01))


def test_no_events_at_all():
    found = estimated(np.zeros(0, np.int32), np.zeros((0, 2)), resamples=3)
    assert found.events.tolist() == [0]
    assert np.isnan(found.mean).all()
