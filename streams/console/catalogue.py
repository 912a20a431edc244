"""The catalogue as the console holds it: each item's record as bytes, and its title to search by. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.contract import framed
from streams.contract.codec import Rejected, decoder
from streams.contract.events import Item

MOST_ITEMS: Final = 500_000
"""Held at most, some 500 bytes each; the others go by their id."""
FOUND: Final = 20
_ITEM = decoder(Item)


class _Title(msgspec.Struct):
    title: str = ""


_TITLE = msgspec.json.Decoder(_Title)


class Catalogue:
    """Item id -> newest record."""

    def __init__(self, *, most: int = MOST_ITEMS) -> None:
        self._most = most
        self._values: dict[str, bytes] = {}
        self._titles: dict[str, str] = {}
        self._folded: dict[str, str] = {}
        self.left_out = 0
        """Items beyond the bound."""

    def __len__(self) -> int:
        return len(self._values)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """A record of ``items.v1``; one that is no JSON is left to the trainer to refuse."""
        if key is None:
            return
        item_id = key.decode("utf-8", "replace")
        if value is None:
            for held in (self._values, self._titles, self._folded):
                held.pop(item_id, None)
            return
        if item_id not in self._values and len(self._values) >= self._most:
            self.left_out += 1
            return
        try:
            title = _TITLE.decode(framed.plain(value)).title
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._values[item_id], self._titles[item_id], self._folded[item_id] = value, title, title.casefold()

    def title(self, item_id: str) -> str:
        """The title; empty where none is known."""
        return self._titles.get(item_id, "")

    def item(self, item_id: str) -> Item | None:
        """The record, decoded; None where there is none, or it breaks the contract."""
        value = self._values.get(item_id)
        item = None if value is None else _ITEM(value, -1)
        return None if isinstance(item, Rejected) else item

    def search(self, words: str, *, most: int = FOUND) -> list[dict[str, Any]]:
        """Items whose id is ``words``, then those whose title begins with them, then those that hold them."""
        wanted = words.strip().casefold()
        if not wanted:
            return []
        found = [words.strip()] if words.strip() in self._values else []
        begins: list[str] = []
        holds: list[str] = []
        for item_id, title in list(self._folded.items()):
            if wanted in title:
                (begins if title.startswith(wanted) else holds).append(item_id)
                if len(begins) >= most:
                    break
        names = dict.fromkeys([*found, *begins, *holds])
        return [{"item_id": item_id, "title": self.title(item_id)} for item_id in list(names)[:most]]
