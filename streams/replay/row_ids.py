"""Event ids of rows that bring none: as `marquee replay` derives them, from the log's name and the place in it."""

from __future__ import annotations

from hashlib import blake2b

from streams.contract.ids import ID_BYTES, replayed_event_id


class RowIds:
    """Gives the id of the row at `position`, which whoever reads the rows moves on.

    >>> ids = RowIds("films")
    >>> ids.position = 12
    >>> ids(b"", -1) == replayed_event_id(log="films", position=12)
    True
    """

    def __init__(self, log: str) -> None:
        self.position = 0
        self._begun = blake2b(digest_size=ID_BYTES)
        for part in (b"replayed-event", log.encode("utf-8", "surrogatepass")):
            self._begun.update(len(part).to_bytes(8, "little"))
            self._begun.update(part)

    def __call__(self, _value: bytes, _timestamp_ms: int) -> str:
        """The id; neither value nor timestamp matters."""
        digest, told = self._begun.copy(), b"%d" % self.position
        digest.update(len(told).to_bytes(8, "little") + told)
        return digest.hexdigest()


__all__ = ["RowIds", "replayed_event_id"]
