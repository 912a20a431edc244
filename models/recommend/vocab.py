"""Which row an id has: lookup, admission, expiry. Row 0 is "unknown"; a row never moves while it is in use.

Reading never admits: only `admit` does, and it says whom it let in. Order alone decides, never a hash order.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from models.errors import StateError
from models.typing import I32, I64, U8

UNKNOWN_ROW = 0
FIRST_CAPACITY = 1024


class Vocab:
    """Rows of string ids, with the event time at which each was last seen.

    Args:
      min_count: sightings before an id gets a row; 1 admits at once.
      pending_most: ids waiting for admission that are remembered; the oldest is forgotten first.
    """

    def __init__(self, *, min_count: int = 1, pending_most: int = 100_000) -> None:
        self._min_count = min_count
        self._pending_most = pending_most
        self._pending: dict[str, int] = {}
        self._row_of: dict[str, int] = {}
        self._key_of: list[str] = [""]
        self._free: list[int] = []
        self.last_ms: I64 = np.zeros(FIRST_CAPACITY, np.int64)

    def __len__(self) -> int:
        """Ids that have a row."""
        return len(self._row_of)

    def __contains__(self, key: str) -> bool:
        return key in self._row_of

    @property
    def used(self) -> int:
        """Rows that were ever handed out, row 0 included: arrays by row need at least so many."""
        return len(self._key_of)

    @property
    def capacity(self) -> int:
        """Rows that arrays should have room for: doubles, so that shapes change seldom."""
        return len(self.last_ms)

    def row(self, key: str) -> int:
        """Row of ``key``, or `UNKNOWN_ROW`; never adds one."""
        return self._row_of.get(key, UNKNOWN_ROW)

    def key(self, row: int) -> str:
        """Id at ``row``; empty where none is."""
        return self._key_of[row]

    def keys_at(self, rows: Iterable[int]) -> list[str]:
        """Ids at many rows."""
        return list(map(self._key_of.__getitem__, rows))

    def rows(self, keys: Iterable[str]) -> I32:
        """Rows of many ids, int32; `UNKNOWN_ROW` where an id has none."""
        row_of = self._row_of
        return np.array([row_of.get(key, UNKNOWN_ROW) for key in keys], np.int32)

    def keys(self) -> list[str]:
        """All ids, in row order."""
        return [key for key in self._key_of if key]

    def admit(self, keys: Iterable[str], *, at_once: bool = False) -> list[str]:
        """Count one sighting of each id and give rows to those seen often enough.

        Args:
          at_once: admit at the first sighting whatever ``min_count`` says (an item of the catalogue).

        Returns:
          The ids that got a row now, in order.
        """
        admitted = []
        for key in keys:
            if key in self._row_of:
                continue
            if not at_once and self._min_count > 1:
                count = self._pending.pop(key, 0) + 1
                if count < self._min_count:
                    self._pending[key] = count
                    if len(self._pending) > self._pending_most:
                        del self._pending[next(iter(self._pending))]
                    continue
            self._place(key)
            admitted.append(key)
        return admitted

    def _place(self, key: str) -> None:
        if self._free:
            row = self._free.pop()
            self._key_of[row] = key
        else:
            row = len(self._key_of)
            self._key_of.append(key)
            if row >= len(self.last_ms):
                self.last_ms = np.concatenate([self.last_ms, np.zeros_like(self.last_ms)])
        self._row_of[key] = row

    def put(self, key: str, row: int) -> None:
        """Give ``key`` the row that another process gave it; whoever had that row loses it.

        Raises:
          StateError: ``row`` is not a row that an id may have.
        """
        if row <= UNKNOWN_ROW:
            raise StateError(f"a row must be a whole number >= 1, got {row} for {key!r}")
        while row >= len(self._key_of):
            self._key_of.append("")
        while row >= len(self.last_ms):
            self.last_ms = np.concatenate([self.last_ms, np.zeros_like(self.last_ms)])
        if self._key_of[row] not in ("", key):
            self._row_of.pop(self._key_of[row])
        old = self._row_of.get(key)
        if old is not None and old != row:
            self._key_of[old] = ""
        self._key_of[row] = key
        self._row_of[key] = row

    def touch(self, rows: I32, at_ms: I64) -> None:
        """Note that ``rows`` were seen at ``at_ms``."""
        np.maximum.at(self.last_ms, rows, at_ms)

    def expired(self, before_ms: int) -> I32:
        """Rows in use that were last seen before ``before_ms``, ascending."""
        old = np.nonzero(self.last_ms[: self.used] < before_ms)[0]
        return np.array([row for row in old.tolist() if self._key_of[row]], np.int32)

    def evict(self, rows: Sequence[int]) -> list[str]:
        """Take the rows from their ids, which are returned; later admissions use the rows again."""
        evicted = []
        for row in rows:
            key = self._key_of[row]
            if not key:
                continue
            del self._row_of[key]
            self._key_of[row] = ""
            self._free.append(row)
            self.last_ms[row] = 0
            evicted.append(key)
        return evicted

    def to_arrays(self) -> dict[str, I64 | I32 | U8]:
        """The vocabulary as arrays: UTF-8 of all ids by row, the end of each, times, free rows and pending ids."""
        keys, key_ends = texts_to_arrays(self._key_of)
        pending, pending_ends = texts_to_arrays(list(self._pending))
        return {
            "keys": keys,
            "key_ends": key_ends,
            "last_ms": self.last_ms.copy(),
            "free": np.array(self._free, np.int32),
            "pending": pending,
            "pending_ends": pending_ends,
            "pending_counts": np.array(list(self._pending.values()), np.int32),
        }

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, I64 | I32 | U8], *, min_count: int = 1, pending_most: int = 100_000
    ) -> "Vocab":
        """The vocabulary that `to_arrays` saved."""
        vocab = cls(min_count=min_count, pending_most=pending_most)
        vocab._key_of = texts_from_arrays(arrays["keys"], arrays["key_ends"])
        vocab._row_of = dict(zip(vocab._key_of, range(len(vocab._key_of)), strict=True))
        vocab._row_of.pop("", None)
        vocab.last_ms = np.array(arrays["last_ms"], np.int64)
        vocab._free = arrays["free"].tolist()
        pending = texts_from_arrays(arrays["pending"], arrays["pending_ends"])
        vocab._pending = dict(zip(pending, arrays["pending_counts"].tolist(), strict=True))
        return vocab


def texts_to_arrays(texts: Sequence[str]) -> tuple[U8, I64]:
    """Strings as one UTF-8 buffer and the end of each in it."""
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8).copy(), np.cumsum([len(e) for e in encoded], dtype=np.int64)


def texts_from_arrays(buffer: I64 | I32 | U8, ends: I64 | I32 | U8) -> list[str]:
    """The strings that `texts_to_arrays` saved."""
    data, bounds = buffer.tobytes(), [0, *ends.tolist()]
    if data.isascii():  # then bytes and characters are the same places, and a slice of text costs a third
        text = data.decode("ascii")
        return [text[begin:end] for begin, end in itertools.pairwise(bounds)]
    return [data[begin:end].decode() for begin, end in itertools.pairwise(bounds)]
