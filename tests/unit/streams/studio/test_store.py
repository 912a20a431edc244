"""The store: whole files under their hashes, whatever ends in between."""

import hashlib
import json

import pytest

from streams.studio.store import ASIDE, Aside, Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def aside(store):
    one = Aside(store)
    yield one
    one.close()


def test_a_file_is_found_by_its_hash_with_its_manifest(store, aside, tmp_path):
    made = tmp_path / "made.txt"
    made.write_bytes(b"hello")
    stored = store.put(made, suffix=".txt", manifest={"engine": {"name": "x"}}, aside=aside.folder)
    digest = hashlib.sha256(b"hello").hexdigest()
    assert stored.path == store.folder / digest[:2] / f"{digest}.txt"
    assert stored.path.read_bytes() == b"hello"
    assert stored.uri == stored.path.as_uri()
    manifest = json.loads(stored.path.with_suffix(".json").read_text())
    assert manifest == {"engine": {"name": "x"}, "sha256": digest, "bytes": 5}


def test_the_same_bytes_are_the_same_file(store, aside, tmp_path):
    made = tmp_path / "made.txt"
    made.write_bytes(b"hello")
    one, other = (store.put(made, suffix=".txt", manifest={}, aside=aside.folder) for _ in range(2))
    assert one == other


def test_a_damaged_file_is_replaced(store, aside, tmp_path):
    made = tmp_path / "made.txt"
    made.write_bytes(b"hello")
    store.put(made, suffix=".txt", manifest={}, aside=aside.folder).path.write_bytes(b"hel")
    assert store.put(made, suffix=".txt", manifest={}, aside=aside.folder).path.read_bytes() == b"hello"


def test_what_a_gone_worker_left_is_cleared_and_a_living_one_s_is_not(store):
    living, gone = Aside(store), Aside(store)
    (gone.folder / "half").touch()
    gone._lock.close()  # as the end of its process does
    new = Aside(store)
    assert {path.name for path in (store.folder / ASIDE).iterdir()} == {living.folder.name, new.folder.name}
    new.close()
    living.close()
    assert list((store.folder / ASIDE).iterdir()) == []
