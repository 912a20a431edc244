"""What both cores do with histories beside appending: leave out repeats, put late entries right, forget in part."""

import itertools
from collections.abc import Sequence

import numpy as np

from models.recommend.pools import Histories
from streams.contract.events import Interaction


def without_repeats(known: dict[str, None], events: Sequence[Interaction], *, window: int) -> list[Interaction]:
    """The events whose ``event_id`` is new; ``known`` takes them in, and forgets the oldest beyond ``window``."""
    fresh = []
    for event in events:
        if event.event_id not in known:
            known[event.event_id] = None
            fresh.append(event)
    for oldest in list(itertools.islice(known, max(0, len(known) - window))):
        del known[oldest]
    return fresh


def put_newest_in_time(histories: Histories, user_row: int) -> None:
    """The newest entry of a history had to wait for its item's row: put it before all that happened after it."""
    h = histories
    start, last = int(h.start[user_row]), int(h.start[user_row] + h.length[user_row]) - 1
    not_later = np.flatnonzero(h.at_ms[start:last] <= h.at_ms[last])
    at = start + (int(not_later[-1]) + 1 if len(not_later) else 0)
    for column in (h.item, h.value, h.at_ms, h.action):
        column[at : last + 1] = np.roll(column[at : last + 1], 1)


def forget_before(histories: Histories, user_row: int, at_ms: int) -> None:
    """Drop what happened at ``at_ms`` or earlier, the bytes included."""
    h = histories
    start, length = int(h.start[user_row]), int(h.length[user_row])
    later = np.flatnonzero(h.at_ms[start : start + length] > at_ms)
    for column in (h.item, h.value, h.at_ms, h.action):
        kept = column[start + later]
        column[start : start + length] = 0
        column[start : start + len(kept)] = kept
    h.length[user_row] = len(later)
