"""Small logs with a known structure, and a model small enough to learn them in a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.recommend.learning import Columns
from models.recommend.state import ModelConfig
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from streams.contract.events import Interaction
from streams.cores.learn import Learner
from tests.factories import NOW_MS, make_interaction
from tests.slow_counts import Event

SMALL = ModelConfig(
    towers=TowerConfig(dim=8, content_dim=16, window=8),
    training=TrainingConfig(windows=16, places=64, candidates=1024, steps=1),
)
"""One configuration for most tests: what it compiles, it compiles once."""


def small(**changes: Any) -> ModelConfig:
    """`SMALL` with other numbers; `towers` and `training` stay as they are, so nothing compiles again."""
    return dataclasses.replace(SMALL, **changes)


def random_log(events: int, *, users: int = 12, items: int = 30, seed: int = 0) -> list[Event]:
    """Events without structure; rows count from 1, gaps go from none to days."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(events) < 0.3, 0, rng.exponential(10.0 ** rng.uniform(2, 7.5, events))).astype(int)
    times = NOW_MS + np.cumsum(gaps)
    popular = rng.zipf(1.4, 10 * events)
    chosen = popular[popular < items][:events]
    columns = zip(rng.integers(1, users, events).tolist(), chosen.tolist(), times.tolist(), strict=True)
    return [Event(*event) for event in columns]


def planted_log(events: int, *, users: int = 60, items: int = 80, seed: int = 0) -> list[Event]:
    """Even users like even items and odd users odd ones, each of them equally well."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, events)
    item = 2 * rng.integers(0, items // 2, events) + user % 2
    columns = zip(user.tolist(), item.tolist(), (NOW_MS + 60_000 * np.arange(events)).tolist(), strict=True)
    return [Event(*event) for event in columns]


def columns(log: Sequence[Event]) -> Columns:
    """The events as the model takes them, their numbers being rows already; every third has no value."""
    user, item, at_ms = (np.array(column) for column in zip(*log, strict=True))
    value = np.where(np.arange(len(log)) % 3 == 2, np.nan, 1.0 + np.arange(len(log)) % 5)
    action = np.arange(len(log)) % 5 + 1
    return Columns(
        user.astype(np.int32), item.astype(np.int32), at_ms.astype(np.int64), value.astype(np.float32),
        action.astype(np.uint8),
    )  # fmt: skip


def interactions(log: Sequence[Event], *, first: int = 0) -> list[Interaction]:
    """The events on the wire; ids are made of the numbers, event ids of the places from ``first`` on."""
    return [
        make_interaction(event_id=f"e{number}", user_id=f"u{event.user}", item_id=f"i{event.item}",
                         occurred_at_ms=event.at_ms, action="rate", value=1.0 + number % 5)
        for number, event in enumerate(log, start=first)
    ]  # fmt: skip


def play(learner: Learner, events: Sequence[Interaction], *, batch: int = 128) -> npt.NDArray[np.float32]:
    """Learn the events in batches and return the ranks of all, [events, rankers]."""
    parts = [learner.learn(events[at : at + batch]).learnt.ranks for at in range(0, len(events), batch)]
    return np.concatenate(parts)
