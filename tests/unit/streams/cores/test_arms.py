"""Choosing among an item's assets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from streams.cores.arms import Arm, choose, fitting, lift, propensities


def test_the_viewer_s_language_comes_first_then_arms_without_one() -> None:
    arms = [Arm("b", language="de"), Arm("a"), Arm("c", language="fr")]
    assert [arm.asset_id for arm in fitting(arms, ["it", "fr", "de"])] == ["c"]
    assert [arm.asset_id for arm in fitting(arms, ["it"])] == ["a"]
    assert [arm.asset_id for arm in fitting(arms[::2], ["it"])] == ["b", "c"]


def test_one_request_gets_one_arm_whatever_the_order() -> None:
    arms = [Arm("a", 50, 5), Arm("b", 50, 8)]
    first = choose(arms, [], seed=1, request_id="r", item_id="i")
    assert first == choose(arms[::-1], [], seed=1, request_id="r", item_id="i")


def test_no_arm_is_no_choice_and_a_lone_one_is_certain() -> None:
    assert choose([], ["de"], seed=1, request_id="r", item_id="i") is None
    assert choose([Arm("a")], ["de"], seed=1, request_id="r", item_id="i") == ("a", 1.0)


def test_propensities_are_the_shares_of_sampling() -> None:
    arms = [Arm("a", 40, 4), Arm("b", 60, 9), Arm("c", 5, 1)]
    rng = np.random.default_rng(3)
    drawn = np.stack([rng.beta(1 + arm.taken, 1 + arm.shown - arm.taken, 200_000) for arm in arms])
    shares = np.bincount(drawn.argmax(axis=0), minlength=3) / 200_000
    assert propensities(arms) == pytest.approx(shares, abs=0.005)
    assert propensities(arms).sum() == pytest.approx(1.0)


def test_choices_come_with_the_propensity_that_they_have() -> None:
    arms = [Arm("a", 40, 4), Arm("b", 60, 9)]
    chosen = [choose(arms, [], seed=7, request_id=f"r{i}", item_id="i") for i in range(3_000)]
    share = Counter(one.asset_id for one in chosen if one)["a"] / 3_000
    told = next(one.propensity for one in chosen if one and one.asset_id == "a")
    assert share == pytest.approx(told, abs=0.03)


def test_equal_arms_share_alike() -> None:
    assert propensities([Arm("a", 9, 3), Arm("b", 9, 3)]) == pytest.approx([0.5, 0.5])


def test_a_bad_arm_dies_out() -> None:
    rng = np.random.default_rng(5)
    rates = {"bad": 0.05, "good": 0.3}
    arms = {name: Arm(name) for name in rates}
    shown: list[str] = []
    for i in range(600):
        choice = choose(list(arms.values()), [], seed=1, request_id=f"r{i}", item_id="i")
        assert choice is not None
        arm = arms[choice.asset_id]
        arms[arm.asset_id] = arm._replace(shown=arm.shown + 1, taken=arm.taken + (rng.random() < rates[arm.asset_id]))
        shown.append(arm.asset_id)
    assert Counter(shown[-300:])["bad"] <= 15


def test_a_lift_has_the_ratio_of_the_rates_and_an_interval_around_it() -> None:
    found = lift(Arm("a", 4_000, 1_200), Arm("b", 4_000, 800))
    assert found.value == pytest.approx(0.5, abs=0.03)
    assert 0.38 < found.low < found.value < found.high < 0.63
    assert lift(Arm("a", 4, 1), Arm("b", 4, 1)).low < 0 < lift(Arm("a", 4, 1), Arm("b", 4, 1)).high
