"""The arms of every item that has an asset of ours: which there are, what is told of them, and what each is worth.

Counting is `demand.py`'s; choosing among them `showcase.py`'s, in another process. No clock but that of the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from streams.contract import ids, rules
from streams.contract.arms import ItemArm, ItemArms
from streams.contract.events import Asset, ContentKind, Metric
from streams.cores.arms import Arm, lift
from streams.cores.demand import Demand
from streams.cores.tracks import KINDS, Audience, primary

SERIES: Final = "lift/"
NEWS: Final = 0.02
"""Counts are told again when so large a share of them is new."""


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """An asset of ours that may be shown."""

    kind: ContentKind
    audience: Audience
    language: str
    devices: tuple[str, ...]
    task_id: str
    uri: str
    media_type: str


class Page(msgspec.Struct, kw_only=True):
    """One item: its assets of ours by id, the offset up to which its records were read, chances when last told."""

    assets: dict[str, Live] = {}
    offset: int = 0
    told: float = 0.0


class ArmBook:
    """Items with arms; a page stays when its assets are withdrawn, so that whoever reads of them knows it."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}

    def add(self, item_id: str, asset: Asset, kind: ContentKind, audience: Audience, task_id: str) -> None:
        """An asset of ours is an arm from now on."""
        language = primary(asset.language) if asset.language else audience[0]
        self.pages.setdefault(item_id, Page()).assets[asset.asset_id] = Live(
            kind=kind, audience=audience, language=language, devices=tuple(asset.devices), task_id=task_id,
            uri=asset.uri, media_type=asset.media_type,
        )  # fmt: skip

    def of_task(self, item_id: str, task_id: str) -> tuple[str, Live] | None:
        """The asset that a task has brought; None where there is none."""
        page = self.pages.get(item_id)
        found = () if page is None else page.assets.items()
        return next(((asset_id, live) for asset_id, live in found if live.task_id == task_id), None)

    def record(self, item_id: str, demand: Demand, now_ms: int) -> ItemArms:
        """What is told of an item: of each kind of which there is an asset of ours, the item's own and those."""
        page = self.pages[item_id]
        arms = _arms(item_id, page, demand)
        page.told = sum(arm.shown for arm in arms)
        return ItemArms(item_id=item_id, at_ms=max(0, now_ms), assets_offset=page.offset, arms=arms)

    def is_news(self, item_id: str, events: int, share: float) -> bool:
        """Whether so many events since an item was last told are this share of its counts."""
        page = self.pages.get(item_id)
        return page is not None and events >= share * page.told

    def metrics(self, demand: Demand, now_ms: int) -> list[Metric]:
        """What each asset that had a chance in this window does beside the item's own; before the window's counts fade.

        ``shown`` and ``taken`` are of the window, as those of the control; the lift is of all counts, those as they
        have faded.
        """
        return [
            metric
            for item_id in sorted(self.pages)
            if self.pages[item_id].assets
            for metric in _metrics(item_id, self.pages[item_id], demand, now_ms)
        ]


def series_of(item_id: str, asset_id: str) -> str:
    """Name of an asset's series; a digest stands in it where the ids are too long."""
    plain = f"{SERIES}{item_id}/{asset_id}"
    return plain if len(plain) <= rules.MAX_ID_CHARS else SERIES + ids.derive("lift", item_id, asset_id)


def control_of(arms: Iterable[ItemArm], kind: ContentKind) -> ItemArm | None:
    """The item's own arm of a kind."""
    return next((arm for arm in arms if arm.control and arm.kind == kind), None)


def _arms(item_id: str, page: Page, demand: Demand) -> list[ItemArm]:
    tracks = demand.items.get(item_id)
    if tracks is None or not page.assets:
        return []
    counts = demand.arm_counts(item_id)
    arms: list[ItemArm] = []
    for kind in KINDS:
        ours = {asset_id: live for asset_id, live in page.assets.items() if live.kind == kind}
        if not ours:
            continue
        own_id, language = tracks.original(kind)
        shown, taken = counts.get((kind, own_id), (0.0, 0.0))
        arms.append(ItemArm(asset_id=own_id, kind=kind, language=language, shown=shown, taken=taken, control=True))
        for asset_id, live in sorted(ours.items()):
            if asset_id == own_id:  # the catalogue has adopted it
                continue
            shown, taken = counts.get((kind, asset_id), (0.0, 0.0))
            arms.append(
                ItemArm(
                    asset_id=asset_id, kind=kind, language=live.language, devices=list(live.devices),
                    task_id=live.task_id, uri=live.uri, media_type=live.media_type, shown=shown, taken=taken,
                )
            )  # fmt: skip
    return arms[: rules.MAX_ASSETS]


def _metrics(item_id: str, page: Page, demand: Demand, now_ms: int) -> list[Metric]:
    window = demand.arm_counts(item_id, of_window=True)
    if not any(shown for shown, _ in window.values()):
        return []
    arms = _arms(item_id, page, demand)
    found = []
    for arm in arms:
        control = control_of(arms, arm.kind)
        shown, taken = window.get((arm.kind, arm.asset_id), (0.0, 0.0))
        if arm.control or control is None or not shown:
            continue
        than = window.get((arm.kind, control.asset_id), (0.0, 0.0))
        worth = lift(Arm("", arm.shown, arm.taken), Arm("", control.shown, control.taken))
        found.append(
            Metric(
                series=series_of(item_id, arm.asset_id), at_ms=max(0, now_ms), step=0, events=int(shown),
                values={
                    "shown": shown, "taken": taken, "control_shown": than[0], "control_taken": than[1],
                    "lift": worth.value, "lift_low": worth.low, "lift_high": worth.high,
                },
            )
        )  # fmt: skip
    return found
