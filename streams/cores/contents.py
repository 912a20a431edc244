"""What the item tower reads of the catalogue's records: hashed features, and the vector of their words."""

from collections.abc import Callable, Sequence

import numpy as np

from models.errors import ConfigError
from models.recommend.content import content_features, folded, text_of, tokens, year_in
from models.recommend.labels import ItemLabels, creator_code, tag_codes, year_of
from models.recommend.towers import TowerConfig
from models.typing import F32
from streams.contract.events import Item

TEXT_LENGTH = 1.5
"""Length of a text vector beside the 1 of the hashed features, whose signs say less."""
Encode = Callable[[Sequence[str]], F32]
"""Texts -> one vector a text, float32 [M, E], of length 1. A pure function of each text alone: a replay needs that."""


def features(item: Item, dim: int) -> F32:
    """Hashed features of an item of the catalogue, float32 [dim]."""
    groups = tokens(title=item.title, text=item.text, tags=item.tags, creator=item.creator, language=item.language)
    return content_features(groups, dim=dim)


def contents(items: Sequence[Item], towers: TowerConfig, encode: Encode | None) -> F32:
    """Content of the items, float32 [M, C]: hashed features, then the folded vector of the words; zero without words.

    Raises:
      ConfigError: the towers want an encoder and there is none.
    """
    hashed = np.stack([features(item, towers.hashed_dim) for item in items])
    if towers.text_dim == 0:
        return hashed
    if encode is None:
        raise ConfigError(f"the towers read text by {towers.text_encoder}, got no encoder; pass it to the learner")
    texts = [text_of(title=item.title, text=item.text, tags=item.tags) for item in items]
    vectors = np.zeros((len(items), towers.text_dim), np.float32)
    told = [at for at, text in enumerate(texts) if text]
    if told:
        vectors[told] = np.float32(TEXT_LENGTH) * folded(encode([texts[at] for at in told]), towers.text_dim)
    return np.concatenate([hashed, vectors], axis=1)


def labels_of(items: Sequence[Item]) -> ItemLabels:
    """Labels of items of the catalogue, a row each."""
    years = [year_in(item.title) for item in items]
    return ItemLabels(
        np.stack([tag_codes(item.tags) for item in items]),
        np.array([creator_code(item.creator) for item in items], np.int32),
        np.array([year_of(year, item.published_at_ms) for year, item in zip(years, items, strict=True)], np.int16),
    )
