"""The second stage of ranking: the best few of the linear stage, scored again by the re-ranker.

One kernel for the trainer, which then learns from what it saw, and for the recommender, so that both rank alike.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.affinity import TagScratch, affinities, tag_scratch
from models.recommend.combiner import CONTEXTS, TOWER, context_of
from models.recommend.features import DENSE, HOTNESS, LEVEL, OWN, SPARSE
from models.recommend.feedback import feedback
from models.recommend.heads import add_heads
from models.recommend.likeness import likenesses
from models.recommend.rerank import (
    AT_AFFINITY,
    AT_BIAS,
    AT_FEEDBACK,
    AT_LIKENESS,
    AT_SCORE,
    HIDDEN,
    INPUTS,
    corrections,
    standardise,
)
from models.typing import F32


class Stage(NamedTuple):
    """Work arrays for C candidates; one a thread. What `rank_again` leaves in them is there until its next call.

    Attributes:
      raw, inputs: as they are and standardised, float32 [C, INPUTS]. hidden: float32 [C, HIDDEN].
      final: scores after the second stage, float32 [C]. blended: with what the heads add, float32 [C].
      context: float32 [CONTEXTS]. tags: see `TagScratch`.
    """

    raw: F32
    inputs: F32
    hidden: F32
    final: F32
    blended: F32
    context: F32
    tags: TagScratch


@kernel()
def stage_for(most):  # type: ignore[no-untyped-def]
    """Work arrays for at most ``most`` candidates."""
    return Stage(
        np.empty((most, INPUTS), np.float32),
        np.empty((most, INPUTS), np.float32),
        np.empty((most, HIDDEN), np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(CONTEXTS, np.float32),
        tag_scratch(),
    )


@kernel()
def fill_inputs(own, surface, sparse, logits, score, bias, rows, count, out):  # type: ignore[no-untyped-def]
    """The combiner's features, score and bias of the candidates, raw, into float32 [>= count, INPUTS].

    Args:
      own: features of each item alone, [>= OWN, N]. surface: popularity on the request's surface, [N].
      sparse: as features, [>= SPARSE, N]. logits, score, bias: the tower's, the linear stage's, the combiner's, [N].
    """
    for x in range(count):
        row = rows[x]
        for f in range(OWN):
            out[x, f] = own[f, row]
        out[x, OWN] = surface[row]
        for s in range(SPARSE):
            out[x, DENSE + s] = sparse[s, row]
        out[x, TOWER] = logits[row]
        out[x, AT_SCORE] = score[row]
        out[x, AT_BIAS] = bias[row]


@kernel()
def rank_again(  # type: ignore[no-untyped-def]
    counts, labels, reranker, heads, passes, own, surface, sparse, logits, score, bias, vectors, user, now_ms, history,
    times, pos, gap_ms, rows, count, lessons, stage,
):  # fmt: skip
    """Fill ``stage.final`` and ``stage.blended`` with the final scores of the candidates.

    The former is the linear stage's with the re-ranker's correction, which learns; the latter, with what the heads add,
    is what orders.

    Args:
      heads: `Heads`. passes: `Passes`. own ... bias: see `fill_inputs`.
      vectors: see `likenesses`. user: row. now_ms: event time.
      history, times: of the user, oldest first; the first ``pos`` count. gap_ms: since the last of them; -1: none.
      rows: candidates, of which the first ``count`` are ranked. lessons: see `feedback`.
    """
    context_of(pos, gap_ms, stage.context)
    fill_inputs(own, surface, sparse, logits, score, bias, rows, count, stage.raw)
    affinities(
        counts, labels, own[LEVEL], own[HOTNESS], history, times, pos, rows, count, stage.tags,
        stage.raw[:, AT_AFFINITY:],
    )  # fmt: skip
    likenesses(vectors, history, pos, rows, count, stage.raw[:, AT_LIKENESS:])
    feedback(passes, counts, labels, user, now_ms, rows, count, lessons, stage.tags, stage.raw[:, AT_FEEDBACK:])
    stage.inputs[:count] = stage.raw[:count]
    standardise(reranker, stage.inputs, count)
    corrections(reranker, stage.inputs, count, stage.context, stage.hidden, stage.final)
    for x in range(count):
        stage.final[x] += score[rows[x]]
        stage.blended[x] = stage.final[x]
    add_heads(heads, stage.inputs, stage.hidden, count, stage.blended)
