"""Item states as a trainer would announce them, and a serving state filled from some."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from models.recommend import sources
from streams.contract.arrays import floats_to_bytes
from streams.contract.events import Interaction, ItemState, ModelWeights
from streams.cores.announce import Announcer
from streams.cores.learn import Learner
from streams.cores.serving import Serving
from tests import engines, planted
from tests.engines import ask, ids
from tests.factories import NOW_MS, make_interaction

ITEMS = 30
LOG = planted.random_log(150, users=6, items=ITEMS)
EVENTS = planted.interactions(LOG)
END_MS = LOG[-1].at_ms + 1_000


def state(item_id: str = "a", *, row: int = 1, version: int = 1, **changes: Any) -> ItemState:
    """An announced item with one sighting."""
    values: dict[str, Any] = {
        "clock_events": 5,
        "clock_ms": NOW_MS,
        "first_seen_ms": NOW_MS,
        "vector": floats_to_bytes(np.full(planted.SMALL.towers.dim + 1, 0.1)),
        "popularity": floats_to_bytes(np.ones(sources.DECAYS)),
        "count": 1.0,
    }
    return ItemState(item_id=item_id, row=row, version=version, **(values | changes))


def gone(item_id: str = "a", *, row: int = 1, version: int = 1) -> ItemState:
    """An item that lost its row."""
    return ItemState(item_id=item_id, row=row, version=version, live=False, clock_events=0, clock_ms=0, first_seen_ms=0)


def weights(version: int, item_states: int) -> ModelWeights:
    """The weights that a fresh trainer would tell, at another version."""
    fresh = Announcer(planted.SMALL, fingerprint="test").announce(Learner(planted.SMALL).state, [], most=1).weights
    return msgspec.structs.replace(fresh, version=version, step=version, item_states=item_states)


def act(user_id: str, item_id: str, *, at_ms: int = NOW_MS, action: Any = "play", event_id: str = "") -> Interaction:
    return make_interaction(
        event_id=event_id or f"{user_id}/{item_id}/{at_ms}/{action}", user_id=user_id, item_id=item_id, action=action,
        occurred_at_ms=at_ms,
    )  # fmt: skip


def serving_with(*states: ItemState) -> Serving:
    """A recommender at version 10 that has these states, of version 10 or older."""
    serving = Serving(planted.SMALL)
    serving.take_states(states)
    serving.take_weights(weights(10, 0))
    return serving


def history(serving: Serving, user_id: str) -> list[str]:
    """Item ids in a user's history, oldest first."""
    row, h = serving.users.row(user_id), serving.histories
    return [serving.items.key(item) for item in h.item[h.start[row] : h.start[row] + h.length[row]].tolist()] * (
        row > 0
    )


def slate(serving: Serving, user_id: str = "nobody", k: int = 50, **request: Any) -> list[str]:
    return ids(ask(engines.recommender(serving, NOW_MS), NOW_MS, user_id=user_id, k=k, **request))
