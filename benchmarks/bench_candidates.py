"""What ranking among candidates costs in HR@10, where ranking every item is possible too.

MovieTweetings and MovieLens-1M are played with every item ranked, and among candidates from the first event on, and
judged on the very same events. With the sizes that large catalogues have, candidates are a great part of catalogues as
small as these; so both are played a third time with an eighth of each size.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.engine import clean_environment, public_log, say
from benchmarks.report import Figure, report

if TYPE_CHECKING:
    from models.recommend.shortlist import ShortlistConfig
    from streams.replay.evaluation import Evaluation
    from streams.replay.logs import EventLog

LOGS = ("movietweetings", "ml-1m")
EVENTS, QUICK_EVENTS = 60_000, 5_000
GOAL = "ratio >= 0.98"
SHARE = 8


def forms() -> dict[str, ShortlistConfig]:
    """The settings of each form, the exact one first; `ShortlistConfig.exact_items` decides."""
    from models.recommend.shortlist import ShortlistConfig

    usual = ShortlistConfig(exact_items=0)
    sizes = ("popular", "lately", "fresh", "by_history", "by_tower", "scanned", "negatives")
    few = dataclasses.replace(usual, **{name: getattr(usual, name) // SHARE for name in sizes})
    return {
        "every item": ShortlistConfig(exact_items=10**9),
        "candidates": usual,
        "an eighth of the candidates": few,
    }  # fmt: skip


def judged(log: EventLog, form: ShortlistConfig, name: str) -> Evaluation:
    """The log, played by `marquee eval`'s protocol in one form."""
    from models.recommend.metrics import Figures
    from models.recommend.state import ModelConfig
    from streams.replay.evaluation import Asked, evaluate

    def heard(who: str, done: int, figures: Figures | None) -> None:  # noqa: ARG001 - the model alone plays
        if figures is not None and done % 20_480 == 0:
            say(f"  {log.name}, {name}: {done:,} of {len(log):,}")

    return evaluate(log, ModelConfig(shortlist=form), Asked(), heard=heard)


def missing(evaluation: Evaluation) -> float:
    """Share of the events on items seen before whose item was no candidate: there all rankers have one rank."""
    ranks = evaluation.records.ranks
    ranks = ranks[np.isfinite(ranks[:, 0])]
    return float((ranks == ranks[:, :1]).all(axis=1).mean())


def main() -> None:
    """Play, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_EVENTS:,} events of each log: to see that it runs"
    )
    parser.add_argument("--first", type=int, default=EVENTS, help=f"events of each log (default: {EVENTS:,})")
    options = parser.parse_args()
    os.environ |= clean_environment()  # read when numba and jax are imported
    from streams.replay.comparison import compared
    from streams.replay.evaluation import Asked

    figures: list[Figure] = []
    intervals: dict[str, Any] = {}
    for named in LOGS:
        log = public_log(named).head(QUICK_EVENTS if options.quick else options.first)
        exact, *others = ((name, judged(log, form, name)) for name, form in forms().items())
        for name, evaluation in others:
            told = compared(log, Asked(), exact, (name, evaluation))
            ours, peer = evaluation.hr_at_10["model"], exact[1].hr_at_10["model"]
            apart = {metric: list(getattr(told, metric).interval) for metric in ("hr", "ndcg")}
            lost, (low, high) = missing(evaluation), apart["hr"]
            say(
                f"{named}, {name}: HR@10 {ours:.4f} beside {peer:.4f} ({told.hr.value:+.4f}, 95 % {low:+.4f} to "
                f"{high:+.4f}), NDCG@10 {told.ndcg.value:+.4f}; {lost:.1%} of the items were no candidates"
            )
            intervals[f"{named}, {name}"] = {
                "hr": told.hr.value, "ndcg": told.ndcg.value, "interval": apart, "no_candidate": lost,
                "baselines": {
                    ranker: [evaluation.hr_at_10[ranker], exact[1].hr_at_10[ranker]] for ranker in exact[1].hr_at_10
                },
            }  # fmt: skip
            figures.append(
                Figure(
                    name=f"HR@10 among {name}, beside every item: {named}, first {len(log):,} events",
                    ours=ours,
                    peer=peer,
                    unit="",
                    goal=GOAL if name == "candidates" and not options.quick else None,
                )
            )
    report(*figures, apart=intervals)


if __name__ == "__main__":
    main()
