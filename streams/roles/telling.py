"""What a trainer publishes of its state: item states, weights, and how far and how well it learns.

Runs on the thread that owns the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from models.recommend import metrics
from models.recommend.learning import Learnt
from models.recommend.state import ModelConfig
from models.recommend.strict import RANKERS
from streams.contract import codec, topics
from streams.contract.events import Metric
from streams.cores.announce import TOWER_KEY, Announcer
from streams.cores.learn import Learner
from streams.transport.publish import Out

METRICS_EVERY_STEPS: Final = 10
"""Steps of one window of prequential figures: by steps and not by time, so that a replay gives the same windows."""
SIGN_OF_LIFE_S: Final = 30.0
"""Longest time without a record of the series `trainer`."""
MOST_STATES: Final = 1_000
"""Item states of one flush; the rest follow with the next."""


class Telling:
    """Turns what was learned into records.

    Args:
      names: of a topic without prefix -> with it. lead: as of `Announcer`.
    """

    def __init__(
        self, learner: Learner, config: ModelConfig, *, fingerprint: str, names: Mapping[str, str], lead: int = 0
    ) -> None:
        self._learner = learner
        self._names = names
        self._announcer = Announcer(config, fingerprint=fingerprint, lead=lead)
        self._window = np.zeros(metrics.SUMS)
        self._windowed = learner.state.learned_events
        self._loss: Any = float("nan")
        self._figures: dict[str, float] = {}
        self._said_s = 0.0
        self._version = -1
        self.hear: Callable[[str, Mapping[str, float]], None] = lambda _series, _values: None
        """Gets the figures of every record too."""

    def note(self, learnt: Learnt) -> list[Out]:
        """A step was learned: the window's figures when it is over."""
        self._window += learnt.sums
        self._loss = learnt.loss if learnt.loss is not None else self._loss
        state = self._learner.state
        if state.step % METRICS_EVERY_STEPS or state.learned_events == self._windowed:
            return []
        self._windowed = state.learned_events
        return [self._prequential()]

    def flush(self, working: Mapping[str, float]) -> list[Out]:
        """All that changed since the last flush; ``working``: figures that only the role has."""
        learner = self._learner
        announcement = self._announcer.announce(learner.state, learner.evicted_items, most=MOST_STATES)
        learner.evicted_items = []
        figures = self._life(working)
        version = announcement.weights.version
        if not announcement.states and version == self._version:
            return figures  # a quiet night fills no topic
        self._version = version
        topic = self._names[topics.ITEM_STATES.name]
        outs = [Out(topic=topic, key=s.item_id.encode(), value=codec.encode(s)) for s in announcement.states]
        weights = self._names[topics.MODEL_WEIGHTS.name]
        outs.append(Out(topic=weights, key=TOWER_KEY.encode(), value=codec.encode(announcement.weights)))
        return [*outs, *figures]

    def _life(self, working: Mapping[str, float]) -> list[Out]:
        """How far learning is; while nothing changes, only now and then as a sign of life."""
        state = self._learner.state
        values = {
            "learned": float(state.learned_events),
            "repeated": float(state.repeated_events),
            "items": float(len(state.items)),
            "users": float(len(state.users)),
            "untold": float(np.count_nonzero(state.counts.changed[1 : state.items.used])),
            **working,
        } | ({"loss": float(self._loss)} if np.isfinite(self._loss) else {})
        now_s = time.monotonic()
        if values == self._figures and now_s - self._said_s < SIGN_OF_LIFE_S:
            return []
        self._said_s = now_s
        since = state.learned_events - int(self._figures.get("learned", state.learned_events))
        self._figures = values
        return [self._metric("trainer", values, events=max(0, since))]

    def _prequential(self) -> Out:
        window, total = metrics.figures(self._window), metrics.figures(self._learner.state.totals)
        values = {"learned": float(self._learner.state.learned_events), "total_events": float(total.events)}
        for at, ranker in enumerate(RANKERS):
            values |= {f"{ranker}_hr_at_10": window.hr_at_10[at], f"{ranker}_ndcg_at_10": window.ndcg_at_10[at]}
            values |= {
                f"total_{ranker}_hr_at_10": total.hr_at_10[at],
                f"total_{ranker}_ndcg_at_10": total.ndcg_at_10[at],
            }
        self._window = np.zeros(metrics.SUMS)
        return self._metric("prequential", values, events=window.events)

    def _metric(self, series: str, values: dict[str, float], *, events: int) -> Out:
        state = self._learner.state
        self.hear(series, values)
        metric = Metric(series=series, at_ms=state.newest_ms, step=state.step, events=events, values=values)
        return Out(topic=self._names[topics.METRICS.name], key=series.encode(), value=codec.encode(metric))
