"""The newest records of the topics, a few of each chunk: what a live tail shows. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

KEPT: Final = 300
"""Records a topic."""
A_CHUNK: Final = 8
"""Records of a chunk that are taken: however fast a topic is, a tail costs the same."""
MOST_BYTES: Final = 2_048
"""Of a value that are shown."""
MOST_USERS: Final = 50


class Shown(NamedTuple):
    """A record as the tail shows it; ``number`` rises by one with each."""

    number: int
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    value: str
    size_bytes: int

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return self._asdict()


def text_of(value: bytes | None, *, most: int = MOST_BYTES) -> str:
    """Bytes as text, cut; what is no UTF-8 as escapes."""
    return "" if value is None else value[:most].decode("utf-8", "backslashreplace")


class Tail:
    """Keeps samples by topic."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Shown]] = {}
        self._users: dict[str, None] = {}
        self._number = 0

    @property
    def number(self) -> int:
        """Of the newest."""
        return self._number

    def take(self, topic: str, records: Any) -> None:
        """The last few records of a chunk: anything with the names of Kafka's."""
        kept = self._kept.setdefault(topic, deque(maxlen=KEPT))
        for record in records[-A_CHUNK:]:
            self._number += 1
            kept.append(Shown(
                self._number, topic, record.partition, record.offset, record.timestamp, text_of(record.key, most=512),
                text_of(record.value), len(record.value or b""),
            ))  # fmt: skip

    def take_user(self, user_id: str) -> None:
        """Somebody acted just now."""
        self._users.pop(user_id, None)
        self._users[user_id] = None
        if len(self._users) > MOST_USERS:
            del self._users[next(iter(self._users))]

    def users(self) -> list[str]:
        """Who acted of late, the newest first; a sample."""
        return list(reversed(self._users))

    def since(self, number: int, *, topic: str, words: str = "", most: int = 40) -> list[dict[str, Any]]:
        """The newest records after ``number`` whose key or value holds ``words``, oldest first."""
        wanted = words.casefold()
        found = [
            one.plain()
            for one in self._kept.get(topic, ())
            if one.number > number and (not wanted or wanted in one.key.casefold() or wanted in one.value.casefold())
        ]
        return found[-most:]

    def counts(self) -> Mapping[str, int]:
        """Samples held, by topic."""
        return {name: len(kept) for name, kept in self._kept.items()}
