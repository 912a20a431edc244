"""Everything that a recommender's records make it do, once, on a state of no consequence: so that it is compiled.

The first flush would otherwise hold up interactions and answers for as long as its kernels take to compile: seconds.
"""

from typing import get_args

import numpy as np

from models.recommend import sources
from models.recommend.state import ModelConfig
from streams.contract import rules
from streams.contract.arrays import floats_to_bytes, rows_to_bytes
from streams.contract.events import Action, Interaction, Item, ItemState
from streams.cores.serving import Serving


def rehearse(config: ModelConfig) -> None:
    """Take item states, interactions of every kind and farewells into a state that is thrown away."""
    serving = Serving(config)
    serving.take_states([_state(config, row, is_live=True) for row in (1, 2)])
    serving.take_item("item-1", Item(item_id="item-1", title="Rehearsal (2000)", tags=["new"]))
    serving.refresh(0)
    actions = sorted(set(get_args(Action)) & (rules.LEARNED_ACTIONS | rules.HIDING_ACTIONS))
    serving.take_interactions(
        [
            Interaction(event_id=action, user_id="rehearsal", item_id="item-1", action=action, occurred_at_ms=at)
            for at, action in enumerate(actions)
        ]
    )
    serving.take_states([_state(config, 1, is_live=False)])
    serving.erase_user("rehearsal", at_ms=0, is_news=True)


def _state(config: ModelConfig, row: int, *, is_live: bool) -> ItemState:
    return ItemState(
        item_id=f"item-{row}",
        row=row,
        version=0,
        live=is_live,
        clock_events=0,
        clock_ms=0,
        first_seen_ms=0,
        vector=floats_to_bytes(np.zeros(config.towers.dim + 1)) if is_live else b"",
        popularity=floats_to_bytes(np.zeros(sources.DECAYS)),
        successors=rows_to_bytes([2]),
        successor_weights=floats_to_bytes([1.0]),
        predecessors=rows_to_bytes([2]),
        predecessor_weights=floats_to_bytes([1.0]),
        company=rows_to_bytes([2]),
        company_weights=floats_to_bytes([1.0]),
    )
