"""How well tracks follow the truth: the CLEAR MOT counts and the F1 of identities, of one clip.

The package `motmetrics` counts the same, but its newest release does not run with NumPy 2.

References:
  Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics, 2008; Ristani et
  al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.typing import F64, I64
from models.vision.assignment import assign, assign_within
from models.vision.boxes import overlaps


class Told(NamedTuple):
    """Boxes with identities, a row a box.

    Attributes:
      frame: int64 [B], in any order. ids: int64 [B], once a frame. boxes: float64 [B, 4].
    """

    frame: I64
    ids: I64
    boxes: F64


class Figures(NamedTuple):
    """Counts of a clip; those of several are added by `total`.

    Attributes:
      truths, told: boxes of the truth and of the tracker. misses, false_alarms: of each without the other.
      switches: matches of a true identity to another track than its last one.
      kept: true boxes under the one track that stands for their identity, in the best pairing of both.
    """

    truths: int
    told: int
    misses: int
    false_alarms: int
    switches: int
    kept: int

    @property
    def mota(self) -> float:
        """1 minus all errors over true boxes; 1 at best, below 0 at worst, and 0 of nothing."""
        return 1 - (self.misses + self.false_alarms + self.switches) / self.truths if self.truths else 0.0

    @property
    def idf1(self) -> float:
        """F1 of identities, 0..1."""
        return 2 * self.kept / (self.truths + self.told) if self.truths + self.told else 0.0


def judge(truth: Told, told: Told, *, least_overlap: float = 0.5) -> Figures:
    """The figures of a clip.

    Args:
      least_overlap: intersection over union from which a box is found.
    """
    last: dict[int, int] = {}  # the track that each true identity had last
    misses = false_alarms = switches = 0
    true_ids, true_codes = np.unique(truth.ids, return_inverse=True)
    told_ids, told_codes = np.unique(told.ids, return_inverse=True)
    together = np.zeros((len(true_ids), len(told_ids)))
    for frame in np.union1d(truth.frame, told.frame):
        mine, theirs = np.flatnonzero(truth.frame == frame), np.flatnonzero(told.frame == frame)
        shared = overlaps(truth.boxes[mine], told.boxes[theirs])
        rows, columns = np.nonzero(shared >= least_overlap)
        together[true_codes[mine[rows]], told_codes[theirs[columns]]] += 1
        partner = _partners(shared, least_overlap, truth.ids[mine], told.ids[theirs], last)
        for row in np.flatnonzero(partner >= 0):
            identity, track = int(truth.ids[mine[row]]), int(told.ids[theirs[partner[row]]])
            switches += last.get(identity, track) != track
            last[identity] = track
        found = int((partner >= 0).sum())
        misses += len(mine) - found
        false_alarms += len(theirs) - found
    pairs = assign(-together)
    rows = np.flatnonzero(pairs >= 0)
    kept = int(together[rows, pairs[rows]].sum())
    return Figures(len(truth.ids), len(told.ids), misses, false_alarms, switches, kept)


def total(figures: Sequence[Figures]) -> Figures:
    """The figures of several clips together."""
    return Figures(*(sum(column) for column in zip(*figures, strict=True)))


def _partners(shared: F64, least_overlap: float, true_ids: I64, told_ids: I64, last: dict[int, int]) -> I64:
    """Column of each true box, -1 where missed: its last track's while both overlap, else the best that is left."""
    partner = np.full(len(true_ids), -1, np.int64)
    for row, identity in enumerate(true_ids.tolist()):
        same = np.flatnonzero(told_ids == last.get(identity, -1)) if identity in last else np.zeros(0, np.int64)
        if len(same) and shared[row, same[0]] >= least_overlap and same[0] not in partner:
            partner[row] = same[0]
    rows = np.flatnonzero(partner < 0)
    columns = np.setdiff1d(np.arange(len(told_ids)), partner)
    picked = assign_within(1 - shared[np.ix_(rows, columns)], 1 - least_overlap)
    partner[rows[picked >= 0]] = columns[picked[picked >= 0]]
    return partner
