"""Arms, whatever comes in which order: counts against a plain tally, and withdrawals against two topics that lag."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.contract.arms import ItemArms
from streams.contract.events import ContentAsset, Interaction, Item
from streams.cores.plan import Filed, Planner, Unmade
from streams.cores.showcase import Showcase
from tests.factories import make_asset
from tests.platform import START_MS

NAMES = ["a", "b", "own:image", "nobody", "own:dub"]
ACTS = st.tuples(
    st.integers(0, 30), st.sampled_from(["impression", "click", "play", "complete"]), st.lists(st.sampled_from(NAMES))
)


def done(asset_id: str, offset: int) -> Filed:
    asset = make_asset(asset_id=asset_id)
    return Filed(ContentAsset(task_id=asset_id, item_id="f", status="done", asset=asset), offset + 1)


def event(number: int, action: Any, assets: list[str]) -> Interaction:
    return Interaction(
        event_id=f"{number}", user_id=f"u{number % 3}", item_id="f", action=action, occurred_at_ms=START_MS,
        position=1, asset_id=assets[0] if assets else None, asset_ids=assets[1:],
    )  # fmt: skip


@given(st.lists(ACTS, max_size=60))
def test_counts_are_a_plain_tally_of_what_was_named_once(acts: list[tuple[int, str, list[str]]]) -> None:
    planner = Planner()
    planner.take([Item(item_id="f"), done("a", 0), done("b", 1)])
    planner.take([event(*act) for act in acts])
    known: set[int] = set()
    tally: Counter[tuple[str, str]] = Counter()
    for number, action, assets in acts:
        if number not in known:
            known.add(number)
            tally.update((action, asset_id) for asset_id in set(assets))
    planner.take([done("a", 2)])  # told again
    told = planner.drain()[-1]
    assert isinstance(told, ItemArms)
    assert {arm.asset_id: (arm.shown, arm.taken) for arm in told.arms} == {
        name: (tally["impression", name], tally["click", name]) for name in ("own:image", "a", "b")
    }


@given(st.data())
def test_however_the_topics_lag_what_is_withdrawn_stays_so_and_in_the_end_both_agree(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(["a", "b", "not a", "not b", "none"]), max_size=12))
    planner, told = Planner(), []
    planner.take([Item(item_id="f")])
    for offset, kind in enumerate(kinds):
        failed = Filed(ContentAsset(task_id=kind.removeprefix("not "), item_id="f", status="failed"), offset + 1)
        tombstone = Unmade("f", offset + 1)
        planner.take([tombstone if kind == "none" else failed if kind.startswith("not") else done(kind, offset)])
        told += [one for one in planner.drain() if isinstance(one, ItemArms)]
    showcase, read, heard = Showcase(seed=0), 0, 0
    while read < len(kinds) or heard < len(told):
        if heard == len(told) or (read < len(kinds) and data.draw(st.booleans())):
            if kinds[read] == "none":
                showcase.withdraw("f", offset=read)
            elif kinds[read].startswith("not"):
                showcase.withdraw("f", offset=read, task_id=kinds[read].removeprefix("not "))
            read += 1
        else:
            showcase.take(told[heard])
            heard += 1
        ahead = max(read, told[heard - 1].assets_offset if heard else 0)
        known = {arm.asset_id for arm in showcase.arms_of("f") if not arm.control}
        assert known <= made_by(kinds[:read]) | made_by(kinds[:ahead])
        if heard and told[heard - 1].assets_offset <= read:
            assert not known - made_by(kinds[:read])
    assert [arm.asset_id for arm in showcase.arms_of("f")] == ([one.asset_id for one in told[-1].arms] if told else [])


def made_by(kinds: list[str]) -> set[str]:
    """The assets that stand after these records, slowly."""
    live: set[str] = set()
    for kind in kinds:
        if kind == "none":
            live.clear()
        elif kind.startswith("not "):
            live.discard(kind[4:])
        else:
            live.add(kind)
    return live
