"""What past assets changed: the share of the gap to the expected rate that each closed, by kind and audience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from streams.contract.events import ContentKind
from streams.cores import estimates
from streams.cores.demand import ARM, SHOWN_KINDS, TAKEN, Demand
from streams.cores.estimates import Recovery
from streams.cores.references import Clicks

RECOVERS: Final[Mapping[str, float]] = {"blurb": 0.5, "image": 0.5, "cut": 0.5, "dub": 0.6, "subtitles": 0.5}
"""Share of the gap that an asset closes, before any has been seen: a guess, held loosely (`RECOVERS_SD`)."""
RECOVERS_SD: Final = 0.25
AUDIENCES_SD: Final = 0.1
"""How much the mean recovery differs between audiences of a kind, and between assets (`ASSETS_SD`)."""
ASSETS_SD: Final = 0.15
ARM_CHANCES: Final = 20
"""An asset's recovery counts from so many chances on."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An asset of ours and what its cell was like before it: what it changes is learned from."""

    kind: ContentKind
    audience: str
    expected: float
    ratio: float
    ratio_variance: float


class Recoveries:
    """What past assets of a kind closed of their gaps, by audience."""

    def __init__(self, kind: ContentKind, found: Mapping[str, list[tuple[float, float]]]) -> None:
        self._kind, self._found = kind, found
        self._known: dict[str, Recovery] = {}

    def of(self, audience: str) -> Recovery:
        """For the next asset for this audience: its kind's other assets, then its own audience's."""
        if audience not in self._known:
            others = [one for name, ones in sorted(self._found.items()) if name != audience for one in ones]
            between_sd = float(np.hypot(AUDIENCES_SD, ASSETS_SD))
            kind = _updated(Recovery(RECOVERS[self._kind], RECOVERS_SD, 0), others, between_sd)
            prior = Recovery(kind.mean, float(np.hypot(kind.sd, AUDIENCES_SD)), kind.assets)
            own = _updated(prior, self._found.get(audience, []), ASSETS_SD)
            self._known[audience] = Recovery(own.mean, float(np.hypot(own.sd, ASSETS_SD)), own.assets)
        return self._known[audience]


def _updated(prior: Recovery, found: Sequence[tuple[float, float]], between_sd: float) -> Recovery:
    pairs = np.array(found, np.float64).reshape(-1, 2)
    return estimates.recovery_of(prior, pairs[:, 0], pairs[:, 1], between_sd=between_sd)


def recoveries(demand: Demand, made: Mapping[str, Made], kind: ContentKind, clicks: Clicks) -> Recoveries:
    """Share of the gap that each asset closed, with its variance, by audience."""
    cells = demand.cells
    sums: dict[str, list[float]] = {}
    for row, key in enumerate(cells.keys):
        before = made.get(key[3])
        if key[0] != ARM + kind or before is None:
            continue
        counts = cells.faded[row : row + 1]
        if kind in SHOWN_KINDS:
            n, expected = float(counts[0, :TAKEN].sum()), float(clicks.expected(counts, [key[4]])[0])
        else:
            n = float(counts[0, 0])
            expected = n * before.expected
        total = sums.setdefault(key[3], [0.0, 0.0, 0.0])
        total[0] += n
        total[1] += min(float(counts[0, TAKEN]), n)
        total[2] += expected
    found: dict[str, list[tuple[float, float]]] = {}
    for asset_id in sorted(sums):
        n, s, expected = sums[asset_id]
        before = made[asset_id]
        gap = 1 - before.ratio
        if n < ARM_CHANCES or expected <= 0 or gap < 0.05:
            continue
        rate = (s + 0.5) / (n + 1)
        after = s / expected
        share = (after - before.ratio) / gap
        variance = (rate * (1 - rate) * n / expected**2 + before.ratio_variance * (1 - share) ** 2) / gap**2
        found.setdefault(before.audience, []).append((share, variance))
    return Recoveries(kind, found)
