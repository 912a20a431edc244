"""Files by what is in them: ``ab/<sha256>.<ext>`` with a manifest beside, written aside, checked, then renamed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from streams.studio.errors import StudioError

ASIDE: Final = ".aside"
LOCK: Final = "lock"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file in the store."""

    uri: str
    sha256: str
    size_bytes: int
    path: Path


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A folder of finished files. Several processes may share it; what is in it under its name is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def put(self, path: Path, *, suffix: str, manifest: Mapping[str, Any], aside: Path) -> Stored:
        """Takes a copy of a finished file in; the same bytes are the same file.

        Args:
          path: the file. suffix: ".mp4" and the like.
          manifest: what is to be said about it; gets "sha256" and "bytes".
          aside: a folder on the store's file system, from `Aside`.

        Raises:
          StudioError: the copy has other bytes.
        """
        digest, size = sha256_of(path), path.stat().st_size
        home = self.folder / digest[:2]
        home.mkdir(parents=True, exist_ok=True)
        target = home / f"{digest}{suffix}"
        told = msgspec.json.format(msgspec.json.encode({**manifest, "sha256": digest, "bytes": size}))
        if not target.exists() or sha256_of(target) != digest:
            part = aside / f"{secrets.token_hex(8)}{suffix}"
            shutil.copyfile(path, part)
            if sha256_of(part) != digest:
                raise StudioError(f"expected a copy with hash {digest}, got another; look at the disk of {self.folder}")
            _fsync(part)
            part.rename(target)
        part = aside / f"{secrets.token_hex(8)}.json"
        part.write_bytes(told + b"\n")
        _fsync(part)
        part.rename(home / f"{digest}.json")
        _fsync(home)
        return Stored(uri=target.as_uri(), sha256=digest, size_bytes=size, path=target)


class Aside:
    """A worker's own corner of the store for what is under way, which goes with the worker, however that ends."""

    def __init__(self, store: Store) -> None:
        corners = store.folder / ASIDE
        corners.mkdir(parents=True, exist_ok=True)
        for left in corners.iterdir():
            if not left.name.startswith("."):
                _remove_if_left(left)
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        unborn = corners / f".{name}"
        unborn.mkdir()
        self._lock: IO[bytes] = (unborn / LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder = unborn.rename(corners / name)  # only now may others look at it: its lock is held

    def close(self) -> None:
        """Removes the corner."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _remove_if_left(corner: Path) -> None:
    """Removes the corner of a worker that is gone: nobody holds its lock."""
    try:
        with (corner / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(corner, ignore_errors=True)
    except OSError:
        return


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
