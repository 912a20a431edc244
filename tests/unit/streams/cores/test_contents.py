"""Content of items: hashed features beside text vectors, the same however a log is cut, and none needed to serve."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from models.errors import ConfigError
from models.recommend.content import folded, text_of
from models.recommend.labels import creator_code, tag_codes
from models.recommend.state import from_arrays, to_arrays
from models.recommend.towers import TEXT_DIMS, TowerConfig
from streams.contract.events import Item
from streams.cores.announce import Announcer
from streams.cores.contents import contents, features, labels_of
from streams.cores.learn import Learner
from streams.cores.serving import Serving
from tests import engines, planted
from tests.announced import EVENTS, slate
from tests.factories import NOW_MS, make_item

WIDE = TowerConfig(dim=8, content_dim=16 + TEXT_DIMS["minilm"], text_encoder="minilm", window=8)
CONFIG = planted.small(towers=WIDE)
ITEMS = [make_item(item_id=f"i{n}", title=f"Film {n}", tags=["drama", f"tag {n % 3}"]) for n in range(30)]


def fake_vectors(texts: Sequence[str]) -> np.ndarray:
    """Another unit vector for each text."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
    rows = np.stack([np.random.default_rng(seed).standard_normal(384) for seed in seeds])
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def nobody(texts: Sequence[str]) -> np.ndarray:
    raise AssertionError(f"nothing is to be encoded, got {texts}")


@pytest.mark.parametrize(
    ("item", "want"),
    [
        ({}, ""),
        ({"title": "Alien (1979)"}, "Alien (1979)"),
        ({"title": " Alien ", "tags": ["Horror", "Sci-Fi"], "text": "In space. "}, "Alien. Horror, Sci-Fi. In space."),
        ({"tags": ["Horror"], "text": "In space"}, "Horror. In space"),
    ],
)
def test_what_an_encoder_reads(item, want) -> None:
    assert text_of(**item) == want


def test_text_vectors_stand_behind_the_hashed_features() -> None:
    silent = Item(item_id="silent", title="", creator="somebody")
    got = contents([ITEMS[0], silent, ITEMS[1]], WIDE, fake_vectors)
    assert got.shape == (3, 144)
    assert got.dtype == np.float32
    for row, item in enumerate([ITEMS[0], silent, ITEMS[1]]):
        np.testing.assert_array_equal(got[row, :16], features(item, 16))
    vectors = fake_vectors(["Film 0. drama, tag 0", "Film 1. drama, tag 1"])
    np.testing.assert_array_equal(got[[0, 2], 16:], np.float32(1.5) * folded(vectors, 128))
    assert not got[1, 16:].any(), "who has no words has no text vector"
    assert contents([silent], WIDE, nobody).shape == (1, 144)


def test_without_an_encoder_there_are_hashed_features_alone() -> None:
    towers = planted.SMALL.towers
    np.testing.assert_array_equal(contents(ITEMS[:2], towers, nobody), [features(item, 16) for item in ITEMS[:2]])
    with pytest.raises(ConfigError, match="the towers read text by minilm, got no encoder"):
        contents(ITEMS, WIDE, None)


def test_labels_are_those_of_the_records() -> None:
    items = [
        make_item(item_id="a", title="Alien (1979)", tags=["Horror"], creator="Scott", published_at_ms=NOW_MS),
        make_item(item_id="b", title="Alien", tags=[], published_at_ms=NOW_MS),
        make_item(item_id="c", title="", tags=["horror", "drama"]),
    ]
    labels = labels_of(items)
    assert labels.year.tolist() == [1979, 2023, 0]
    assert labels.creator.tolist() == [creator_code("Scott"), 0, 0]
    np.testing.assert_array_equal(labels.tags, [tag_codes(["horror"]), tag_codes([]), tag_codes(["horror", "drama"])])
    assert [part.dtype.name for part in labels] == ["uint16", "int32", "int16"]


def learned(cut: int) -> Learner:
    learner = Learner(CONFIG, encode=fake_vectors)
    for first in range(0, len(ITEMS), cut):
        learner.learn(ITEMS[first : first + cut])
    planted.play(learner, EVENTS)
    return learner


def test_the_content_does_not_depend_on_how_the_log_was_cut() -> None:
    one, other = learned(30), learned(7)
    content = np.asarray(one.state.towers.tables.content)
    np.testing.assert_array_equal(content, np.asarray(other.state.towers.tables.content))
    row = one.state.items.row("i4")
    np.testing.assert_array_equal(
        content[row, 16:], np.float32(1.5) * folded(fake_vectors(["Film 4. drama, tag 1"]), 128)[0]
    )


def test_a_state_goes_on_without_encoding_again() -> None:
    learner = learned(30)
    again = Learner(CONFIG, first=from_arrays(to_arrays(learner.state), CONFIG), encode=nobody)
    np.testing.assert_array_equal(
        np.asarray(again.state.towers.tables.content), np.asarray(learner.state.towers.tables.content)
    )


def test_a_recommender_needs_no_encoder_and_not_even_the_same_setting() -> None:
    learner = learned(30)
    announcement = Announcer(CONFIG, fingerprint="test").announce(learner.state, [], most=engines.EVERYTHING)
    states, weights = engines.over_the_wire(announcement)
    assert not [name for name in weights.arrays if "content" in name]
    slates = []
    for config in (CONFIG, planted.SMALL):
        serving = Serving(config)
        serving.take_states(states)
        serving.take_weights(weights)
        assert serving.model.version == weights.version > 0
        slates.append(slate(serving, "nobody"))
    assert slates[0] == slates[1]
    assert len(slates[0]) > 20
