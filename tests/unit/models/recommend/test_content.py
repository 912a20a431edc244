"""Content features: what goes in, unit length, and likeness."""

import numpy as np
import pytest

from models.errors import ShapeError
from models.recommend.content import content_features, folded, tokens

DIM = 128


def features(**item):
    return content_features(tokens(**item), dim=DIM)


def test_tokens():
    got = tokens(title="Alien (1979)", tags=["Horror", "Sci-Fi"], creator="R. Scott", language="EN")
    assert got["tag"] == ["horror", "sci-fi"]
    assert got["year"] == ["1979", "1970s"]
    assert got["creator"] == ["R. Scott"]
    assert got["language"] == ["en"]
    assert got["title"] == ["<alien>", "<ali", "alie", "lien", "ien>"]
    assert got["text"] == []


def test_nothing_to_tell_is_zero():
    assert not features().any()


@pytest.mark.parametrize(
    "item", [{"title": "Alien (1979)"}, {"tags": ["a"]}, {"text": "x " * 5_000, "tags": ["a", "b"]}]
)
def test_length_is_one(item):
    got = features(**item)
    assert got.dtype == np.float32
    assert got.shape == (DIM,)
    assert np.linalg.norm(got) == pytest.approx(1.0, abs=1e-6)


def test_like_items_have_like_features():
    alien = features(title="Alien (1979)", tags=["horror", "sci-fi"])
    aliens = features(title="Aliens (1986)", tags=["action", "sci-fi"])
    emma = features(title="Emma (2020)", tags=["romance", "costume"])
    assert alien @ aliens > 0.3 > 0.25 > alien @ emma


def test_a_long_text_does_not_drown_the_tags():
    text = "a very long story of many things that have nothing to do with each other " * 20
    assert features(tags=["horror"], text=text) @ features(tags=["horror"]) > 0.8


def test_groups_do_not_mix():
    words = [f"word {n}" for n in range(200)]
    likeness = [features(tags=[word]) @ features(creator=word) for word in words]
    assert abs(np.mean(likeness)) < 0.03
    assert np.mean(np.abs(likeness) > 0.9) < 0.02


def test_it_is_the_same_in_every_process():
    # printf tag:a | b2sum -l 128: bedc735d8ca82530 6d36f03d15ee2da6. Each half: the last bit is the sign (0: minus),
    # the six before it the place of 64: 0x30 >> 1 = 24, (0xa6 >> 1) % 64 = 19.
    want = np.zeros(64, np.float32)
    want[[24, 19]] = -1.0
    np.testing.assert_allclose(content_features({"tag": ["a"]}, dim=64), want / np.linalg.norm(want), rtol=1e-6)


def test_folding_by_hand():
    # 2654435761 times 0 to 3: 0, 0x9E3779B1, 0x13C6EF362, 0x1DAA66D13; their bit 16 is 0, 1, 0, 0: signs -, +, -, -.
    vectors = np.array([[1, 2, 4, 8], [0, 0, 0, 0]], np.float32)
    want = np.array([-1 - 4, 2 - 8]) / np.hypot(5, 6)
    np.testing.assert_allclose(folded(vectors, 2), [want, [0, 0]], rtol=1e-6)
    with pytest.raises(ShapeError, match="a multiple of 3 numbers to be folded into so many, got 4"):
        folded(vectors, 3)


def test_folding_keeps_angles_nearly():
    rng = np.random.default_rng(0)
    common = rng.standard_normal((300, 384)).astype(np.float32)
    share = rng.random((300, 1)).astype(np.float32)
    other = share * common + (1 - share) * rng.standard_normal((300, 384)).astype(np.float32)
    one, two = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (common, other))
    off = (folded(one, 128) * folded(two, 128)).sum(1) - (one * two).sum(1)
    assert abs(off.mean()) < 0.02
    assert off.std() < 1 / np.sqrt(128)


def test_folding_takes_each_vector_by_itself():
    vectors = np.random.default_rng(1).standard_normal((9, 384)).astype(np.float32)
    np.testing.assert_array_equal(
        folded(vectors, 128), np.concatenate([folded(vectors[at : at + 1], 128) for at in range(9)])
    )
