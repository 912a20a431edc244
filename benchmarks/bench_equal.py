"""Do a replay at full speed over four partitions of a real Kafka and `marquee eval` judge the same model alike?

Both play MovieTweetings and rank every event. The trainer's figures are taken from its metrics records, between the
first window after the first tenth and the last one; those of the evaluation over the same events.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.engine import Engine, clean_environment, engine, public_log, say
from benchmarks.report import Figure, report
from streams.replay.logs import EventLog
from streams.replay.player import play
from streams.settings import TrainerSettings

if TYPE_CHECKING:
    from models.recommend.metrics import Figures

LOG, BATCH = "movietweetings", TrainerSettings().batch_size
QUICK_EVENTS = 20_000
TIMEOUT_S = 1200.0
MOST = 0.003


class Total(NamedTuple):
    """Sums from the log's start, or from some event on, to an event."""

    learned: int
    scored: float
    hits: float
    gains: float

    def since(self, before: Total) -> tuple[float, float, int]:
        """HR@10 and NDCG@10 of the events between, and how many were scored."""
        scored = self.scored - before.scored
        return (self.hits - before.hits) / scored, (self.gains - before.gains) / scored, int(scored)


def from_kafka(kafka: Engine, log: EventLog) -> tuple[list[Total], dict[str, Any]]:
    """Totals after each window of the trainer's, and its last figures of itself."""
    with kafka.role("trainer", {"trainer": {"batch_size": BATCH, "evaluate_sample": 1.0}}) as trainer:
        kafka.wait_until_learned(trainer, len(log), timeout_s=TIMEOUT_S, say=say)
    totals = []
    for _, metric in kafka.metrics("prequential"):
        values = metric.values
        scored = values["total_events"]
        hits, gains = values["total_model_hr_at_10"] * scored, values["total_model_ndcg_at_10"] * scored
        totals.append(Total(int(values["learned"]), scored, hits, gains))
    return totals, dict(kafka.metrics("trainer")[-1][1].values)


def from_eval(log: EventLog) -> list[Total]:
    """Totals after each batch of what `marquee eval` runs, from the first tenth on."""
    os.environ |= clean_environment()  # read when numba and jax are imported
    from models.recommend.state import ModelConfig
    from streams.replay.evaluation import Asked, evaluate

    totals = []

    def heard(who: str, done: int, figures: Figures | None) -> None:  # noqa: ARG001 - the model alone plays
        if figures is None:
            return
        hits, gains = figures.hr_at_10[0] * figures.events, figures.ndcg_at_10[0] * figures.events
        totals.append(Total(done, figures.events, hits, gains))
        if done % (40 * BATCH) == 0:
            say(f"  evaluated {done:,} of {len(log):,}")

    evaluate(log, ModelConfig(), Asked(batch_size=BATCH, resamples=2), heard=heard)
    return totals


def nearest(totals: Sequence[Total], learned: int) -> Total:
    """The total after about ``learned`` events; batches need not end at the same event."""
    return min(totals, key=lambda total: abs(total.learned - learned))


def main() -> None:
    """Replay, evaluate, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_EVENTS:,} events: to see that it runs")
    options = parser.parse_args()
    log = public_log(LOG)
    log = log.head(QUICK_EVENTS if options.quick else len(log))
    warm = len(log) // 10 + BATCH
    with engine() as kafka:
        played = play(log, kafka.connection)
        say(f"filled the topics with {played.interactions:,} interactions")
        theirs, said = from_kafka(kafka, log)
    first = next(total for total in theirs if total.learned >= warm)
    hr, ndcg, scored = theirs[-1].since(first)
    say(f"from Kafka: HR@10 {hr:.4f}, NDCG@10 {ndcg:.4f} over {scored:,} events; skew {said['skew_ms']:.0f} ms")
    totals = from_eval(log)
    eval_hr, eval_ndcg, eval_scored = nearest(totals, theirs[-1].learned).since(nearest(totals, first.learned))
    say(f"marquee eval: HR@10 {eval_hr:.4f}, NDCG@10 {eval_ndcg:.4f} over {eval_scored:,} events")
    where = f"{LOG}, from Kafka and from `marquee eval`"
    report(
        Figure(name=f"HR@10 apart, {where}", ours=abs(hr - eval_hr), unit="", goal=f"ours <= {MOST}"),
        Figure(name=f"NDCG@10 apart, {where}", ours=abs(ndcg - eval_ndcg), unit="", goal=f"ours <= {MOST}"),
        Figure(name="HR@10 from Kafka", ours=hr, peer=eval_hr, unit=""),
        Figure(name="NDCG@10 from Kafka", ours=ndcg, peer=eval_ndcg, unit=""),
        Figure(name="greatest skew between partitions", ours=said["skew_ms"], unit="ms"),
        events={"learned": said["learned"], "compared, from Kafka": scored, "compared, from eval": eval_scored},
    )


if __name__ == "__main__":
    main()
