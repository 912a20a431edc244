"""Rows of a file into the topics, a batch at a time: what is refused is counted and told, nothing is lost silently.

Record timestamps are event times; items and users have none and come before every event. What is sent is acknowledged
by all replicas or the import fails.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import polars as pl

from streams.contract import topics
from streams.contract.absent import Withdrawn
from streams.contract.codec import STAGE_RULE, STAGE_SIZE, Rejected, Skipped, encode
from streams.contract.events import Interaction, Item, Request, User
from streams.contract.explain import readable, without_particulars
from streams.contract.rules import MAX_RECORD_BYTES
from streams.replay.columns import Plan, plan
from streams.replay.convert import FIRST_TIME_MS
from streams.replay.formats import Turn
from streams.replay.row_ids import RowIds
from streams.replay.rows import Rows, documents_of

SHOWN: Final = 10
"""Bad rows that are kept with their bytes."""

Message = tuple[str, bytes | None, int]
"""One record to send: key, value, and timestamp, UTC epoch ms."""


class Sender(Protocol):
    """What an import needs of a producer."""

    def send_all(self, topic: str, records: list[Message]) -> None:
        """Queue records in order; waits while there is no room."""

    def settle(self) -> None:
        """Wait until all that is queued is acknowledged; raises DeliveryError where it is not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadRow:
    """One row that was refused: its number in the file, from 1, without a header line."""

    row: int
    reason: str
    value: bytes


@dataclasses.dataclass(kw_only=True)
class Report:
    """What became of the rows of a file.

    Attributes:
      rows: read. sent: records by the name of their topic. skipped: rows that mean nothing here. bad: refused;
        by_reason: the same by reason; first_bad: the first of them.
    """

    rows: int = 0
    sent: Counter[str] = dataclasses.field(default_factory=Counter)
    skipped: int = 0
    bad: int = 0
    by_reason: Counter[str] = dataclasses.field(default_factory=Counter)
    first_bad: list[BadRow] = dataclasses.field(default_factory=list)
    elapsed_s: float = 0.0

    def note(self, row: int, refused: Rejected) -> BadRow:
        """Count a refused row."""
        self.bad += 1
        kind = without_particulars(refused.reason)
        if kind in self.by_reason or len(self.by_reason) < 100:
            self.by_reason[kind] += 1
        bad = BadRow(row=row, reason=refused.reason, value=refused.payload[:MAX_RECORD_BYTES])
        if len(self.first_bad) < SHOWN:
            self.first_bad.append(bad)
        return bad


def import_rows(
    batches: Iterable[Rows], turn: Turn, ids: RowIds, sender: Sender | None, *, names: dict[str, str],
    shape: object = None, on_bad: Callable[[BadRow], None] = lambda _: None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Send all rows.

    Args:
      batches: of a file, in order. turn: see `streams.replay.formats.Format.turn`. ids: those that ``turn`` asks.
      sender: None: nothing is sent, only judged. names: name of a topic in the contract's table -> its full name.
      shape: what ``turn`` follows, where a table may be taken by whole batches.
      on_bad: told of every refused row. on_progress: told how many rows were read.

    Raises:
      DeliveryError: a record was refused by the broker.
    """
    report, started_s = Report(), time.monotonic()
    take: Plan | None = None
    is_planned = False
    for rows in batches:
        if rows.frame is not None and not is_planned:
            take, is_planned = plan(shape, rows.frame.schema), True
        out: dict[str, list[Message]] = {spec.name: [] for spec in topics.JUDGED}
        one = _Rows(turn, ids, report, out, on_bad)
        if take is not None and rows.frame is not None:
            _take_batch(rows, rows.frame, take, one)
        else:
            for number, row in enumerate(rows.values, start=rows.first):
                one.take(number, row)
        report.rows = rows.first + len(rows) - 1
        for kind, messages in out.items():
            if messages:
                report.sent[kind] += len(messages)
                if sender is not None:
                    sender.send_all(names[kind], messages)
        on_progress(report.rows)
    if sender is not None:
        sender.settle()
    report.elapsed_s = time.monotonic() - started_s
    return report


class _Rows(NamedTuple):
    """Takes rows one by one."""

    turn: Turn
    ids: RowIds
    report: Report
    out: dict[str, list[Message]]
    on_bad: Callable[[BadRow], None]

    def take(self, number: int, row: bytes | Rejected) -> None:
        """One row: sent, left out, or refused."""
        found = _turned(row, self.turn)
        if isinstance(found, Skipped):
            self.report.skipped += 1
            return
        self.ids.position += 1
        if isinstance(found, Rejected):
            self.on_bad(self.report.note(number, found))
            return
        for event in found:
            kind, message = _message(event)
            if message[2] < FIRST_TIME_MS or len(message[1] or b"") > MAX_RECORD_BYTES:
                self.on_bad(self.report.note(number, _unfit(message)))
                return
            self.out[kind].append(message)


def _take_batch(rows: Rows, frame: pl.DataFrame, take: Plan, one: _Rows) -> None:
    """Rows that are sure as they are, in their order with the others."""
    batch, ids = take(frame), one.ids
    one.report.skipped += frame.height - len(batch.places)
    doubtful = [place for place, sure in zip(batch.places, batch.sure, strict=True) if not sure]
    documents = iter(documents_of(frame[doubtful]) if doubtful else ())
    append, has_ids = one.out[_INTERACTIONS].append, batch.has_ids
    for place, sure, line, user, at_ms in zip(*batch[:5], strict=True):
        if not sure:
            one.take(rows.first + place, next(documents))
            continue
        append((user, line if has_ids else b'{"event_id":"%b",%b' % (ids(b"", -1).encode(), line[1:]), at_ms))
        ids.position += 1


_BLANK: Final = Skipped()
_INTERACTIONS: Final = topics.INTERACTIONS.name


def _turned(row: bytes | Rejected, turn: Turn) -> Any:
    if isinstance(row, Rejected):
        return row
    return turn(row) if row and not row.isspace() else _BLANK


def _message(event: Any) -> tuple[str, Message]:
    """The name of an event's topic, and its record."""
    if isinstance(event, Interaction):
        return _INTERACTIONS, (event.user_id, encode(event), event.occurred_at_ms)
    if isinstance(event, Item):
        return topics.ITEMS.name, (event.item_id, encode(event), FIRST_TIME_MS)
    if isinstance(event, Withdrawn):
        return topics.ITEMS.name, (event.item_id, None, FIRST_TIME_MS)
    if isinstance(event, User | Request):
        name = topics.USERS.name if isinstance(event, User) else topics.REQUESTS.name
        return name, (event.user_id, encode(event), FIRST_TIME_MS)
    raise TypeError(f"expected a record that others write, got {type(event).__name__}")


def _unfit(message: Message) -> Rejected:
    _, value, at_ms = message
    kept = value or b""
    if at_ms < FIRST_TIME_MS:
        reason = f"expected a time from {FIRST_TIME_MS} ms after 1970 on, got {at_ms}: Kafka takes 0 for now"
        return Rejected(kept, readable(reason), STAGE_RULE)
    return Rejected(kept, f"expected a record of <= {MAX_RECORD_BYTES} bytes, got {len(kept)}", STAGE_SIZE)
