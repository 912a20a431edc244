"""Snapshots in an object store, through fsspec: no rename and no fsync, so the manifest is written last and commits.

The layout is that of a folder, so that a snapshot may be copied from one to the other. Nothing that is there is
written over: files are created where the store can refuse to replace one, and a whole snapshot is asked for before.
What went wrong is told without the secrets that fsspec was given, and never taken for "there is nothing".
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import fsspec
import numpy as np
import numpy.typing as npt

from streams.durability.manifest import ArrayEntry
from streams.durability.stores import MANIFEST
from streams.errors import SettingsError, SnapshotError, StoreError, StoreUnavailableError
from streams.store_url import StoreUrl

CHUNK_BYTES: Final = 8 << 20
"""Read at a time, by each thread: what loading takes beside the arrays themselves."""
BLOCK_BYTES: Final = 16 << 20
"""Sent at a time; a store that takes 10,000 parts takes arrays of 156 GiB."""
S3_PATIENCE: Final = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}}
"""Seconds, and tries after the first; where ``FSSPEC_S3`` has ``config_kwargs``, they count."""
S3_TRIES: Final = 2
"""Of s3fs around those of botocore: a store that is silent is told as such within two minutes and not in twenty."""
S3: Final = frozenset({"s3", "s3a"})
EXTRAS: Final = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Protocol -> our extra that brings its package."""
PROBE: Final = "marquee-doctor-probe"
MOST_WORDS: Final = 300
"""Characters of a library's error that are told."""
_NAME: Final = re.compile(r"snapshot-(\d{20})")
_FILE: Final = re.compile(r"array-\d{5,}\.bin")
_SECRET: Final = re.compile(r"key|secret|token|pass|credential|sas|signature|connection_string", re.IGNORECASE)
_log: Final = logging.getLogger(__name__)


def open_object_store(url: StoreUrl) -> ObjectStore:
    """The store at an address; credentials come from the environment or the library's own files.

    Raises:
      SettingsError: fsspec does not know the protocol, or its package is not installed.
      StoreError: the library does not take what its environment says.
    """
    protocol = url.protocol
    given = fsspec.config.conf.get(protocol, {})
    options = S3_PATIENCE if protocol in S3 and "config_kwargs" not in given else {}
    try:
        cls = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        how = f"pip install 'marquee[{extra}]'" if extra else str(error)
        raise SettingsError(f"expected the package for {protocol}:// beside fsspec, got none; {how}") from error
    except ValueError as error:
        raise SettingsError(
            f"expected a protocol that fsspec knows in snapshot_dir, got {protocol}://; use s3://, gs://, or a path"
        ) from error
    try:
        found, root = fsspec.url_to_fs(str(url), **options)
    except Exception as error:  # noqa: BLE001 - whatever the library raises: its text may hold what it was given
        raise StoreError(
            f"expected to open {url}, got {_words(error, given)}; look at the environment of {cls.__name__}"
        ) from None
    if protocol in S3:
        found.retries = S3_TRIES
    return ObjectStore(found, root, address=str(url))


class ObjectStore:
    """Snapshots as objects ``snapshot-<version>/...`` under a prefix.

    Args:
      filesystem: fsspec's. root: as the file system writes it. address: for people, without a secret.
    """

    writers = 4
    readers = 8

    def __init__(self, filesystem: Any, root: str, *, address: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")
        self.address = address

    def __repr__(self) -> str:
        return f"ObjectStore({self.address!r})"

    def uri_of(self, version: int) -> str:
        """``protocol://bucket/prefix/snapshot-<version>``."""
        return f"{self.address}/{_folder_name(version)}"

    def versions(self) -> list[int]:
        """Those with a manifest."""
        return sorted(version for version, names in self._folders().items() if MANIFEST in names)

    def sweep(self, *, is_beside: bool = False) -> None:
        """Removes the arrays of every version without a manifest; beside a writer nothing: they may be its draft."""
        for version, names in [] if is_beside else self._folders().items():
            if MANIFEST not in names:
                try:
                    self._remove_files(version, names)
                except StoreError as error:
                    _log.warning("a leftover of snapshot %d stays: %s", version, error)

    @contextlib.contextmanager
    def draft(self, version: int, *, is_beside: bool = False) -> Iterator[_Upload]:  # noqa: ARG002 - the protocol's
        """Objects in their final place. What is left without a manifest is not there, and swept at the next save."""
        yield _Upload(self, version)

    def manifest(self, version: int) -> bytes:
        """The manifest's bytes."""
        path = self._path(version, MANIFEST)
        with self._asking(f"to read {MANIFEST} of snapshot {version}"):
            try:
                return bytes(self._fs.cat_file(path))
            except FileNotFoundError:
                raise SnapshotError(
                    f"expected a manifest in {self.uri_of(version)}, got none; the snapshot is not whole"
                ) from None

    def read(self, version: int, name: str, entry: ArrayEntry) -> tuple[npt.NDArray[np.uint8], str]:
        """A file's bytes and their hash, chunk by chunk into the one place that they need."""
        path = self._path(version, name)
        with self._asking(f"to read array {entry.name!r} of snapshot {version}"):
            try:
                size = int(self._fs.info(path)["size"])
                if size != entry.size_bytes:
                    raise SnapshotError(
                        f"expected array {entry.name!r} of {entry.size_bytes} bytes in {self.uri_of(version)}/{name}, "
                        f"got {size}; it was cut short or changed"
                    )
                content, digest = np.empty(size, dtype=np.uint8), hashlib.sha256()
                for start in range(0, size, CHUNK_BYTES):
                    end = min(size, start + CHUNK_BYTES)
                    chunk = self._fs.cat_file(path, start=start, end=end)
                    if len(chunk) != end - start:
                        raise OSError(errno.EIO, f"{len(chunk)} of {end - start} bytes came")
                    content[start:end] = np.frombuffer(chunk, dtype=np.uint8)
                    digest.update(chunk)
            except FileNotFoundError:
                raise SnapshotError(
                    f"expected array {entry.name!r} in {self.uri_of(version)}/{name}, got none; "
                    "the snapshot is not whole"
                ) from None
        return content, digest.hexdigest()

    def remove(self, version: int) -> None:
        """Takes a snapshot away: its manifest goes first."""
        with self._asking(f"to list snapshot {version}"):
            names = list(self._listed(self._path(version)) or {})
        self._remove_files(version, names)

    def probe(self) -> None:
        """Writes a small object, reads it back and removes it.

        Raises:
          StoreError: one of these fails.
        """
        path, said = f"{self._root}/{PROBE}", b"marquee"
        with self._asking(f"to write, read and remove {PROBE}"):
            self.require_container()
            self._upload(path, memoryview(said), modes=("wb",))
            found = bytes(self._fs.cat_file(path))
            self._fs.rm_file(path)
            if found != said:
                raise OSError(errno.EIO, f"what was written came back as {found[:32]!r}")

    # --- single objects, as the studio's store has them ---------------------------------------------------------

    def put_object(self, name: str, content: memoryview) -> None:
        """Write an object by its name under the prefix; what is there is replaced whole."""
        with self._asking(f"to write {name}"):
            self._upload(f"{self._root}/{name}", content, modes=("wb",))

    def get_object(self, name: str) -> bytes | None:
        """The bytes of an object; None: it is not there."""
        with self._asking(f"to read {name}"):
            try:
                return bytes(self._fs.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None

    def size_of(self, name: str) -> int | None:
        """Bytes of an object; None: it is not there."""
        with self._asking(f"to look at {name}"):
            self._fs.invalidate_cache()
            try:
                return int(self._fs.info(f"{self._root}/{name}")["size"] or 0)
            except FileNotFoundError:
                return None

    def remove_object(self, name: str) -> None:
        """Take an object away, if it is there."""
        with self._asking(f"to remove {name}"), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(f"{self._root}/{name}")

    def create(self, version: int, name: str, content: memoryview) -> None:
        """Write a new object.

        Raises:
          FileExistsError: there is one, and the store can tell.
          StoreError: it could not be written.
        """
        with self._asking(f"to write {name} of snapshot {version}", passes=FileExistsError):
            self._upload(self._path(version, name), content, modes=("xb", "wb"))

    def sizes(self, version: int) -> dict[str, int]:
        """Name -> bytes of all objects of a version, as the store lists them now."""
        with self._asking(f"to list snapshot {version}"):
            return self._listed(self._path(version)) or {}

    def require_container(self) -> None:
        """There is a bucket; a prefix without objects needs no more.

        Raises:
          StoreError: there is none.
        """
        top = self._root.split("/", 1)[0] or "/"
        with self._asking("to look at the bucket"):
            for look in (self._fs.info, self._fs.ls):
                try:
                    look(top)
                except FileNotFoundError:
                    continue
                except PermissionError:  # the prefix could be listed: it is there, and not ours to look at as a whole
                    pass
                return
        raise StoreError(f"expected the bucket of {self.address}, got none of that name; make it, or mend snapshot_dir")

    # --- what it asks the store ----------------------------------------------------------------------------------

    def _folders(self) -> dict[int, list[str]]:
        """Version -> names of its objects, of everything that looks like a snapshot."""
        with self._asking("to list the snapshots"):
            self._fs.invalidate_cache()
            listed = self._listed(self._root)
            if not listed:
                self.require_container()
                return {}
            found = [match for match in map(_NAME.fullmatch, listed) if match]
            return {int(match[1]): list(self._listed(f"{self._root}/{match[0]}") or {}) for match in found}

    def _listed(self, path: str) -> dict[str, int] | None:
        """Name -> bytes of what lies right under ``path``; None: nothing is known of such a folder."""
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(path, detail=True)
        except FileNotFoundError:
            return None
        return {one["name"].rstrip("/").rpartition("/")[2]: int(one.get("size") or 0) for one in found}

    def _upload(self, path: str, content: memoryview, *, modes: tuple[str, ...]) -> None:
        try:
            self._write(path, content, modes)
        except FileNotFoundError:  # a store with real folders wants them made; and no bucket is ever made here
            self.require_container()
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._write(path, content, modes)

    def _write(self, path: str, content: memoryview, modes: tuple[str, ...]) -> None:
        for mode in modes:
            try:
                with self._fs.open(path, mode, block_size=BLOCK_BYTES) as stream:
                    for start in range(0, len(content), CHUNK_BYTES):
                        stream.write(content[start : start + CHUNK_BYTES])
            except (NotImplementedError, ValueError, OSError) as error:  # it cannot refuse to replace; else as it is
                if mode == modes[-1] or (isinstance(error, OSError) and error.errno != errno.ENOSYS):
                    raise
            else:
                return

    def _remove_files(self, version: int, names: list[str]) -> None:
        ours = [name for name in names if name == MANIFEST or _FILE.fullmatch(name)]
        with self._asking(f"to remove snapshot {version}"):
            for name in sorted(ours, key=lambda name: name != MANIFEST):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(self._path(version, name))
        with contextlib.suppress(OSError, NotImplementedError):  # only stores with real folders have one
            self._fs.rmdir(self._path(version))

    def _path(self, version: int, name: str = "") -> str:
        return f"{self._root}/{_folder_name(version)}" + (f"/{name}" if name else "")

    @contextlib.contextmanager
    def _asking(self, what: str, *, passes: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Whatever the library raises inside is a `StoreError`."""
        try:
            yield
        except (StoreError, SnapshotError):
            raise
        except passes:
            raise
        except Exception as error:  # noqa: BLE001 - fsspec's libraries share no base; and their texts are cleaned
            said = _words(error, self._fs.storage_options)
            if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
                raise StoreError(
                    f"expected {what} in {self.address}, got {said}; give this process the rights and credentials"
                ) from None
            raise StoreUnavailableError(
                f"expected {what} in {self.address}, got {said}; see that the store is up and reached from here"
            ) from None


class _Upload:
    """A draft: arrays are put in their place, and the manifest after all of them."""

    def __init__(self, store: ObjectStore, version: int) -> None:
        self._store, self._version = store, version
        self._sizes: dict[str, int] = {}

    def put(self, name: str, content: memoryview, entry: ArrayEntry) -> None:
        try:
            self._store.create(self._version, name, content)
        except FileExistsError:  # our own, when the answer to the first try was lost; else somebody else is at work
            _, found = self._store.read(self._version, name, entry)
            if found != entry.sha256:
                raise self._second(name) from None
        self._sizes[name] = len(content)

    def commit(self, manifest: bytes) -> None:
        there = self._store.sizes(self._version)
        if lost := [name for name, size in sorted(self._sizes.items()) if there.get(name) != size]:
            raise StoreUnavailableError(
                f"expected {len(self._sizes)} arrays in {self._store.uri_of(self._version)}, got {lost[0]} with "
                f"{there.get(lost[0], 0)} of {self._sizes[lost[0]]} bytes: the store lost them, or another process "
                "removed them; see that one trainer alone writes there"
            )
        try:
            self._store.create(self._version, MANIFEST, memoryview(manifest))
        except FileExistsError:
            if self._store.manifest(self._version) != manifest:
                raise self._second(MANIFEST) from None

    def _second(self, name: str) -> SnapshotError:
        return SnapshotError(
            f"expected no other {name} in {self._store.uri_of(self._version)}, got one with something else; "
            "does a second trainer write to the same snapshot_dir?"
        )


def _folder_name(version: int) -> str:
    return f"snapshot-{version:020d}"


def _words(error: BaseException, options: Mapping[str, Any]) -> str:
    """An error in one line: its kind and text, without queries, user parts of addresses, and what ``options`` hide."""
    text = " ".join(str(error).split())
    for secret in sorted(_secrets(options), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"\?[^\s'\"]*", "?***", re.sub(r"://[^\s/@]*@", "://***@", text))
    return f"{type(error).__name__}: {text[:MOST_WORDS]}"


def _secrets(options: Mapping[str, Any], *, is_secret: bool = False) -> set[str]:
    found: set[str] = set()
    for name, value in options.items():
        hides = is_secret or _SECRET.search(str(name)) is not None
        if isinstance(value, Mapping):
            found |= _secrets(value, is_secret=hides)
        elif hides and isinstance(value, str) and len(value) > 3:
            found.add(value)
    return found
