"""Snapshots on disk: written aside, synced, hashed and renamed, so that a crash leaves the old one or the new one.

A snapshot is a folder ``snapshot-<version>`` with ``manifest.json`` and one raw file an array. The newest one that is
whole wins; a broken one is skipped with a warning and stays for whoever wants to look at it. One process writes to a
root, any number may read. No pickle: a snapshot from elsewhere can be wrong, it cannot run code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streams.durability.manifest import ArrayEntry, Manifest, UnknownFormatError, as_bytes, entry_of, portable
from streams.errors import SnapshotError

MANIFEST: Final = "manifest.json"
ASIDE: Final = ".aside-"
"""Folders that are being written or removed; never read."""
READERS: Final = 4
"""Threads that read and hash arrays; both let go of Python's lock."""
_NAME: Final = re.compile(r"snapshot-(\d{20})")
_log: Final = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotRef:
    """One snapshot on disk, with all but its arrays."""

    path: Path
    manifest: Manifest

    @property
    def version(self) -> int:
        """Rises with every snapshot."""
        return self.manifest.version

    @property
    def offsets(self) -> Mapping[str, int]:
        """Where to go on reading: "topic/partition" -> next offset."""
        return self.manifest.offsets

    @property
    def meta(self) -> Mapping[str, Any]:
        """What was saved beside the arrays."""
        return self.manifest.meta

    @property
    def state_hash(self) -> str:
        """Hash of all arrays, hex."""
        return self.manifest.state_hash

    @property
    def uri(self) -> str:
        """Where it lies, as a ``file:`` address."""
        return self.path.resolve().as_uri()


def save(
    root: Path,
    version: int,
    arrays: Mapping[str, npt.ArrayLike],
    *,
    offsets: Mapping[str, int],
    meta: Mapping[str, Any],
    keep: int = 3,
) -> SnapshotRef:
    """Write a snapshot durably; when this returns it survives a power cut.

    Args:
      root: folder of all snapshots; made if needed.
      version: rising; a broken snapshot of this version is replaced.
      arrays: the state; numbers, booleans and fixed-length text.
      offsets: "topic/partition" -> next offset to read, of exactly this state.
      meta: JSON values.
      keep: how many snapshots stay, this one included; older ones are removed.

    Returns:
      The snapshot; the one already there if it holds the same state and offsets.

    Raises:
      SnapshotError: a whole snapshot of this version holds something else, an array is not plain, or the disk refuses.
    """
    if version < 0 or keep < 1:
        raise SnapshotError(f"expected version >= 0 and keep >= 1, got {version} and {keep}; check the caller")
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(root)
        path = path_of(root, version)
        aside = Path(tempfile.mkdtemp(dir=root, prefix=ASIDE))
        try:
            manifest = _write(aside, version, arrays, offsets=offsets, meta=meta)
            if path.exists() and not _make_room(path, manifest):
                return SnapshotRef(path=path, manifest=manifest)
            aside.rename(path)
            _sync(root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        for old in [older for older in versions(root) if older < version][::-1][keep - 1 :]:
            _remove(path_of(root, old))
    except OSError as error:
        raise SnapshotError(
            f"expected to write snapshot {version} under {root}, got: {error}; check space and permissions"
        ) from error
    return SnapshotRef(path=path, manifest=manifest)


def newest(root: Path) -> SnapshotRef | None:
    """The newest whole snapshot, every file of it checked; None when there is none.

    Broken ones are skipped with a warning.

    Raises:
      UnknownFormatError: the newest one was written by another version of Marquee: going back would lose events.
    """
    for version in reversed(versions(root)):
        try:
            ref = open_ref(path_of(root, version))
            _read_all(ref, into=None)
        except UnknownFormatError:
            raise
        except SnapshotError as error:
            _log.warning("skipping snapshot %s: %s", version, error)
        else:
            return ref
    return None


def load(ref: SnapshotRef, *, wants: Callable[[str], bool] = lambda _: True) -> Arrays:
    """The arrays of a snapshot whose names ``wants`` takes, writable, each checked against its hash while it is read.

    Raises:
      SnapshotError: a file is missing, cut short or changed.
    """
    arrays: Arrays = {}
    _read_all(ref, into=arrays, wants=wants)
    return arrays


def load_newest(
    root: Path,
    *,
    fits: Callable[[SnapshotRef], bool] = lambda _: True,
    wants: Callable[[str], bool] = lambda _: True,
) -> tuple[SnapshotRef, Arrays] | None:
    """The newest snapshot that ``fits`` and is whole, with its arrays, every file read once; None when there is none.

    ``wants``: names of the arrays that are read and checked; the others might be damaged.

    Raises:
      UnknownFormatError: as of `newest`.
    """
    for version in reversed(versions(root)):
        try:
            ref = open_ref(path_of(root, version))
            if fits(ref):
                return ref, load(ref, wants=wants)
        except UnknownFormatError:
            raise
        except SnapshotError as error:
            _log.warning("skipping snapshot %s: %s", version, error)
    return None


def open_ref(path: Path) -> SnapshotRef:
    """The snapshot in this folder, its manifest checked and its arrays not yet read.

    Raises:
      SnapshotError: no manifest, a broken one, or one of another version than the folder's name says.
    """
    try:
        manifest = Manifest.from_bytes((path / MANIFEST).read_bytes())
    except OSError as error:
        raise SnapshotError(f"expected a manifest in {path}, got: {error}; the snapshot is not whole") from error
    if path_of(path.parent, manifest.version) != path:
        raise SnapshotError(f"expected version {path.name} in its manifest, got {manifest.version}; it was moved")
    return SnapshotRef(path=path, manifest=manifest)


def versions(root: Path) -> list[int]:
    """Versions of all snapshots under ``root``, rising; whether they are whole is not looked at."""
    if not root.is_dir():
        return []
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, os.listdir(root)) if match)


def path_of(root: Path, version: int) -> Path:
    """The folder of a version."""
    return root / f"snapshot-{version:020d}"


def _write(
    folder: Path,
    version: int,
    arrays: Mapping[str, npt.ArrayLike],
    *,
    offsets: Mapping[str, int],
    meta: Mapping[str, Any],
) -> Manifest:
    entries = []
    for place, name in enumerate(sorted(arrays)):
        array = portable(name, arrays[name])
        entries.append(entry_of(name, array))
        _write_synced(folder / _file_name(place), as_bytes(array).data)
    manifest = Manifest(version=version, arrays=tuple(entries), offsets=dict(offsets), meta=dict(meta))
    _write_synced(folder / MANIFEST, manifest.to_bytes())
    _sync(folder)
    return manifest


def _make_room(path: Path, manifest: Manifest) -> bool:
    """Whether ``path`` is now free; False when it already holds what ``manifest`` says."""
    try:
        there = open_ref(path)
        _read_all(there, into=None)
    except SnapshotError as error:
        if isinstance(error, UnknownFormatError):
            raise
        _log.warning("replacing snapshot %s: %s", manifest.version, error)
        _remove(path)
        return True
    if there.manifest.to_bytes() == manifest.to_bytes():
        return False
    raise SnapshotError(
        f"expected no other snapshot of version {manifest.version}, got {path} with state {there.state_hash[:12]} "
        f"against {manifest.state_hash[:12]}; does a second trainer write to the same snapshot_dir?"
    )


def _read_all(ref: SnapshotRef, *, into: Arrays | None, wants: Callable[[str], bool] = lambda _: True) -> None:
    places = [place for place, entry in enumerate(ref.manifest.arrays) if wants(entry.name)]
    entries = [ref.manifest.arrays[place] for place in places]
    with ThreadPoolExecutor(READERS) as readers:
        paths = [ref.path / _file_name(place) for place in places]
        for entry, array in zip(entries, readers.map(_read, paths, entries), strict=True):
            if into is not None:
                into[entry.name] = array


def _read(path: Path, entry: ArrayEntry) -> npt.NDArray[Any]:
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise SnapshotError(
            f"expected array {entry.name!r} in {path}, got: {error}; the snapshot is not whole"
        ) from error
    got = hashlib.sha256(content.data).hexdigest()
    if len(content) != entry.size_bytes or got != entry.sha256:
        raise SnapshotError(
            f"expected array {entry.name!r} of {entry.size_bytes} bytes with sha256 {entry.sha256} in {path}, "
            f"got {len(content)} bytes with {got}; it was cut short or changed"
        )
    return content.view(entry.dtype).reshape(entry.shape)


def _file_name(place: int) -> str:
    return f"array-{place:05d}.bin"


def _write_synced(path: Path, content: bytes | memoryview) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Take a snapshot away whole: it loses its name before it loses its files."""
    grave = Path(tempfile.mkdtemp(dir=path.parent, prefix=ASIDE))
    path.rename(grave / path.name)
    _sync(path.parent)
    shutil.rmtree(grave, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """What a crash left half written or half removed."""
    for name in os.listdir(root):
        if name.startswith(ASIDE):
            with contextlib.suppress(OSError):
                shutil.rmtree(root / name)
