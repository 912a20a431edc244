"""A broker that is away: clients ask less often, and the process says it once in a while in place of each time.

An aiokafka client whose broker is gone asks again at once, hundreds of times a second, and logs each try. `slow_down`
makes it wait between two tries; `say_it_once` swallows what the clients say of connections and says one line instead.
`Away` decides what is said and when, without a clock of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.25
"""Between two questions of one client to a broker that does not answer; a restarted one is found within it."""
REMIND_S: Final = 30.0
"""Between two lines about the same outage."""
CLIENTS: Final = (
    "aiokafka", "aiokafka.conn", "aiokafka.consumer.fetcher", "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender", "mode.timers",
)  # fmt: skip
_NO_CONNECTION: Final = ("Unable connect to node", "Unable to update metadata")
"""What a client says when nobody is there."""
_LOST: Final = "KafkaConnectionError"
"""A connection ended: no news if the next one stands, and if not, that is said."""
_FOLLOWS: Final = (
    "Failed fetch messages", "Got error produce response", "Group Coordinator Request failed", "Heartbeat",
    "arking the coordinator dead", "marking coordinator dead", "Unable to request metadata", "is overlapping",
)  # fmt: skip
"""What it says because of that, then and shortly after."""


class Away:
    """What the operator reads of outages: a line when one begins, one every `REMIND_S`, and one when it is over.

    Args:
      where: the broker's address, for the lines.
    """

    def __init__(self, where: str = "?") -> None:
        self.where = where
        self._since_s: float | None = None
        self._said_s: float | None = None
        self._failed_s: float | None = None
        self._is_told = False

    def failed(self, now_s: float) -> str | None:
        """A connection failed: the line to say, if one is due."""
        self._since_s = now_s if self._since_s is None else self._since_s
        self._failed_s = now_s
        if self._said_s is not None and now_s - self._said_s < REMIND_S:
            return None
        self._said_s, self._is_told = now_s, True
        since = f", for {now_s - self._since_s:.0f} s now" if now_s > self._since_s else ""
        return f"the Kafka broker at {self.where} went away; waiting for it{since}"

    def lost(self, now_s: float) -> None:
        """A connection ended; whether anybody is there shows soon."""
        self._failed_s = now_s

    def answered(self, now_s: float) -> str | None:
        """A broker answered: the line to say, if an outage was told and is over."""
        since_s, is_told = self._since_s, self._is_told
        self._since_s, self._is_told = None, False
        if since_s is None or not is_told:
            return None
        return f"the Kafka broker at {self.where} is back after {now_s - since_s:.0f} s; going on"

    def is_near(self, now_s: float) -> bool:
        """Whether a connection failed lately: errors that follow from it still come."""
        return self._failed_s is not None and now_s - self._failed_s < REMIND_S


_away = Away()


def say_it_once(where: str) -> None:
    """From now on clients of the broker at ``where`` say one line an outage; filters are added once."""
    _away.where = where
    for name in CLIENTS:
        logging.getLogger(name).addFilter(_may_pass)


def is_away() -> bool:
    """Whether a connection failed lately."""
    return _away.is_near(time.monotonic())


def slow_down(client: Any) -> None:
    """Have an aiokafka client (``AIOKafkaClient``) wait after each question for metadata that nobody answered."""
    ask = client._metadata_update

    async def ask_slowly(cluster: Any, topics: Any) -> bool:
        found: bool = await ask(cluster, topics)
        if not found:
            await asyncio.sleep(PAUSE_S)
        elif line := _away.answered(time.monotonic()):
            log.warning("%s", line)
        return found

    client._metadata_update = ask_slowly


def _may_pass(record: logging.LogRecord) -> bool:
    said, now_s = record.getMessage(), time.monotonic()
    if said.startswith(_NO_CONNECTION):
        if line := _away.failed(now_s):
            log.warning("%s", line)
        return False
    if _LOST in said:
        _away.lost(now_s)
    return not (_away.is_near(now_s) and any(words in said for words in _FOLLOWS))
