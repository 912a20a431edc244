"""What the setting ``snapshot_dir`` names: a folder, or an object store by an address that holds no secret."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_LOCAL: Final = frozenset({"file", "local"})
_READ_ONLY: Final = frozenset({"http", "https"})
_OWNED: Final = frozenset({"abfs", "abfss"})
"""Protocols whose addresses begin ``container@account``: no user, no secret."""
_HOST: Final = r"[A-Za-z0-9._-]+(:\d{1,5})?"
_PATH: Final = r"(/[^\s?#@:\\]*)?"
_PLAIN: Final = re.compile(rf"/?{_HOST}{_PATH}")
_WITH_OWNER: Final = re.compile(rf"[A-Za-z0-9._-]+@{_HOST}{_PATH}")
_ONE_SLASH: Final = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)

EXPECTED: Final = "a path, or an object store's URL without user, password and query, as s3://bucket/prefix"
"""What `store_of` takes, in words that follow "must be"."""


@dataclasses.dataclass(frozen=True)
class StoreUrl:
    """A folder in an object store; as text ``protocol://path``.

    Attributes:
      protocol: one that fsspec knows, in small letters.
      path: bucket and prefix, or host and folder, without a slash at the end.
    """

    protocol: str
    path: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def __truediv__(self, name: str) -> StoreUrl:
        """A folder in it, as of a path."""
        return StoreUrl(self.protocol, f"{self.path}/{name}")


def store_of(text: str) -> Path | StoreUrl:
    """The folder or the object store that a text names; ``file:`` and ``local:`` addresses are folders.

    Raises:
      ValueError: neither; or it may hold a secret. The error shows nothing of it.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        if not text or "://" in text or _ONE_SLASH.match(text):
            raise ValueError("no path")
        return Path(text).expanduser()
    protocol, rest = found[1].lower(), found[2].rstrip("/")
    if protocol in _LOCAL:
        if not rest.startswith("/") or set("?#") & set(rest):
            raise ValueError("no path on this machine")
        return Path(unquote(rest))
    form = _WITH_OWNER if protocol in _OWNED and "@" in rest else _PLAIN
    if protocol in _READ_ONLY or form.fullmatch(rest) is None or ".." in rest.split("/"):
        raise ValueError("no store's address")
    return StoreUrl(protocol, rest)
