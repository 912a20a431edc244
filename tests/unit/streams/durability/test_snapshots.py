"""Snapshots: all or nothing, the newest whole one wins, and nothing that was changed is ever loaded."""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.durability import snapshots
from streams.durability.manifest import UnknownFormatError, state_hash
from streams.errors import SnapshotError

OFFSETS = {"interactions.v1/0": 10, "interactions.v1/1": 0}


def make_arrays(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    return {
        "table/user": random.random((5, 3), dtype=np.float32),
        "ids": np.array(["a", "käse", ""]),
        "bytes": np.array([b"x", b"yz"]),
        "mask": np.array([True, False]),
        "step": np.array(seed, dtype=np.int64),
        "empty": np.empty((0, 4), dtype=np.float16),
        "no-text": np.array([], dtype="U4"),
    }


def save(root: Path, version: int, *, seed: int = 0, keep: int = 3, **changes: Any) -> snapshots.SnapshotRef:
    fields: dict[str, Any] = {"offsets": OFFSETS, "meta": {"seed": seed}} | changes
    return snapshots.save(root, version, make_arrays(seed), keep=keep, **fields)


def assert_same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert sorted(got) == sorted(want)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array, strict=True)


def biggest_file(ref: snapshots.SnapshotRef) -> Path:
    return max(ref.path.glob("*.bin"), key=lambda path: path.stat().st_size)


def test_what_was_saved_is_loaded_and_can_be_written_to(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "snapshots"
    saved = save(root, 12, seed=4)

    found = snapshots.newest(root)

    assert found is not None
    assert (found.version, dict(found.offsets), dict(found.meta)) == (12, OFFSETS, {"seed": 4})
    assert found.path == saved.path
    assert found.state_hash == saved.state_hash == state_hash(make_arrays(4))
    assert found.uri == f"file://{found.path}"
    arrays = snapshots.load(found)
    assert_same(arrays, make_arrays(4))
    arrays["table/user"] += 1
    both = snapshots.load_newest(root)
    assert both is not None
    assert both[0].version == 12
    assert_same(both[1], make_arrays(4))


def test_odd_layouts_come_back_by_value(tmp_path: Path) -> None:
    table = np.arange(12, dtype=np.float64).reshape(3, 4)
    arrays: dict[str, Any] = {"t": table.T, "s": table[::2, ::-1], "big": table.astype(">f8"), "list": [1, 2]}

    got = snapshots.load(snapshots.save(tmp_path, 1, arrays, offsets={}, meta={}))

    assert_same(got, {"t": table.T, "s": table[::2, ::-1], "big": table, "list": np.array([1, 2])})


def test_nothing_there_is_none(tmp_path: Path) -> None:
    assert snapshots.newest(tmp_path) is None
    assert snapshots.newest(tmp_path / "nowhere") is None
    assert snapshots.load_newest(tmp_path) is None
    (tmp_path / "snapshot-5").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert snapshots.newest(tmp_path) is None


def cut_array(ref: snapshots.SnapshotRef) -> None:
    path = biggest_file(ref)
    path.write_bytes(path.read_bytes()[:-1])


def flip_bit(ref: snapshots.SnapshotRef) -> None:
    path = biggest_file(ref)
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


def lose_array(ref: snapshots.SnapshotRef) -> None:
    biggest_file(ref).unlink()


def cut_manifest(ref: snapshots.SnapshotRef) -> None:
    path = ref.path / "manifest.json"
    path.write_bytes(path.read_bytes()[:-5])


def lose_manifest(ref: snapshots.SnapshotRef) -> None:
    (ref.path / "manifest.json").unlink()


def change_offsets(ref: snapshots.SnapshotRef) -> None:
    path = ref.path / "manifest.json"
    path.write_text(path.read_text().replace('"interactions.v1/0": 10', '"interactions.v1/0": 99'))


def move(ref: snapshots.SnapshotRef) -> None:
    ref.path.rename(snapshots.path_of(ref.path.parent, 3))


DAMAGES = [cut_array, flip_bit, lose_array, cut_manifest, lose_manifest, change_offsets, move]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_snapshot_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    save(tmp_path, 1, seed=1)
    broken = save(tmp_path, 2, seed=2)
    damage(broken)

    with caplog.at_level(logging.WARNING):
        found, both = snapshots.newest(tmp_path), snapshots.load_newest(tmp_path)

    assert found is not None
    assert both is not None
    assert (found.version, both[0].version) == (1, 1)
    assert_same(both[1], make_arrays(1))
    assert sum("skipping snapshot" in message for message in caplog.messages) == 2


@pytest.mark.parametrize("damage", [cut_array, flip_bit, lose_array])
def test_a_broken_snapshot_is_not_loaded(tmp_path: Path, damage: Any) -> None:
    ref = save(tmp_path, 2)
    damage(ref)
    with pytest.raises(SnapshotError, match="array 'table/user'"):
        snapshots.load(ref)


@pytest.mark.parametrize("damage", [cut_array, lose_manifest])
def test_a_broken_snapshot_is_replaced_by_the_next_run(tmp_path: Path, damage: Any) -> None:
    save(tmp_path, 1, seed=1)
    damage(save(tmp_path, 2, seed=2))

    save(tmp_path, 2, seed=5)

    both = snapshots.load_newest(tmp_path)
    assert both is not None
    assert both[0].version == 2
    assert_same(both[1], make_arrays(5))


def test_saving_the_same_again_changes_nothing_and_another_state_is_refused(tmp_path: Path) -> None:
    first = save(tmp_path, 2, seed=2)
    before = (first.path / "manifest.json").stat().st_mtime_ns

    assert save(tmp_path, 2, seed=2).state_hash == first.state_hash
    assert (first.path / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(SnapshotError, match="expected no other snapshot of version 2.*a second trainer"):
        save(tmp_path, 2, seed=3)
    with pytest.raises(SnapshotError, match="expected no other snapshot of version 2"):
        save(tmp_path, 2, seed=2, offsets={"interactions.v1/0": 11})
    assert_same(snapshots.load(first), make_arrays(2))
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_a_newer_format_is_never_stepped_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    newer = save(tmp_path, 2)
    body = json.loads((newer.path / "manifest.json").read_bytes())
    del body["sha256"]
    body["format"] = 2
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    signed = body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    (newer.path / "manifest.json").write_text(json.dumps(signed))

    for read in (snapshots.newest, snapshots.load_newest):
        with pytest.raises(UnknownFormatError, match="expected snapshot format 1, got 2"):
            read(tmp_path)
    with pytest.raises(UnknownFormatError):
        save(tmp_path, 2)


def test_retention_keeps_the_newest_and_never_the_last_good_one_less(tmp_path: Path) -> None:
    for version in (1, 2, 3, 4, 5):
        save(tmp_path, version, keep=2)
    assert snapshots.versions(tmp_path) == [4, 5]

    broken = save(tmp_path, 9, keep=2)
    cut_array(broken)
    save(tmp_path, 6, keep=1)

    assert snapshots.versions(tmp_path) == [6, 9], "the broken newer one does not push the good one out"
    found = snapshots.newest(tmp_path)
    assert found is not None
    assert found.version == 6


def test_what_a_crash_left_is_swept_by_the_next_save(tmp_path: Path) -> None:
    half = tmp_path / ".aside-dead"
    half.mkdir()
    (half / "array-00000.bin").write_bytes(b"half")
    assert snapshots.newest(tmp_path) is None

    ref = save(tmp_path, 1)

    assert [path.name for path in tmp_path.iterdir()] == [ref.path.name]


def test_a_failed_save_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="array 'bad'"):
        snapshots.save(tmp_path, 1, {"a": np.zeros(3), "bad": np.array([object()])}, offsets={}, meta={})
    with pytest.raises(SnapshotError, match="expected JSON values"):
        save(tmp_path, 1, meta={"x": {1}})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SnapshotError, match="check space and permissions"):
        save(tmp_path / "file", 1)
    with pytest.raises(SnapshotError, match="expected version >= 0 and keep >= 1, got 1 and 0"):
        save(tmp_path, 1, keep=0)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from streams.durability import snapshots
for version in range(1, 100_000):
    arrays = {f"a{n}": np.full(20_000, version, np.int64) for n in range(8)}
    snapshots.save(Path(sys.argv[1]), version, arrays, offsets={"t/0": version}, meta={}, keep=2)
    print(version, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("saves", [1, 2, 5])
def test_kill_9_in_the_middle_leaves_the_last_reported_snapshot_or_a_newer_one(tmp_path: Path, saves: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    reported = [int(writer.stdout.readline()) for _ in range(saves)][-1]
    writer.send_signal(signal.SIGKILL)
    reported = max([reported, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    writer.wait()
    writer.stdout.close()

    both = snapshots.load_newest(tmp_path)

    assert both is not None
    ref, arrays = both
    assert ref.version in (reported, reported + 1)
    assert ref.offsets["t/0"] == ref.version
    assert all((array == ref.version).all() for array in arrays.values())


def test_arrays_that_nobody_wants_are_neither_read_nor_checked(tmp_path: Path) -> None:
    ref = save(tmp_path, 1)
    biggest_file(ref).write_bytes(b"damaged")
    damaged = [entry.name for place, entry in enumerate(ref.manifest.arrays)
               if (ref.path / f"array-{place:05d}.bin").read_bytes() == b"damaged"]  # fmt: skip
    found = snapshots.load_newest(tmp_path, wants=lambda name: name not in damaged)
    assert found is not None
    assert_same(found[1], {name: array for name, array in make_arrays().items() if name not in damaged})
    assert snapshots.load_newest(tmp_path) is None
