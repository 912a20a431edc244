"""The studio's files in an object store, through fsspec: named by their hash, and there once their manifest is.

Neither rename nor fsync: a store shows an object when it has all of it, so a file is put, listed again and compared by
size, and its manifest is written after it. Whatever goes wrong is told as of snapshots, without a secret.
"""

from __future__ import annotations

import errno
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from streams.durability.object_store import ObjectStore, open_object_store
from streams.errors import StoreUnavailableError
from streams.store_url import StoreUrl
from streams.studio.store import Stored, sha256_of, told_of, tries_in, tries_name

TRIES: Final = "tries"


def open_object_assets(url: StoreUrl, *, local: Path) -> ObjectAssets:
    """The store at an address; credentials come from the environment or the library's own files.

    Raises:
      SettingsError: fsspec does not know the protocol, or its package is not installed.
      StoreError: the library does not take what its environment says.
    """
    return ObjectAssets(open_object_store(url), local=local)


class ObjectAssets:
    """As `streams.studio.store.AssetStore` says.

    Args:
      objects: what reaches the store. local: a folder of this machine for what is under way.
    """

    def __init__(self, objects: ObjectStore, *, local: Path) -> None:
        self._objects = objects
        self.corners = local.resolve()

    @property
    def address(self) -> str:
        """Its URL."""
        return self._objects.address

    def put(self, path: Path, *, suffix: str, manifest: Mapping[str, Any], aside: Path) -> Stored:  # noqa: ARG002
        """As of `AssetStore`."""
        digest, size = sha256_of(path), path.stat().st_size
        home = digest[:2]
        name = f"{home}/{digest}{suffix}"
        if self._objects.size_of(name) != size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                view = memoryview(content)
                try:
                    self._objects.put_object(name, view)
                finally:
                    view.release()
            if (there := self._objects.size_of(name)) != size:
                raise StoreUnavailableError(
                    f"expected {size} bytes of {name} in {self.address}, got {there}: the store lost them"
                )
        self._objects.put_object(f"{home}/{digest}.json", memoryview(told_of(manifest, digest, size)))
        return Stored(uri=f"{self.address}/{name}", sha256=digest, size_bytes=size)

    def tries(self, task_id: str) -> int:
        """As of `AssetStore`."""
        found = self._objects.get_object(f"{TRIES}/{tries_name(task_id)}")
        return 0 if found is None else tries_in(found)

    def set_tries(self, task_id: str, count: int) -> None:
        """As of `AssetStore`."""
        name = f"{TRIES}/{tries_name(task_id)}"
        if count <= 0:
            self._objects.remove_object(name)
        else:
            self._objects.put_object(name, memoryview(str(count).encode()))

    def probe(self) -> None:
        """As of `AssetStore`."""
        self._objects.probe()
        self.corners.mkdir(parents=True, exist_ok=True)
        if not self.corners.is_dir():
            raise OSError(errno.ENOTDIR, "not a folder", str(self.corners))
