"""The re-ranker: a small network over the best few of the combiner, learned online.

It sees for each candidate the combiner's features and its score, affinities to the user's history, and the
context, and adds a correction to the combiner's score. Its last layer starts at zero, so it starts as the identity.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.affinity import AFFINITIES, AFFINITY_NAMES
from models.recommend.features import DENSE, DENSE_NAMES, FIRST_PASSED, OWN, SPARSE, SPARSE_NAMES
from models.recommend.feedback import FEEDBACK_NAMES
from models.recommend.likeness import LIKENESS_NAMES, LIKENESSES
from models.typing import F32, F64

HIDDEN = 32
INPUT_NAMES = (
    *DENSE_NAMES, *SPARSE_NAMES, "tower", "linear score", "bias", *AFFINITY_NAMES, *LIKENESS_NAMES, *FEEDBACK_NAMES,
)  # fmt: skip
INPUTS = len(INPUT_NAMES)
AT_SCORE, AT_BIAS, AT_AFFINITY = DENSE + SPARSE + 1, DENSE + SPARSE + 2, DENSE + SPARSE + 3
AT_LIKENESS = AT_AFFINITY + AFFINITIES
AT_FEEDBACK = AT_LIKENESS + LIKENESSES
OF_SHOWINGS = (*range(FIRST_PASSED, OWN), *range(AT_FEEDBACK, INPUTS))
"""Inputs that are all zero in a log of choices alone. The network starts without them, so that such a log is learned as
if they weren't there, and the first skip of a stream moves nothing before it is known what skips say."""
_LIMIT = np.float32(6.0)
"""Standard deviations at which an input is cut off."""
_SLOPE = np.float32(0.01)
_MEMORY = 500.0
"""Requests over which the running mean and variance of the inputs reach back."""


class Reranker(NamedTuple):
    """The learned weights (C inputs of the context).

    Attributes:
      hidden: float32 [INPUTS + C, HIDDEN]. offset: [HIDDEN]. out: [HIDDEN]. linear: [INPUTS].
      squares_hidden, squares_offset, squares_out, squares_linear: Adagrad's sums of squared gradients.
      mean, square: running mean of each input and of its square, over candidates, float64 [INPUTS].
      learned: requests learned from, float64 [1].
    """

    hidden: F32
    offset: F32
    out: F32
    linear: F32
    squares_hidden: F32
    squares_offset: F32
    squares_out: F32
    squares_linear: F32
    mean: F64
    square: F64
    learned: F64


def empty_reranker(contexts: int, *, seed: int) -> Reranker:
    """One that changes no score until it has learned."""
    generator = np.random.default_rng([seed, 1])
    shape = (INPUTS + contexts, HIDDEN)
    first = np.float32(1e-2)
    others = np.setdiff1d(np.arange(INPUTS + contexts), OF_SHOWINGS)
    hidden = np.zeros(shape, np.float32)
    hidden[others] = generator.standard_normal((len(others), HIDDEN)) / np.sqrt(INPUTS - len(OF_SHOWINGS))
    return Reranker(
        hidden,
        np.zeros(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32), np.zeros(INPUTS, np.float32),
        np.full(shape, first), np.full(HIDDEN, first), np.full(HIDDEN, first), np.full(INPUTS, first),
        np.zeros(INPUTS), np.ones(INPUTS), np.zeros(1),
    )  # fmt: skip


@kernel(fastmath=True)
def standardise(reranker, inputs, count):  # type: ignore[no-untyped-def]
    """Bring inputs, float32 [>= count, INPUTS], to zero mean and unit variance by the running figures, in place."""
    mean, scale = np.empty(INPUTS, np.float32), np.empty(INPUTS, np.float32)
    for f in range(INPUTS):
        mean[f] = reranker.mean[f]
        scale[f] = 1.0 / np.sqrt(max(reranker.square[f] - reranker.mean[f] ** 2, 1e-6))
    for x in range(count):
        for f in range(INPUTS):
            inputs[x, f] = min(max((inputs[x, f] - mean[f]) * scale[f], -_LIMIT), _LIMIT)


@kernel()
def note_inputs(reranker, inputs, count):  # type: ignore[no-untyped-def]
    """Take raw inputs of one request into the running mean and variance."""
    rate = max(1.0 / _MEMORY, 1.0 / (1.0 + reranker.learned[0]))
    for f in range(INPUTS):
        total, squares = 0.0, 0.0
        for x in range(count):
            total += inputs[x, f]
            squares += inputs[x, f] * inputs[x, f]
        reranker.mean[f] += rate * (total / count - reranker.mean[f])
        reranker.square[f] += rate * (squares / count - reranker.square[f])
    reranker.learned[0] += 1.0


@kernel(fastmath=True)
def corrections(reranker, inputs, count, context, hidden, out):  # type: ignore[no-untyped-def]
    """What the network adds to each candidate's score.

    Args:
      inputs: standardised, float32 [>= count, INPUTS]. context: float32 [C].
      hidden: float32 [>= count, HIDDEN], filled with the hidden layer. out: float32 [>= count].
    """
    weights, base = reranker.hidden, reranker.offset.copy()
    for c in range(len(context)):
        if context[c] != 0:
            for y in range(HIDDEN):
                base[y] += context[c] * weights[INPUTS + c, y]
    fours = INPUTS // 4 * 4
    for x in range(count):
        line, value = hidden[x], inputs[x]
        for y in range(HIDDEN):
            line[y] = base[y]
        for f in range(0, fours, 4):  # four at a time: a sum that waits for the one before it costs more than the sums
            a, b, c, d = value[f], value[f + 1], value[f + 2], value[f + 3]
            for y in range(HIDDEN):
                line[y] += a * weights[f, y] + b * weights[f + 1, y] + c * weights[f + 2, y] + d * weights[f + 3, y]
        for f in range(fours, INPUTS):
            for y in range(HIDDEN):
                line[y] += value[f] * weights[f, y]
    for x in range(count):
        line, value = hidden[x], inputs[x]
        added = np.float32(0.0)
        for y in range(HIDDEN):
            line[y] = max(line[y], _SLOPE * line[y])
            added += line[y] * reranker.out[y]
        for f in range(INPUTS):
            added += value[f] * reranker.linear[f]
        out[x] = added


@kernel(fastmath=True)
def learn_choice(reranker, inputs, count, context, hidden, scores, target, rate):  # type: ignore[no-untyped-def]
    """One Adagrad step up the log-likelihood of candidate ``target`` under a softmax over ``scores``.

    Args:
      inputs, context, hidden: as `corrections` left them.
      scores: final scores, float32 [>= count]; overwritten.
    """
    top = scores[0]
    for x in range(count):
        top = max(top, scores[x])
    total = np.float32(0.0)
    for x in range(count):
        scores[x] = np.exp(scores[x] - top)
        total += scores[x]
    for x in range(count):
        scores[x] = -scores[x] / total
    scores[target] += np.float32(1.0)

    to_hidden = np.zeros((INPUTS, HIDDEN), np.float32)
    to_offset, to_out = np.zeros(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)
    to_linear, back = np.zeros(INPUTS, np.float32), np.empty(HIDDEN, np.float32)
    for x in range(count):
        g, line = scores[x], hidden[x]
        for y in range(HIDDEN):
            to_out[y] += g * line[y]
            back[y] = g * reranker.out[y] * (np.float32(1.0) if line[y] > 0 else _SLOPE)
            to_offset[y] += back[y]
        for f in range(INPUTS):
            value = inputs[x, f]
            to_linear[f] += g * value
            for y in range(HIDDEN):
                to_hidden[f, y] += value * back[y]
    for f in range(INPUTS):
        reranker.squares_linear[f] += to_linear[f] * to_linear[f]
        reranker.linear[f] += np.float32(0.3) * rate * to_linear[f] / np.sqrt(reranker.squares_linear[f])
        for y in range(HIDDEN):
            g = to_hidden[f, y]
            reranker.squares_hidden[f, y] += g * g
            reranker.hidden[f, y] += rate * g / np.sqrt(reranker.squares_hidden[f, y])
    for c in range(len(context)):
        if context[c] != 0:
            for y in range(HIDDEN):
                g = to_offset[y] * context[c]
                reranker.squares_hidden[INPUTS + c, y] += g * g
                reranker.hidden[INPUTS + c, y] += rate * g / np.sqrt(reranker.squares_hidden[INPUTS + c, y])
    for y in range(HIDDEN):
        reranker.squares_out[y] += to_out[y] * to_out[y]
        reranker.out[y] += rate * to_out[y] / np.sqrt(reranker.squares_out[y])
        reranker.squares_offset[y] += to_offset[y] * to_offset[y]
        reranker.offset[y] += rate * to_offset[y] / np.sqrt(reranker.squares_offset[y])
