"""Which questions are under way, by request id, and who waits for the answer; bounded. Belongs to one event loop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from streams.door.refusals import RefusalError

ID_BYTES: Final = 8
"""Of the name of an instance: two of them never get the same one."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """What of a slate is looked at."""

    request_id: str
    user_id: str
    error: str | None = None


class Answer(NamedTuple):
    """A slate: what is looked at, and its bytes as the recommender wrote them."""

    head: Head
    value: bytes


_HEAD: Final = msgspec.json.Decoder(Head)


class Mine:
    """Tells slates that this instance asked for from all others, without decoding those.

    Every request id of an instance begins with its `mark`, which nobody else can have, so a value without these bytes
    is not ours; one with them is decoded, since it might stand elsewhere in it.
    """

    def __init__(self) -> None:
        self.mark = f"door-{secrets.token_hex(ID_BYTES)}-"
        self._bytes = self.mark.encode()
        self._count = 0

    def next_id(self) -> str:
        """An id for a request."""
        self._count += 1
        return f"{self.mark}{self._count:x}"

    def answers(self, values: Iterable[bytes | None]) -> list[Answer]:
        """Those of the values that are slates of ours, as far as their bytes say."""
        mark, found = self._bytes, []
        for value in values:
            if value is None or mark not in value:
                continue
            try:
                head = _HEAD.decode(value)
            except msgspec.DecodeError:  # somebody else's bytes
                continue
            if head.request_id.startswith(self.mark):
                found.append(Answer(head, value))
        return found


class Waiting:
    """Futures by request id.

    Args:
      most: that may be open at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, tuple[asyncio.Future[Answer | None], asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, request_id: str, timeout_s: float) -> asyncio.Future[Answer | None]:
        """Begins to wait; the future gives None after ``timeout_s``.

        Raises:
          RefusalError: as many wait already as may.
        """
        if len(self._open) >= self._most:
            raise RefusalError(
                503, "full", f"{self._most} requests wait for their slates, as many as door.in_flight allows; come "
                "again", retry_s=1.0,
            )  # fmt: skip
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()
        self._open[request_id] = future, loop.call_later(timeout_s, _settle, future, None)
        return future

    def close(self, request_id: str) -> None:
        """Waits no more; what comes later is passed over."""
        held = self._open.pop(request_id, None)
        if held is not None:
            held[1].cancel()

    def take(self, answers: Iterable[Answer]) -> None:
        """Hands over slates; a repeat of one, and one that came too late, are nobody's."""
        for answer in answers:
            held = self._open.get(answer.head.request_id)
            if held is not None:
                _settle(held[0], answer)


def _settle(future: asyncio.Future[Answer | None], answer: Answer | None) -> None:
    if not future.done():
        future.set_result(answer)
