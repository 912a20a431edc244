"""Rules over several fields: each refusal once, and what lies just inside."""

from __future__ import annotations

from typing import Any

import pytest

from streams.contract import codec, events
from streams.contract.arrays import floats_to_bytes, rows_to_bytes
from tests.factories import (
    NOW_MS,
    make_content_asset,
    make_content_task,
    make_item_state,
    make_ledger_record,
    make_model_weights,
)


def verdict(event: events.Record) -> str | None:
    """Stage and reason of the refusal after a trip over the wire; None if it is taken unchanged."""
    result = codec.decode(type(event), codec.encode(event), timestamp_ms=NOW_MS)
    if isinstance(result, codec.Rejected):
        return f"{result.stage}: {result.reason}"
    assert result == event
    return None


NAN = floats_to_bytes([1.0, float("nan")])
INFINITY = floats_to_bytes([float("inf")])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vector": b"\x00" * 7}, "whole 4-byte numbers"),
        ({"popularity": b"\x00"}, "whole 4-byte numbers"),
        ({"vector": b""}, "expected a `vector` for a live item, got none"),
        ({"vector": NAN}, "finite float32"),
        ({"popularity": INFINITY}, "finite float32"),
        ({"successors": rows_to_bytes([1])}, "a 4-byte weight for each of `successors`, got 0 bytes for 4"),
        ({"predecessor_weights": floats_to_bytes([1.0])}, "each of `predecessors`, got 4 bytes for 0"),
        ({"predecessors": rows_to_bytes([1]), "predecessor_weights": b"\x00\x00\x00"}, "got 3 bytes for 4"),
        ({"successors": rows_to_bytes([1]), "successor_weights": INFINITY}, "finite float32"),
        ({"successors": rows_to_bytes([4, 0]), "successor_weights": floats_to_bytes([1.0, 1.0])}, "rows >= 1"),
        ({"predecessors": rows_to_bytes([-5]), "predecessor_weights": floats_to_bytes([1.0])}, "rows >= 1"),
        ({"successor_lags": floats_to_bytes([1.0])}, "a 4-byte lag for each of `successors`, got 4 bytes for 0"),
        ({"company": rows_to_bytes([1])}, "a 4-byte weight for each of `company`, got 0 bytes for 4"),
        ({"company": rows_to_bytes([0]), "company_weights": floats_to_bytes([1.0])}, "rows >= 1"),
        ({"company": rows_to_bytes([1]), "company_weights": NAN[4:]}, "finite float32"),
        ({"surface_popularity": b"\x00" * 5}, "whole 4-byte numbers"),
        ({"surface_bias": b"\x00" * 5}, "whole 4-byte numbers"),
        ({"surface_bias": INFINITY}, "finite float32"),
        ({"successor_gains": floats_to_bytes([1.0])}, "a 4-byte gain for each of `successors`, got 4 bytes for 0"),
        ({"company_gains": floats_to_bytes([1.0])}, "a 4-byte gain for each of `company`, got 4 bytes for 0"),
        ({"surface_popularity": INFINITY}, "finite float32"),
    ],
)
def test_an_item_state_that_would_break_serving_is_refused(changes: dict[str, Any], reason: str) -> None:
    got = verdict(make_item_state(**changes))
    assert got is not None
    assert got.startswith("rule: ")
    assert reason in got


def test_an_item_state_may_be_gone_and_empty_or_have_neighbours() -> None:
    assert verdict(make_item_state(live=False, vector=b"", popularity=b"")) is None
    neighbours = {"successors": rows_to_bytes([2, 2**31 - 1]), "successor_weights": floats_to_bytes([1.0, 3.4e38])}
    assert verdict(make_item_state(**neighbours)) is None
    assert verdict(make_item_state(**neighbours, successor_lags=floats_to_bytes([1.0, 0.0]))) is None


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (events.Tensor(shape=[2], dtype="float32", data=b"\x00" * 4), "expected 8 bytes for `w`"),
        (events.Tensor(shape=[], dtype="int64", data=b""), "expected 8 bytes for `w`"),
        (events.Tensor(shape=[0], dtype="uint8", data=b"\x00"), "expected 0 bytes for `w`"),
        (events.Tensor(shape=[2**31 - 1] * 8, dtype="float32", data=b""), "to fit a record"),
        (events.Tensor(shape=[0, 2**31 - 1, 2**31 - 1], dtype="float32", data=b""), "to fit a record"),
        (events.Tensor(shape=[2], dtype="float32", data=NAN), "finite numbers in `w`"),
    ],
)
def test_weights_that_are_not_what_they_say_are_refused(tensor: events.Tensor, reason: str) -> None:
    got = verdict(make_model_weights(arrays={"w": tensor}))
    assert got is not None
    assert got.startswith("rule: ")
    assert reason in got


def test_weights_may_be_scalar_empty_or_whole_numbers() -> None:
    arrays = {
        "scalar": events.Tensor(shape=[], dtype="float32", data=floats_to_bytes([1.0])),
        "empty": events.Tensor(shape=[0, 3], dtype="int32", data=b""),
        "flags": events.Tensor(shape=[2], dtype="bool", data=b"\x00\x01"),
    }
    assert verdict(make_model_weights(arrays=arrays)) is None


def test_a_range_ends_where_it_starts_or_later() -> None:
    def ranges(first: int, last: int) -> events.LedgerRecord:
        return make_ledger_record(ranges=[events.OffsetRange(topic="t", partition=1, first=first, last=last)])

    assert verdict(ranges(5, 5)) is None
    assert verdict(ranges(6, 5)) == "rule: expected `first` <= `last` in t/1, got 6 and 5"


def test_an_interval_is_low_then_high() -> None:
    gain = events.Gain(metric="m", value=0.0, interval=(1.0, 0.5))
    assert verdict(make_content_task(expected_gain=gain)) == (
        "rule: expected `expected_gain.interval` as [low, high], got [1.0, 0.5]"
    )


def test_what_is_done_can_be_shown() -> None:
    assert verdict(make_content_asset(asset=None)) == "rule: expected an `asset` where `status` is done, got none"
    assert verdict(make_content_asset(status="failed", asset=None, error="no audio")) is None
