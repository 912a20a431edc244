"""What a snapshot's manifest says, as bytes: names, types and hashes of its arrays, the offsets, and its own hash.

Pure: files are written and read by `snapshots.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streams.errors import SnapshotError

FORMAT: Final = 1
"""Rises when old software could no longer read what we write."""
LEGAL_KINDS: Final = "biufcSU"
"""Kinds of numpy types that are plain bytes: no objects (they need pickle), no dates, no structures."""


class UnknownFormatError(SnapshotError):
    """Whole and untouched, but written in a format that this version does not know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArrayEntry:
    """One array of a snapshot.

    Attributes:
      name: what the state calls it.
      dtype: numpy's portable name, little-endian, such as ``<f4``.
      shape: of the array; its file holds the values in C order and nothing else.
      sha256: of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """A snapshot without its arrays.

    Attributes:
      version: rises with every snapshot.
      arrays: sorted by name; array n lies in the n-th file.
      offsets: "topic/partition" -> next offset to read.
      meta: whatever else belongs to the state, as JSON values.
    """

    version: int
    arrays: tuple[ArrayEntry, ...]
    offsets: Mapping[str, int]
    meta: Mapping[str, Any]

    @property
    def state_hash(self) -> str:
        """Hash of names, types, shapes and values of all arrays, hex; says nothing of offsets and meta."""
        return hash_of_entries(self.arrays)

    def to_bytes(self) -> bytes:
        """The manifest as JSON, with a hash over all the rest of it."""
        body = {
            "format": FORMAT,
            "version": self.version,
            "state_hash": self.state_hash,
            "offsets": dict(self.offsets),
            "meta": dict(self.meta),
            "arrays": [dataclasses.asdict(entry) for entry in self.arrays],
        }
        try:
            return json.dumps(body | {"sha256": _hash_of(body)}, indent=1, sort_keys=True, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise SnapshotError(
                f"expected JSON values in the meta of a snapshot, got: {error}; put arrays beside it"
            ) from error

    @staticmethod
    def from_bytes(payload: bytes) -> Manifest:
        """The manifest out of its JSON.

        Raises:
          UnknownFormatError: it is whole, but of another format.
          SnapshotError: it is cut short or was changed.
        """
        try:
            body = json.loads(payload)
            found = body.pop("sha256")
            if found != _hash_of(body):
                raise SnapshotError(f"expected a manifest with sha256 {_hash_of(body)}, got {found}; it was changed")
            if body["format"] != FORMAT:
                raise UnknownFormatError(
                    f"expected snapshot format {FORMAT}, got {body['format']}; "
                    "start the version of Marquee that wrote it, or move the snapshot away to begin without it"
                )
            arrays = tuple(ArrayEntry(**{**entry, "shape": tuple(entry["shape"])}) for entry in body["arrays"])
            return Manifest(
                version=body["version"],
                arrays=arrays,
                offsets=MappingProxyType(body["offsets"]),
                meta=MappingProxyType(body["meta"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SnapshotError(
                f"expected a whole manifest, got: {error!r}; it is cut short or of other origin"
            ) from error


def portable(name: str, array: npt.ArrayLike) -> npt.NDArray[Any]:
    """The array as its file holds it: little-endian and C-ordered; no copy where it is so already.

    Raises:
      SnapshotError: a type whose values are not plain bytes.
    """
    made = np.asarray(array)
    if made.dtype.kind not in LEGAL_KINDS:
        raise SnapshotError(
            f"expected numbers, booleans or fixed-length text in array {name!r}, got {made.dtype}; "
            "convert it first (view bfloat16 as uint16, objects as text)"
        )
    return np.asarray(made, dtype=made.dtype.newbyteorder("<"), order="C")


def entry_of(name: str, array: npt.NDArray[Any]) -> ArrayEntry:
    """What the manifest says of a `portable` array."""
    digest = hashlib.sha256(as_bytes(array).data).hexdigest()
    return ArrayEntry(name=name, dtype=array.dtype.str, shape=tuple(array.shape), sha256=digest)


def as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The values of a C-ordered array as one row of bytes, without a copy."""
    return array.reshape(-1).view(np.uint8)


def file_name(place: int) -> str:
    """The file of the n-th array of a manifest."""
    return f"array-{place:05d}.bin"


def state_hash(arrays: Mapping[str, npt.ArrayLike]) -> str:
    """Hash of a state, hex: the one that its snapshot would carry, whatever order the names come in."""
    return hash_of_entries(entries_of(arrays))


def entries_of(arrays: Mapping[str, npt.ArrayLike]) -> list[ArrayEntry]:
    """What a manifest would say of a state's arrays."""
    return [entry_of(name, portable(name, arrays[name])) for name in sorted(arrays)]


def hash_of_entries(entries: Sequence[ArrayEntry]) -> str:
    """The state's hash from the hashes of its arrays."""
    return _hash_of([[entry.name, entry.dtype, list(entry.shape), entry.sha256] for entry in entries])


def _hash_of(body: object) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
