"""The kernels of counting and ranking, driven without a trainer around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.recommend.combiner import CONTEXTS, empty_combiner
from models.recommend.heads import HeadConfig, empty_heads
from models.recommend.labels import ItemLabels, empty_labels
from models.recommend.pools import empty_histories, reserve_appends
from models.recommend.rerank import empty_reranker
from models.recommend.showings import Signals, empty_passes, no_signals, with_rings
from models.recommend.sources import empty_counts, reserved
from models.recommend.strict import Events, Rates, learn_events
from models.recommend.windows import append_all
from tests.planted import RATES, columns
from tests.slow_counts import Event

SUCCESSORS = RATES.most
WINDOW_MS = 600_000
"""How long a showing stays open."""


class Run:
    """Batch after batch through the kernel alone: no towers, their logits and vectors are given."""

    def __init__(
        self, *, items: int, users: int = 16, labels: ItemLabels | None = None,
        vectors: npt.NDArray[np.floating] | None = None,
    ) -> None:  # fmt: skip
        self.items = items
        self.vectors = np.zeros((0, 9), np.float32) if vectors is None else vectors.astype(np.float32)
        self.labels = labels or empty_labels(items)
        self.histories, self.counts, self.combiner = empty_histories(users), empty_counts(items), empty_combiner(items)
        self.reranker, self.heads = empty_reranker(CONTEXTS, seed=0), empty_heads(HeadConfig())
        self.passes = empty_passes(users, window_ms=WINDOW_MS)
        self.tops, self.scores = np.zeros((0, 3, 0), np.int32), np.zeros((0, 0), np.float32)

    def learn(
        self,
        log: Sequence[Event],
        tower: npt.NDArray[np.floating] | None = None,
        *,
        scored: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
        rates: Rates = RATES,
        repeats: bool = False,
        lists: int = 0,
        signals: Signals | None = None,
        outcome: npt.NDArray[np.uint8] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Rank, learn and count; returns the ranks [events, rankers], keeps lists and their scores."""
        batch = columns(log)
        if outcome is not None:
            batch = batch._replace(outcome=outcome)
        judged = np.ones(len(log), np.bool_) if scored is None else np.array(scored)
        logits = np.zeros((len(log), self.items), np.float32) if tower is None else tower.astype(np.float32)
        pos, ranks = np.zeros(len(log), np.int32), np.zeros((len(log), 3), np.float32)
        self.histories = reserve_appends(self.histories, batch.user)
        self.counts = reserved(self.counts, len(log), rates.most)
        append_all(self.histories, batch.user, batch.item, batch.value, batch.at_ms, batch.action, 4096, pos)
        tops = self.tops = np.full((len(log) if lists else 0, 3, lists), -1, np.int32)
        scores = self.scores = np.full((len(tops), lists), -np.inf, np.float32)
        signals = signals or no_signals()
        self.passes = with_rings(self.passes, signals.user)
        learn_events(
            Events(*batch, scored=judged, pos=pos), signals, self.histories, self.passes, self.counts, self.labels,
            self.combiner, self.reranker, self.heads, logits[judged], self.vectors, self.items, rates, True,
            repeats, ranks, tops, scores,
        )  # fmt: skip
        return ranks

    def count(self, log: Sequence[Event]) -> None:
        """Count the events and rank none."""
        self.learn(log, scored=np.zeros(len(log), np.bool_))

    def sparse_table(self, pool: str, weight: str = "weight") -> npt.NDArray[np.float64]:
        """One weight of a pool of the counts as a full table, [items, items]."""
        rows, table = getattr(self.counts, pool), np.zeros((self.items, self.items))
        for r in range(self.items):
            for k in range(rows.start[r], rows.start[r] + rows.length[r]):
                table[r, rows.key[k]] += getattr(rows, weight)[k]
        return table
