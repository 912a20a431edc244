"""Who was forgotten, and which records of theirs no state is made of; pure.

The log itself keeps what its producers wrote. What was learned is another matter: an erasure names a user by digest and
says up to where nothing of theirs is learned, on every replay from then on. States that were made otherwise carry
another `Mark`, and are not taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streams.contract.absent import Erased
from streams.contract.events import Erasure, Interaction, User
from streams.transport.merge import Source

DIGEST_BYTES: Final = 16
MOST_REMEMBERED: Final = 1_000_000
"""User ids whose digest is known; beyond that all are computed anew."""


class Mark(NamedTuple):
    """Which erasures a state was made under.

    Attributes:
      lead: of the newest; rises with each. digest: of all of them; empty where there are none.
    """

    lead: int
    digest: str


UNMARKED: Final = Mark(0, "")


class LeftOut:
    """What stands in the place of an entry that is not learned."""


LEFT_OUT: Final = LeftOut()


class Placed(NamedTuple):
    """An erasure and its offset on ``erasures.v1``."""

    offset: int
    erasure: Erasure


def digest_of(user_id: str) -> str:
    """What stands for a user who was forgotten, hex: enough to know them again, and nothing else of them."""
    name = user_id.encode("utf-8", "replace")
    return hashlib.blake2b(name, digest_size=DIGEST_BYTES, person=b"marquee-erasure").hexdigest()


class Erasures:
    """All erasures of an installation."""

    def __init__(self, placed: Iterable[Placed] = ()) -> None:
        self.placed = sorted(placed)
        self.next_offset = self.placed[-1].offset + 1 if self.placed else 0
        """Where news of ``erasures.v1`` stand."""
        self._by_user = {one.erasure.user: one.erasure for one in self.placed}  # the newest of a user says it all
        self._known: dict[str, Erasure | None] = {}
        self.mark = _mark_of(self._by_user)

    @property
    def lead(self) -> int:
        """What versions of the model are ahead of the interactions learned."""
        return self.mark.lead

    def __len__(self) -> int:
        return len(self._by_user)

    def plus(self, erasures: Sequence[Erasure]) -> Erasures:
        """With these behind them."""
        return Erasures([*self.placed, *(Placed(self.next_offset + at, one) for at, one in enumerate(erasures))])

    def leaves_out(self, user_id: str, source: Source, *, offset: int, timestamp_ms: int) -> bool:
        """Whether a record of this user at this place is not to be learned."""
        erasure = self._of(user_id)
        if erasure is None:
            return False
        topic, partition = source
        return timestamp_ms <= erasure.until_ms or offset < erasure.ends.get(f"{topic}/{partition}", 0)

    def without(self, entries: list[Any], records: Sequence[Any]) -> list[Any]:
        """The entries with `LEFT_OUT` for those that are.

        Args:
          entries: one a record. records: with aiokafka's names, of any partitions.
        """
        if not self._by_user:
            return entries
        return [
            LEFT_OUT if self._concerns(entry, record) else entry for entry, record in zip(entries, records, strict=True)
        ]

    def _concerns(self, entry: Any, record: Any) -> bool:
        return isinstance(entry, Interaction | User | Erased) and self.leaves_out(
            entry.user_id, (record.topic, record.partition), offset=record.offset, timestamp_ms=record.timestamp
        )

    def _of(self, user_id: str) -> Erasure | None:
        if not self._by_user:
            return None
        if user_id in self._known:
            return self._known[user_id]
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        found = self._known[user_id] = self._by_user.get(digest_of(user_id))
        return found


def _mark_of(by_user: Mapping[str, Erasure]) -> Mark:
    if not by_user:
        return UNMARKED
    rows = [[one.user, one.until_ms, sorted(one.ends.items()), one.lead] for _, one in sorted(by_user.items())]
    digest = hashlib.blake2b(json.dumps(rows).encode(), digest_size=DIGEST_BYTES).hexdigest()
    return Mark(max(one.lead for one in by_user.values()), digest)


NONE: Final = Erasures()
"""Nobody was forgotten."""
