"""What places of slates say of assets."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from streams.contract.arms import ItemArm, ItemArms
from streams.cores.arms import Arm, propensities
from streams.cores.showcase import VIEWERS_MOST, Showcase, Viewer, viewer_of
from tests.factories import NOW_MS, make_request, make_user

ANYBODY = Viewer((), "")


def arm(asset_id: str, **changes: Any) -> ItemArm:
    plain: dict[str, Any] = {"kind": "image", "control": asset_id.startswith("own"), "task_id": f"task {asset_id}"}
    return ItemArm(asset_id=asset_id, **(plain | changes))


def arms(*found: ItemArm, item_id: str = "i", offset: int = 1) -> ItemArms:
    return ItemArms(item_id=item_id, at_ms=NOW_MS, assets_offset=offset, arms=list(found))


def showing(*found: ItemArm, seed: int = 0) -> Showcase:
    made = Showcase(seed=seed)
    made.take(arms(*found))
    return made


def said(made: Showcase, request_id: str = "r", viewer: Viewer = ANYBODY, item_id: str = "i") -> dict[str, float]:
    (stand,) = made.stands_of([item_id])
    text = b"" if stand is None else stand.chosen(item_id, viewer, made.luck_of(request_id))
    told = json.loads(b'{"x":0' + text + b"}")
    return dict(zip(told.get("asset_ids", []), told.get("asset_propensities", []), strict=True))


def test_a_place_says_one_asset_of_each_kind_with_its_probability() -> None:
    made = showing(arm("own:image", shown=50, taken=5), arm("a", shown=50, taken=9), arm("b", kind="blurb"))
    for at in range(50):
        (text, certain), (picture, propensity) = said(made, f"r{at}").items()
        assert (text, certain) == ("b", 1.0)
        assert picture in {"a", "own:image"}
        assert 0 < propensity < 1


def test_what_is_told_is_how_often_it_is_shown() -> None:
    found = [arm("own:image", shown=50, taken=5), arm("a", shown=60, taken=9), arm("b", shown=8, taken=1)]
    made, requests = showing(*found), 20_000
    shown: Counter[str] = Counter()
    told: dict[str, float] = {}
    for at in range(requests):
        ((asset_id, propensity),) = said(made, f"request {at}").items()
        shown[asset_id] += 1
        told[asset_id] = propensity
    want = propensities([Arm(one.asset_id, one.shown, one.taken) for one in found])
    for one, share in zip(found, want, strict=True):
        assert told[one.asset_id] == pytest.approx(share, abs=1e-6)
        assert shown[one.asset_id] / requests == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / requests))
    assert sum(told.values()) == pytest.approx(1.0)


def test_the_same_request_gets_the_same_again_and_another_seed_others() -> None:
    found = [arm("own:image"), arm("a"), arm("b")]
    asked = [said(showing(*found), f"r{at}") for at in range(200)]
    made = showing(*found[::-1])
    assert [said(made, f"r{at}") for at in reversed(range(200))][::-1] == asked
    assert [said(showing(*found, seed=1), f"r{at}") for at in range(200)] != asked


def test_items_and_kinds_of_one_request_choose_each_for_itself() -> None:
    made = Showcase(seed=0)
    pair = [arm("own:image"), arm("a"), arm("own:blurb", kind="blurb"), arm("b", kind="blurb")]
    for item_id in "ij":
        made.take(arms(*pair, item_id=item_id))
    joint = Counter((*said(made, f"r{at}"), *said(made, f"r{at}", item_id="j")) for at in range(4_000))
    assert len(joint) == 16
    assert all(count == pytest.approx(250, abs=80) for count in joint.values())


def test_language_and_device_come_first() -> None:
    made = showing(
        arm("own:dub", kind="dub", language="en"), arm("d", kind="dub", language="de"), arm("tv", devices=["tv"]),
        arm("own:image"),
    )  # fmt: skip
    assert said(made, viewer=Viewer(("fr", "de"), "tv")) == {"tv": 1.0, "d": 1.0}
    assert said(made, viewer=Viewer(("en",), "")) == {"own:image": 1.0, "own:dub": 1.0}
    assert said(made, viewer=ANYBODY) == {"own:image": 1.0, "own:dub": 1.0}


def test_whom_a_request_is_for() -> None:
    profile = make_user(languages=["fr-FR", "en", "fr"])
    assert viewer_of(make_request(), None) == ANYBODY
    assert viewer_of(make_request(), profile) == (("fr", "en"), "")
    asked = make_request(context={"language": "pt-BR", "device": "tv"})
    assert viewer_of(asked, profile) == (("pt", "fr", "en"), "tv")
    assert viewer_of(make_request(context={"language": 3, "device": None}), None) == ANYBODY


def test_a_withdrawn_asset_is_gone_at_once_and_late_news_do_not_bring_it_back() -> None:
    made = showing(arm("own:image"), arm("a"), arm("b"))
    made.withdraw("i", offset=7, task_id="task a")
    assert {one for at in range(100) for one in said(made, f"r{at}")} == {"own:image", "b"}
    made.take(arms(arm("own:image"), arm("a"), arm("b"), offset=7))  # told before offset 7 was read
    assert {one for at in range(100) for one in said(made, f"r{at}")} == {"own:image", "b"}
    made.withdraw("i", offset=9)
    assert said(made) == {}
    assert made.knows_none_of(["i"])
    made.take(arms(arm("own:image"), arm("b"), offset=9))
    assert said(made) == {}
    made.take(arms(arm("own:image"), arm("c"), offset=11))
    assert said(made)
    made.withdraw("i", offset=9)  # the topic is read again
    assert said(made)


def test_a_withdrawal_that_is_read_before_the_arms_holds() -> None:
    made = Showcase(seed=0)
    made.withdraw("i", offset=3)
    made.take(arms(arm("own:image"), arm("a"), offset=3))
    assert said(made) == {}


def test_an_item_whose_own_is_all_there_is_says_nothing() -> None:
    made = showing(arm("own:image"))
    assert said(made) == {}
    assert made.knows_none_of(["i"])
    assert made.knows_none_of([])


def test_new_counts_replace_the_old_ones() -> None:
    made = showing(arm("own:image", shown=100, taken=1), arm("a", shown=100, taken=60))
    assert {one for at in range(200) for one in said(made, f"r{at}")} == {"a"}
    made.take(arms(arm("own:image", shown=100, taken=60), arm("a", shown=100, taken=1)))
    assert {one for at in range(200) for one in said(made, f"r{at}")} == {"own:image"}


def test_what_is_kept_of_viewers_is_bounded() -> None:
    made = showing(arm("own:image"), arm("a"))
    for at in range(3 * VIEWERS_MOST):
        said(made, viewer=Viewer((f"x{at}",), ""))
    assert len(made._stands["i"]._choices) <= VIEWERS_MOST
