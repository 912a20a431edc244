"""Snapshots: arrays, the offsets that they stand for and a manifest with the hashes of it all.

Where they lie and how one becomes whole at once is `stores.py`'s and its implementations'. The newest one that is whole
wins; a broken one is skipped with a warning and stays for whoever wants to look at it. A store that does not answer is
an error and never "no snapshot". No pickle: a snapshot from elsewhere can be wrong, it cannot run code.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from streams.durability.folder_store import FolderStore, path_of
from streams.durability.manifest import (
    ArrayEntry,
    Manifest,
    UnknownFormatError,
    as_bytes,
    entry_of,
    file_name,
    portable,
)
from streams.durability.stores import SnapshotStore, open_store
from streams.durability.twin import Twin
from streams.errors import SnapshotError, StoreError
from streams.store_url import StoreUrl

__all__ = [
    "Arrays", "Root", "SnapshotRef", "load", "load_newest", "newest", "open_ref", "path_of", "remove", "save",
    "versions",
]  # fmt: skip

_log: Final = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]
Root = Path | StoreUrl | SnapshotStore
"""Where all snapshots of an installation lie: the setting ``snapshot_dir``, or a store that is open."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotRef:
    """One snapshot in its store, with all but its arrays."""

    store: SnapshotStore
    manifest: Manifest

    @property
    def path(self) -> Path:
        """The folder of a snapshot on this machine.

        Raises:
          SnapshotError: it lies in an object store.
        """
        if not isinstance(self.store, FolderStore):
            raise SnapshotError(f"expected a snapshot in a folder, got {self.uri}; use load")
        return path_of(self.store.root, self.version)

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
        """Where it lies: a ``file:`` address, or that of an object store; never with a secret."""
        return self.store.uri_of(self.version)


def save(
    root: Root,
    version: int,
    arrays: Mapping[str, npt.ArrayLike] | Twin,
    *,
    offsets: Mapping[str, int],
    meta: Mapping[str, Any],
    keep: int = 3,
    is_beside: bool = False,
    spares: Callable[[SnapshotRef], bool] | None = None,
) -> SnapshotRef:
    """Write a snapshot durably; when this returns it survives a power cut.

    Args:
      root: folder of all snapshots, made if needed; or an object store.
      version: rising; a broken snapshot of this version is replaced.
      arrays: the state; numbers, booleans and fixed-length text; or a twin that has it, for a folder, and is over then.
      offsets: "topic/partition" -> next offset to read, of exactly this state.
      meta: JSON values.
      keep: how many snapshots stay, this one included; older ones are removed.
      spares: True for older ones that stay whatever ``keep`` says.
      is_beside: another process is the root's writer: nothing is removed but a snapshot of this version, for this one.

    Returns:
      The snapshot; the one already there if it holds the same state and offsets.

    Raises:
      SnapshotError: a whole snapshot of this version holds something else, an array is not plain, or the disk refuses.
      StoreError: the object store refuses or does not answer.
    """
    try:
        if version < 0 or keep < 1:
            raise SnapshotError(f"expected version >= 0 and keep >= 1, got {version} and {keep}; check the caller")
        store = open_store(root)
        store.sweep(is_beside=is_beside)
        if is_beside and version in store.versions():
            store.remove(version)
        if isinstance(arrays, Twin):
            ref, is_new = _from_twin(store, version, arrays, offsets, meta)
        else:
            ref, is_new = _from_arrays(store, version, arrays, offsets, meta, is_beside=is_beside)
        if is_new and not is_beside:
            _retire(store, version, keep, spares)
    except OSError as error:
        raise SnapshotError(
            f"expected to write snapshot {version} under {root}, got: {error}; check space and permissions"
        ) from error
    finally:
        if isinstance(arrays, Twin):
            arrays.end()
    return ref


def _from_arrays(
    store: SnapshotStore, version: int, arrays: Mapping[str, npt.ArrayLike], offsets: Mapping[str, int],
    meta: Mapping[str, Any], *, is_beside: bool,
) -> tuple[SnapshotRef, bool]:  # fmt: skip
    plain = {name: portable(name, arrays[name]) for name in sorted(arrays)}
    entries = tuple(entry_of(name, array) for name, array in plain.items())
    manifest = Manifest(version=version, arrays=entries, offsets=dict(offsets), meta=dict(meta))
    ref, said = SnapshotRef(store=store, manifest=manifest), manifest.to_bytes()
    if not _make_room(store, manifest):
        return ref, False
    with store.draft(version, is_beside=is_beside) as draft:
        with ThreadPoolExecutor(store.writers) as writers:
            names = [file_name(place) for place in range(len(plain))]
            contents = [as_bytes(array).data for array in plain.values()]
            list(writers.map(draft.put, names, contents, manifest.arrays))
        draft.commit(said)
    return ref, True


def _from_twin(
    store: SnapshotStore, version: int, twin: Twin, offsets: Mapping[str, int], meta: Mapping[str, Any]
) -> tuple[SnapshotRef, bool]:
    if not isinstance(store, FolderStore):
        raise SnapshotError(f"expected a folder for a twin to write to, got {store.address}; check the caller")
    with store.draft(version) as draft:
        entries = tuple(twin.write(draft.folder))
        manifest = Manifest(version=version, arrays=entries, offsets=dict(offsets), meta=dict(meta))
        ref = SnapshotRef(store=store, manifest=manifest)
        if not _make_room(store, manifest):
            return ref, False
        draft.commit(manifest.to_bytes())
    return ref, True


def newest(root: Root) -> SnapshotRef | None:
    """The newest whole snapshot, every file of it checked; None when there is none.

    Broken ones are skipped with a warning.

    Raises:
      UnknownFormatError: the newest one was written by another version of Marquee: going back would lose events.
      StoreError: the object store refuses or does not answer.
    """
    store = open_store(root)
    for version in reversed(store.versions()):
        try:
            ref = open_ref(store, version)
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
      StoreError: the object store refuses or does not answer.
    """
    arrays: Arrays = {}
    _read_all(ref, into=arrays, wants=wants)
    return arrays


def load_newest(
    root: Root,
    *,
    fits: Callable[[SnapshotRef], bool] = lambda _: True,
    wants: Callable[[str], bool] = lambda _: True,
) -> tuple[SnapshotRef, Arrays] | None:
    """The newest snapshot that ``fits`` and is whole, with its arrays, every file read once; None when there is none.

    ``wants``: names of the arrays that are read and checked; the others might be damaged.

    Raises:
      UnknownFormatError, StoreError: as of `newest`.
    """
    store = open_store(root)
    for version in reversed(store.versions()):
        try:
            ref = open_ref(store, version)
            if fits(ref):
                return ref, load(ref, wants=wants)
        except UnknownFormatError:
            raise
        except SnapshotError as error:
            _log.warning("skipping snapshot %s: %s", version, error)
    return None


def remove(root: Root, fits: Callable[[SnapshotRef], bool], *, is_broken_kept: bool = False) -> list[int]:
    """Take away the snapshots that do not fit, and broken ones, of which nobody knows what they hold.

    ``is_broken_kept``: leave those.

    Returns:
      Their versions.

    Raises:
      SnapshotError: the disk refuses.
      StoreError: the object store refuses or does not answer.
    """
    store = open_store(root)
    gone = []
    try:
        for version in store.versions():
            try:
                if fits(open_ref(store, version)):
                    continue
            except UnknownFormatError:
                continue
            except SnapshotError as error:
                if is_broken_kept:
                    continue
                _log.warning("removing snapshot %s: %s", version, error)
            store.remove(version)
            gone.append(version)
    except OSError as error:
        raise SnapshotError(
            f"expected to remove snapshots under {store.address}, got: {error}; check permissions"
        ) from error
    return gone


def open_ref(root: Root, version: int) -> SnapshotRef:
    """The snapshot of a version, its manifest checked and its arrays not yet read.

    Raises:
      SnapshotError: no manifest, a broken one, or one of another version than the folder's name says.
      StoreError: the object store refuses or does not answer.
    """
    store = open_store(root)
    manifest = Manifest.from_bytes(store.manifest(version))
    if manifest.version != version:
        raise SnapshotError(f"expected version {version} in its manifest, got {manifest.version}; it was moved")
    return SnapshotRef(store=store, manifest=manifest)


def versions(root: Root) -> list[int]:
    """Versions of all snapshots under ``root``, rising; whether they are whole is not looked at.

    Raises:
      StoreError: the object store refuses or does not answer.
    """
    return open_store(root).versions()


def _make_room(store: SnapshotStore, manifest: Manifest) -> bool:
    """Whether the version is now free; False when it already holds what ``manifest`` says."""
    if manifest.version not in store.versions():
        return True
    try:
        there = open_ref(store, manifest.version)
        _read_all(there, into=None)
    except SnapshotError as error:
        if isinstance(error, UnknownFormatError):
            raise
        _log.warning("replacing snapshot %s: %s", manifest.version, error)
        store.remove(manifest.version)
        return True
    if there.manifest.to_bytes() == manifest.to_bytes():
        return False
    raise SnapshotError(
        f"expected no other snapshot of version {manifest.version}, got {there.uri} with state "
        f"{there.state_hash[:12]} against {manifest.state_hash[:12]}; does a second trainer write to the same "
        "snapshot_dir?"
    )


def _retire(store: SnapshotStore, version: int, keep: int, spares: Callable[[SnapshotRef], bool] | None) -> None:
    """Remove what is older than the newest ``keep`` up to this version, which is durable whatever comes of this."""
    try:
        for old in [older for older in store.versions() if older < version][::-1][keep - 1 :]:
            if spares is None or not _is_spared(store, old, spares):
                store.remove(old)
    except StoreError as error:
        _log.warning("older snapshots stay: %s", error)


def _is_spared(store: SnapshotStore, version: int, spares: Callable[[SnapshotRef], bool]) -> bool:
    try:
        return spares(open_ref(store, version))
    except SnapshotError:
        return False


def _read_all(ref: SnapshotRef, *, into: Arrays | None, wants: Callable[[str], bool] = lambda _: True) -> None:
    places = [place for place, entry in enumerate(ref.manifest.arrays) if wants(entry.name)]
    entries = [ref.manifest.arrays[place] for place in places]
    with ThreadPoolExecutor(ref.store.readers) as readers:
        read = readers.map(lambda place, entry: _read(ref, place, entry, is_kept=into is not None), places, entries)
        for entry, array in zip(entries, read, strict=True):
            if into is not None and array is not None:
                into[entry.name] = array


def _read(ref: SnapshotRef, place: int, entry: ArrayEntry, *, is_kept: bool) -> npt.NDArray[Any] | None:
    content, got = ref.store.read(ref.version, file_name(place), entry)
    if len(content) != entry.size_bytes or got != entry.sha256:
        raise SnapshotError(
            f"expected array {entry.name!r} of {entry.size_bytes} bytes with sha256 {entry.sha256} in "
            f"{ref.uri}/{file_name(place)}, got {len(content)} bytes with {got}; it was cut short or changed"
        )
    return content.view(entry.dtype).reshape(entry.shape) if is_kept else None
