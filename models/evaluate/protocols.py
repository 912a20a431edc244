"""Which events are learned, and which are judged before or instead: the protocols, as passages of one log."""

import numpy as np

from models.evaluate.passage import Passage, passage_of
from models.typing import I32, I64, Bools

WARM_UP = 0.1
"""Share of the log's events that are learned before any is judged."""
TRAINED = 0.9
"""Share of the log's events before the split in time."""


def prequential(user: I32, item: I32, at_ms: I64, is_choice: Bools) -> Passage:
    """Every choice is judged, then learned, in order; the first tenth of the events only learned.

    Args:
      user, item: int32 [E]. at_ms: int64 [E], never decreasing.
      is_choice: whether the event says that the user chose the item; the others do not count, but for the warm-up.
    """
    return _successive(user, item, at_ms, is_choice, first=int(len(user) * WARM_UP))


def successive(user: I32, item: I32, at_ms: I64, is_choice: Bools) -> Passage:
    """`prequential`, judged only after the split in time: what a system that goes on learning would have done."""
    return _successive(user, item, at_ms, is_choice, first=_split(at_ms))


def frozen(user: I32, item: I32, at_ms: I64, is_choice: Bools) -> Passage:
    """Learned up to the split in time and judged after it on that one state: a model that is never refitted.

    Only the first of several equal choices of a user after the split is judged.
    """
    place = np.flatnonzero(is_choice)
    is_later = place >= _split(at_ms)
    pair = user[place].astype(np.int64) * (int(item.max(initial=0)) + 1) + item[place]
    _, first_of_pair = np.unique(np.where(is_later, pair, -1 - np.arange(len(pair))), return_index=True)
    is_first = np.zeros(len(place), np.bool_)
    is_first[first_of_pair] = True
    return passage_of(user, item, at_ms, place=place, learns=~is_later, judged=is_later & is_first)


def leave_one_out(user: I32, item: I32, at_ms: I64, is_choice: Bools) -> Passage:
    """Each user's last choice is judged after all others were learned; users with one choice are only learned."""
    place = np.flatnonzero(is_choice)
    who = user[place]
    backwards = len(who) - 1 - np.unique(who[::-1], return_index=True)[1]
    is_target = np.zeros(len(who), np.bool_)
    is_target[backwards] = np.bincount(who)[who[backwards]] > 1
    order = np.concatenate([np.flatnonzero(~is_target), np.flatnonzero(is_target)])
    return passage_of(
        user, item, at_ms, place=place[order], learns=~is_target[order], judged=is_target[order]
    )  # fmt: skip


def _split(at_ms: I64) -> int:
    """The first event after the split; events of one moment stay together, after it."""
    at = int(len(at_ms) * TRAINED)
    return int(np.searchsorted(at_ms, at_ms[at], side="left")) if at < len(at_ms) else at


def _successive(user: I32, item: I32, at_ms: I64, is_choice: Bools, *, first: int) -> Passage:
    place = np.flatnonzero(is_choice)
    return passage_of(
        user, item, at_ms, place=place, learns=np.ones(len(place), np.bool_), judged=place >= first
    )  # fmt: skip
