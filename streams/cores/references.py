"""What is expected: how often a place is clicked, how often an item or an audience finishes what it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from streams.cores.cells import Key
from streams.cores.demand import NO_PLACE, TAKEN, Demand
from streams.cores.estimates import Floats

LEAST_REFERENCE: Final = 50.0
"""What is expected of a kind is known from so many chances on; before, there are no wishes."""

ITEM_STRENGTH: Final = 10.0
"""Views by other audiences that say as much of a long item as what its audience finishes otherwise."""


class Rate(msgspec.Struct, frozen=True):
    """An expected rate: posterior mean and variance, and the whole counts behind it."""

    mean: float
    variance: float
    views: int
    finished: int


class Clicks:
    """How often a place of a surface is clicked, whatever is in it."""

    def __init__(self, demand: Demand) -> None:
        shown, taken = by_surface(demand, "shown"), by_surface(demand, "taken")
        self._rates: dict[str, Floats] = {}
        self._usual = np.zeros(TAKEN)
        if not shown:
            return
        all_shown = np.sum(list(shown.values()), axis=0)
        all_taken = np.sum([taken.get(on, np.zeros(TAKEN)) for on in shown], axis=0)
        if all_shown.sum() < LEAST_REFERENCE or all_taken.sum() <= 0:
            return
        overall = all_taken.sum() / all_shown.sum()
        self._usual = (all_taken + 50 * overall) / (all_shown + 50)
        for on, counts in shown.items():
            clicks = taken.get(on, np.zeros(TAKEN))
            level = (clicks.sum() + 5) / (float((counts * self._usual).sum()) + 5)
            self._rates[on] = (clicks + 50 * level * self._usual) / (counts + 50)

    def expected(self, counts: Floats, surfaces: Sequence[str]) -> Floats:
        """Clicks that these showings, ``[cells, columns]``, should have had."""
        rates = np.array([self._rates.get(on, self._usual) for on in surfaces])
        found: Floats = (counts[:, : NO_PLACE + 1] * rates).sum(axis=1)
        return found


class Served:
    """How often views end as they should: of an item by those who understand it, of an audience where nothing is long.

    Each is a Beta posterior whose prior has the mean of all and a strength from their spread (method of moments).
    """

    def __init__(self, demand: Demand) -> None:
        self._items = rates_of(demand, "served", lambda key: key[1])
        self._audiences = rates_of(demand, "finish", lambda key: key[3] + "\0" + key[4])

    def item(self, item_id: str) -> Rate | None:
        """Of an item; the mean of all where nobody has seen it; None where hardly anything has been seen at all."""
        return self._items.get(item_id, self._items.get(""))

    def long(self, key: Key, others: tuple[float, float, int, int]) -> Rate | None:
        """Of something long for the audience of ``key``: as other audiences finish it, and as this one what is short.

        Args:
          others: views and finished views of the item by other audiences: faded, then whole.
        """
        usual = self._audiences.get(key[3] + "\0" + key[4], self._audiences.get(""))
        if usual is None:
            return None
        n, s, views, finished = others
        mean = (s + ITEM_STRENGTH * usual.mean) / (n + ITEM_STRENGTH)
        return Rate(mean, mean * (1 - mean) / (n + ITEM_STRENGTH + 1), views, finished)

    def ratio(self, item_id: str) -> float:
        """An item's rate over the mean; 1 where nothing is known."""
        own, usual = self.item(item_id), self._items.get("")
        return 1.0 if own is None or usual is None else own.mean / usual.mean


def rates_of(demand: Demand, kind: str, name: Callable[[Key], str]) -> dict[str, Rate]:
    """Posterior rate of each cell of a kind by name; "" is that of an unseen one; empty where too little is known."""
    cells = demand.cells
    rows = [row for row, key in enumerate(cells.keys) if key[0] == kind]
    n = cells.faded[rows, 0]
    s = np.minimum(cells.faded[rows, TAKEN], n)
    total = float(n.sum())
    if total < LEAST_REFERENCE or s.sum() <= 0:
        return {}
    mean = min(float(s.sum()) / total, 0.99)
    spread = float((n * (s / np.maximum(n, 1e-9) - mean) ** 2).sum() / total)
    noise = mean * (1 - mean) * int((n > 0).sum()) / total
    strength = float(np.clip(mean * (1 - mean) / max(spread - noise, 1e-9) - 1, 5.0, 500.0))
    found = {"": Rate(mean, mean * (1 - mean) / (strength + 1), 0, 0)}
    for row, chances, taken in zip(rows, n.tolist(), s.tolist(), strict=True):
        own = (taken + strength * mean) / (chances + strength)
        whole = cells.whole[row]
        found[name(cells.keys[row])] = Rate(
            own, own * (1 - own) / (chances + strength + 1), int(whole[0]), int(whole[TAKEN])
        )
    return found


def by_surface(demand: Demand, kind: str) -> dict[str, Floats]:
    """Faded counts of a kind by surface, a number a place."""
    cells = demand.cells
    return {key[4]: cells.faded[row, :TAKEN] for row, key in enumerate(cells.keys) if key[0] == kind}
