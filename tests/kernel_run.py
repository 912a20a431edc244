"""The kernels of counting and ranking, driven without a trainer around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.recommend.combiner import Events, empty_combiner, learn_events
from models.recommend.pools import empty_histories, reserve_appends
from models.recommend.sources import empty_counts, reserved
from models.recommend.windows import append_all
from tests.planted import columns
from tests.slow_counts import Event

SUCCESSORS = 64


class Run:
    """Batch after batch through the kernel alone: no towers, their logits are given."""

    def __init__(self, *, items: int, users: int = 16) -> None:
        self.items = items
        self.histories, self.counts, self.combiner = empty_histories(users), empty_counts(items), empty_combiner(items)
        self.tops = np.zeros((0, 3, 0), np.int32)

    def learn(
        self,
        log: Sequence[Event],
        tower: npt.NDArray[np.floating] | None = None,
        *,
        scored: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
        rate: float = 0.05,
        bias_rate: float = 0.05,
        repeats: bool = False,
        lists: int = 0,
    ) -> npt.NDArray[np.float32]:
        """Rank, learn and count; returns the ranks [events, rankers], keeps the lists in ``tops``."""
        batch = columns(log)
        judged = np.ones(len(log), np.bool_) if scored is None else np.array(scored)
        logits = np.zeros((len(log), self.items), np.float32) if tower is None else tower.astype(np.float32)
        pos, ranks = np.zeros(len(log), np.int32), np.zeros((len(log), 3), np.float32)
        self.histories = reserve_appends(self.histories, batch.user)
        self.counts = reserved(self.counts, len(log), SUCCESSORS)
        append_all(self.histories, batch.user, batch.item, batch.value, batch.at_ms, batch.action, 4096, pos)
        tops = self.tops = np.full((len(log) if lists else 0, 3, lists), -1, np.int32)
        events = Events(*batch, scored=judged, pos=pos)
        learn_events(
            events, self.histories, self.counts, self.combiner, logits[judged], self.items, SUCCESSORS,
            np.float32(rate), np.float32(bias_rate), True, repeats, ranks, tops,
        )  # fmt: skip
        return ranks

    def count(self, log: Sequence[Event]) -> None:
        """Count the events and rank none."""
        self.learn(log, scored=np.zeros(len(log), np.bool_))
