"""What an interaction says beside a choice: its kind of signal and its outcomes, for trainer and recommender alike."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.recommend import showings
from models.recommend.showings import CHOSEN, COMPLETED, HID, HIDDEN, LIKED, SHORT, SHOWN, SKIPPED, Passes
from models.recommend.sources import Counts
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
    is_look = event.action in rules.LOOKS and not completed
    is_short = is_look and event.dwell_ms is not None and event.dwell_ms < rules.SHORT_DWELL_MS
    return COMPLETED * completed | LIKED * (event.action == "like") | SHORT * is_short


def outcomes_of(events: Sequence[Interaction]) -> U8:
    """`outcome_of` each event, uint8."""
    return np.array([outcome_of(event) for event in events], np.uint8)


def positions_of(events: Sequence[Interaction]) -> I32:
    """1-based place of each event's item in the slate that it came from, 0 where not known, int32."""
    return np.array([event.position or 0 for event in events], np.int32)


def worth_noting(events: Sequence[Interaction], *, are_any: bool) -> list[Interaction]:
    """Those that may change what users were shown and did not choose; ``are_any``: whether any user has such showings.

    Choices only take away from it: while there is nothing, they are left out, which spares most platforms the work.
    """
    said = [event for event in events if event.action in KINDS]
    if are_any or any(event.action not in rules.LEARNED_ACTIONS for event in said):
        return said
    return [event for event in said if outcome_of(event) & SHORT]


def noted(passes: Passes, counts: Counts, events: Sequence[Interaction], users: I32, items: I32) -> Passes:
    """The same showings after ``events`` on these rows, as a recommender keeps them: nothing is counted."""
    signals = showings.signals_of([
        (0, user, item, event.occurred_at_ms, KINDS[event.action], outcome_of(event), 0, event.position or 0)
        for user, item, event in zip(users.tolist(), items.tolist(), events, strict=True)
    ])  # fmt: skip
    passes = showings.with_rings(passes, signals.user[(signals.kind != CHOSEN) | (signals.outcome & SHORT != 0)])
    showings.note_signals(passes, counts, signals)
    return passes
