"""What the trainer's state says of every item for one user, at one moment: both stages as arrays over the catalogue.

Features come from the trainer's kernels, whose own tests hold them to slow versions; both scores are NumPy in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.recommend import tower_part
from models.recommend.affinity import affinities, tag_scratch
from models.recommend.combiner import CONTEXTS, SPARSE_GAIN, context_of, weights_of
from models.recommend.features import (
    DENSE,
    HOTNESS,
    LEARNED,
    LEVEL,
    OWN,
    SPARSE,
    SPARSE_ROWS,
    dense_features,
    sparse_values,
    surface_popularity,
)
from models.recommend.feedback import feedback
from models.recommend.likeness import likenesses
from models.recommend.rerank import AT_AFFINITY, AT_FEEDBACK, AT_LIKENESS, HIDDEN, INPUTS, Reranker
from models.recommend.state import ModelConfig, State


class Scored(NamedTuple):
    """By item row: scores of the two stages (NaN: not ranked twice), and what may be ranked at all."""

    linear: npt.NDArray[np.float64]
    final: npt.NDArray[np.float64]
    allowed: npt.NDArray[np.bool_]


def scored(
    state: State, config: ModelConfig, user_id: str, now_ms: int, *, surface: str | None = None, repeats: bool = False
) -> Scored:
    """Every item for one user by what the trainer has learned up to now."""
    n, user, code = state.items.used, state.users.row(user_id), state.surfaces.get(surface or "", 0)
    h, pos = state.histories, int(state.histories.length[user])
    history = h.item[h.start[user] : h.start[user] + pos]
    times = h.at_ms[h.start[user] : h.start[user] + pos]
    gap_ms = max(0, now_ms - int(times[-1])) if pos else -1

    dense = np.zeros((DENSE, n), np.float32)
    dense_features(state.counts, n, now_ms, dense)
    surface_popularity(state.counts, n, code, dense[OWN])
    raw, touched = np.zeros((SPARSE_ROWS, n), np.float32), np.zeros(n + 1, np.int32)
    sparse_values(state.counts, history, times, pos, now_ms, repeats, False, raw, touched, np.zeros(n, np.bool_))
    sparse = np.log1p(np.float64(SPARSE_GAIN) * raw[:SPARSE])
    part = tower_part.tower_logits(
        state, np.array([user], np.int32), np.array([now_ms]), np.array([pos], np.int32), config
    )
    logits = part.of_users[0]
    bias = state.combiner.bias[:n].astype(float)
    features = np.concatenate([dense, sparse, logits[None]]).astype(float)
    linear = weights_of(state.combiner, pos, gap_ms).astype(float) @ features + bias
    linear += raw[LEARNED] + state.combiner.surface_bias[code, :n]

    allowed = state.counts.seen[:n] > 0
    if not repeats:
        allowed[history] = False
    rows = np.flatnonzero(allowed)
    rows = rows[np.argsort(-linear[rows], kind="stable")][: config.candidates].astype(np.int32)
    inputs = np.zeros((len(rows), INPUTS), np.float32)
    inputs[:, :AT_AFFINITY] = np.concatenate([features, linear[None], bias[None]])[:, rows].T
    affinities(
        state.counts, state.labels, dense[LEVEL], dense[HOTNESS], history, times, pos, rows, len(rows), tag_scratch(),
        inputs[:, AT_AFFINITY:],
    )  # fmt: skip
    likenesses(part.vectors, history, pos, rows, len(rows), inputs[:, AT_LIKENESS:])
    feedback(
        state.passes, state.counts, state.labels, user, now_ms, rows, len(rows), len(rows), tag_scratch(),
        inputs[:, AT_FEEDBACK:],
    )  # fmt: skip
    context = np.zeros(CONTEXTS, np.float32)
    context_of(pos, gap_ms, context)
    final = np.full(n, np.nan)
    standard = _standard(state.reranker, inputs.astype(float))
    hidden = _hidden(state.reranker, standard, context.astype(float))
    final[rows] = linear[rows] + hidden @ state.reranker.out + standard @ state.reranker.linear
    of_heads = np.concatenate([standard, hidden, np.ones((len(rows), 1))], axis=1) @ state.heads.weights.T
    final[rows] += of_heads @ state.heads.share
    return Scored(linear, final, allowed)


def _standard(reranker: Reranker, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    deviation = np.sqrt(np.maximum(reranker.square - reranker.mean**2, 1e-6))
    standard: npt.NDArray[np.float64] = np.clip((inputs - reranker.mean) / deviation, -6.0, 6.0)
    return standard


def _hidden(
    reranker: Reranker, standard: npt.NDArray[np.float64], context: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    whole = np.concatenate([standard, np.tile(context, (len(standard), 1))], axis=1)
    hidden = whole @ reranker.hidden.astype(float) + reranker.offset
    assert hidden.shape[1] == HIDDEN
    found: npt.NDArray[np.float64] = np.where(hidden > 0, hidden, 0.01 * hidden)
    return found
