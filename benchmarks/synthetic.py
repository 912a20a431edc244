"""A platform that never was: a catalogue, users with histories, and what they do, all from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine import Engine
from streams.contract import topics
from streams.contract.codec import encode
from streams.contract.events import Interaction, Item
from streams.replay.player import KafkaSender

GENRES_COUNT = 20


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Items whose popularity falls as 1 / rank^0.8, and users who each like a few genres.

    Attributes:
      items_count, users_count: how many.
      seed: of every choice.
    """

    items_count: int
    users_count: int
    seed: int = 0

    def items(self) -> Iterator[Item]:
        """The catalogue."""
        for at in range(self.items_count):
            genre = at % GENRES_COUNT
            yield Item(item_id=f"item-{at}", title=f"Title {at} of genre {genre}", tags=[f"genre {genre}"])

    def choices(self, count: int, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Who chooses what, in order: users and items, int64 [count] each; every item comes at least once if it can."""
        generator = np.random.default_rng([self.seed, seed])
        users = generator.integers(0, self.users_count, count)
        weights = 1.0 / np.arange(1, self.items_count + 1) ** 0.8
        items = generator.choice(self.items_count, count, p=weights / weights.sum())
        liked = (users + generator.integers(0, 3, count)) % GENRES_COUNT
        items = np.minimum(items // GENRES_COUNT * GENRES_COUNT + liked, self.items_count - 1)
        if count >= 2 * self.items_count:
            items[generator.permutation(count)[: self.items_count]] = np.arange(self.items_count)
        return users, items


def fill(kafka: Engine, platform: Platform, *, interactions: int, end_ms: int, every_ms: int = 10) -> None:
    """Put the catalogue and a past that ends at ``end_ms`` into the topics."""
    sender = KafkaSender(kafka.connection)
    first_ms = end_ms - interactions * every_ms
    for item in platform.items():
        sender.send(topics.ITEMS.name, key=item.item_id, value=encode(item), timestamp_ms=first_ms)
    sender.settle()
    users, items = platform.choices(interactions)
    for at, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        event = interaction(f"past-{at}", user, item, first_ms + at * every_ms)
        sender.send(topics.INTERACTIONS.name, key=event.user_id, value=encode(event), timestamp_ms=event.occurred_at_ms)
        if at % 2_000 == 0:
            sender.check()
    sender.settle()


def interaction(event_id: str, user: int, item: int, at_ms: int) -> Interaction:
    """One choice of a user."""
    return Interaction(
        event_id=event_id, user_id=f"user-{user}", item_id=f"item-{item}", action="play", occurred_at_ms=at_ms
    )
