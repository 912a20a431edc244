"""What the heads learn from: the item that was chosen, and what its user passed over since his last lesson.

A lesson is given where an event is ranked anyway, so that its features cost little more: the chosen item is a click,
and each of a few showings that the user passed over is none. A skip, a hide or a dislike counts against the click; the
latter two are what `hide` learns. Whether a choice is completed or liked is learned at the choice, and where a later
event on the same item says so, as a second trial with what was known at the choice: odds are then the rate at which
choices end so.
"""

import numpy as np

from models.compiled import kernel
from models.recommend.heads import CLICK, HEADS, HIDE_HEAD, learn_outcome, remember, remembered
from models.recommend.showings import (
    BANNED,
    CHOSEN,
    COMPLETED,
    HID,
    LIKED,
    NOTHING,
    RING,
    SHORT,
    is_certain,
    note_signal,
)
from models.recommend.sources import OUTCOMES

LESSONS = 5
"""Items of one lesson at most, the chosen one first."""


@kernel()
def take_signals(passes, counts, heads, events, was_taught, signals, first, b):  # type: ignore[no-untyped-def]
    """Take the choice of learned event ``b - 1``, and the signals from number ``first`` on that came before ``b``.

    ``was_taught``: whether the heads had a lesson of event ``b - 1`` itself, which knew its outcome. Gives the next
    signal's number.
    """
    is_choice = b > 0
    while is_choice or (first < len(signals.user) and signals.before[first] <= b):
        if is_choice:
            user, item, at_ms, kind = events.user[b - 1], events.item[b - 1], events.at_ms[b - 1], np.uint8(CHOSEN)
            surface, position, outcome = events.surface[b - 1], events.position[b - 1], events.outcome[b - 1]
        else:
            user, item, at_ms = signals.user[first], signals.item[first], signals.at_ms[first]
            kind, surface = signals.kind[first], signals.surface[first]
            position, outcome = signals.position[first], signals.outcome[first]
            first += 1
        if outcome & (COMPLETED | LIKED | HID) and not (is_choice and was_taught):
            at = remembered(heads, user, item)
            for bit in range(OUTCOMES if at >= 0 else 0):
                if outcome >> bit & 1:
                    learn_outcome(heads, 1 + bit, heads.inputs[at], heads.hidden[at], True)
        note_signal(passes, counts, user, item, at_ms, kind, outcome, surface, position, True)
        is_choice = False
    return first


@kernel()
def lessons_of(passes, marks, candidate, user, item, now_ms, rows, places):  # type: ignore[no-untyped-def]
    """Fill ``rows`` with the item and with what its user passed over and no head has learned from, newest first.

    Args:
      marks: what each item is, [N]; only those that are ``candidate`` are taken, but for the item.
      rows, places: int32 [LESSONS]; ``places``: where each stands in the user's ring, -1 for the item.

    Returns:
      How many there are.
    """
    rows[0], places[0], count = item, -1, 1
    ring = passes.ring[user]
    if ring == 0:
        return count
    for back in range(1, min(RING, passes.turn[ring]) + 1):
        at = (passes.turn[ring] - back) % RING
        row = passes.item[ring, at]
        if count == LESSONS:
            break
        is_new = passes.status[ring, at] != NOTHING and not passes.taught[ring, at]
        if is_new and row != item and marks[row] == candidate and is_certain(passes, ring, at, now_ms):
            rows[count], places[count] = row, at
            count += 1
    return count


@kernel()
def teach(counts, heads, passes, user, rows, places, first, lessons, outcome, stage):  # type: ignore[no-untyped-def]
    """Let the heads learn from ``lessons`` items of `lessons_of`, which stand from ``first`` on in ``rows``.

    Args:
      outcome: bits of the choice, see `showings.COMPLETED`. stage: as `rank_again` left it for ``rows``.
    """
    ring, trials = passes.ring[user], counts.trials
    for k in range(lessons):
        x, at = first + k, places[k]
        chosen = at < 0
        told = outcome if chosen else 0
        for head in range(HEADS):
            if head == CLICK:
                happened, is_known = chosen and outcome & SHORT == 0, trials[1] > 0
            elif head == HIDE_HEAD:
                happened, is_known = not chosen and passes.status[ring, at] == BANNED, trials[1 + head] > 0
            else:
                happened = told >> (head - 1) & 1 == 1
                is_known = chosen and (happened or trials[1 + head] > 0)
            if is_known:
                learn_outcome(heads, head, stage.inputs[x], stage.hidden[x], happened)
        if chosen:
            remember(heads, user, rows[x], stage.inputs[x], stage.hidden[x])
        else:
            passes.taught[ring, at] = True
