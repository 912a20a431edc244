"""Small logs with a known structure, and a model small enough to learn them in a second."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.recommend.labels import TAG_CODES, TAGS, ItemLabels, empty_labels
from models.recommend.learning import Columns
from models.recommend.state import ModelConfig
from models.recommend.strict import Rates
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from streams.contract.events import Interaction
from streams.cores.learn import Learner
from tests.factories import NOW_MS, make_interaction
from tests.slow_counts import Event

SMALL = ModelConfig(
    towers=TowerConfig(dim=8, content_dim=16, window=8),
    training=TrainingConfig(windows=16, places=64, candidates=1024, events_per_step=128),
)
"""One configuration for most tests: what it compiles, it compiles once."""

RATES = Rates(
    combiner=np.float32(0.05), bias=np.float32(0.05), surface=np.float32(0.1), rerank=np.float32(0.05),
    successors=np.float32(0.03), company=np.float32(0.03), most=64, candidates=0,
)  # fmt: skip
"""Rates for tests that drive the kernels without a trainer: one stage, short rows."""


def small(**changes: Any) -> ModelConfig:
    """`SMALL` with other numbers; `towers` and `training` stay as they are, so nothing compiles again."""
    return dataclasses.replace(SMALL, **changes)


def random_log(events: int, *, users: int = 12, items: int = 30, seed: int = 0) -> list[Event]:
    """Events without structure; rows from 1, gaps from none to days, a third without value, a half without surface."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(events) < 0.3, 0, rng.exponential(10.0 ** rng.uniform(2, 7.5, events))).astype(int)
    times = NOW_MS + np.cumsum(gaps)
    popular = rng.zipf(1.4, 10 * events)
    chosen = popular[popular < items][:events]
    user = rng.integers(1, users, events).tolist()
    value = np.where(np.arange(events) % 3 == 2, np.nan, rng.integers(1, 6, events)).tolist()
    surface = np.maximum(rng.integers(-3, 4, events), 0).tolist()
    return [Event(*event) for event in zip(user, chosen.tolist(), times.tolist(), value, surface, strict=True)]


def random_labels(rows: int, *, seed: int = 0) -> ItemLabels:
    """Up to three of six tags an item, three creators, years of a few decades; some items lack each of them."""
    rng, labels = np.random.default_rng(seed), empty_labels(rows)
    codes = rng.choice(np.arange(1, TAG_CODES), 6, replace=False)
    for row in range(1, rows):
        tags = rng.choice(codes, rng.integers(0, 4), replace=False)
        labels.tags[row] = np.concatenate([tags, np.zeros(TAGS - len(tags))])
    labels.creator[1:] = rng.integers(0, 4, rows - 1)
    labels.year[1:] = rng.integers(1990, 2020, rows - 1) * (rng.random(rows - 1) < 0.8)
    return labels


def labels_at(labels: ItemLabels, rows: Sequence[int] | npt.NDArray[np.integer]) -> ItemLabels:
    """The labels of some rows."""
    return ItemLabels(labels.tags[rows], labels.creator[rows], labels.year[rows])


def planted_log(events: int, *, users: int = 60, items: int = 80, seed: int = 0) -> list[Event]:
    """Even users like even items and odd users odd ones, each of them equally well."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, events)
    item = 2 * rng.integers(0, items // 2, events) + user % 2
    columns = zip(user.tolist(), item.tolist(), (NOW_MS + 60_000 * np.arange(events)).tolist(), strict=True)
    return [Event(*event) for event in columns]


def columns(log: Sequence[Event]) -> Columns:
    """The events as the model takes them, their numbers being rows already."""
    user, item, at_ms, value, surface = (np.array(column) for column in zip(*log, strict=True))
    action = np.arange(len(log)) % 5 + 1
    return Columns(
        user.astype(np.int32), item.astype(np.int32), at_ms.astype(np.int64), value.astype(np.float32),
        action.astype(np.uint8), surface.astype(np.uint8), np.zeros(len(log), np.int32), np.zeros(len(log), np.uint8),
    )  # fmt: skip


def interactions(log: Sequence[Event], *, first: int = 0) -> list[Interaction]:
    """The events on the wire; ids are made of the numbers, event ids of the places from ``first`` on."""
    return [
        make_interaction(event_id=f"e{number}", user_id=f"u{event.user}", item_id=f"i{event.item}", action="rate",
                         occurred_at_ms=event.at_ms, value=None if math.isnan(event.value) else event.value,
                         surface=f"s{event.surface}" if event.surface else None)
        for number, event in enumerate(log, start=first)
    ]  # fmt: skip


def event(number: int, user_id: str = "u", item_id: str = "i", **changes: Any) -> Interaction:
    """The interaction of this number: its id and its time follow from it."""
    values = {"event_id": f"e{number}", "user_id": user_id, "item_id": item_id, "occurred_at_ms": NOW_MS + number}
    return make_interaction(**values | changes)


def play(learner: Learner, events: Sequence[Interaction], *, batch: int = 128) -> npt.NDArray[np.float32]:
    """Learn the events in batches and return the ranks of all, [events, rankers]."""
    parts = [learner.learn(events[at : at + batch]).learnt.ranks for at in range(0, len(events), batch)]
    return np.concatenate(parts)
