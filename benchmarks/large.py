"""A trainer's state as it would be after years: so many items and users by Zipf's law, made at once and not learned.

What a restart and a snapshot cost depends on the sizes of the arrays. These are filled as learning would fill them:
vocabularies, content and ID vectors, counts, sparse rows of successors, predecessors and company, histories, lists and
cells. Which items follow which is drawn at random.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommend import pools, step
from models.recommend import shortlist as shortlisting
from models.recommend.pools import Company, Rows, Successors
from models.recommend.sources import HALF_LIVES_EVENTS, HALF_LIVES_MS
from models.recommend.state import RECENT_MOST, ModelConfig, State, fit_capacity, fresh
from models.recommend.windows import append_all
from streams.contract.events import Item

AT_ONCE = 65_536
FAR, COMPANY = 4.5, 9.0
"""Distinct items that an event adds to the rows of another one, in histories of ten events."""
TAGS, CREATORS = 400, 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """How large a platform is.

    Attributes:
      items, users: how many. history: events of each user.
      end_ms: event time of the last one. every_ms: between two.
    """

    items: int
    users: int
    history: int = 10
    end_ms: int = 1_700_000_000_000
    every_ms: int = 10

    @property
    def events(self) -> int:
        """All that was ever learned."""
        return self.users * self.history


def item_of(size: Size, at: int) -> Item:
    """The catalogue's record of item ``at``."""
    return Item(
        item_id=f"item-{at}", title=f"Title of number {at} (19{at % 90 + 10})", tags=[f"tag {at % TAGS}", f"t{at % 7}"],
        creator=f"creator {at % CREATORS}", language="en", duration_s=float(600 + at % 6000),
        published_at_ms=size.end_ms - at, maturity=at % 4 * 6,
        available_until_ms=size.end_ms * 2 if at % 20 == 0 else None,
    )  # fmt: skip


def ranks_of(count: int, items: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Places in the order of popularity, 0 the most popular, each as likely as 1 / (place + 1)."""
    raw: NDArray[np.int64] = np.exp(generator.random(count) * np.log(items)).astype(np.int64)
    places: NDArray[np.int64] = np.minimum(raw, items) - 1
    return places


def large_state(size: Size, config: ModelConfig, *, seed: int = 0) -> State:
    """The state; every item is known and announced, and the catalogue holds it."""
    generator = np.random.default_rng(seed)
    state = fresh(config)
    state.items.admit(f"item-{at}" for at in range(size.items))
    state.users.admit(f"user-{at}" for at in range(size.users))
    fit_capacity(state, config)
    place = 1 + generator.permutation(size.items)  # popular rows lie anywhere in the table
    _describe(state, size, config, generator)
    _count(state, size, place)
    _connect(state, size, place, config, generator)
    _remember(state, size, place, config, generator)
    if state.items.used > config.shortlist.exact_items:
        state.shortlist = shortlisting.built(
            state.counts, state.towers, state.items.used, config.shortlist, config.towers, config.seed
        )
    return state


def _describe(state: State, size: Size, config: ModelConfig, generator: np.random.Generator) -> None:
    for first in range(1, size.items + 1, AT_ONCE):
        rows = np.arange(first, first + AT_ONCE, dtype=np.int32)
        rows[rows > size.items] += 2**29  # dropped
        content = generator.standard_normal((AT_ONCE, config.towers.content_dim), np.float32)
        content /= np.linalg.norm(content, axis=1, keepdims=True)
        state.towers = state.towers._replace(tables=step.put_content(state.towers.tables, rows, content))
    numbers = np.arange(size.items)
    state.labels.tags[1 : size.items + 1, 0] = 1 + numbers % TAGS
    state.labels.creator[1 : size.items + 1] = 1 + numbers % CREATORS
    state.labels.year[1 : size.items + 1] = 1910 + numbers % 90
    state.live[1 : size.items + 1] = True


def _count(state: State, size: Size, place: NDArray[np.int64]) -> None:
    """Sightings and decayed counts as they would be after all events."""
    counts, events = state.counts, size.events
    share = _share(size)
    idle = np.minimum((1.0 / share).astype(np.int64), events - 1)
    counts.clock[0] = events
    counts.seen[place] = np.maximum(1.0, events * share)
    counts.last_event[place] = events - 1 - idle
    counts.last_ms[place] = size.end_ms - idle * size.every_ms
    counts.first_ms[place] = size.end_ms - events * size.every_ms
    halves = [*HALF_LIVES_EVENTS, *(half_ms / size.every_ms for half_ms in HALF_LIVES_MS)]
    for at, half in enumerate(halves):
        counts.decayed[at, place] = 1.0 + np.minimum(share * half / np.log(2.0), events * share)


def _share(size: Size) -> NDArray[np.float64]:
    share: NDArray[np.float64] = 1.0 / np.arange(1, size.items + 1) / (np.log(size.items) + 0.5772)
    return share


def _connect(
    state: State, size: Size, place: NDArray[np.int64], config: ModelConfig, generator: np.random.Generator
) -> None:
    """Sparse rows as long as so many sightings make them; their weights fall with the place."""
    sightings = np.zeros(len(state.counts.seen))
    sightings[place] = size.events * _share(size)
    far, company = (
        np.minimum(config.successors, np.rint(each * sightings)).astype(np.int32) for each in (FAR, COMPANY)
    )
    state.counts = state.counts._replace(
        after=_rows(Successors, far, size, place, generator), before=_rows(Rows, far, size, place, generator),
        company=_rows(Company, company, size, place, generator),
    )  # fmt: skip


def _rows(
    kind: Any, length: NDArray[np.int32], size: Size, place: NDArray[np.int64], generator: np.random.Generator
) -> Any:
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(length, dtype=np.int64)])
    places = int(start[-1])
    row = np.repeat(np.arange(len(length)), length)
    first = ranks_of(len(length), size.items, generator)[row]  # neighbours in the order of popularity: none comes twice
    key = place[(first + np.arange(places) - start[row]) % size.items].astype(np.int32)
    own = key == row
    key[own] = place[(first[own] + length[row[own]]) % size.items]
    weights = [generator.random(places, np.float32) for _ in range(len(kind._fields) - 5)]
    return kind(start[:-1].copy(), length.copy(), length.copy(), start[-1:].copy(), key, *weights)


def _remember(
    state: State, size: Size, place: NDArray[np.int64], config: ModelConfig, generator: np.random.Generator
) -> None:
    for turn in range(size.history):
        users = np.arange(1, size.users + 1, dtype=np.int32)
        items = place[ranks_of(size.users, size.items, generator)].astype(np.int32)
        state.histories = pools.reserve_appends(state.histories, users)
        times = (
            size.end_ms - ((size.history - turn) * size.users - np.arange(size.users, dtype=np.int64)) * size.every_ms
        )
        values, actions = np.full(size.users, np.nan, np.float32), np.full(size.users, 2, np.uint8)
        append_all(
            state.histories, users, items, values, times, actions, config.history_most, np.zeros(size.users, np.int32)
        )
        state.users.touch(users, times)
    state.items.touch(np.arange(1, size.items + 1, dtype=np.int32), np.full(size.items, size.end_ms, np.int64))
    state.recent[:] = generator.integers(1, size.users + 1, RECENT_MOST)
    state.known_ids = dict.fromkeys(f"past-{at}" for at in range(size.events - min(size.events, 200_000), size.events))
    state.surfaces = {"home": 1, "search": 2}
    state.learned_events, state.step, state.newest_ms = size.events, size.events // 512, size.end_ms
