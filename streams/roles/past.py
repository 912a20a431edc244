"""Slates as they would have been: a recommender that has read exactly as far as a rebuilt state.

Its histories are the trainer's own, so it knows no interaction that the state has not learned; a live recommender may
have been a moment ahead. Compacted topics give the newest record of an item or user up to that place, and records that
compaction has removed since are missing: the catalogue's words may be younger than the state, the state never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import Message

from streams.connect import connection_of
from streams.contract import topics
from streams.contract.absent import Withdrawn
from streams.contract.codec import Decode
from streams.contract.events import Item, Request, Slate, User
from streams.cores.recommend import RecommendConfig, Recommender
from streams.cores.serving import Serving
from streams.errors import SettingsError
from streams.mapping.decoders import decoders_of
from streams.roles.decoding import decode_message
from streams.roles.model_config import mix_of
from streams.roles.rebuild import Rebuilt
from streams.settings import Settings
from streams.transport.merge import Source
from streams.transport.whole import read_whole


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
    """The recommender that stood on this state.

    Raises:
      SettingsError: nothing was learned by then.
      BrokerError: items or users cannot be read.
    """
    if rebuilt.step == 0:
        raise SettingsError("expected a moment after the first step, got one before anything was learned")
    learner = rebuilt.learner
    serving = Serving(learner.config)
    serving.restore(learner.state, learner.config, lead=rebuilt.erasures.lead)
    wishes = settings.recommender
    recommender = Recommender(
        serving,
        RecommendConfig(
            max_k=wishes.max_k, explore_slots=wishes.explore_slots,
            rewatchable_actions=frozenset(wishes.rewatchable_actions), mix=mix_of(settings),
        ),
    )  # fmt: skip
    now_ms = serving.newest_ms
    names, decoders = settings.topic_names, decoders_of(settings.mapping)
    items, users, interactions = (names[spec.name] for spec in (topics.ITEMS, topics.USERS, topics.INTERACTIONS))
    for message in _up_to(settings, items, rebuilt.reached.offsets):
        _take_item(recommender, message, now_ms, decoders[Item])
    for message in _up_to(settings, users, rebuilt.reached.offsets):
        _take_user(serving, message, decoders[User])
    recommender.refresh(now_ms)
    offsets = {str(at[1]): end for at, end in sorted(rebuilt.reached.offsets.items()) if at[0] == interactions}
    return Past(recommender, rebuilt, offsets)


def _take_item(recommender: Recommender, message: Message, now_ms: int, decode: Decode) -> None:
    key, value = message.key(), message.value()
    item = None if value is None else decode_message(decode, message)
    if item is None and key is not None:
        recommender.take_item(bytes(key).decode("utf-8", "replace"), None, now_ms)
    elif isinstance(item, Withdrawn):
        recommender.take_item(item.item_id, None, now_ms)
    elif isinstance(item, Item):
        recommender.take_item(item.item_id, item, now_ms)


def _take_user(serving: Serving, message: Message, decode: Decode) -> None:
    key, value, at_ms = message.key(), message.value(), message.timestamp()[1]
    user = None if value is None else decode_message(decode, message)
    if isinstance(user, User):
        serving.take_user(user)
    elif user is None and key is not None:
        serving.erase_user(bytes(key).decode("utf-8", "replace"), at_ms=at_ms, is_news=False)


def _up_to(settings: Settings, topic: str, ends: Mapping[Source, int]) -> Iterator[Message]:
    """The records of a topic before these offsets."""
    for message in read_whole(connection_of(settings), topic):
        if (message.offset() or 0) < ends.get((topic, message.partition() or 0), 0):
            yield message
