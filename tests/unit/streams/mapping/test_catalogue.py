"""Records of other shapes as items."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.contract import codec
from streams.contract.absent import Withdrawn
from streams.contract.codec import Rejected
from streams.contract.events import Item
from streams.mapping.decoders import as_ours, decoder_of
from streams.mapping.shapes import shape_of

FILMS = {
    "item": "film.id", "title": "film.names.0.text", "tags": "genres", "creator": "director", "language": "lang",
    "duration_s": "runtime_ms", "duration_unit": "ms", "published": "year", "published_unit": "year",
    "regions": "where", "maturity": "age", "available_until": "until", "time_unit": "iso",
    "withdrawn": {"state": ["deleted", "hidden"]},
}  # fmt: skip
RECORD: dict[str, Any] = {
    "film": {"id": 17, "names": [{"text": "Persona"}, {"text": "x"}]}, "genres": "Drama|Thriller | ",
    "director": "Bergman", "lang": "sv", "runtime_ms": 4_980_000, "year": 1966, "where": ["SE", "DE"], "age": "15",
    "until": "2030-01-01T00:00:00Z", "state": "live",
}  # fmt: skip


def decoded(table: dict[str, Any], record: object, *, key: bytes | None = None) -> Any:
    value = record if isinstance(record, bytes) else json.dumps(record).encode()
    return decoder_of(Item, shape_of("items", table, where="test"))(value, -1, key)


def test_every_field_of_a_mapping_finds_its_value() -> None:
    assert decoded(FILMS, RECORD) == Item(
        item_id="17", title="Persona", tags=["Drama", "Thriller"], creator="Bergman", language="sv", duration_s=4980.0,
        published_at_ms=-126_230_400_000, regions=["SE", "DE"], maturity=15, available_until_ms=1_893_456_000_000,
    )  # fmt: skip


def test_what_is_missing_is_left_out_and_a_state_may_withdraw_an_item() -> None:
    assert decoded(FILMS, {"film": {"id": "x", "names": None}}) == Item(item_id="x")
    assert decoded(FILMS, RECORD | {"state": "deleted"}) == Withdrawn("17")
    assert decoded({"item": "$key", "title": "t"}, {"t": "A"}, key=b"k") == Item(item_id="k", title="A")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"film": {}}, "got nothing - at `$.film.id`"), ({"age": 99}, "<= 21, got 99 - at `$.age`"),
        ({"lang": "x" * 40}, "length <= 35, got"),
        ({"genres": 7}, "an array of words, or text, got 7 - at `$.genres`"),
        ({"runtime_ms": "long"}, 'a number, got "long" - at `$.runtime_ms`'), ({"genres": [1.5, {}]}, "text"),
        ({"until": "soon"}, 'an ISO 8601 time, got "soon" - at `$.until`'),
        ({"director": {"a": 1}}, "at `$.director`"),
        ({"year": "MM"}, 'a year, got "MM" - at `$.year`'), ({"state": []}, "at `$.state`"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_what_was_expected_and_what_came(change: dict[str, Any], said: str) -> None:
    found = decoded(FILMS, RECORD | change)
    assert isinstance(found, Rejected)
    assert said in found.reason


def test_the_creator_may_be_one_of_the_tags() -> None:
    table = {"item": "id", "tags": "tags", "creator": "tags", "creator_pattern": "^author[0-9]+$"}
    found = decoded(table, {"id": 1, "tags": "a|author7|b"})
    assert (found.creator, found.tags) == ("author7", ["a", "b"])


def test_a_catalogue_of_another_shape_becomes_records_of_ours() -> None:
    decode = decoder_of(Item, shape_of("items", FILMS, where="test"))
    key, value = as_ours(decode, b"any", json.dumps(RECORD).encode(), -1, ())
    assert key == b"17"
    assert codec.decode(Item, value or b"", timestamp_ms=-1) == decoded(FILMS, RECORD)
    assert as_ours(decode, b"any", json.dumps(RECORD | {"state": "hidden"}).encode(), -1, ()) == (b"17", None)
    assert as_ours(decode, b"17", None, -1, ()) == (b"17", None)
    assert as_ours(decode, b"17", b"{", -1, ()) == (b"17", b"{")
