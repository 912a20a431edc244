"""Every store of snapshots, held to the same claims: all or nothing, the newest whole one, nothing changed is loaded.

``SNAPSHOT_STORE=s3://bucket/prefix`` adds a real store; what lies under that prefix is removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from streams.durability import snapshots
from streams.durability.folder_store import FolderStore
from streams.durability.manifest import UnknownFormatError, state_hash
from streams.durability.object_store import ObjectStore, open_object_store
from streams.durability.stores import SnapshotStore
from streams.errors import SnapshotError
from streams.store_url import StoreUrl, store_of

OFFSETS = {"interactions.v1/0": 10}
REAL = os.environ.get("SNAPSHOT_STORE")


@dataclass(frozen=True)
class Held:
    """A store, and the same place for hands that damage it."""

    store: SnapshotStore
    files: Any
    root: str

    def save(self, version: int, *, seed: int = 0, keep: int = 3, **changes: Any) -> snapshots.SnapshotRef:
        fields: dict[str, Any] = {"offsets": OFFSETS, "meta": {"seed": seed}} | changes
        return snapshots.save(self.store, version, make_arrays(seed), keep=keep, **fields)

    def path(self, version: int, name: str = "") -> str:
        return f"{self.root}/snapshot-{version:020d}" + (f"/{name}" if name else "")

    def write(self, path: str, content: bytes) -> None:
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(path, content)

    def all(self) -> dict[str, bytes]:
        """Every file under the root, by its path below it."""
        self.files.invalidate_cache()
        return {path[len(self.root) + 1 :]: self.files.cat_file(path) for path in self.files.find(self.root)}

    def biggest(self, version: int) -> str:
        self.files.invalidate_cache()
        paths = [path for path in self.files.find(self.path(version)) if path.endswith(".bin")]
        return str(max(paths, key=lambda path: self.files.info(path)["size"]))


def make_arrays(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "table/user": random.random((500, 3), dtype=np.float32),
        "ids": np.array(["a", "käse", ""]),
        "mask": np.array([True, False]),
        "step": np.array(seed, dtype=np.int64),
        "empty": np.empty((0, 4), dtype=np.float16),
        "turned": np.arange(12.0).reshape(3, 4).T,
    }


def assert_same(got: dict[str, Any] | None, want: dict[str, Any]) -> None:
    assert got is not None
    assert sorted(got) == sorted(want)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array, strict=True)


@pytest.fixture(params=["folder", "memory", "local through fsspec", *(["real"] if REAL else [])])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Held]:
    local = fsspec.filesystem("file")
    match request.param:
        case "folder":
            yield Held(FolderStore(tmp_path / "all"), local, str(tmp_path / "all"))
        case "local through fsspec":
            root = str(tmp_path / "all")
            yield Held(ObjectStore(local, root, address=f"local://{root}"), local, root)
        case kind:
            address = f"{REAL}/{secrets.token_hex(4)}" if kind == "real" else f"memory://bucket/{tmp_path.name}"
            url = store_of(address)
            assert isinstance(url, StoreUrl)
            files, root = fsspec.url_to_fs(str(url))
            yield Held(open_object_store(url), files, root)
            files.invalidate_cache()
            if files.exists(root):
                files.rm(root, recursive=True)


def test_nothing_there_is_none(held: Held) -> None:
    assert held.store.versions() == []
    assert snapshots.newest(held.store) is None
    assert snapshots.load_newest(held.store) is None
    held.write(f"{held.root}/notes.txt", b"mine")
    held.write(f"{held.root}/snapshot-5/manifest.json", b"{}")
    assert snapshots.newest(held.store) is None


def test_what_was_saved_is_loaded_and_can_be_written_to(held: Held) -> None:
    saved = held.save(12, seed=4)

    both = snapshots.load_newest(held.store)

    assert both is not None
    ref, arrays = both
    assert (ref.version, dict(ref.offsets), dict(ref.meta)) == (12, OFFSETS, {"seed": 4})
    assert ref.state_hash == saved.state_hash == state_hash(make_arrays(4))
    assert ref.uri == saved.uri
    assert ref.uri.endswith("/snapshot-00000000000000000012")
    assert_same(arrays, make_arrays(4))
    arrays["table/user"] += 1
    checked = snapshots.newest(held.store)
    assert checked is not None
    assert checked.version == 12


def test_a_folder_s_files_and_an_object_store_s_are_the_same(held: Held, tmp_path: Path) -> None:
    held.save(3, seed=1)
    folder = tmp_path / "other"
    snapshots.save(folder, 3, make_arrays(1), offsets=OFFSETS, meta={"seed": 1})
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert held.all() == files


def cut_array(held: Held, version: int) -> None:
    path = held.biggest(version)
    held.write(path, held.files.cat_file(path)[:-1])


def add_to_array(held: Held, version: int) -> None:
    path = held.biggest(version)
    held.write(path, held.files.cat_file(path) + b"x")


def flip_bit(held: Held, version: int) -> None:
    path = held.biggest(version)
    content = bytearray(held.files.cat_file(path))
    content[7] ^= 1
    held.write(path, bytes(content))


def lose_array(held: Held, version: int) -> None:
    held.files.rm_file(held.biggest(version))


def cut_manifest(held: Held, version: int) -> None:
    path = held.path(version, "manifest.json")
    held.write(path, held.files.cat_file(path)[:-5])


def change_offsets(held: Held, version: int) -> None:
    path = held.path(version, "manifest.json")
    held.write(path, held.files.cat_file(path).replace(b'"interactions.v1/0": 10', b'"interactions.v1/0": 99'))


def move(held: Held, version: int) -> None:
    for path in held.files.find(held.path(version)):
        held.write(held.path(3, path.rpartition("/")[2]), held.files.cat_file(path))
        held.files.rm_file(path)


DAMAGES = [cut_array, add_to_array, flip_bit, lose_array, cut_manifest, change_offsets, move]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_snapshot_is_skipped_with_a_warning(held: Held, caplog: pytest.LogCaptureFixture, damage: Any) -> None:
    held.save(1, seed=1)
    held.save(2, seed=2)
    damage(held, 2)

    with caplog.at_level(logging.WARNING):
        found, both = snapshots.newest(held.store), snapshots.load_newest(held.store)

    assert found is not None
    assert both is not None
    assert (found.version, both[0].version) == (1, 1)
    assert_same(both[1], make_arrays(1))
    skipped = [message for message in caplog.messages if "skipping snapshot" in message]
    assert len(skipped) == (4 if damage is move and isinstance(held.store, FolderStore) else 2)


@pytest.mark.parametrize("damage", [cut_array, lose_array, cut_manifest])
def test_a_broken_snapshot_is_replaced_by_the_next_run(held: Held, damage: Any) -> None:
    held.save(1, seed=1)
    held.save(2, seed=2)
    damage(held, 2)

    held.save(2, seed=5)

    both = snapshots.load_newest(held.store)
    assert both is not None
    assert both[0].version == 2
    assert_same(both[1], make_arrays(5))


def test_saving_the_same_again_changes_nothing_and_another_state_is_refused(held: Held) -> None:
    first = held.save(2, seed=2)
    before = held.all()

    assert held.save(2, seed=2).state_hash == first.state_hash
    with pytest.raises(SnapshotError, match="expected no other snapshot of version 2.*a second trainer"):
        held.save(2, seed=3)
    with pytest.raises(SnapshotError, match="expected no other snapshot of version 2"):
        held.save(2, seed=2, offsets={"interactions.v1/0": 11})

    assert held.all() == before


def test_a_newer_format_is_never_stepped_over(held: Held) -> None:
    held.save(1)
    held.save(2)
    path = held.path(2, "manifest.json")
    body = json.loads(held.files.cat_file(path))
    del body["sha256"]
    body["format"] = 2
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    held.write(path, json.dumps(body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}).encode())

    for read in (snapshots.newest, snapshots.load_newest):
        with pytest.raises(UnknownFormatError, match="expected snapshot format 1, got 2"):
            read(held.store)
    with pytest.raises(UnknownFormatError):
        held.save(2)


def test_retention_keeps_the_newest_and_never_the_last_good_one_less(held: Held) -> None:
    for version in (1, 2, 3, 4, 5):
        held.save(version, keep=2)
    assert held.store.versions() == [4, 5]
    held.save(9, keep=2)
    cut_array(held, 9)

    held.save(6, keep=1)

    assert held.store.versions() == [6, 9], "the broken newer one does not push the good one out"
    found = snapshots.newest(held.store)
    assert found is not None
    assert found.version == 6
    assert {path.split("/")[0] for path in held.all()} == {f"snapshot-{version:020d}" for version in (6, 9)}


def test_what_a_crash_left_is_not_there_and_is_swept_by_the_next_save(held: Held) -> None:
    aside = ".aside-dead" if isinstance(held.store, FolderStore) else f"snapshot-{7:020d}"
    held.write(f"{held.root}/{aside}/array-00000.bin", b"half")
    assert held.store.versions() == []
    assert snapshots.newest(held.store) is None

    held.save(8)

    assert {path.split("/")[0] for path in held.all()} == {f"snapshot-{8:020d}"}


def test_a_removed_snapshot_is_gone_whole(held: Held) -> None:
    held.save(1)
    held.store.remove(1)
    assert held.store.versions() == []
    assert held.all() == {}


def test_a_failed_save_leaves_nothing_and_says_why(held: Held) -> None:
    with pytest.raises(SnapshotError, match="array 'bad'"):
        snapshots.save(held.store, 1, {"a": np.zeros(3), "bad": np.array([object()])}, offsets={}, meta={})
    with pytest.raises(SnapshotError, match="expected JSON values"):
        held.save(1, meta={"x": {1}})
    assert held.store.versions() == []
    held.save(1)


def test_arrays_of_many_chunks_come_back(held: Held) -> None:
    large = np.arange(5_000_000, dtype=np.int32)  # 20 MB: three reads, two blocks
    snapshots.save(held.store, 1, {"large": large}, offsets={}, meta={})
    both = snapshots.load_newest(held.store)
    assert both is not None
    assert_same(both[1], {"large": large})
