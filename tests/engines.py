"""A taught trainer, recommenders filled from it by snapshot or over the wire, and the slow way to score everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from models.recommend.diversity import OFF
from models.recommend.learning import Judging
from models.recommend.state import ModelConfig, from_arrays, to_arrays
from streams.contract import codec
from streams.contract.events import Interaction, Item, ItemState, ModelWeights, Slate
from streams.cores.announce import Announcement, Announcer
from streams.cores.learn import Learner
from streams.cores.recommend import RecommendConfig, Recommender
from streams.cores.serving import Serving
from tests import planted
from tests.factories import make_item, make_request
from tests.slow_counts import Event
from tests.slow_two_stages import Scored, scored

EVERYTHING = 1_000_000
"""More item states than any flush of a test has."""


def catalogue(numbers: Iterable[int]) -> list[Item]:
    """Items i<n>: tagged even or odd, in one of three languages, by one of seven creators, n minutes long."""
    return [
        make_item(
            item_id=f"i{n}",
            title=f"Film {n} ({1950 + n % 70})",
            tags=["even" if n % 2 == 0 else "odd"],
            language=("en", "fr", "de")[n % 3],
            creator=f"creator {n % 7}",
            duration_s=60.0 * n,
        )
        for n in numbers
    ]


def taught(
    log: Sequence[Event],
    *,
    items: Sequence[Item] = (),
    config: ModelConfig = planted.SMALL,
    judging: Judging = Judging(),  # noqa: B008
) -> Learner:
    """A learner that was given the catalogue and then the log."""
    learner = Learner(config, judging=judging)
    learner.learn(items)
    planted.play(learner, planted.interactions(log))
    return learner


def over_the_wire(announcement: Announcement) -> tuple[list[ItemState], ModelWeights]:
    """What a reader of the topics gets of one flush."""

    def sent(kind: Any, record: Any) -> Any:
        got = codec.decode(kind, codec.encode(record), timestamp_ms=-1)
        assert isinstance(got, kind), got
        return got

    return [sent(ItemState, state) for state in announcement.states], sent(ModelWeights, announcement.weights)


def flush(serving: Serving, learner: Learner, announcer: Announcer | None = None, *, most: int = EVERYTHING) -> None:
    """One flush of the trainer, taken by the recommender."""
    announcer = announcer or Announcer(learner.config, fingerprint="test")
    states, weights = over_the_wire(announcer.announce(learner.state, learner.evicted_items, most=most))
    learner.evicted_items = []
    serving.take_states(states)
    serving.take_weights(weights)


def wired(learner: Learner, events: Sequence[Interaction], *, items: Sequence[Item] = ()) -> Serving:
    """A recommender's state that came over the topics alone."""
    serving = Serving(learner.config)
    for item in items:
        serving.take_item(item.item_id, item)
    flush(serving, learner)
    serving.take_interactions(events)
    return serving


def restored(learner: Learner, *, items: Sequence[Item] = ()) -> Serving:
    """A recommender's state that came from the trainer's snapshot, and the catalogue's topic."""
    arrays = {name: np.array(array) for name, array in to_arrays(learner.state).items()}
    serving = Serving(learner.config)
    serving.restore(from_arrays(arrays, learner.config), learner.config)
    for item in items:
        serving.take_item(item.item_id, item)
    return serving


def recommender(serving: Serving, now_ms: int, **changes: Any) -> Recommender:
    """Ready to answer at ``now_ms``; the best alone, without exploration or diversity, unless asked for."""
    config = dataclasses.replace(RecommendConfig(explore_slots=0, mix=OFF), **changes)
    made = Recommender(serving, config)
    made.refresh(now_ms)
    return made


def ask(made: Recommender, now_ms: int, **request: Any) -> Slate:
    """One slate, as its reader decodes it."""
    slates = made.answer([make_request(**request)], now_ms=now_ms, generated_at_ms=now_ms, offsets={"0": 7})
    return as_read(slates[0])


def as_read(slate: Slate) -> Slate:
    """The slate after a trip over the wire: the contract's limits hold."""
    got = codec.decode(Slate, codec.encode(slate), timestamp_ms=-1)
    assert isinstance(got, Slate), got
    return got


def ids(slate: Slate) -> list[str]:
    """Item ids in slate order."""
    return [item.item_id for item in slate.items]


def scored_of(
    learner: Learner, user_id: str, now_ms: int, *, surface: str | None = None, repeats: bool = False
) -> Scored:
    """Both stages' scores of every item for one user by the trainer's state."""
    return scored(learner.state, learner.config, user_id, now_ms, surface=surface, repeats=repeats)


def full_scores(learner: Learner, user_id: str, now_ms: int) -> dict[str, float]:
    """The final score of every item that the trainer would rank for one user."""
    found = scored_of(learner, user_id, now_ms)
    return {learner.state.items.key(row): float(found.final[row]) for row in np.flatnonzero(found.allowed).tolist()}
