"""Tags, creators and years as codes that every process agrees on."""

import hashlib

import numpy as np
import pytest

from models.recommend.labels import (
    TAG_CODES,
    TAGS,
    creator_code,
    empty_labels,
    grown_labels,
    tag_codes,
    year_of,
)  # fmt: skip


def test_a_tag_is_its_hash_whatever_its_case():
    # By the definition: the first 8 bytes of BLAKE2b, big-endian, into 1 to TAG_CODES - 1.
    digest = hashlib.blake2b(b"drama", digest_size=8).digest()
    want = 1 + int.from_bytes(digest, "big") % (TAG_CODES - 1)
    assert tag_codes(["Drama"]).tolist() == [want] + [0] * (TAGS - 1)
    assert tag_codes(["drama", "DRAMA"]).tolist() == tag_codes(["Drama"]).tolist()


def test_tags_keep_their_order_and_the_first_eight_count():
    tags = [f"tag {n}" for n in range(20)]
    codes = tag_codes(tags)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [tag_codes([tag])[0] for tag in tags[:TAGS]]
    assert tag_codes([]).tolist() == [0] * TAGS
    many = {int(tag_codes([f"tag {n}"])[0]) for n in range(1_000)}
    assert len(many) > 900, "few of a thousand share a code"
    assert 0 not in many
    assert max(many) < TAG_CODES


def test_a_creator_is_a_code_and_nobody_is_none():
    assert creator_code(None) == creator_code("") == 0
    assert creator_code("Scott") == creator_code("Scott") != creator_code("scott")
    codes = np.array([creator_code(f"creator {n}") for n in range(1_000)])
    assert (codes > 0).all()
    assert (codes == codes.astype(np.int32)).all()


@pytest.mark.parametrize(
    ("title_year", "published_at_ms", "want"),
    [
        ("1979", 1_700_000_000_000, 1979),
        (None, 0, 1970),
        (None, 1_700_000_000_000, 2023),
        (None, -500_000_000_000, 1954),
        (None, None, 0),
        (None, 10**15, 9999),
        (None, -(10**15), 1),
    ],
)
def test_year(title_year, published_at_ms, want):
    assert year_of(title_year, published_at_ms) == want
    assert np.int16(want) == want


def test_growth_keeps_the_rows():
    labels = empty_labels(2)
    labels.tags[1, 0], labels.creator[1], labels.year[1] = 7, 8, 1999
    grown = grown_labels(labels, 5)
    assert [len(column) for column in grown] == [5, 5, 5]
    assert [column.dtype for column in grown] == [column.dtype for column in labels]
    for name in labels._fields:
        np.testing.assert_array_equal(getattr(grown, name)[:2], getattr(labels, name))
        assert not getattr(grown, name)[2:].any()
    assert grown_labels(grown, 5) is grown
