"""Progressive validation of a log on the engine's own core, with no broker: score each event, then learn it.

Order: timestamp, then position in the file. Scored: every event after the first tenth whose item the user has
not had. Ranked: all items seen so far that the user has not had; a first-ever item is a miss. Repeats are learned.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from models.recommend import metrics
from models.recommend.combiner import RANKERS
from models.recommend.state import ModelConfig
from streams.contract import rules
from streams.cores.contents import Encode
from streams.cores.learn import Learner
from streams.replay import convert
from streams.replay.logs import EventLog

WARM_UP = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures of one log.

    Attributes:
      log: its name. events: in the log. learned: how many the core learned. scored: how many the figures are over.
      hr_at_10, ndcg_at_10: of the model and of each baseline, by ranker.
      standard_error: of the model's HR@10.
    """

    log: str
    events: int
    learned: int
    scored: int
    hr_at_10: dict[str, float]
    ndcg_at_10: dict[str, float]
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        """The model's figures at the top, each baseline's under ``baselines``."""
        baselines = {
            name: {"hr_at_10": self.hr_at_10[name], "ndcg_at_10": self.ndcg_at_10[name]}
            for name in RANKERS
            if name != "model"
        }
        best = max(baselines, key=lambda name: baselines[name]["hr_at_10"])
        best_hr = baselines[best]["hr_at_10"]
        best_ndcg = max(figures["ndcg_at_10"] for figures in baselines.values())
        return {
            "name": f"prequential {self.log}",
            "log": self.log,
            "events": self.events,
            "learned": self.learned,
            "scored": self.scored,
            "hr_at_10": self.hr_at_10["model"],
            "ndcg_at_10": self.ndcg_at_10["model"],
            "hr_at_10_standard_error": self.standard_error,
            "baselines": baselines,
            "best_baseline": best,
            "ratio_hr": self.hr_at_10["model"] / max(best_hr, 1e-9),
            "ratio_ndcg": self.ndcg_at_10["model"] / max(best_ndcg, 1e-9),
        }


def evaluate(
    log: EventLog,
    config: ModelConfig,
    *,
    batch_size: int = 512,
    encode: Encode | None = None,
    on_batch: Callable[[int, metrics.Figures], None] | None = None,
) -> Evaluation:
    """Play the whole log through a fresh `Learner`.

    Args:
      encode: reads the catalogue's words, where ``config`` wants that.
      on_batch: called with the events done and the figures of the batch, for a progress bar.
    """
    learner = Learner(config, encode=encode)
    catalogue = list(convert.to_items(log.catalogue))
    for first in range(0, len(catalogue), 4096):
        learner.learn(catalogue[first : first + 4096])
    warm = int(len(log) * WARM_UP)
    total = np.zeros(metrics.SUMS)
    learned = done = 0
    for first in range(0, len(log), batch_size):
        batch = list(convert.to_interactions(log, first, min(first + batch_size, len(log))))
        result = learner.learn(batch)
        done += len(batch)
        learned += result.learned
        warming = sum(event.action in rules.LEARNED_ACTIONS for event in batch[: max(0, warm - first)])
        total += metrics.sums(result.learnt.ranks[warming:])
        if on_batch is not None:
            on_batch(done, metrics.figures(total))
    found = metrics.figures(total)
    share = found.hr_at_10[0]
    return Evaluation(
        log=log.name,
        events=len(log),
        learned=learned,
        scored=found.events,
        hr_at_10=dict(zip(RANKERS, found.hr_at_10, strict=True)),
        ndcg_at_10=dict(zip(RANKERS, found.ndcg_at_10, strict=True)),
        standard_error=float(np.sqrt(share * (1 - share) / max(found.events, 1))),
    )
