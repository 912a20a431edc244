"""Slates as they would have been: a recommender that has read exactly as far as a rebuilt state.

Its histories are the trainer's own, so it knows no interaction that the state has not learned; a live recommender may
have been a moment ahead. Compacted topics give the newest record of an item or user up to that place, and records that
compaction has removed since are missing: the catalogue's words may be younger than the state, the state never is.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.connect import connection_of
from streams.contract import topics
from streams.contract.events import Item, Request, Slate, User
from streams.contract.topics import topic_name
from streams.cores.recommend import RecommendConfig, Recommender
from streams.cores.serving import Serving
from streams.roles.decoding import DECODERS
from streams.roles.model_config import mix_of
from streams.roles.rebuild import Rebuilt
from streams.settings import Settings
from streams.transport.merge import Source
from streams.transport.ranges import LogRecord, open_ranges


class Past(NamedTuple):
    """A recommender of a past moment; answers with `slate`."""

    recommender: Recommender
    rebuilt: Rebuilt
    offsets: dict[str, int]

    def slate(self, request: Request, *, now_ms: int | None = None) -> Slate:
        """What was served then; ``now_ms``: event time, by default the newest that the state has learned."""
        at_ms = self.recommender.serving.newest_ms if now_ms is None else now_ms
        (slate,) = self.recommender.answer([request], now_ms=at_ms, generated_at_ms=at_ms, offsets=self.offsets)
        return slate


def recommender_at(settings: Settings, rebuilt: Rebuilt) -> Past:
    """The recommender that stood on this state."""
    learner = rebuilt.learner
    serving = Serving(learner.config)
    serving.restore(learner.state, learner.config)
    wishes = settings.recommender
    recommender = Recommender(
        serving,
        RecommendConfig(
            max_k=wishes.max_k, explore_slots=wishes.explore_slots,
            rewatchable_actions=frozenset(wishes.rewatchable_actions), mix=mix_of(settings),
        ),
    )  # fmt: skip
    now_ms = serving.newest_ms
    items, users, interactions = (
        topic_name(settings.prefix, spec.name) for spec in (topics.ITEMS, topics.USERS, topics.INTERACTIONS)
    )
    for record in _up_to(settings, {at: end for at, end in rebuilt.reached.offsets.items() if at[0] in (items, users)}):
        if record.topic == items:
            _take_item(recommender, record, now_ms)
        else:
            _take_user(serving, record)
    recommender.refresh(now_ms)
    offsets = {str(at[1]): end for at, end in sorted(rebuilt.reached.offsets.items()) if at[0] == interactions}
    return Past(recommender, rebuilt, offsets)


def _take_item(recommender: Recommender, record: LogRecord, now_ms: int) -> None:
    item = None if record.value is None else DECODERS[Item](record.value, record.timestamp)
    if item is None and record.key is not None:
        recommender.take_item(record.key.decode("utf-8", "replace"), None, now_ms)
    elif isinstance(item, Item):
        recommender.take_item(item.item_id, item, now_ms)


def _take_user(serving: Serving, record: LogRecord) -> None:
    user = None if record.value is None else DECODERS[User](record.value, record.timestamp)
    if isinstance(user, User):
        serving.take_user(user)
    elif user is None and record.key is not None:
        serving.erase_user(record.key.decode("utf-8", "replace"), at_ms=record.timestamp, is_news=False)


def _up_to(settings: Settings, ends: dict[Source, int]) -> list[LogRecord]:
    """All records of these partitions before these offsets, in the order of their partitions."""
    left = {source: end for source, end in ends.items() if end > 0}
    found: dict[Source, list[LogRecord]] = {source: [] for source in sorted(left)}
    if not left:
        return []
    with open_ranges(connection_of(settings), dict.fromkeys(left, 0)) as reader:
        while left:
            for source, records in reader.read().items():
                end = ends[source]
                found[source] += [record for record in records if record.offset < end]
                if records[-1].offset >= end - 1:
                    left.pop(source, None)
            for source in reader.ended:  # the last ones before the place may have been compacted away
                left.pop(source, None)
            reader.hold(frozenset(found) - frozenset(left))
    return [record for source in found for record in found[source]]
