"""Rules that take more than one field, or the record's timestamp: what types alone cannot say.

Each check gives None, or the reason for refusing: what was expected, what came. A check refuses only what would
mislead a reader or break it. An item whose window of availability is empty, say, is merely never shown; refusing it
would leave its earlier, available version in force.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from streams.contract import events, rules

Check = Callable[[Any, int], str | None]
_FLOAT32: Final = np.dtype("<f4")
_INT32: Final = np.dtype("<i4")


def check_interaction(event: events.Interaction, timestamp_ms: int) -> str | None:
    """Refuses event time beyond the record's own; ``timestamp_ms`` < 0 means unknown."""
    if event.occurred_at_ms - timestamp_ms > rules.MAX_CLOCK_SKEW_MS and timestamp_ms >= 0:
        return (
            f"expected `occurred_at_ms` at most {rules.MAX_CLOCK_SKEW_MS} ms after the record's timestamp "
            f"{timestamp_ms}, got {event.occurred_at_ms}, which is {event.occurred_at_ms - timestamp_ms} ms after it"
        )
    return None


def check_item_state(event: events.ItemState, _timestamp_ms: int) -> str | None:
    """Refuses arrays of ragged length, numbers that are not finite, bad rows, a live item without vector."""
    vector, popularity = event.vector, event.popularity
    on_surfaces, surface_bias = event.surface_popularity, event.surface_bias
    successors, successor_weights, successor_lags = event.successors, event.successor_weights, event.successor_lags
    predecessors, predecessor_weights = event.predecessors, event.predecessor_weights
    company, company_weights = event.company, event.company_weights
    successor_gains, company_gains = event.successor_gains, event.company_gains
    sizes = len(vector) | len(popularity) | len(on_surfaces) | len(surface_bias)
    sizes |= len(successors) | len(predecessors) | len(company)
    if sizes & 3:
        return "expected arrays of whole 4-byte numbers, got a length that 4 does not divide"
    if len(successors) != len(successor_weights):
        return _lengths("successors", successors, successor_weights)
    if successor_lags and len(successors) != len(successor_lags):
        return _lengths("successors", successors, successor_lags, "lag")
    if len(predecessors) != len(predecessor_weights):
        return _lengths("predecessors", predecessors, predecessor_weights)
    if len(company) != len(company_weights):
        return _lengths("company", company, company_weights)
    if successor_gains and len(successors) != len(successor_gains):
        return _lengths("successors", successors, successor_gains, "gain")
    if company_gains and len(company) != len(company_gains):
        return _lengths("company", company, company_gains, "gain")
    if event.live and not vector:
        return "expected a `vector` for a live item, got none"
    numbers = (
        vector, popularity, on_surfaces, surface_bias, successor_weights, successor_lags, successor_gains,
        predecessor_weights, company_weights, company_gains,
    )  # fmt: skip
    floats = np.frombuffer(b"".join(numbers), _FLOAT32)
    if not np.logical_and.reduce(np.isfinite(floats)):  # half the time of .all()
        return "expected finite float32 numbers, got NaN or infinity"
    rows = b"".join((successors, predecessors, company))
    if rows and np.minimum.reduce(np.frombuffer(rows, _INT32)) < 1:
        return "expected rows >= 1 in `successors`, `predecessors` and `company`, got a smaller one"
    return None


def check_model_weights(event: events.ModelWeights, _timestamp_ms: int) -> str | None:
    """Refuses tensors whose bytes don't fill their shape, and weights that are not finite."""
    for name, tensor in event.arrays.items():
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        want_bytes = math.prod(tensor.shape) * dtype.itemsize
        if math.prod(axis or 1 for axis in tensor.shape) > rules.MAX_RECORD_BYTES:  # [0, 2**31, 2**31] breaks NumPy
            return f"expected `{name}` to fit a record, got shape {tensor.shape}"
        if want_bytes != len(tensor.data):
            return (
                f"expected {want_bytes} bytes for `{name}` of shape {tensor.shape} and {tensor.dtype}, "
                f"got {len(tensor.data)}"
            )
        if dtype.kind == "f" and not np.isfinite(np.frombuffer(tensor.data, dtype)).all():
            return f"expected finite numbers in `{name}`, got NaN or infinity"
    return None


def check_content_task(event: events.ContentTask, _timestamp_ms: int) -> str | None:
    """Refuses an interval that is upside down."""
    low, high = event.expected_gain.interval
    if low > high:
        return f"expected `expected_gain.interval` as [low, high], got [{low}, {high}]"
    return None


def check_content_asset(event: events.ContentAsset, _timestamp_ms: int) -> str | None:
    """Refuses a task that is done and has nothing to show."""
    if event.status == "done" and event.asset is None:
        return "expected an `asset` where `status` is done, got none"
    return None


def check_slate(event: events.Slate, _timestamp_ms: int) -> str | None:
    """Refuses assets without a probability each."""
    for item in event.items:
        if item.asset_propensities and len(item.asset_propensities) != len(item.asset_ids):
            return (
                f"expected one of `asset_propensities` for each of `asset_ids` of `{item.item_id}`, got "
                f"{len(item.asset_propensities)} for {len(item.asset_ids)}"
            )
    return None


def check_ledger_record(event: events.LedgerRecord, _timestamp_ms: int) -> str | None:
    """Refuses a range that ends before it starts."""
    for span in event.ranges:
        if span.first > span.last:
            return f"expected `first` <= `last` in {span.topic}/{span.partition}, got {span.first} and {span.last}"
    return None


CHECKS: Final[dict[type[events.Record], Check]] = {
    events.Interaction: check_interaction,
    events.ItemState: check_item_state,
    events.ModelWeights: check_model_weights,
    events.ContentTask: check_content_task,
    events.ContentAsset: check_content_asset,
    events.Slate: check_slate,
    events.LedgerRecord: check_ledger_record,
}


def _lengths(name: str, rows: bytes, weights: bytes, what: str = "weight") -> str:
    return f"expected a 4-byte {what} for each of `{name}`, got {len(weights)} bytes for {len(rows)}"
