"""What the recommender makes of records of arms and of assets."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from streams.contract import codec
from streams.cores.showcase import Showcase
from streams.roles.arms_reading import taken
from tests.factories import make_content_asset, make_item_arms

ARMS = codec.encode(make_item_arms())  # as of offset 12 of the assets


def read(showcase: Showcase, *records: tuple[bytes | None, bytes | None], is_arms: bool, first: int = 20) -> None:
    chunk: Any = SimpleNamespace(
        records=[
            SimpleNamespace(key=key, value=value, offset=first + at) for at, (key, value) in enumerate(records)
        ]
    )  # fmt: skip
    taken(chunk, showcase, is_arms=is_arms)()


def assets_of(showcase: Showcase) -> Sequence[str]:
    return [arm.asset_id for arm in showcase.arms_of("item-1")]


def test_arms_come_and_go_with_their_records() -> None:
    showcase = Showcase(seed=0)
    read(showcase, (b"item-1", ARMS), is_arms=True)
    assert assets_of(showcase) == ["own:image", "asset-1"]
    read(showcase, (b"item-1", None), is_arms=True)
    assert assets_of(showcase) == []


def test_bytes_that_break_the_contract_change_nothing() -> None:
    showcase = Showcase(seed=0)
    read(showcase, (b"item-1", ARMS), (b"item-1", b"{"), (None, None), (b"\xff", b""), is_arms=True)
    read(showcase, (b"item-1", b"{"), (None, None), is_arms=False)
    assert assets_of(showcase) == ["own:image", "asset-1"]


def test_only_what_takes_assets_away_is_taken_from_their_own_topic() -> None:
    showcase = Showcase(seed=0)
    read(showcase, (b"item-1", ARMS), is_arms=True)
    made, failed = make_content_asset(), make_content_asset(task_id="task-2", status="failed", asset=None)
    read(showcase, (b"item-1", codec.encode(made)), (b"item-1", codec.encode(failed)), is_arms=False)
    assert assets_of(showcase) == ["own:image", "asset-1"]
    refused = make_content_asset(status="rejected", asset=None)
    read(showcase, (b"item-1", codec.encode(refused)), is_arms=False, first=40)
    assert assets_of(showcase) == []


def test_a_tombstone_holds_against_arms_that_were_told_before_it() -> None:
    showcase = Showcase(seed=0)
    read(showcase, (b"item-1", None), is_arms=False)
    read(showcase, (b"item-1", ARMS), is_arms=True)
    assert assets_of(showcase) == []
    read(showcase, (b"item-1", codec.encode(make_item_arms(assets_offset=21))), is_arms=True)
    assert assets_of(showcase) == ["own:image", "asset-1"]
