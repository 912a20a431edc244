"""Which past moment is meant: a step, a time, or a record; and when a rebuilt state has come to it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streams.contract import rules
from streams.contract.topics import topic_name
from streams.durability.ledger import Placed, spans_of
from streams.errors import SettingsError
from streams.transport.merge import Source

_PLACE: Final = re.compile(r"(?P<topic>[a-zA-Z0-9._-]+)/(?P<partition>\d+):(?P<offset>\d+)")
EXPECTED: Final = (
    "a step (120), a time (2026-11-26T17:00:00Z, or UTC milliseconds as ms:1795712400000), a record "
    "(interactions.v1/0:4711), or now"
)


class Moment(NamedTuple):
    """A past moment; everything None: now.

    Attributes:
      step: behind this step. time_ms: before the first step whose records are younger, UTC epoch.
      source, offset: behind the step that learned this record.
    """

    step: int | None = None
    time_ms: int | None = None
    source: Source | None = None
    offset: int = 0

    @classmethod
    def parse(cls, text: str, *, prefix: str = "", names: Mapping[str, str] | None = None) -> Moment:
        """The moment that a word of the command line means; ``names``: full names of the installation's topics.

        Raises:
          SettingsError: it means none.
        """
        if text == "now":
            return cls()
        if text.isdecimal():
            return cls(step=int(text))
        if text.startswith("ms:") and text[3:].isdecimal():
            return cls._at(int(text[3:]), text)
        if (match := _PLACE.fullmatch(text)) is not None:
            topic, known = match["topic"], names or {}
            if topic not in known.values():
                topic = topic.removeprefix(f"{prefix}.")
                topic = known.get(topic) or topic_name(prefix, topic)
            return cls(source=(topic, int(match["partition"])), offset=int(match["offset"]))
        try:
            at = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise SettingsError(f"expected {EXPECTED}, got {text[:100]!r}") from None
        if at.tzinfo is None:
            raise SettingsError(f"expected a time with its zone, such as {text}Z, got {text!r}")
        return cls._at(round(at.timestamp() * 1000), text)

    @classmethod
    def _at(cls, time_ms: int, text: str) -> Moment:
        if not 0 <= time_ms <= rules.MAX_TIME_MS:
            raise SettingsError(f"expected a time from 1970 to 9999, got {text[:100]!r}")
        return cls(time_ms=time_ms)

    def is_behind(self, step: int, offsets: Mapping[Source, int], clocks: Mapping[Source, int]) -> bool:
        """Whether a state that has come so far may be rebuilt on from: it is not beyond this moment."""
        if self.step is not None:
            return step <= self.step
        if self.time_ms is not None:
            return all(clock <= self.time_ms for clock in clocks.values())
        return self.source is None or offsets.get(self.source, 0) <= self.offset

    def steps_of(self, todo: Sequence[Placed]) -> list[Placed]:
        """The steps up to this moment, as far as the ledger alone can tell.

        Raises:
          SettingsError: the record was not learned by any of them.
        """
        if self.step is not None:
            return [one for one in todo if one.record.step <= self.step]
        if self.source is None:
            return list(todo)
        for at, one in enumerate(todo):
            first, last = spans_of(one.record).get(self.source, (0, -1))
            if first <= self.offset <= last:
                return list(todo[: at + 1])
        topic, partition = self.source
        raise SettingsError(
            f"expected a record that was learned, got {topic}/{partition}:{self.offset}; see the ledger"
        )

    def is_before(self, times_ms: Sequence[int]) -> bool:
        """Whether a step with records of these times comes after this moment: most of them do.

        A single record may be stamped wrongly.
        """
        if self.time_ms is None or not times_ms:
            return False
        return sorted(times_ms)[len(times_ms) // 2] > self.time_ms
