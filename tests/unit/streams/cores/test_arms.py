"""Choosing among an item's assets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cores.arms import Arm, fitting, lift, propensities, table_of


def ids(arms: list[Arm]) -> list[str]:
    return [arm.asset_id for arm in arms]


def test_the_viewer_s_language_comes_first_then_arms_without_one_then_the_item_s_own() -> None:
    arms = [Arm("b", language="de"), Arm("a"), Arm("c", language="fr")]
    assert ids(fitting(arms, ["it", "fr", "de"])) == ["c"]
    assert ids(fitting(arms, ["it"])) == ["a"]
    assert ids(fitting(arms[::2], ["it"])) == ["b", "c"]
    own = Arm("own", language="en", is_control=True)
    assert ids(fitting([*arms[::2], own], ["it"])) == ids(fitting([*arms[::2], own], [])) == ["own"]


def test_what_is_made_for_the_device_comes_first_and_for_another_never() -> None:
    arms = [Arm("all"), Arm("tv", devices=("tv",)), Arm("both", devices=("phone", "tv"))]
    assert ids(fitting(arms, [], "tv")) == ["both", "tv"]
    assert ids(fitting(arms, [], "phone")) == ["both"]
    assert ids(fitting(arms, [], "watch")) == ids(fitting(arms, [])) == ["all"]
    assert fitting(arms[1:], []) == []


def test_language_goes_before_device() -> None:
    arms = [Arm("tv", devices=("tv",)), Arm("de", language="de")]
    assert ids(fitting(arms, ["de"], "tv")) == ["de"]


def test_a_lone_arm_is_certain() -> None:
    assert table_of([Arm("a", 9, 0)]) == (("a",), (1.0,), (1_000_000,))


def test_propensities_are_the_shares_of_sampling() -> None:
    arms = [Arm("a", 40, 4), Arm("b", 60, 9), Arm("c", 5, 1)]
    rng = np.random.default_rng(3)
    drawn = np.stack([rng.beta(1 + arm.taken, 1 + arm.shown - arm.taken, 200_000) for arm in arms])
    shares = np.bincount(drawn.argmax(axis=0), minlength=3) / 200_000
    assert propensities(arms) == pytest.approx(shares, abs=0.005)
    assert propensities(arms).sum() == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=6))
def test_an_even_number_stands_for_each_arm_exactly_as_often_as_is_told(counts: list[tuple[int, int]]) -> None:
    table = table_of([Arm(f"a{at}", shown, taken) for at, (shown, taken) in enumerate(counts)])
    millionths = [round(1_000_000 * one) for one in table.propensities]
    assert sum(millionths) == 1_000_000
    starts = [0, *table.ends[:-1]]
    for at, (start, count) in enumerate(zip(starts, millionths, strict=True)):
        assert table.ends[at] - start == count
        for inside in (start, start + count - 1) if count else ():
            assert table.place_of(inside) == at
    assert table.place_of(0) == next(at for at, count in enumerate(millionths) if count)


def test_what_is_drawn_is_what_thompson_sampling_shows() -> None:
    arms = [Arm("a", 40, 4), Arm("b", 60, 9), Arm("c", 8, 1)]
    rng, table = np.random.default_rng(7), table_of(arms)
    shown = Counter(table.asset_ids[table.place_of(one)] for one in rng.integers(0, 1_000_000, 50_000).tolist())
    rates = np.stack([rng.beta(1 + arm.taken, 1 + arm.shown - arm.taken, 50_000) for arm in arms])
    best = Counter(arms[at].asset_id for at in rates.argmax(axis=0).tolist())
    for arm in arms:
        assert shown[arm.asset_id] / 50_000 == pytest.approx(best[arm.asset_id] / 50_000, abs=0.012)


def test_equal_arms_share_alike() -> None:
    assert propensities([Arm("a", 9, 3), Arm("b", 9, 3)]) == pytest.approx([0.5, 0.5])


def test_a_lift_has_the_ratio_of_the_rates_and_an_interval_around_it() -> None:
    found = lift(Arm("a", 4_000, 1_200), Arm("b", 4_000, 800))
    assert found.value == pytest.approx(0.5, abs=0.03)
    assert 0.38 < found.low < found.value < found.high < 0.63
    assert lift(Arm("a", 4, 1), Arm("b", 4, 1)).low < 0 < lift(Arm("a", 4, 1), Arm("b", 4, 1)).high
