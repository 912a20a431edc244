"""Every store of assets, held to the same claims: named by their hash, whole or not there, the manifest last.

``ASSET_STORE=s3://bucket/prefix`` adds a real store; what lies under that prefix is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest

from streams.durability.object_store import ObjectStore
from streams.errors import StoreError
from streams.store_url import StoreUrl, store_of
from streams.studio.object_assets import ObjectAssets
from streams.studio.store import ASIDE, TRIES, Aside, AssetStore, open_assets
from tests.faulty_store import FaultyStore

REAL = os.environ.get("ASSET_STORE")


@dataclass(frozen=True)
class Held:
    """A store, and the same place for hands that look or do damage."""

    store: AssetStore
    files: Any
    root: str
    aside: Path

    def put(self, path: Path, **manifest: Any) -> Any:
        return self.store.put(path, suffix=path.suffix, manifest=manifest, aside=self.aside)

    def all(self) -> dict[str, bytes]:
        """Every file but those under way, by its path below the root."""
        self.files.invalidate_cache()
        found = {path[len(self.root) + 1 :]: self.files.cat_file(path) for path in self.files.find(self.root)}
        return {name: content for name, content in found.items() if not name.startswith(ASIDE)}


@pytest.fixture(params=["folder", "memory", *(["real"] if REAL else [])])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Held]:
    where: Path | StoreUrl = tmp_path / "store"
    if request.param != "folder":
        where = store_of(f"memory://assets-{secrets.token_hex(4)}" if request.param == "memory" else str(REAL))
    store = open_assets(where, local=tmp_path / "local")
    aside = Aside(store.corners)
    files, root = (
        fsspec.url_to_fs(str(where)) if isinstance(where, StoreUrl) else (fsspec.filesystem("file"), str(where))
    )
    yield Held(store, files, root.rstrip("/"), aside.folder)
    aside.close()
    if isinstance(where, StoreUrl) and files.exists(root):
        files.rm(root, recursive=True)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made.txt"
    path.write_bytes(b"hello")
    return path


DIGEST = hashlib.sha256(b"hello").hexdigest()


def test_a_file_is_found_by_its_hash_with_its_manifest(held: Held, made: Path) -> None:
    stored = held.put(made, engine={"name": "x"})
    assert (stored.sha256, stored.size_bytes) == (DIGEST, 5)
    assert stored.uri.endswith(f"/{DIGEST[:2]}/{DIGEST}.txt")
    found = held.all()
    assert found[f"{DIGEST[:2]}/{DIGEST}.txt"] == b"hello"
    manifest = json.loads(found[f"{DIGEST[:2]}/{DIGEST}.json"])
    assert manifest == {"engine": {"name": "x"}, "sha256": DIGEST, "bytes": 5}
    assert len(found) == 2


def test_the_same_bytes_are_the_same_file(held: Held, made: Path) -> None:
    one = held.put(made)
    before = held.all()
    assert held.put(made) == one
    assert held.all() == before


def test_a_file_that_was_cut_short_is_replaced(held: Held, made: Path) -> None:
    held.put(made)
    held.files.pipe_file(f"{held.root}/{DIGEST[:2]}/{DIGEST}.txt", b"hel")
    held.put(made)
    assert held.all()[f"{DIGEST[:2]}/{DIGEST}.txt"] == b"hello"


def test_tries_are_counted_until_they_are_not(held: Held) -> None:
    odd = "../../x\n" + "y" * 200
    assert [held.store.tries(task) for task in ("a", odd)] == [0, 0]
    held.store.set_tries("a", 1)
    held.store.set_tries(odd, 2)
    assert [held.store.tries(task) for task in ("a", odd, "b")] == [1, 2, 0]
    assert all(name.startswith((TRIES, "tries/")) for name in held.all())
    held.store.set_tries("a", 0)
    held.store.set_tries("a", 0)
    held.store.set_tries(odd, 0)
    assert held.all() == {}


def test_a_count_that_was_cut_off_counts_as_one(held: Held) -> None:
    held.store.set_tries("a", 7)
    (name,) = held.all()
    held.files.pipe_file(f"{held.root}/{name}", b"")
    assert held.store.tries("a") == 1


def test_a_probe_leaves_nothing(held: Held) -> None:
    held.store.probe()
    assert held.all() == {}


def test_wherever_a_store_fails_no_manifest_is_without_its_whole_file(made: Path, tmp_path: Path) -> None:
    steps = 0
    while True:
        steps += 1
        files = FaultyStore()

        def fail(number: int, _name: str, at: int = steps) -> None:
            if number == at:
                raise ConnectionError("gone")

        files.fault = fail
        store = ObjectAssets(ObjectStore(files, "/bucket/assets", address="faulty://bucket/assets"), local=tmp_path)
        try:
            store.put(made, suffix=".txt", manifest={}, aside=tmp_path)
        except StoreError:
            left = files.copied()
            names = {Path(name).name: left.cat_file(name) for name in left.find("/bucket/assets")}
            assert f"{DIGEST}.json" not in names or names[f"{DIGEST}.txt"] == b"hello"
            files.fault = lambda _number, _name: None
            store.put(made, suffix=".txt", manifest={}, aside=tmp_path)
        else:
            break
        names = {Path(name).name: files.cat_file(name) for name in files.find("/bucket/assets")}
        assert names.keys() == {f"{DIGEST}.txt", f"{DIGEST}.json"}
        assert names[f"{DIGEST}.txt"] == b"hello"
    assert steps > 3
