"""Valid events with every field defaulted: a test names only what it is about, as in ``make_item(maturity=18)``.

A misspelt field is a TypeError. Values obey the contract, so whatever is built here decodes again unless the test
says otherwise.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.contract import arms, arrays, events

NOW_MS = 1_700_000_000_000
"""2023-11-14 22:13:20 UTC, ms: the time at which tests happen."""

_INTERACTION = events.Interaction(
    event_id="event-1", user_id="user-1", item_id="item-1", action="play", occurred_at_ms=NOW_MS
)
_ASSET = events.Asset(asset_id="asset-1", uri="https://media.example/asset-1.jpg", media_type="image/jpeg")
_ITEM = events.Item(item_id="item-1", title="The First Item", tags=["drama"])
_USER = events.User(user_id="user-1")
_REQUEST = events.Request(request_id="request-1", user_id="user-1")
_SLATE_ITEM = events.SlateItem(item_id="item-1", rank=1, score=2.5, source="tower")
_SLATE = events.Slate(
    request_id="request-1",
    user_id="user-1",
    generated_at_ms=NOW_MS,
    as_of=events.AsOf(event_time_ms=NOW_MS, offsets={"0": 17}),
    model=events.ModelRef(version=3, step=120, state_hash="c0ffee"),
    k=20,
    items=[_SLATE_ITEM],
)
_CONTENT_TASK = events.ContentTask(
    task_id="task-1",
    kind="blurb",
    item_id="item-1",
    expected_gain=events.Gain(metric="click_rate", value=0.02, interval=(0.01, 0.03)),
)
_CONTENT_ASSET = events.ContentAsset(task_id="task-1", item_id="item-1", status="done", asset=_ASSET)
_ITEM_STATE = events.ItemState(
    item_id="item-1",
    row=1,
    version=3,
    clock_events=1_000,
    clock_ms=NOW_MS,
    first_seen_ms=NOW_MS,
    vector=arrays.floats_to_bytes([0.5, -1.0, 2.0, 0.25]),
    count=3.0,
    popularity=arrays.floats_to_bytes([3.0, 1.5]),
)
_MODEL_WEIGHTS = events.ModelWeights(
    version=3,
    step=120,
    item_states=1,
    arrays={"gru/kernel": events.Tensor(shape=[1, 2], dtype="float32", data=arrays.floats_to_bytes([1.0, -2.0]))},
    clock_events=1_000,
    clock_ms=NOW_MS,
    state_hash="c0ffee",
    fingerprint="marquee-0.1.0",
)
_SNAPSHOT_NOTICE = events.SnapshotNotice(
    version=3,
    uri="file:///snapshots/3",
    offsets={"interactions.v1/0": 17},
    state_hash="c0ffee",
    fingerprint="marquee-0.1.0",
)
_LEDGER_RECORD = events.LedgerRecord(
    step=120,
    ranges=[events.OffsetRange(topic="interactions.v1", partition=0, first=0, last=16)],
    seed=7,
    batch_size=256,
    fingerprint="marquee-0.1.0",
)
_ERASURE = events.Erasure(
    user="0b9c2625dc21ef05f6ad4ddf47c5f203", until_ms=NOW_MS, ends={"interactions.v1/0": 17}, lead=1_000_003, step=119,
    state_hash="c0ffee",
)  # fmt: skip
_ITEM_ARMS = arms.ItemArms(
    item_id="item-1", at_ms=NOW_MS, assets_offset=12,
    arms=[
        arms.ItemArm(asset_id="own:image", kind="image", shown=40.0, taken=4.0, control=True),
        arms.ItemArm(
            asset_id="asset-1", kind="image", task_id="task-1", uri=_ASSET.uri, media_type=_ASSET.media_type,
            shown=38.5, taken=7.25,
        ),
    ],
)  # fmt: skip
_METRIC = events.Metric(series="prequential", at_ms=NOW_MS, step=120, events=1_000, values={"hr_at_10": 0.25})


def make_interaction(**changes: Any) -> events.Interaction:
    """user-1 plays item-1 at ``NOW_MS``."""
    return msgspec.structs.replace(_INTERACTION, **changes)


def make_asset(**changes: Any) -> events.Asset:
    """A JPEG."""
    return msgspec.structs.replace(_ASSET, **changes)


def make_item(**changes: Any) -> events.Item:
    """item-1, a drama that everybody may see everywhere."""
    return msgspec.structs.replace(_ITEM, **changes)


def make_user(**changes: Any) -> events.User:
    """user-1, of whom nothing is known."""
    return msgspec.structs.replace(_USER, **changes)


def make_request(**changes: Any) -> events.Request:
    """user-1 asks for the default number of items."""
    return msgspec.structs.replace(_REQUEST, **changes)


def make_slate_item(**changes: Any) -> events.SlateItem:
    """item-1 in the first place."""
    return msgspec.structs.replace(_SLATE_ITEM, **changes)


def make_slate(**changes: Any) -> events.Slate:
    """A slate of one item for user-1's request-1."""
    return msgspec.structs.replace(_SLATE, **changes)


def make_content_task(**changes: Any) -> events.ContentTask:
    """A blurb for item-1."""
    return msgspec.structs.replace(_CONTENT_TASK, **changes)


def make_content_asset(**changes: Any) -> events.ContentAsset:
    """task-1, done."""
    return msgspec.structs.replace(_CONTENT_ASSET, **changes)


def make_item_state(**changes: Any) -> events.ItemState:
    """item-1 in row 1 with a vector of 4 and two popularity counts."""
    return msgspec.structs.replace(_ITEM_STATE, **changes)


def make_model_weights(**changes: Any) -> events.ModelWeights:
    """Version 3 with one tensor."""
    return msgspec.structs.replace(_MODEL_WEIGHTS, **changes)


def make_snapshot_notice(**changes: Any) -> events.SnapshotNotice:
    """Version 3 is durable."""
    return msgspec.structs.replace(_SNAPSHOT_NOTICE, **changes)


def make_ledger_record(**changes: Any) -> events.LedgerRecord:
    """Step 120 learned 17 records of one partition."""
    return msgspec.structs.replace(_LEDGER_RECORD, **changes)


def make_erasure(**changes: Any) -> events.Erasure:
    """Somebody was forgotten, whose records stood before offset 17 of partition 0."""
    return msgspec.structs.replace(_ERASURE, **changes)


def make_item_arms(**changes: Any) -> arms.ItemArms:
    """item-1 has a picture of its own and one more, asset-1 of task-1."""
    return msgspec.structs.replace(_ITEM_ARMS, **changes)


def make_metric(**changes: Any) -> events.Metric:
    """One window of the prequential figures."""
    return msgspec.structs.replace(_METRIC, **changes)
