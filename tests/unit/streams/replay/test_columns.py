"""Whole batches at once give what row after row gives: the same records, in the same order, and the same refusals."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract import codec, topics
from streams.contract.events import Interaction
from streams.mapping.decoders import decoder_of
from streams.mapping.shapes import shape_of
from streams.replay.columns import plan
from streams.replay.importing import Message, Report, import_rows
from streams.replay.row_ids import RowIds
from streams.replay.rows import Rows

NAMES = {spec.name: spec.name for spec in topics.TOPICS}
FLAGS: dict[str, Any] = {
    "user": "user", "item": "item", "time": "t_ms",
    "rules": [{"action": "like", "when": {"liked": True}}, {"action": "", "when": {"clicked": [0, "0"]}},
              {"action": "click", "column": "clicked", "equals": 1}],
    "dwell_ms": "stay", "duration_ms": "whole", "surface": "tab", "surface_prefix": "tab", "value": "stars",
}  # fmt: skip
WORDS = {
    "user": ["who", "user"], "item": "item", "time": "t_ms", "time_unit": "s", "action": "kind", "event_id": "id",
    "words": {"seen": "play", "ping": ""}, "completion": "share", "completion_unit": "percent", "dwell_ms": "stay",
    "dwell_unit": "s",
}  # fmt: skip
TIMES = st.sampled_from([5, 900, 1_000_000, 0, -1, 1_650_000_000, 1_650_000_000_000, 10**17])
TEXTS = st.sampled_from(
    [
        "1",
        "7",
        "12",
        "900",
        "1",
        "0",
        "",
        " 7",
        "x",
        "1.5",
        "-3",
        "1e3",
        "true",
        "1650000000000",
        "ä" * 150,
        "é" * 300,
        None,
    ]
)
NUMBERS = st.sampled_from([0, 1, 2, 3, 50, 80, -1, 7, 120, 2**53 + 5, -(2**60), None])
FLOATS = st.sampled_from([0.0, 1.0, 0.5, 2.5, -1.0, 1e16, 99.9, None])


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    """A table whose columns are of any plain types."""
    height = draw(st.integers(1, 12))

    def column(*kinds: Any) -> pl.Series:
        values, kind = draw(st.sampled_from(kinds))
        return pl.Series(draw(st.lists(values, min_size=height, max_size=height)), dtype=kind)

    whole, text, real = (NUMBERS, pl.Int64), (TEXTS, pl.String), (FLOATS, pl.Float64)
    return pl.DataFrame({
        "user": column(whole, text), "item": column(whole, text), "t_ms": column((TIMES, pl.Int64), text),
        "liked": column((st.sampled_from([True, False, None]), pl.Boolean), text), "clicked": column(whole, text),
        "stay": column(whole, text, real), "whole": column(whole, text, real), "tab": column(whole, text),
        "stars": column(whole, text, real), "share": column(whole, real), "id": column(whole, text),
        "kind": column((st.sampled_from(["seen", "ping", "click", "x", None]), pl.String)),
    })  # fmt: skip


class Kept:
    """What is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send_all(self, _topic: str, records: list[Message]) -> None:
        self.sent += records

    def settle(self) -> None:
        pass


def imported(frame: pl.DataFrame, table: dict[str, Any], *, at_once: bool) -> tuple[Report, list[Any]]:
    """The report, and key, event and time of what is sent."""
    shape, ids, kept = shape_of("interactions", table, where="test"), RowIds("log"), Kept()
    decode = decoder_of(Interaction, shape, ids=ids)

    def turn(row: bytes) -> Any:
        found = decode(row, -1)
        return found if isinstance(found, codec.Rejected | codec.Skipped) else (found,)

    halves = [frame[: len(frame) // 2], frame[len(frame) // 2 :]]
    batches = [Rows(1 + at * (len(frame) // 2), frame=half) for at, half in enumerate(halves)]
    report = import_rows(batches, turn, ids, kept, names=NAMES, shape=shape if at_once else None)
    events = [(key, codec.decode(Interaction, value or b"", timestamp_ms=-1), at_ms) for key, value, at_ms in kept.sent]
    return report, events


@pytest.mark.parametrize("table", [FLAGS, WORDS], ids=["flags", "words"])
@settings(max_examples=150, deadline=None)
@given(frame=tables())
def test_batches_give_what_rows_give(table: dict[str, Any], frame: pl.DataFrame) -> None:
    quick, events = imported(frame, table, at_once=True)
    slow, expected = imported(frame, table, at_once=False)
    assert events == expected
    assert (quick.rows, quick.skipped, quick.bad) == (slow.rows, slow.skipped, slow.bad)
    assert [(one.row, one.reason) for one in quick.first_bad] == [(one.row, one.reason) for one in slow.first_bad]


def test_a_common_table_is_taken_at_once_and_others_are_left_to_the_rows() -> None:
    schema = pl.DataFrame({"user": [1], "item": ["a"], "t_ms": [5], "clicked": [1], "liked": [True], "stay": [1],
                           "whole": [2], "tab": [1], "stars": [1.5]}).schema  # fmt: skip
    assert plan(shape_of("interactions", FLAGS, where="test"), schema) is not None
    for change in (
        {"user": "a.b"},
        {"user": "$key"},
        {"context": {"x": "tab"}},
        {"time_unit": "iso"},
        {"asset_id": "tab"},
    ):
        assert plan(shape_of("interactions", FLAGS | change, where="test"), schema) is None
    assert plan(shape_of("items", {"item": "item"}, where="test"), schema) is None
    assert plan(None, schema) is None
