"""Where snapshots lie: what a store has to do, which one a setting means, and waiting for one that does not answer.

A snapshot is a few files under its version: arrays and one manifest. It is there once it is committed, and until then
nobody sees it. `folder_store.py` commits by a rename, `object_store.py` by the manifest, which it writes last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from streams.durability.manifest import ArrayEntry
from streams.errors import StoreUnavailableError
from streams.store_url import StoreUrl
from streams.transport.backoff import Backoff

MANIFEST: Final = "manifest.json"
LONGEST_WAIT_S: Final = 10.0
"""Between two looks for a store that does not answer."""


class Draft(Protocol):
    """A snapshot that is being written: not there before `commit`."""

    def put(self, name: str, content: memoryview, entry: ArrayEntry) -> None:
        """Write one file; may be called from as many threads as the store has `writers`."""
        ...

    def commit(self, manifest: bytes) -> None:
        """Make it a snapshot, durably: it holds all that was put, and the manifest."""
        ...


class SnapshotStore(Protocol):
    """Snapshots under one root. One process writes, any number may read.

    Whatever a store does not know because nobody answers, or because it is not let in, is a `StoreError`, and never
    "not there". `OSError` is what a folder's disk says.
    """

    writers: int
    """Threads that may put files of one draft."""
    readers: int
    """Threads that read and hash arrays."""

    @property
    def address(self) -> str:
        """The root, for people."""
        ...

    def uri_of(self, version: int) -> str:
        """The address of a snapshot, whether it is there or not."""
        ...

    def versions(self) -> list[int]:
        """Versions of all snapshots, rising; whether they are whole is not looked at."""
        ...

    def sweep(self, *, is_beside: bool = False) -> None:
        """Remove what a crash left half written or half removed; ``is_beside``: not what the root's writer is at."""
        ...

    def draft(self, version: int, *, is_beside: bool = False) -> AbstractContextManager[Draft]:
        """Begin a snapshot; leaving the block without a commit leaves nothing.

        ``is_beside``: by another process than the root's writer, which leaves it alone where the store can tell them.
        """
        ...

    def manifest(self, version: int) -> bytes:
        """The manifest's bytes.

        Raises:
          SnapshotError: it is not there.
        """
        ...

    def read(self, version: int, name: str, entry: ArrayEntry) -> tuple[npt.NDArray[np.uint8], str]:
        """A file's bytes, writable, and their SHA-256 in hex; both of what is there, whatever ``entry`` expects.

        Raises:
          SnapshotError: it is not there, or is not as long as ``entry`` says.
        """
        ...

    def remove(self, version: int) -> None:
        """Take a snapshot away: it stops being there before it loses its files."""
        ...


def open_store(root: Path | StoreUrl | SnapshotStore) -> SnapshotStore:
    """The store that ``snapshot_dir`` names; a store is given back as it is.

    Raises:
      SettingsError: the protocol is not known, or its package is not installed.
    """
    if isinstance(root, Path):
        from streams.durability.folder_store import FolderStore

        return FolderStore(root)
    if isinstance(root, StoreUrl):
        from streams.durability.object_store import open_object_store

        return open_object_store(root)
    return root


def wait_for_store(
    root: Path | StoreUrl | SnapshotStore,
    on_wait: Callable[[str], None],
    *,
    sleep: Callable[[float], Any] = time.sleep,
) -> None:
    """Returns once the store says what it holds; says so in one line a try while it does not answer.

    Raises:
      StoreError: it does not let us in, or there is no such bucket: waiting would change nothing.
      SettingsError: as of `open_store`.
    """
    backoff = Backoff(first_s=0.5, most_s=LONGEST_WAIT_S)
    while True:
        try:
            open_store(root).versions()
        except StoreUnavailableError as error:
            wait_s = backoff.next_s()
            on_wait(f"{error}; trying again in {wait_s:.1f} s")
            sleep(wait_s)
        else:
            return
