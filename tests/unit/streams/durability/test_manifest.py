"""The manifest: what it says comes back as it was, and any change of it is noticed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.durability.manifest import ArrayEntry, Manifest, UnknownFormatError, entry_of, portable, state_hash
from streams.errors import SnapshotError


def make_manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "version": 7,
        "arrays": (ArrayEntry(name="a", dtype="<f4", shape=(2, 3), sha256="0" * 64),),
        "offsets": {"interactions.v1/0": 12},
        "meta": {"step": 3, "names": ["x"], "rate": 0.5, "none": None},
    }
    return Manifest(**(fields | changes))


def resigned(body: dict[str, Any]) -> bytes:
    """A manifest with these fields and a right hash, built by hand."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps(body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def test_comes_back_as_it_was() -> None:
    manifest = make_manifest()

    again = Manifest.from_bytes(manifest.to_bytes())

    assert again.to_bytes() == manifest.to_bytes()
    assert (again.version, again.arrays) == (manifest.version, manifest.arrays)
    assert dict(again.offsets) == {"interactions.v1/0": 12}
    assert dict(again.meta) == {"step": 3, "names": ["x"], "rate": 0.5, "none": None}
    assert again.arrays[0].size_bytes == 24


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_cut_manifest_is_refused(cut: int) -> None:
    payload = make_manifest().to_bytes()
    with pytest.raises(SnapshotError):
        Manifest.from_bytes(payload[: min(cut, len(payload) - 1)])


@pytest.mark.parametrize(
    "change", [{"offsets": {"interactions.v1/0": 13}}, {"version": 8}, {"meta": {}}, {"arrays": []}]
)
def test_a_changed_manifest_is_refused(change: dict[str, Any]) -> None:
    body = json.loads(make_manifest().to_bytes())
    with pytest.raises(SnapshotError, match="it was changed"):
        Manifest.from_bytes(json.dumps(body | change).encode())


def test_another_format_is_refused_by_name_and_other_json_too() -> None:
    body = json.loads(make_manifest().to_bytes())
    del body["sha256"]
    assert Manifest.from_bytes(resigned(body)).version == 7, "the hash built by hand is the right one"
    with pytest.raises(UnknownFormatError, match="expected snapshot format 1, got 2; start the version of Marquee"):
        Manifest.from_bytes(resigned(body | {"format": 2}))
    for payload in (b"[]", b"3", b"{}", b'"x"', b"\xff", resigned({"format": 1})):
        with pytest.raises(SnapshotError, match="expected a whole manifest"):
            Manifest.from_bytes(payload)


@pytest.mark.parametrize("meta", [{"array": np.zeros(2)}, {"rate": float("nan")}, {"key": {1, 2}}])
def test_meta_that_is_not_json_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(SnapshotError, match="expected JSON values in the meta of a snapshot"):
        make_manifest(meta=meta).to_bytes()


def test_an_entry_hashes_the_little_endian_values() -> None:
    entry = entry_of("x", portable("x", np.array([1, 258], dtype=">i4")))

    assert entry == ArrayEntry(
        name="x", dtype="<i4", shape=(2,), sha256=hashlib.sha256(b"\x01\0\0\0\x02\x01\0\0").hexdigest()
    )


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["2020-01-01"], "datetime64[D]"), np.zeros(1, "i4,f4")]
)
def test_types_that_are_not_plain_bytes_are_refused(array: Any) -> None:
    with pytest.raises(SnapshotError, match=r"expected numbers, booleans or fixed-length text in array 'x'"):
        portable("x", array)


def test_the_state_hash_sees_names_types_shapes_and_values_but_not_order() -> None:
    arrays = {"a": np.arange(6, dtype=np.int32), "b": np.array(["x", "yz"])}
    same = state_hash(arrays)

    assert state_hash(dict(reversed(arrays.items()))) == same
    assert state_hash({"a": arrays["a"].astype(">i4"), "b": np.asfortranarray(arrays["b"])}) == same
    others = (
        {"c": arrays["a"], "b": arrays["b"]},
        {"a": arrays["a"].reshape(2, 3), "b": arrays["b"]},
        {"a": arrays["a"].view(np.uint32), "b": arrays["b"]},
        {"a": arrays["a"] + 1, "b": arrays["b"]},
        {"a": arrays["a"]},
    )
    assert len({same, *map(state_hash, others)}) == 6
