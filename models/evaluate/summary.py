"""From the ranks of every scored event to all figures of an evaluation, by any number of rankers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.evaluate.estimates import RESAMPLES, Means, grouped_means
from models.evaluate.lists import ListFigures, list_figures
from models.evaluate.passage import Passage
from models.evaluate.segments import Segments, curve_of, segments_of
from models.recommend.metrics import TOP, ndcg
from models.typing import F32, F64, I32, I64


class Records(NamedTuple):
    """One row for each scored event (E), in playing order.

    Attributes:
      at: its place in the passage, int64 [E]. rankers: names of the R rankers, the model's first.
      ranks: float32 [E, R]; inf is a miss that could not be ranked. tops: items of the lists, int32 [E, R, K].
    """

    at: I64
    rankers: tuple[str, ...]
    ranks: F32
    tops: I32


class Summary(NamedTuple):
    """Figures of one evaluation; the K = 2 R columns of all `Means` are HR@10 of each ranker, then NDCG@10 of each.

    Attributes:
      rankers: the model first. overall: one group. segments: each way to tell events apart, with its means.
      curve: groups of equally many events, in playing order. curve_at: place in the passage where each ends, int64.
      lists: of each ranker.
    """

    rankers: tuple[str, ...]
    overall: Means
    segments: tuple[tuple[Segments, Means], ...]
    curve: Means
    curve_at: I64
    lists: tuple[ListFigures, ...]

    @property
    def best(self) -> int:
        """The baseline with the highest HR@10, as its place among the rankers; the model when it is alone."""
        hr = self.overall.mean[0, 1 : len(self.rankers)]
        return 1 + int(np.argmax(np.nan_to_num(hr))) if len(hr) else 0


def values_of(ranks: F32) -> F64:
    """What is averaged: whether each rank is in the top 10, then its discounted gain; float64 [E, 2 R]."""
    hits = ranks <= TOP
    return np.concatenate([hits.astype(np.float64), ndcg(ranks).astype(np.float64)], axis=1)


def summarise(
    records: Records,
    passage: Passage,
    *,
    surface: I32,
    surfaces: Sequence[str],
    tags: F32 | None,
    seed: int,
    resamples: int = RESAMPLES,
) -> Summary:
    """All figures over the scored events.

    Args:
      surface: code of each event's surface into ``surfaces``, int32 [E]. tags: see `list_figures`.
      seed, resamples: of the resampling by users.
    """
    segments = segments_of(passage, records.at, surface, surfaces)
    curve = curve_of(records.at)
    everything = np.zeros(len(records.at), np.int32)
    groups = [(everything, 1), (curve.group, len(curve.labels)), *((one.group, len(one.labels)) for one in segments)]
    overall, along, *apart = grouped_means(
        passage.user[records.at], groups, values_of(records.ranks), seed=seed, resamples=resamples
    )
    ends = np.cumsum(along.events) - 1
    return Summary(
        rankers=records.rankers,
        overall=overall,
        segments=tuple(zip(segments, apart, strict=True)),
        curve=along,
        curve_at=records.at[ends] if len(records.at) else np.zeros(0, np.int64),
        lists=tuple(
            list_figures(passage, records.at, records.tops[:, ranker], tags) for ranker in range(len(records.rankers))
        ),
    )
