"""Windows over user histories: what the towers read, and which of them a step learns from.

A window of L places is right-aligned: the newest event stands in the last place and padding (row 0) in
front. A query reads the L events before its moment; a training window holds L targets, each with the
event before it as input, so that one window gives L predictions.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.pools import Histories, append
from models.typing import F32, I32, I64

VALUE_BUCKETS = 12
GAP_BUCKETS = 26
ACTIONS = 16


class Windows(NamedTuple):
    """Inputs of the user tower, [W, L] each, int32.

    Attributes:
      item: item rows, 0 is padding. value: bucket of the value (0: none). action: code.
      gap: bucket of the time from this event to the next (to the moment of asking for the newest).
    """

    item: I32
    value: I32
    action: I32
    gap: I32


def empty_windows(count: int, length: int) -> Windows:
    """``count`` windows of padding."""
    return Windows(*(np.zeros((count, length), np.int32) for _ in range(4)))


@kernel()
def value_bucket(value):  # type: ignore[no-untyped-def]
    """0 for none, else 1 + the whole part of the value between 0 and 10."""
    return 0 if np.isnan(value) else 1 + int(min(max(value, 0.0), 10.0))


@kernel()
def gap_bucket(gap_ms):  # type: ignore[no-untyped-def]
    """1 + floor(log2(seconds + 1)), at most 25; 0 stands for no event at all."""
    return 1 + min(24, int(np.log2(max(gap_ms, 0) / 1000.0 + 1.0)))


@kernel()
def _fill(windows, w, histories, user, first, last, end_ms):  # type: ignore[no-untyped-def]
    h, length = histories, windows.item.shape[1]
    start = h.start[user]
    for place in range(first, last):
        at = length - (last - place)
        k = start + place
        following = h.at_ms[k + 1] if place + 1 < last else end_ms
        windows.item[w, at] = h.item[k]
        windows.value[w, at] = value_bucket(h.value[k])
        windows.action[w, at] = h.action[k] % ACTIONS
        windows.gap[w, at] = gap_bucket(following - h.at_ms[k])


@kernel()
def query_windows(histories, users, pos, at_ms, windows):  # type: ignore[no-untyped-def]
    """Fill ``windows`` with what each user did before place ``pos``, asked at ``at_ms``."""
    length = windows.item.shape[1]
    for w in range(len(users)):
        _fill(windows, w, histories, users[w], max(0, pos[w] - length), pos[w], at_ms[w])


@kernel()
def training_windows(histories, users, ends, windows, targets):  # type: ignore[no-untyped-def]
    """Fill ``windows`` and ``targets`` [W, L] so that the last target is place ``ends`` of the history."""
    length = windows.item.shape[1]
    for w in range(len(users)):
        user, end = users[w], ends[w]
        start = histories.start[user]
        first = max(0, end - length)
        _fill(windows, w, histories, user, first, end, histories.at_ms[start + end])
        for place in range(max(0, end + 1 - length), end + 1):
            targets[w, length - 1 - (end - place)] = histories.item[start + place]


@kernel()
def append_all(histories, user, item, value, at_ms, action, most, pos):  # type: ignore[no-untyped-def]
    """Append a batch of events in order and note each one's place in ``pos``."""
    for b in range(len(user)):
        pos[b] = append(histories, user[b], item[b], value[b], at_ms[b], action[b], most)


def choose_training(
    users: I32, pos: I32, recent_users: I32, lengths: I32, *, count: int, replayed: int, generator: np.random.Generator
) -> tuple[I32, I32]:
    """Which windows a step learns from: some that end at new events, the rest replay of the stream's past.

    Args:
      users, pos: the batch's learned events, in order.
      recent_users: user rows of past events, one an event (a ring): uniform over it is uniform over events.
      lengths: history length of each user row, after the batch.
      count: windows of a step. replayed: at least so many of them are replay.

    Returns:
      (user rows, places that the windows end at), int32 [count]; both orders seeded by ``generator``.
    """
    new = generator.permutation(len(users))[: count - replayed]
    missing = count - len(new)
    past = recent_users[generator.integers(0, max(len(recent_users), 1), missing)] if len(recent_users) else users[:0]
    past = past[lengths[past] > 0]
    places = (generator.random(len(past)) * lengths[past]).astype(np.int32)
    return np.concatenate([users[new], past]).astype(np.int32), np.concatenate([pos[new], places]).astype(np.int32)


__all__ = [
    "ACTIONS",
    "F32",
    "GAP_BUCKETS",
    "I64",
    "VALUE_BUCKETS",
    "Histories",
    "Windows",
    "append_all",
    "choose_training",
    "empty_windows",
    "gap_bucket",
    "query_windows",
    "training_windows",
    "value_bucket",
]  # fmt: skip
