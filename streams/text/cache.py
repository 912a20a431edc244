"""Vectors by the hash of their text, in an SQLite file that several processes may share and anybody may delete.

A cache only: what goes wrong with it costs time and never a result. An entry holds float16, which is all the precision
that the encoder gives, so that a cached vector and a fresh one are the same bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

MOST: Final = 200_000
"""Entries kept by default, some 180 MB; the oldest tenth goes first."""
BUSY_S: Final = 5.0
"""Longest wait for another process that writes."""
_ASKED_AT_ONCE: Final = 500

F16 = npt.NDArray[np.float16]
_log: Final = logging.getLogger(__name__)


class VectorCache:
    """Remembers the vector of a text for one model.

    Args:
      path: the file; made, with its folder, at the first use.
      model_id: what makes the vectors: another model has other keys.
      dim: numbers of a vector.
      most: entries kept.
    """

    def __init__(self, path: Path, *, model_id: str, dim: int, most: int = MOST) -> None:
        self._path = path
        self._model_id = model_id
        self._dim = dim
        self._most = most
        self._is_broken = False

    def get(self, texts: Sequence[str]) -> dict[str, F16]:
        """The vectors of those texts that are known."""
        text_of = {self._key(text): text for text in texts}
        keys = list(text_of)
        found: dict[str, F16] = {}

        def look(connection: sqlite3.Connection) -> None:
            for first in range(0, len(keys), _ASKED_AT_ONCE):
                asked = keys[first : first + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(asked))
                rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", asked)  # noqa: S608
                for key, vector in rows:
                    if len(vector) == 2 * self._dim:
                        found[text_of[key]] = np.frombuffer(vector, "<f2")

        self._try(look)
        return found

    def put(self, vectors: Mapping[str, F16]) -> None:
        """Remember vectors; the oldest are forgotten beyond the bound."""
        rows = [(self._key(text), vector.astype("<f2").tobytes()) for text, vector in vectors.items()]

        def keep(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR IGNORE INTO vectors (key, vector) VALUES (?, ?)", rows)
            (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
            if count > self._most:
                surplus = count - self._most + self._most // 10
                oldest = "SELECT at FROM vectors ORDER BY at LIMIT ?"
                connection.execute(f"DELETE FROM vectors WHERE at IN ({oldest})", (surplus,))  # noqa: S608

        self._try(keep)

    def _key(self, text: str) -> bytes:
        named = f"{self._model_id}\0{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(named, digest_size=16).digest()

    def _try(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do ``work`` in one transaction; a file that cannot be used is left alone from then on."""
        if self._is_broken:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self._path, timeout=BUSY_S)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (at INTEGER PRIMARY KEY, key BLOB UNIQUE, vector BLOB)"
                )
                with connection:
                    work(connection)
        except (sqlite3.Error, OSError) as error:
            self._is_broken = True
            _log.warning("text vectors are not cached in %s: %s; delete the file if it is damaged", self._path, error)
