"""What an item's arms earn, as people ask for it: counts of now, and each window's lift over the item's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.contract.arms import ItemArm, ItemArms
from streams.contract.events import Metric
from streams.cores.arm_book import series_of


class Standing(NamedTuple):
    """An arm, and the windows in which it was shown, oldest first; the control has none."""

    arm: ItemArm
    windows: list[Metric]


def listed(arms: ItemArms, metrics: Iterable[Metric]) -> list[Standing]:
    """The arms in the order of the record; of windows that were told twice the last one counts."""
    series = {series_of(arms.item_id, arm.asset_id): Standing(arm, []) for arm in arms.arms}
    found: dict[str, dict[int, Metric]] = {name: {} for name in series}
    for metric in metrics:
        if metric.series in found:
            found[metric.series][metric.at_ms] = metric
    for name, one in series.items():
        one.windows.extend(found[name][at_ms] for at_ms in sorted(found[name]))
    return list(series.values())


def lift_words(metric: Metric) -> str:
    """A window's lift in words.

    >>> values = {"lift": 0.5, "lift_low": -0.1, "lift_high": 2.0}
    >>> lift_words(Metric(series="s", at_ms=0, step=0, events=1, values=values))
    '+50 % (-10 to +200)'
    """
    value, low, high = (round(100 * metric.values.get(name, 0.0)) for name in ("lift", "lift_low", "lift_high"))
    return f"{value:+d} % ({low:+d} to {high:+d})"
