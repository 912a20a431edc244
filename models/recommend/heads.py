"""Heads beside the re-ranker's: how likely this user clicks, completes, likes or hides this item, learned online.

Each is a logistic model over the re-ranker's standardised inputs and its hidden layer, which they read and do not
move: what ranks is learned from choices alone, and a head can do no harm before it is given a weight. A weight adds
that multiple of the head's log-odds to the final score; that of `hide` is taken off.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.errors import ConfigError
from models.recommend.rerank import HIDDEN, INPUTS
from models.typing import F32, I32, I64

HEAD_NAMES = ("click", "complete", "like", "hide")
CLICK, HIDE_HEAD = 0, 3
"""Heads 1 to 3 are of the outcomes of `models.recommend.sources`, in their order."""
HEADS = len(HEAD_NAMES)
WIDTH = INPUTS + HIDDEN + 1
REMEMBERED = 4_096
"""Choices remembered until it is known what came of them."""
_RATE = np.float32(0.05)
_FIRST_ODDS = np.float32(-2.0)
"""Log-odds that every head starts with."""
_FIRST_SQUARES = np.float32(1e-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """What each head's log-odds weigh in the final score; all 0 leaves it to choices alone.

    Attributes:
      click, complete, like: >= 0, added. hide: >= 0, taken off.
    """

    click: float = 0.0
    complete: float = 0.0
    like: float = 0.0
    hide: float = 0.0

    def __post_init__(self) -> None:
        for name in HEAD_NAMES:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"{name} must be a number >= 0, got {value}; 0 leaves the head out")


class Heads(NamedTuple):
    """The learned weights.

    Attributes:
      weights: float32 [HEADS, WIDTH]: of the inputs, of the hidden layer, and the offset. squares: Adagrad's sums.
      share: what each adds to the final score, negative where it is taken off, float32 [HEADS]; configuration.
      user, item: of the choices remembered, so that what comes of them later can be learned from what was known at the
        choice, int32 [M]. inputs, hidden: that, float32 [M, INPUTS] and [M, HIDDEN].
      turn: choices ever remembered, int64 [1].
    """

    weights: F32
    squares: F32
    share: F32
    user: I32
    item: I32
    inputs: F32
    hidden: F32
    turn: I64


def empty_heads(config: HeadConfig) -> Heads:
    """Heads that know nothing."""
    weights = np.zeros((HEADS, WIDTH), np.float32)
    weights[:, -1] = _FIRST_ODDS
    return Heads(
        weights, np.full((HEADS, WIDTH), _FIRST_SQUARES), share_of(config),
        np.zeros(REMEMBERED, np.int32), np.zeros(REMEMBERED, np.int32), np.zeros((REMEMBERED, INPUTS), np.float32),
        np.zeros((REMEMBERED, HIDDEN), np.float32), np.zeros(1, np.int64),
    )  # fmt: skip


def share_of(config: HeadConfig) -> F32:
    """`Heads.share` of a configuration."""
    return np.array([config.click, config.complete, config.like, -config.hide], np.float32)


@kernel()
def log_odds(heads, head, inputs, hidden):  # type: ignore[no-untyped-def]
    """Of one candidate by one head: ``inputs`` float32 [INPUTS], standardised; ``hidden`` [HIDDEN]."""
    weights = heads.weights[head]
    total = weights[WIDTH - 1]
    for f in range(INPUTS):
        total += weights[f] * inputs[f]
    for y in range(HIDDEN):
        total += weights[INPUTS + y] * hidden[y]
    return total


@kernel()
def add_heads(heads, inputs, hidden, count, final):  # type: ignore[no-untyped-def]
    """Add the weighted log-odds to ``final``, float32 [>= count]; heads without weight cost nothing."""
    for head in range(HEADS):
        if heads.share[head] != 0:
            for x in range(count):
                final[x] += heads.share[head] * log_odds(heads, head, inputs[x], hidden[x])


@kernel()
def learn_outcome(heads, head, inputs, hidden, outcome):  # type: ignore[no-untyped-def]
    """One Adagrad step up the log-likelihood of ``outcome``, 0 or 1, of one candidate."""
    odds = min(max(log_odds(heads, head, inputs, hidden), np.float32(-30.0)), np.float32(30.0))
    error = np.float32(outcome) - np.float32(1.0) / (np.float32(1.0) + np.exp(-odds))
    weights, squares = heads.weights[head], heads.squares[head]
    for f in range(WIDTH):
        if f < INPUTS:
            g = error * inputs[f]
        elif f < INPUTS + HIDDEN:
            g = error * hidden[f - INPUTS]
        else:
            g = error
        squares[f] += g * g
        weights[f] += _RATE * g / np.sqrt(squares[f])


@kernel()
def remember(heads, user, item, inputs, hidden):  # type: ignore[no-untyped-def]
    """Keep what was known of a choice; the oldest makes room."""
    at = heads.turn[0] % REMEMBERED
    heads.turn[0] += 1
    heads.user[at], heads.item[at] = user, item
    heads.inputs[at], heads.hidden[at] = inputs, hidden


@kernel()
def remembered(heads, user, item):  # type: ignore[no-untyped-def]
    """Where the user's newest remembered choice of the item stands, -1 where there is none."""
    found, newest = -1, np.int64(-1)
    for at in range(min(REMEMBERED, heads.turn[0])):
        if heads.user[at] == user and heads.item[at] == item:
            age = (heads.turn[0] - 1 - at) % REMEMBERED
            if found < 0 or age < newest:
                found, newest = at, age
    return found
