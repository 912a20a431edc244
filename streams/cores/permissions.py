"""Which items a request may show: its filters, and the limits of its user's profile.

Withdrawn items and windows of availability hold for everybody and are the recommender's. Masks are kept from one
request to the next, since most users share their limits and many their filters; a record that changes, or takes another
row, makes them anew.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np

from models.recommend.candidates import NO_MASK
from models.typing import I32, Bools
from streams.contract import rules
from streams.contract.events import Item, Request, User
from streams.cores.serving import Serving

MASKS_BYTES: Final = 64_000_000
"""Of masks that are kept; a byte a row."""


class Permissions:
    """Masks over item rows by what requests and profiles say."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._kept: dict[Hashable, Bools | None] = {}
        self._made_at = (-1, -1)

    def masks(self, requests: Sequence[Request]) -> tuple[Bools, I32]:
        """Rows that each request may show.

        Returns:
          bool [M, rows of the serving state], each a mask, and int32 [B], whose mask is which; `NO_MASK`: all rows.
        """
        made_at = (self._serving.facets.version, len(self._serving.announced))
        if made_at != self._made_at:
            self._kept, self._made_at = {}, made_at
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
        """None where nothing is forbidden."""
        limits = (None, None) if profile is None else (profile.maturity, profile.region)
        filters = {name: value for name, value in request.filters.items() if name in rules.KNOWN_FILTERS}
        key = (*limits, *((name, _frozen(value)) for name, value in sorted(filters.items())))
        if key not in self._kept:
            if (len(self._kept) + 1) * len(self._serving.announced) > MASKS_BYTES:
                self._kept = {}
            self._kept[key] = self._made(filters, *limits)
        return self._kept[key]

    def _made(self, filters: dict[str, Any], maturity: int | None, region: str | None) -> Bools | None:
        n, facets = len(self._serving.announced), self._serving.facets
        mask = facets.within(n, maturity=maturity, region=region)
        if filters:
            mask &= facets.meeting(n, filters)
            mask[0] = False
        return None if mask.all() else mask


def _frozen(value: Any) -> Hashable:
    """The filter's value as a key: True and 1 ask for different words."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else (type(value), value)


def is_available(item: Item, now_ms: int) -> bool:
    """Whether ``now_ms`` lies in the item's window of availability."""
    if item.available_from_ms is not None and now_ms < item.available_from_ms:
        return False
    return item.available_until_ms is None or now_ms < item.available_until_ms
