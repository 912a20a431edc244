"""What somebody should look at, in plain words, out of the board's figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

SILENT_S: Final = 60.0
"""A trainer tells something every 30 s at the latest."""
BEHIND_S: Final = 30.0
"""Seconds of the stream that may wait."""
LEAST_LAG: Final = 2_000
"""Fewer records that wait are no news: a batch, a flush and the way here take a moment."""
SNAPSHOT_S: Final = 3_600.0
RANKER_NAMES: Final = {"transitions": "transitions", "decayed_popularity": "popularity"}


class Alarm(NamedTuple):
    """One thing to look at: ``level`` is "bad" where something has stopped, "warn" where it may soon."""

    level: str
    text: str
    what: str


def alarms_of(figures: Mapping[str, Any], *, refused: int) -> list[Alarm]:
    """The alarms, worst first.

    Args:
      figures: of `Board.figures`. refused: records, within a minute.
    """
    found: list[Alarm] = []
    if figures["problem"]:
        found.append(Alarm("bad", str(figures["problem"]), "The figures below stand still until the broker answers."))
    said_s = figures["trainer_said_s"]
    if said_s is None:
        found.append(Alarm(
            "warn", "No trainer has said anything yet.",
            "It says something every 30 s; start one with `marquee run`, or wait while it starts.",
        ))  # fmt: skip
    elif said_s > SILENT_S:
        found.append(Alarm(
            "bad", f"The trainer has said nothing for {_seconds(said_s)}.",
            "It says something every 30 s: it is down or stuck. Its own words are where `marquee run` writes.",
        ))  # fmt: skip
    per_s = max(float(figures["arriving_per_s"]), 1.0)
    for name, who, what in (
        ("trainer_lag", "The trainer is", "Interactions arrive faster than they are learned, or it has just started."),
        ("slate_lag", "The newest slates are", "Recommenders read slower than interactions arrive, or nobody asks."),
    ):
        lag = figures[name]
        if lag is not None and lag > LEAST_LAG and lag / per_s > BEHIND_S:
            found.append(Alarm("warn", f"{who} {lag:,} interactions behind.", what))
    if (recovering := figures["trainer"].get("recovering", 0)) > 0:
        found.append(Alarm(
            "warn", f"The trainer learns {int(recovering):,} steps of the ledger again.",
            "It was started anew; until it is through, its figures are those of then.",
        ))  # fmt: skip
    if refused > 0:
        found.append(Alarm(
            "warn", f"{refused:,} records were refused within a minute." if refused > 1 else "A record was refused.",
            "What breaks the contract is kept with its reason: see Log, dead letters.",
        ))  # fmt: skip
    if (behind := figures["behind"]) is not None:
        found.append(Alarm(
            "warn", f"The model ranks worse than {RANKER_NAMES.get(behind, behind)} of late.",
            "HR@10 over the last windows, beyond both 95 % intervals. A young model often does, for a while.",
        ))  # fmt: skip
    snapshot = figures["snapshot"]
    if snapshot and snapshot["age_s"] > SNAPSHOT_S and figures["learned_per_s"] > 0:
        found.append(Alarm(
            "warn", f"The newest snapshot is {_seconds(snapshot['age_s'])} old while learning goes on.",
            "A restart learns everything since again. See `trainer.snapshot_every_steps`, and the trainer's words.",
        ))  # fmt: skip
    return sorted(found, key=lambda one: one.level != "bad")


def _seconds(count: float) -> str:
    if count < 120:
        return f"{count:.0f} s"
    return f"{count / 60:.0f} min" if count < 7_200 else f"{count / 3_600:.1f} h"
