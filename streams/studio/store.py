"""Files by what is in them: ``ab/<sha256>.<ext>`` with a manifest beside, written aside, checked, then renamed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgspec

from streams.store_url import StoreUrl
from streams.studio.errors import StudioError

ASIDE: Final = ".aside"
TRIES: Final = ".tries"
LOCK: Final = "lock"
FORGOTTEN_S: Final = 7 * 86_400.0
"""After so long a corner of another machine that nobody has begun a task in is cleared away."""
MOST_TRIES: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file in the store; ``path`` is None where the store is no folder."""

    uri: str
    sha256: str
    size_bytes: int
    path: Path | None = None


class AssetStore(Protocol):
    """Finished files by their hash, and how often each task that is not finished was begun. Several workers share it.

    What a disk says is an `OSError`, what a store elsewhere says a `StoreError`; neither means "not there".
    """

    @property
    def address(self) -> str:
        """Where it is, for people."""
        ...

    @property
    def corners(self) -> Path:
        """A folder of this machine for what is under way, see `Aside`."""
        ...

    def put(self, path: Path, *, suffix: str, manifest: Mapping[str, Any], aside: Path) -> Stored:
        """Takes a copy of a finished file in; the same bytes are the same file. It is whole or not there.

        Args:
          path: the file. suffix: ".mp4" and the like.
          manifest: what is to be said about it; gets "sha256" and "bytes", and is written last.
          aside: this worker's corner.

        Raises:
          StudioError: the copy has other bytes.
        """
        ...

    def tries(self, task_id: str) -> int:
        """How often a task was begun and neither ended nor given back: by whoever was killed while it did it."""
        ...

    def set_tries(self, task_id: str, count: int) -> None:
        """Keeps that number, durably; 0: the task is finished, or was given back unharmed."""
        ...

    def probe(self) -> None:
        """Writes something small and removes it; raises what keeps it from that."""
        ...


def open_assets(where: Path | StoreUrl, *, local: Path) -> AssetStore:
    """The store that ``studio.store_dir`` names; ``local``: a folder of this machine for what is under way.

    Raises:
      SettingsError: the protocol is not known, or its package is not installed.
    """
    if isinstance(where, Path):
        return Store(where)
    from streams.studio.object_assets import open_object_assets

    return open_object_assets(where, local=local)


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def told_of(manifest: Mapping[str, Any], digest: str, size: int) -> bytes:
    """A manifest's bytes."""
    return msgspec.json.format(msgspec.json.encode({**manifest, "sha256": digest, "bytes": size})) + b"\n"


def tries_name(task_id: str) -> str:
    """The name of a task's count: ids are somebody else's text, so it is their hash."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:40]


def tries_in(words: bytes) -> int:
    """The number that was kept; what is no number was cut off while it was written, by whoever was killed then."""
    return min(int(words), MOST_TRIES) if words.isdigit() else 1


class Store:
    """A folder of finished files. Several processes may share it; what is in it under its name is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def corners(self) -> Path:
        """On the same file system, so that a rename is one."""
        return self.folder / ASIDE

    def put(self, path: Path, *, suffix: str, manifest: Mapping[str, Any], aside: Path) -> Stored:
        """As of `AssetStore`."""
        digest, size = sha256_of(path), path.stat().st_size
        home = self.folder / digest[:2]
        home.mkdir(parents=True, exist_ok=True)
        target = home / f"{digest}{suffix}"
        aside.mkdir(parents=True, exist_ok=True)
        if not target.exists() or sha256_of(target) != digest:
            part = aside / f"{secrets.token_hex(8)}{suffix}"
            shutil.copyfile(path, part)
            if sha256_of(part) != digest:
                raise StudioError(f"expected a copy with hash {digest}, got another; look at the disk of {self.folder}")
            _fsync(part)
            part.rename(target)
        part = aside / f"{secrets.token_hex(8)}.json"
        part.write_bytes(told_of(manifest, digest, size))
        _fsync(part)
        part.rename(home / f"{digest}.json")
        _fsync(home)
        return Stored(uri=target.as_uri(), sha256=digest, size_bytes=size, path=target)

    def tries(self, task_id: str) -> int:
        """As of `AssetStore`."""
        try:
            return tries_in((self.folder / TRIES / tries_name(task_id)).read_bytes())
        except FileNotFoundError:
            return 0

    def set_tries(self, task_id: str, count: int) -> None:
        """As of `AssetStore`."""
        home = self.folder / TRIES
        target = home / tries_name(task_id)
        if count <= 0:
            target.unlink(missing_ok=True)
            return
        home.mkdir(parents=True, exist_ok=True)
        part = home / f".{target.name}-{secrets.token_hex(4)}"
        part.write_bytes(str(count).encode())
        _fsync(part)
        part.rename(target)
        _fsync(home)

    def probe(self) -> None:
        """As of `AssetStore`; makes no folder."""
        parent = next(one for one in (self.folder, *self.folder.parents) if one.exists())
        part = parent / f".marquee-doctor-{secrets.token_hex(4)}"
        part.write_bytes(b"probe")
        part.unlink()


class Aside:
    """A worker's own corner for what is under way, which goes with the worker, however that ends.

    A corner is held by a lock that ends with its process. Where the folder is shared over a network a lock may be known
    to its own machine alone, so a corner's name begins with its machine, which alone looks at locks; those of other
    machines go when they were not used for a week.
    """

    def __init__(self, corners: Path, *, host: str | None = None) -> None:
        corners.mkdir(parents=True, exist_ok=True)
        host = "".join(c if c.isalnum() else "-" for c in host or socket.gethostname())[:64] or "host"
        for left in corners.iterdir():
            if left.name.startswith("."):
                continue
            if left.name.rsplit("-", 2)[0] == host:
                _remove_if_left(left)
            elif _is_forgotten(left):
                shutil.rmtree(left, ignore_errors=True)
        name = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        unborn = corners / f".{name}"
        unborn.mkdir()
        self._lock: IO[bytes] = (unborn / LOCK).open("wb")
        with contextlib.suppress(OSError):  # a file system without locks: then other machines' rule is everybody's
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder = unborn.rename(corners / name)  # only now may others look at it: its lock is held

    def touch(self) -> None:
        """Says that it is in use."""
        with contextlib.suppress(OSError):
            os.utime(self.folder / LOCK)

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


def _is_forgotten(corner: Path) -> bool:
    try:
        return time.time() - (corner / LOCK).stat().st_mtime > FORGOTTEN_S
    except OSError:
        return False


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
