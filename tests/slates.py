"""A taught engine of planted events that the tests of slates share: its log, its catalogue, one light user."""

from __future__ import annotations

from typing import Any

from streams.contract.events import Interaction
from tests import engines, planted
from tests.factories import make_interaction

ITEMS = 120
USERS = 12
LOG = planted.random_log(500, users=USERS, items=ITEMS)
EVENTS = planted.interactions(LOG)
CATALOGUE = engines.catalogue(range(ITEMS))
NOW_MS = LOG[-1].at_ms + 90_000
SEEN = {f"i{event.item}" for event in LOG}
UNSEEN = {item.item_id for item in CATALOGUE} - SEEN


def had_by(user: int) -> set[str]:
    return {f"i{event.item}" for event in LOG if event.user == user}


LIGHT_USER = min(range(1, USERS), key=lambda user: len(had_by(user)))
ME = f"u{LIGHT_USER}"


def act(item_id: str, *, user_id: str = ME, action: Any = "play", at_ms: int = NOW_MS) -> Interaction:
    return make_interaction(
        event_id=f"{action}-{user_id}-{item_id}-{at_ms}", user_id=user_id, item_id=item_id, action=action,
        occurred_at_ms=at_ms,
    )  # fmt: skip
