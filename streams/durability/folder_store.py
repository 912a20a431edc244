"""Snapshots in a folder of this machine: written aside, synced and renamed, so that a crash leaves all or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.durability.manifest import ArrayEntry
from streams.durability.stores import MANIFEST
from streams.errors import SnapshotError

ASIDE: Final = ".aside-"
"""Folders that are being written or removed; never read."""
BESIDE: Final = ".beside-"
"""The same of another process than the root's writer."""
_NAME: Final = re.compile(r"snapshot-(\d{20})")


class FolderStore:
    """Snapshots as folders ``snapshot-<version>`` under one root, which is made if needed."""

    writers = 1
    readers = 4

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def address(self) -> str:
        """The root's path."""
        return str(self.root)

    def uri_of(self, version: int) -> str:
        """A ``file:`` address."""
        return path_of(self.root, version).resolve().as_uri()

    def versions(self) -> list[int]:
        """By the names of the folders; a folder whose manifest is lost counts."""
        if not self.root.is_dir():
            return []
        return sorted(int(match[1]) for match in map(_NAME.fullmatch, os.listdir(self.root)) if match)

    def sweep(self, *, is_beside: bool = False) -> None:
        """Removes what was written aside."""
        self.root.mkdir(parents=True, exist_ok=True)
        for name in os.listdir(self.root):
            if name.startswith(BESIDE if is_beside else ASIDE):
                with contextlib.suppress(OSError):
                    shutil.rmtree(self.root / name)

    @contextlib.contextmanager
    def draft(self, version: int, *, is_beside: bool = False) -> Iterator[_Aside]:
        """A folder aside."""
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=BESIDE if is_beside else ASIDE))
        try:
            yield _Aside(aside, path_of(self.root, version))
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def manifest(self, version: int) -> bytes:
        """The manifest's bytes."""
        path = path_of(self.root, version)
        try:
            return (path / MANIFEST).read_bytes()
        except OSError as error:
            raise SnapshotError(f"expected a manifest in {path}, got: {error}; the snapshot is not whole") from error

    def read(self, version: int, name: str, entry: ArrayEntry) -> tuple[npt.NDArray[np.uint8], str]:
        """A file's bytes and their hash."""
        path = path_of(self.root, version) / name
        try:
            content = np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise SnapshotError(
                f"expected array {entry.name!r} in {path}, got: {error}; the snapshot is not whole"
            ) from error
        return content, hashlib.sha256(content.data).hexdigest()

    def remove(self, version: int) -> None:
        """Takes a snapshot away whole: it loses its name before it loses its files."""
        path = path_of(self.root, version)
        grave = Path(tempfile.mkdtemp(dir=self.root, prefix=ASIDE))
        path.rename(grave / path.name)
        _sync(self.root)
        shutil.rmtree(grave, ignore_errors=True)


class _Aside:
    """A draft: files in a folder aside, which takes the snapshot's name when all are there."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self._path = folder, path

    def put(self, name: str, content: memoryview, entry: ArrayEntry) -> None:  # noqa: ARG002 - the protocol's
        write_synced(self.folder / name, content)

    def commit(self, manifest: bytes) -> None:
        write_synced(self.folder / MANIFEST, manifest)
        _sync(self.folder)
        self.folder.rename(self._path)
        _sync(self._path.parent)


def path_of(root: Path, version: int) -> Path:
    """The folder of a version."""
    return root / f"snapshot-{version:020d}"


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Write a new file; it is durable when this returns, but for its name."""
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
