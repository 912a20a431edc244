"""An item's arms as people ask for them."""

from __future__ import annotations

from streams.cores.lift_list import listed
from tests.factories import make_item_arms, make_metric


def test_each_arm_has_its_windows_in_order_of_time_and_each_once() -> None:
    metrics = [
        make_metric(series="lift/item-1/asset-1", at_ms=at_ms, events=events)
        for at_ms, events in [(20, 1), (10, 2), (20, 3)]
    ]
    others = [make_metric(series="lift/item-2/asset-1"), make_metric()]
    control, asset = listed(make_item_arms(), [*metrics, *others])
    assert (control.arm.control, control.windows) == (True, [])
    assert [(one.at_ms, one.events) for one in asset.windows] == [(10, 2), (20, 3)]
