"""Two versions of the engine on the same topics, as while an upgrade rolls: neither stops the other, nor spoils it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from streams.contract import codec
from streams.contract.arrays import tensor_from_array
from streams.contract.events import ItemState, LedgerRecord, ModelWeights
from streams.cores.announce import Announcer
from streams.cores.serving import Serving
from streams.durability import ledger
from streams.durability.folder_store import FolderStore
from streams.durability.ledger import Placed
from streams.durability.manifest import Manifest
from streams.durability.snapshots import SnapshotRef
from streams.roles.restoring import reached_of
from streams.transport.merge import Stamped
from tests import engines, planted
from tests.announced import LOG, serving_with, slate, state, weights
from tests.factories import make_ledger_record

RELEASED = Path(__file__).resolve().parents[3] / "golden" / "released"
SINCE = ("successor_lags", "company", "company_weights", "surface_popularity", "successor_gains", "company_gains",
         "surface_bias", "value_sum", "value_count", "feedback", "feedback_events", "feedback_ms")  # fmt: skip
"""Fields of an item state that came after the first ones."""


def sent(record: Any, *, without: tuple[str, ...] = (), **later: Any) -> Any:
    """A record after a trip over the wire, as a version without these fields, or with others more, writes it."""
    value = json.loads(codec.encode(record)) | later
    value = {name: one for name, one in value.items() if name not in without}
    got = codec.decode(type(record), json.dumps(value).encode(), timestamp_ms=-1)
    assert isinstance(got, type(record)), got
    return got


def flush_of(version: int) -> tuple[list[ItemState], ModelWeights]:
    """What a trainer that has learned something tells."""
    learner = engines.taught(LOG)
    told = Announcer(learner.config, fingerprint="test").announce(learner.state, [], most=engines.EVERYTHING)
    return engines.over_the_wire(told)


def test_an_item_state_of_an_earlier_trainer_is_served() -> None:
    assert set(slate(serving_with(sent(state("old"), without=SINCE), state("new", row=2)))) == {"old", "new"}


@pytest.mark.parametrize("path", sorted(RELEASED.glob("*/model-weights*.json")), ids=lambda path: path.stem)
def test_weights_of_another_trainer_are_passed_over_and_slates_go_on(path: Path) -> None:
    serving = serving_with(state("a"), state("b", row=2))
    before = slate(serving), serving.model
    old = codec.decode(ModelWeights, path.read_bytes(), timestamp_ms=-1)
    assert isinstance(old, ModelWeights)
    serving.take_weights(msgspec.structs.replace(old, version=serving.model.version + 1, item_states=0))
    assert (slate(serving), serving.model) == before
    serving.take_weights(weights(serving.model.version + 2, 0))  # its successor of our version
    assert serving.model.version == before[1].version + 2


def test_what_a_later_trainer_adds_to_its_records_changes_no_slate() -> None:
    states, its_weights = flush_of(1)
    plain, later = Serving(planted.SMALL), Serving(planted.SMALL)
    plain.take_states(states)
    plain.take_weights(its_weights)
    later.take_states([sent(one, added={"deep": [1]}) for one in states])
    later.take_weights(sent(its_weights, added=[0.5], another="text"))
    assert slate(later) == slate(plain) != []


def test_a_later_trainer_s_network_is_passed_over_until_the_recommender_is_upgraded() -> None:
    serving = serving_with(state("a"))
    before = serving.model
    told = weights(before.version + 1, 0)
    more = dict(told.arrays) | {"a/layer/more": tensor_from_array(np.zeros(3, np.float32))}
    fewer = dict(list(told.arrays.items())[1:])
    for arrays in (fewer, more):
        serving.take_weights(msgspec.structs.replace(told, arrays=arrays))
        assert slate(serving) == ["a"]
    assert serving.model.version in (before.version, told.version)


@pytest.mark.parametrize("path", sorted(RELEASED.glob("*/ledger-record.json")), ids=lambda path: path.parent.name)
def test_a_ledger_without_writers_and_counts_is_learned_again(path: Path) -> None:
    old = codec.decode(LedgerRecord, path.read_bytes(), timestamp_ms=-1)
    assert isinstance(old, LedgerRecord)
    assert (old.writer, old.follows, {span.records for span in old.ranges}) == ("", "", {None})
    follower = make_ledger_record(
        step=old.step + 1, ranges=old.ranges, fingerprint=old.fingerprint, writer="ours", follows=""
    )
    found = ledger.recovery_of(
        [Placed(0, old), Placed(1, follower)], step=old.step - 1, writer="", fingerprint=old.fingerprint
    )
    assert ([one.record for one in found.todo], found.writer, found.passed_over) == ([old, follower], "ours", 0)
    there = [Stamped((span.topic, span.partition), 0, span.first, None) for span in old.ranges]
    assert ledger.is_whole(old, there, compacted=())  # it never said how many there were


def test_a_snapshot_s_unknown_words_are_passed_over_and_missing_ones_have_defaults() -> None:
    manifest = Manifest(version=3, arrays=(), offsets={"p.interactions.v1/2": 7}, meta={"said_later": [1]})
    ref = SnapshotRef(store=FolderStore(Path("snapshots")), manifest=Manifest.from_bytes(manifest.to_bytes()))
    assert reached_of(ref) == ({("p.interactions.v1", 2): 7}, {})
