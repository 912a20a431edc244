"""What the demo produces: the catalogue, a few interactions to warm up on, then the stream, with broken records in it.

Record timestamps are event times, as in a replay. The broken records are on purpose: each breaks the contract in a
way of its own, and all must end on ``dead-letters.v1`` while nothing else is lost.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from streams.contract import topics
from streams.contract.codec import encode
from streams.contract.events import Interaction
from streams.contract.rules import MAX_CLOCK_SKEW_MS
from streams.demo.watch import Sent
from streams.replay.convert import to_interactions, to_items
from streams.replay.logs import EventLog
from streams.replay.pace import Pace
from streams.replay.player import Clock, MonotonicClock, Sender

TICK_S: Final = 0.03
"""Between two handfuls of events. Each becomes a batch a partition, and what the embedded broker spends on a fetch
grows with the batches that it holds: ticks of 5 ms would cost it one of two cores within a minute."""
BROKEN_COUNT: Final = 6


def broken(event: Interaction) -> list[bytes]:
    """`BROKEN_COUNT` values that break the contract on a record with the timestamp of ``event``, made out of it."""
    good: dict[str, Any] = msgspec.to_builtins(event)
    without_item = {name: value for name, value in good.items() if name != "item_id"}
    tomorrow_ms = event.occurred_at_ms + MAX_CLOCK_SKEW_MS + 86_400_000
    return [
        b'{"event_id": "cut off in the mid',
        msgspec.json.encode(without_item),
        msgspec.json.encode(good | {"action": "watched"}),
        msgspec.json.encode(good | {"completion": 1.7}),
        msgspec.json.encode(good | {"occurred_at_ms": tomorrow_ms}),
        encode(event)[:-1] + b',"note":"\xff\xfe"}',
    ]


def break_points(first: int, last: int) -> list[int]:
    """Where in the events ``first`` up to ``last`` a broken record goes: evenly, never at the ends."""
    return [int(at) for at in np.linspace(first, last, BROKEN_COUNT + 2)[1:-1]]


class Feed:
    """Produces a log in the demo's order; every method returns early once ``stop`` is set.

    Args:
      log: what to produce.
      sender: takes the records.
      tell: gets each interaction just before it is handed over.
      stop: ends everything.
      must_wait: True while the engine is behind; the pace goes on from there afterwards.
      clock: what the pace is kept by, and what stamps the interactions; monotonic.
    """

    def __init__(
        self,
        log: EventLog,
        sender: Sender,
        *,
        tell: Callable[[Sent], None],
        stop: threading.Event,
        must_wait: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        self._log = log
        self._sender = sender
        self._tell = tell
        self._stop = stop
        self._must_wait = must_wait
        self._clock = clock or MonotonicClock()
        self.broken_count = 0

    def catalogue(self) -> int:
        """Every item, before anybody acts on one; gives their count."""
        count = 0
        first_ms = int(self._log.time_ms[0])
        for item in to_items(self._log.catalogue):
            if self._stop.is_set():
                return count
            self._sender.send(topics.ITEMS.name, key=item.item_id, value=encode(item), timestamp_ms=first_ms)
            count += 1
        self._sender.settle()
        return count

    def events(self, first: int, last: int, *, per_second: float, is_measured: bool) -> None:
        """Interactions ``first`` up to, not including, ``last``, at an even pace; broken ones between measured ones."""
        due_s = Pace(per_second=per_second).schedule_s(self._log.time_ms[first:last]) + self._clock.now_s()
        breaks = {at: kind for kind, at in enumerate(break_points(first, last))} if is_measured else {}
        for start, events in self._ticks(to_interactions(self._log, first, last), due_s):
            for at, event in enumerate(events, start=first + start):
                if at in breaks:
                    self._send(event, broken(event)[breaks[at]])
                    self.broken_count += 1
                value = encode(event)
                self._tell(Sent(
                    event.user_id, event.event_id, event.item_id, event.value, self._clock.now_s(), is_measured
                ))  # fmt: skip
                self._send(event, value)
            self._sender.check()
        if not self._stop.is_set():
            self._sender.settle()

    def _send(self, event: Interaction, value: bytes) -> None:
        self._sender.send(topics.INTERACTIONS.name, key=event.user_id, value=value, timestamp_ms=event.occurred_at_ms)

    def _ticks(
        self, events: Iterator[Interaction], due_s: npt.NDArray[np.float64]
    ) -> Iterator[tuple[int, list[Interaction]]]:
        """The events that have become due, a tick at a time, with the number of the first; waits in between."""
        done, late_s = 0, 0.0
        while done < len(due_s) and not self._stop.is_set():
            if self._must_wait():
                began_s = self._clock.now_s()
                self._clock.sleep(TICK_S)
                late_s += self._clock.now_s() - began_s
                continue
            until = int(np.searchsorted(due_s, self._clock.now_s() - late_s, side="right"))
            if until > done:
                yield done, list(itertools.islice(events, until - done))
                done = until
            if done < len(due_s):
                self._clock.sleep(TICK_S)
