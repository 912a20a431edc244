"""What ranked lists are like, whether they hit or not: coverage, novelty, distance inside a list, popularity bias."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.evaluate.passage import Passage, learned_at, sightings_at
from models.typing import F32, I32, I64, Bools

LISTS_MOST = 20_000
"""Lists of a ranker that are looked at; of more, every so many-th."""
TAGS_MOST = 1_000
"""Tags that tell items apart, the most frequent ones."""
LISTS_AT_ONCE = 1_000


class ListFigures(NamedTuple):
    """Of one ranker.

    Attributes:
      lists: how many were looked at.
      coverage: share of the items that somebody had by the end that are in one of the lists at least.
      novelty: mean over listed items of -log2(share of all events that were on the item), bits.
      distance: mean over pairs in a list of 1 - cosine of their tags; NaN where the log has no tags.
      popularity_bias: mean popularity of what is listed by that of what was chosen; 1 is none.
    """

    lists: int
    coverage: float
    novelty: float
    distance: float
    popularity_bias: float


def list_figures(passage: Passage, at: I64, tops: I32, tags: F32 | None) -> ListFigures:
    """Figures of the lists of one ranker.

    Args:
      at: place in the passage of each list, int64 [E]. tops: items, -1 where a list is shorter, int32 [E, K].
      tags: unit vectors of the items' tags, zero for an item without, float32 [N, T]; see `tag_vectors`.
    """
    has_list = tops[:, 0] >= 0 if tops.shape[1] else np.zeros(len(tops), np.bool_)
    at, tops = at[has_list], tops[has_list]
    every = -(-len(at) // LISTS_MOST) or 1
    at, tops = at[::every], tops[::every]
    if not len(at):
        return ListFigures(0, *[float("nan")] * 4)
    sightings = sightings_at(passage, tops, at[:, None])
    there = tops >= 0
    total = np.maximum(learned_at(passage, at), 1.0)[:, None]
    share = np.where(there, np.maximum(sightings, 1) / total, 1.0)  # what is listed has been seen
    chosen = passage.sightings[at]
    known = len(np.unique(passage.item[passage.learns]))
    return ListFigures(
        lists=len(at),
        coverage=len(np.unique(tops[there])) / max(1, known),
        novelty=float(-np.log2(share)[there].mean()),
        distance=float("nan") if tags is None else _distance(tops, tags),
        popularity_bias=float(share[there].mean() / max((chosen / total[:, 0]).mean(), 1e-12)),
    )


def tag_vectors(tags: Sequence[Sequence[str]], items: int) -> F32 | None:
    """One unit vector an item, float32 [N, T]; items beyond ``tags`` and those without tags get zeros.

    Returns:
      None when no item has a tag.
    """
    words = [word for of_item in tags for word in dict.fromkeys(of_item)]
    if not words:
        return None
    names, counts = np.unique(np.array(words, dtype=object), return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")[:TAGS_MOST]]
    column = {name: place for place, name in enumerate(kept)}
    vectors = np.zeros((items, len(kept)), np.float32)
    for row, of_item in enumerate(tags):
        for word in of_item:
            if word in column:
                vectors[row, column[word]] = 1.0
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    unit: F32 = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit


def _distance(tops: I32, tags: F32) -> float:
    """Over pairs of listed items that both have tags."""
    apart, pairs = 0.0, 0.0
    has_tags: Bools = np.any(tags != 0, axis=1)
    for first in range(0, len(tops), LISTS_AT_ONCE):
        part = tops[first : first + LISTS_AT_ONCE]
        known = (part >= 0) & has_tags[part]
        vectors = tags[part] * known[..., None]
        count = known.sum(axis=1).astype(np.float64)
        of_list = count * (count - 1)
        alike = (vectors.sum(axis=1).astype(np.float64) ** 2).sum(axis=1) - count
        apart += float((of_list - alike).sum())
        pairs += float(of_list.sum())
    return apart / pairs if pairs else float("nan")
