"""Two configurations judged on the very same events, and the paired difference between them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from models.evaluate.estimates import Difference
from models.evaluate.summary import Records, Summary, summarise
from streams.errors import EvaluationError
from streams.replay.evaluation import Asked, Evaluation
from streams.replay.logs import EventLog
from streams.replay.report import HR, NDCG, difference_to_dict, paired


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two evaluations say together.

    Attributes:
      first, second: names of the two. evaluations: of the first and of the second.
      summary: over the events that both scored; its rankers are the second model, the first model, the baselines.
      hr, ndcg: the second less the first, paired by user.
    """

    first: str
    second: str
    evaluations: tuple[Evaluation, Evaluation]
    summary: Summary
    hr: Difference
    ndcg: Difference

    def to_dict(self) -> dict[str, Any]:
        """Both models' figures and their difference."""
        mean, rankers = self.summary.overall.mean[0], len(self.summary.rankers)
        return {
            "name": f"compare {self.evaluations[0].log}",
            "log": self.evaluations[0].log,
            "protocol": self.evaluations[0].protocol,
            "scored": int(self.summary.overall.events[0]),
            "first": {"config": self.first, HR: float(mean[1]), NDCG: float(mean[rankers + 1])},
            "second": {"config": self.second, HR: float(mean[0]), NDCG: float(mean[rankers])},
            HR: difference_to_dict(self.hr),
            NDCG: difference_to_dict(self.ndcg),
        }


def compared(log: EventLog, asked: Asked, first: tuple[str, Evaluation], second: tuple[str, Evaluation]) -> Comparison:
    """The paired comparison of two evaluations of one log by one protocol.

    Raises:
      EvaluationError: they have no scored event in common.
    """
    (first_name, one), (second_name, two) = first, second
    # Places of a passage name the same events in both: the log and the protocol are the same.
    at, of_one, of_two = np.intersect1d(one.records.at, two.records.at, assume_unique=True, return_indices=True)
    if not len(at):
        raise EvaluationError("expected events that both models scored, got none; raise evaluate_sample in both files")
    records = Records(
        at,
        ("second", "first", *one.records.rankers[1:]),
        np.concatenate([two.records.ranks[of_two, :1], one.records.ranks[of_one]], axis=1),
        np.concatenate([two.records.tops[of_two, :1], one.records.tops[of_one]], axis=1),
    )
    summary = summarise(
        records, one.passage, surface=log.surface_index[one.passage.place[at]].astype(np.int32), surfaces=log.surfaces,
        tags=None, seed=asked.seed, resamples=asked.resamples,
    )  # fmt: skip
    return Comparison(
        first=first_name, second=second_name, evaluations=(one, two), summary=summary, hr=paired(summary, 0, 1, 0),
        ndcg=paired(summary, 0, 1, 1),
    )  # fmt: skip
