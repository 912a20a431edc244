"""The events whose wire bytes are kept: of every type one at its defaults and one with every field set."""

from __future__ import annotations

import numpy as np

from streams.contract import arms, arrays, events
from tests import factories as make

_ASSET = make.make_asset(sha256="9f86d081884c7d65", size_bytes=48_213, duration_ms=0)
_CONTEXT = {"device": "tv", "hour": 21, "volume": 0.5, "kids": False, "campaign": None}

CASES: dict[str, events.Record] = {
    "interaction": make.make_interaction(),
    "interaction-full": make.make_interaction(
        action="search-click",
        value=4.5,
        dwell_ms=5_400_000,
        completion=0.75,
        surface="home",
        request_id="request-1",
        position=3,
        asset_id="asset-1",
        context=_CONTEXT,
    ),
    "interaction-assets": make.make_interaction(action="impression", asset_ids=["asset-1", "own:blurb"]),
    "item": make.make_item(),
    "item-full": make.make_item(
        title="Amélie 🎬",
        text='A "shy" waitress\nhelps others.',
        tags=["comedy", "romance"],
        creator="Jean-Pierre Jeunet",
        language="fr",
        duration_s=7_320.0,
        published_at_ms=-14_182_940_000,
        available_from_ms=1_690_000_000_000,
        available_until_ms=1_790_000_000_000,
        regions=["FR", "BE"],
        maturity=12,
        assets=[_ASSET],
    ),
    "item-devices": make.make_item(assets=[make.make_asset(devices=["tv", "phone"])]),
    "user": make.make_user(),
    "user-full": make.make_user(region="FR", languages=["fr", "en"], maturity=16, segments=["trial"]),
    "request": make.make_request(),
    "request-full": make.make_request(
        surface="home",
        k=10,
        filters={"tags": ["comedy", "romance"], "language": "fr", "max_duration_s": 7_200},
        exclude=["item-2", "item-3"],
        context=_CONTEXT,
    ),
    "slate": make.make_slate(),
    "slate-full": make.make_slate(
        items=[
            make.make_slate_item(reasons=["because you watched item-9"], asset_ids=["asset-1"]),
            make.make_slate_item(
                item_id="item-2", rank=2, score=-0.125, source="fresh", propensity=0.05, explored=True
            ),
        ],
        error="k must be 1 to 200, got 10000; answered with 200",
    ),
    "slate-assets": make.make_slate(
        items=[make.make_slate_item(asset_ids=["own:blurb", "asset-1"], asset_propensities=[1.0, 0.625])]
    ),
    "content-task": make.make_content_task(),
    "content-task-full": make.make_content_task(
        kind="dub",
        audience={"languages": ["fr"], "maturity": 12},
        locale="fr-FR",
        spec={"voice": "warm", "loudness_lufs": -16.5},
        priority=0.8,
        evidence=[{"requests": 1_200, "surface": "home"}],
        not_after_ms=1_700_600_000_000,
    ),
    "content-task-withdrawn": make.make_content_task(withdrawn=True),
    "content-asset": make.make_content_asset(),
    "content-asset-full": make.make_content_asset(
        status="failed",
        asset=None,
        quality={"intelligibility": 0.93},
        engine={"name": "dub", "steps": 12},
        error="no audio",
    ),
    "item-arms": make.make_item_arms(),
    "item-arms-none": make.make_item_arms(assets_offset=0, arms=[]),
    "item-arms-full": make.make_item_arms(
        arms=[arms.ItemArm(asset_id="asset-1", kind="dub", language="pt", devices=["tv"], task_id="task-1")]
    ),
    "content-asset-told": make.make_content_asset(not_after_ms=1_700_600_000_000),
    "item-state": make.make_item_state(),
    "item-state-full": make.make_item_state(
        live=False,
        bias=-0.5,
        successors=arrays.rows_to_bytes([2, 300]),
        successor_weights=arrays.floats_to_bytes([0.75, 0.5]),
        predecessors=arrays.rows_to_bytes([7]),
        predecessor_weights=arrays.floats_to_bytes([1.0]),
    ),
    "item-state-whole-rows": make.make_item_state(
        bias=0.25,
        successors=arrays.rows_to_bytes([2, 300]),
        successor_weights=arrays.floats_to_bytes([0.75, 0.5]),
        predecessors=arrays.rows_to_bytes([7]),
        predecessor_weights=arrays.floats_to_bytes([1.0]),
        successor_lags=arrays.floats_to_bytes([0.5, 0.0]),
        company=arrays.rows_to_bytes([5]),
        company_weights=arrays.floats_to_bytes([3.0]),
        surface_popularity=arrays.floats_to_bytes([1.5, 0.0]),
        successor_gains=arrays.floats_to_bytes([0.25, -0.125]),
        company_gains=arrays.floats_to_bytes([-0.5]),
        surface_bias=arrays.floats_to_bytes([0.0, 0.75]),
        value_sum=9.5,
        value_count=2.0,
    ),
    "item-state-feedback": make.make_item_state(
        feedback=arrays.floats_to_bytes([5.0, 3.5, 4.5, 2.0, 2.0, 3.25, 1.0, 0.0, 1.0]),
        feedback_events=40,
        feedback_ms=1_700_000_000_500,
    ),
    "model-weights": make.make_model_weights(),
    "model-weights-full": make.make_model_weights(
        arrays={"reranker/mean": arrays.tensor_from_array(np.array([0.5, -2.0]))}, surfaces=["home", "search"]
    ),
    "snapshot-notice": make.make_snapshot_notice(),
    "ledger-record": make.make_ledger_record(),
    "ledger-record-full": make.make_ledger_record(state_hash="c0ffee"),
    "ledger-record-erasures": make.make_ledger_record(ranges=[], state_hash="c0ffee", erasures="5ad1a7e0"),
    "erasure": make.make_erasure(),
    "ledger-record-named": make.make_ledger_record(
        ranges=[events.OffsetRange(topic="interactions.v1", partition=0, first=0, last=16, records=17)],
        writer="5d41402abc4b2a76",
        follows="7d793037a0760186",
    ),
    "metric": make.make_metric(),
}
