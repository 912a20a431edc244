"""What an interaction says beside a choice: its kind of signal and its outcomes, for trainer and recommender alike."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.recommend.showings import CHOSEN, COMPLETED, HID, HIDDEN, LIKED, SHORT, SHOWN, SKIPPED
from models.typing import I32, U8
from streams.contract import rules
from streams.contract.events import Interaction

KINDS: Final[dict[str, int]] = {
    "impression": SHOWN,
    **dict.fromkeys(rules.NEGATIVE_ACTIONS - rules.HIDING_ACTIONS, SKIPPED),
    **dict.fromkeys(rules.HIDING_ACTIONS, HIDDEN),
    **dict.fromkeys(rules.LEARNED_ACTIONS, CHOSEN),
}
"""Kind of signal by action word; an action that is not here is none."""


def outcome_of(event: Interaction) -> int:
    """What an event says of its outcome, as bits of `models.recommend.showings`."""
    if event.action in rules.HIDING_ACTIONS:
        return HID
    if event.action not in rules.LEARNED_ACTIONS:
        return 0
    completed = event.action == "complete" or (event.completion or 0.0) >= rules.COMPLETE_FROM
    is_short = not completed and event.dwell_ms is not None and event.dwell_ms < rules.SHORT_DWELL_MS
    return COMPLETED * completed | LIKED * (event.action == "like") | SHORT * is_short


def outcomes_of(events: Sequence[Interaction]) -> U8:
    """`outcome_of` each event, uint8."""
    return np.array([outcome_of(event) for event in events], np.uint8)


def positions_of(events: Sequence[Interaction]) -> I32:
    """1-based place of each event's item in the slate that it came from, 0 where not known, int32."""
    return np.array([event.position or 0 for event in events], np.int32)
