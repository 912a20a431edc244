"""What the planner counts and tells of arms, and that choosing by it lets the good ones win."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from streams.contract import codec
from streams.contract.absent import Withdrawn
from streams.contract.arms import ItemArm, ItemArms
from streams.contract.events import Asset, ContentAsset, Interaction, Item, Metric
from streams.cores.arm_book import SERIES, series_of
from streams.cores.arms import Arm, lift
from streams.cores.event_clock import IN_A_ROW
from streams.cores.plan import Entry, Filed, PlanConfig, Planner, Unmade
from streams.cores.plan_state import from_arrays, to_arrays
from streams.cores.recoveries import Made, recoveries
from streams.cores.references import Clicks
from streams.cores.showcase import Showcase, Viewer
from tests.factories import make_asset
from tests.platform import DAY_MS, START_MS

WINDOW_MS = PlanConfig().window_ms


def film(*assets: Asset, item_id: str = "f") -> Item:
    return Item(item_id=item_id, language="en", duration_s=1_200.0, assets=list(assets))


def done(asset_id: str = "pic", *, item_id: str = "f", at: int = 1, **changes: Any) -> Filed:
    asset = make_asset(asset_id=asset_id, **changes)
    return Filed(ContentAsset(task_id=f"task {asset_id}", item_id=item_id, status="done", asset=asset), at)


def refused(asset_id: str, *, at: int, status: Any = "failed") -> Filed:
    return Filed(ContentAsset(task_id=f"task {asset_id}", item_id="f", status=status), at)


def did(number: int, action: Any, at_ms: int = START_MS, **changes: Any) -> Interaction:
    plain: dict[str, Any] = {"item_id": "f", "surface": "home", "position": 1} | changes
    return Interaction(
        event_id=f"{action} {number}", user_id=f"u{number % 7}", action=action, occurred_at_ms=at_ms, **plain
    )


def taught(*entries: Entry) -> Planner:
    planner = Planner()
    planner.take(entries)
    return planner


def newest(planner: Planner, item_id: str = "f") -> ItemArms:
    found: list[ItemArms] = [one for one in planner.drain() if isinstance(one, ItemArms) and one.item_id == item_id]
    assert found
    assert codec.decode(ItemArms, codec.encode(found[-1]), timestamp_ms=-1) == found[-1]
    return found[-1]


def counts(told: ItemArms) -> dict[str, tuple[float, float]]:
    return {arm.asset_id: (arm.shown, arm.taken) for arm in told.arms}


TICK = did(999, "progress", START_MS + 10_000, item_id="other")
"""Ten seconds later: what was counted is told."""


def told_after(*events: Interaction, entries: Sequence[Entry] = ()) -> dict[str, tuple[float, float]]:
    planner = taught(film(), film(item_id="other"), done(), *entries)
    planner.take([*events, TICK])
    return counts(newest(planner))


def test_an_asset_is_an_arm_beside_the_item_s_own_at_once() -> None:
    told = newest(taught(film(), done(at=8)))
    assert told.assets_offset == 8
    assert told.arms == [
        ItemArm(asset_id="own:image", kind="image", control=True),
        ItemArm(
            asset_id="pic", kind="image", task_id="task pic", uri=make_asset().uri, media_type=make_asset().media_type
        ),
    ]


def test_the_catalogue_s_first_asset_of_the_kind_is_the_control_also_if_it_changes_or_adopts_ours() -> None:
    planner = taught(film(make_asset(asset_id="p1"), make_asset(asset_id="p2")), done())
    assert [(arm.asset_id, arm.control) for arm in newest(planner).arms] == [("p1", True), ("pic", False)]
    planner.take([film(make_asset(asset_id="p3"))])
    assert [(arm.asset_id, arm.control) for arm in newest(planner).arms] == [("p3", True), ("pic", False)]
    planner.take([film(make_asset(asset_id="pic"))])
    assert [(arm.asset_id, arm.control) for arm in newest(planner).arms] == [("pic", True)]


def test_arms_have_the_language_of_their_track_and_the_original_that_of_the_item() -> None:
    told = newest(taught(film(), done("d", media_type="audio/mp4", language="pt-BR", devices=["tv"])))
    assert [(arm.asset_id, arm.language, arm.devices) for arm in told.arms] == [
        ("own:dub", "en", []), ("d", "pt", ["tv"])
    ]  # fmt: skip


def test_showings_and_clicks_count_for_the_asset_that_they_name() -> None:
    events = [did(at, "impression", asset_id="pic") for at in range(5)]
    events += [did(at, "impression", asset_id="own:image") for at in range(5, 8)]
    events += [did(at, "click", asset_id="pic") for at in range(2)]
    assert told_after(*events, did(50, "impression"), did(51, "click")) == {"own:image": (3, 0), "pic": (5, 2)}


def test_views_and_completions_count_for_a_track() -> None:
    events = [did(at, "play", asset_id="d") for at in range(4)] + [did(1, "complete", asset_id="d")]
    events += [did(9, "play", asset_id="d", completion=0.95), did(10, "click", asset_id="d")]
    planner = taught(film(), film(item_id="other"), done("d", media_type="audio/mp4", language="de"))
    planner.take([*events, TICK])
    assert counts(newest(planner)) == {"own:dub": (0, 0), "d": (5, 2)}


def test_one_event_may_name_several_assets() -> None:
    planner = taught(film(), film(item_id="other"), done(), done("b", media_type="text/plain", at=2))
    planner.take([did(1, "impression", asset_ids=["pic", "own:blurb"], asset_id="pic"), TICK])
    assert counts(newest(planner)) == {"own:blurb": (1, 0), "b": (0, 0), "own:image": (0, 0), "pic": (1, 0)}


def test_a_repeated_event_counts_once() -> None:
    assert told_after(*[did(1, "impression", asset_id="pic")] * 3)["pic"] == (1, 0)


def test_assets_that_nobody_knows_or_of_other_items_change_nothing() -> None:
    planner = taught(film(), film(item_id="other"), done(), done("theirs", item_id="other", at=2))
    newest(planner)
    odd = ["", "nobody", "theirs", "own:dub", "own:nothing", "\x00"]
    planner.take([did(at, "impression", asset_ids=[name]) for at, name in enumerate(odd)])
    planner.take([did(at, "click", asset_id=name) for at, name in enumerate(odd)])
    planner.take([did(77, "impression", asset_id="pic"), TICK])
    assert counts(newest(planner)) == {"own:image": (0, 0), "pic": (1, 0)}


def tellings(planner: Planner) -> list[float]:
    return [counts(one)["pic"][0] for one in planner.drain() if isinstance(one, ItemArms)]


def test_counts_are_told_every_ten_seconds_of_event_time_and_fade() -> None:
    planner = taught(film(), done())
    planner.drain()
    for at in range(40):
        planner.take([did(at, "impression", START_MS + 1_000 * at, asset_id="pic")])
    assert tellings(planner) == [1, 11, 21, 31]
    planner.take([did(99, "impression", START_MS + WINDOW_MS)])
    assert tellings(planner) == [40]
    later = START_MS + WINDOW_MS + 30 * DAY_MS
    planner.take([did(200 + at, "impression", later) for at in range(IN_A_ROW)])  # one alone moves no clock so far
    planner.take([did(100, "impression", later, asset_id="pic"), did(101, "impression", later + 10_000)])
    assert tellings(planner)[-1] == pytest.approx(40 * 0.5 + 1, rel=0.01)


def test_of_many_counts_a_fiftieth_must_be_new_until_the_window_ends() -> None:
    planner = taught(film(), done(), *(did(at, "impression", asset_id="pic") for at in range(1_000)))
    planner.take([did(1_000, "progress", START_MS + 10_000)])
    planner.drain()
    told = []
    for at in range(70):
        planner.take([did(2_000 + at, "impression", START_MS + 20_000 * (at + 1), asset_id="pic")])
        told += tellings(planner)
    assert told == [1_020, 1_041, 1_062]
    planner.take([did(3_000, "progress", START_MS + WINDOW_MS)])
    assert tellings(planner) == [1_070]


@pytest.mark.parametrize("status", ["failed", "rejected"])
def test_what_was_not_made_is_no_arm_and_what_is_refused_later_is_one_no_more(status: Any) -> None:
    planner = taught(film(), refused("never", at=1, status=status))
    assert planner.drain() == []
    planner.take([done(at=2), done("second", at=3), refused("pic", at=4, status=status)])
    told = newest(planner)
    assert [arm.asset_id for arm in told.arms] == ["own:image", "second"]
    assert told.assets_offset == 4
    planner.take([done("third", at=5)])  # the variant after it is another task, although one is gone
    assert planner.demand.items["f"].made == {"image\x1f\x1f\x1f": 3}


def test_a_refused_dub_is_missed_again() -> None:
    planner = taught(film(), done("d", media_type="audio/mp4", language="de"))
    assert planner.demand.items["f"].heard == ("de", "en")
    planner.take([refused("d", at=2)])
    assert planner.demand.items["f"].heard == ("en",)


@pytest.mark.parametrize("gone", [Unmade("f", 9), Withdrawn("f")])
def test_a_tombstone_takes_all_arms(gone: Entry) -> None:
    planner = taught(film(), done(at=3), done("second", at=4), gone)
    told = newest(planner)
    assert told.arms == []
    assert told.assets_offset == (9 if isinstance(gone, Unmade) else 4)
    planner.take([film(), done("third", at=10)])
    assert [arm.asset_id for arm in newest(planner).arms] == ["own:image", "third"]


def events_of_days(count: int) -> list[Interaction]:
    rng = random.Random(3)
    found: list[Interaction] = []
    for at in range(count):
        asset_id, at_ms = rng.choice(["pic", "own:image"]), START_MS + 240_000 * at
        found.append(did(at, "impression", at_ms, asset_id=asset_id))
        if rng.random() < (0.5 if asset_id == "pic" else 0.2):
            found.append(did(at, "click", at_ms + 1, asset_id=asset_id))
    return found


def test_what_is_told_does_not_depend_on_batches_or_on_a_restart() -> None:
    events = events_of_days(400)
    whole = taught(film(), done(), *events).drain()
    cut = taught(film(), done())
    told = cut.drain()
    for first in range(0, len(events), 37):
        cut = from_arrays(to_arrays(cut), cut.config)
        cut.take(events[first : first + 37])
        told += cut.drain()
    assert told == whole


def test_each_window_tells_what_an_asset_does_beside_the_item_s_own() -> None:
    events = events_of_days(400)
    told = [one for one in taught(film(), done(), *events).drain() if isinstance(one, Metric)]
    assert {one.series for one in told} == {"lift/f/pic"}
    assert len(told) == 400 * 240_000 // WINDOW_MS
    first = told[0]
    inside = [event for event in events if event.occurred_at_ms < first.at_ms]

    def how_many(action: str, asset_id: str) -> int:
        return sum((event.action, event.asset_id) == (action, asset_id) for event in inside)

    names = ("shown", "taken", "control_shown", "control_taken")
    pairs = [(action, asset) for asset in ("pic", "own:image") for action in ("impression", "click")]
    wanted = [how_many(*pair) for pair in pairs]
    assert [first.values[name] for name in names] == wanted
    assert first.events == wanted[0]
    worth = lift(Arm("", wanted[0], wanted[1]), Arm("", wanted[2], wanted[3]))
    assert (first.values["lift"], first.values["lift_low"], first.values["lift_high"]) == worth
    last = told[-1].values
    assert 0.3 < last["lift_low"] < 1.5 < last["lift_high"]  # 0.5 over 0.2 is 1.5 more
    assert last["lift_high"] - last["lift_low"] < worth.high - worth.low


def test_a_window_in_which_nothing_was_shown_tells_nothing() -> None:
    planner = taught(film(), done(), did(1, "impression", asset_id="own:image"))
    planner.take([did(2, "impression", START_MS + 3 * WINDOW_MS)])
    assert not any(isinstance(one, Metric) for one in planner.drain())


def test_a_series_of_long_ids_fits_its_field() -> None:
    assert series_of("f", "a") == "lift/f/a"
    long = series_of("f" * 256, "a" * 256)
    assert long.startswith(SERIES)
    assert len(long) < 256
    assert long != series_of("f" * 256, "b" * 256)


def test_the_good_arm_wins_the_impressions_and_the_bad_one_loses_them() -> None:
    """The whole loop, cores alone: slates choose, viewers click, the planner counts and tells, slates choose."""
    rates = {"own:image": 0.1, "good": 0.3, "bad": 0.02}
    planner, showcase, rng = taught(film(), done("good"), done("bad", at=2)), Showcase(seed=5), random.Random(11)
    shown: list[str] = []
    for at in range(2_000):
        for told in planner.drain():
            if isinstance(told, ItemArms):
                showcase.take(told)
        (stand,) = showcase.stands_of(["f"])
        assert stand is not None
        text = stand.chosen("f", Viewer((), ""), showcase.luck_of(f"request {at}")).decode()
        asset_id = next(name for name in rates if f'"{name}"' in text)
        shown.append(asset_id)
        at_ms = START_MS + 60_000 * at
        planner.take([did(at, "impression", at_ms, asset_id=asset_id)])
        if rng.random() < rates[asset_id]:
            planner.take([did(at, "click", at_ms + 1, asset_id=asset_id)])
    early, late = Counter(shown[:60]), Counter(shown[-1_000:])
    assert all(early[name] >= 5 for name in rates)
    assert late["good"] > 950
    assert late["bad"] < 10


def test_recoveries_learn_the_same_from_assets_as_slates_name_them() -> None:
    """A picture that is clicked more often than the surface's mean closed its gap; the control is no asset of ours."""
    before = Made(kind="image", audience="home", expected=0.5, ratio=0.2, ratio_variance=0.001)
    found = []
    for name in ("asset_id", "asset_ids"):
        planner = taught(film(), done())
        planner.made["pic"] = before
        for at in range(400):
            for asset_id, taken in (("pic", 0.42), ("own:image", 0.1)):
                named: Any = {name: asset_id if name == "asset_id" else [asset_id]}
                number = 2 * at + (asset_id == "pic")
                planner.take([did(number, "impression", START_MS + at, **named)])
                if (at % 50) / 50 < taken:
                    planner.take([did(number, "click", START_MS + at, **named)])
        planner.take([did(9_999, "progress", START_MS + WINDOW_MS)])
        found.append(recoveries(planner.demand, planner.made, "image", Clicks(planner.demand)).of("home"))
    assert found[0] == found[1]
    assert found[0].assets == 1
    assert found[0].mean > 0.9
