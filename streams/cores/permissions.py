"""Which items a request may show: its filters, and the limits of its user's profile.

Withdrawn items and windows of availability hold for everybody and are the recommender's. Masks are kept from one
request to the next, since most users share their limits; any change of the catalogue makes them anew.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from models.recommend.candidates import NO_MASK
from models.typing import I32, Bools
from streams.contract import rules
from streams.contract.events import Item, Request, User
from streams.cores.serving import Serving

MASKS_MOST: Final = 64
"""Masks of profiles that are kept; filters are seldom asked for twice."""


class Permissions:
    """Masks over item rows by what requests and profiles say."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._by_limits: dict[tuple[int | None, str | None], Bools | None] = {}
        self._made_at = (-1, -1)

    def masks(self, requests: Sequence[Request]) -> tuple[Bools, I32]:
        """Rows that each request may show.

        Returns:
          bool [M, rows of the serving state], each a mask, and int32 [B], whose mask is which; `NO_MASK`: all rows.
        """
        made_at = (self._serving.catalogue.version, len(self._serving.announced))
        if made_at != self._made_at:
            self._by_limits, self._made_at = {}, made_at
        masks: list[Bools] = []
        of_request = np.full(len(requests), NO_MASK, np.int32)
        places: dict[int, int] = {}
        profiles = self._serving.profiles
        for at, request in enumerate(requests):
            profile = profiles.get(request.user_id)
            if not request.filters and profile is None:
                continue
            mask = self._mask(request, profile)
            if mask is not None:
                of_request[at] = places.setdefault(id(mask), len(masks))
                if of_request[at] == len(masks):
                    masks.append(mask)
        return np.stack(masks) if masks else np.ones((1, len(self._serving.announced)), np.bool_), of_request

    def _mask(self, request: Request, profile: User | None) -> Bools | None:
        limits = (None, None) if profile is None else (profile.maturity, profile.region)
        filters = {name: value for name, value in request.filters.items() if name in rules.KNOWN_FILTERS}
        if filters:
            return self._filtered(filters, *limits)
        if limits not in self._by_limits:
            if len(self._by_limits) >= MASKS_MOST:
                self._by_limits.clear()
            self._by_limits[limits] = self._limited(*limits)
        return self._by_limits[limits]

    def _limited(self, maturity: int | None, region: str | None) -> Bools | None:
        """None where the limits forbid nothing."""
        items = self._serving.catalogue.limited.values()
        forbidden = [item.item_id for item in items if not passes(item, {}, maturity=maturity, region=region)]
        if not forbidden:
            return None
        mask = np.ones(len(self._serving.announced), np.bool_)
        mask[self._serving.items.rows(forbidden)] = False
        return mask

    def _filtered(self, filters: dict[str, Any], maturity: int | None, region: str | None) -> Bools:
        mask = np.zeros(len(self._serving.announced), np.bool_)
        items = self._serving.catalogue.items.values()
        passing = [item.item_id for item in items if passes(item, filters, maturity=maturity, region=region)]
        mask[self._serving.items.rows(passing)] = True
        mask[0] = False
        return mask


def passes(item: Item, filters: dict[str, Any], *, maturity: int | None, region: str | None) -> bool:
    """Whether an item of the catalogue meets a request's filters and the user's limits."""
    if maturity is not None and item.maturity > maturity:
        return False
    if item.regions and region is not None and region not in item.regions:
        return False
    for name, wanted in filters.items():
        if wanted is None:
            continue
        words = {str(word) for word in wanted} if isinstance(wanted, list) else {str(wanted)}
        if name == "tags" and not words & set(item.tags):
            return False
        if name == "language" and item.language not in words:
            return False
        if name == "creator" and item.creator not in words:
            return False
        if name == "max_duration_s" and not _is_at_most(item.duration_s, wanted):
            return False
    return True


def _is_at_most(duration_s: float | None, wanted: Any) -> bool:
    return duration_s is not None and isinstance(wanted, int | float) and duration_s <= wanted


def is_available(item: Item, now_ms: int) -> bool:
    """Whether ``now_ms`` lies in the item's window of availability."""
    if item.available_from_ms is not None and now_ms < item.available_from_ms:
        return False
    return item.available_until_ms is None or now_ms < item.available_until_ms
