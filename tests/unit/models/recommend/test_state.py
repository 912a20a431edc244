"""The state as arrays and back, its growth, and the limits of its configuration."""

import dataclasses

import jax
import numpy as np
import pytest

from models.errors import ConfigError, StateError
from models.recommend import learning, state
from models.recommend.state import ModelConfig, fit_capacity, from_arrays, to_arrays
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from tests.planted import SMALL, columns, labels_at, random_labels, random_log, small
from tests.slow_counts import Event

LOG = random_log(384, users=16, items=30)
LABELS = labels_at(random_labels(30), range(1, 30))
BY_COLUMN = (
    "counts/decayed", "counts/surface", "combiner/surface_bias", "counts/passed", "counts/taken", "counts/outcomes",
)  # fmt: skip
"""Arrays whose last axis is the item row."""


def admitted(current, config=SMALL):
    current.items.admit(f"i{n}" for n in range(1, 30))
    current.users.admit(f"u{n}" for n in range(1, 16))
    fit_capacity(current, config)
    return current


def learned(current, log, config=SMALL):
    for at in range(0, len(log), 128):
        learning.learn(current, columns(log[at : at + 128]), config)
    return current


def assert_same(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].shape == b[name].shape, name
        assert a[name].tobytes() == b[name].tobytes(), name


def test_a_restored_state_is_the_same_and_goes_on_the_same():
    whole = learned(admitted(state.fresh(SMALL)), LOG[:256])
    whole.known_ids |= dict.fromkeys(["α", "b"])
    learning.hide(whole, [3, 4], [5, 6], SMALL)
    whole.surfaces |= {"home": 1, "søk": 2}
    learning.list_items(whole, np.arange(1, 30, dtype=np.int32), np.ones((29, 16), np.float32), LABELS, SMALL)
    saved = to_arrays(whole)
    assert whole.reranker.learned[0] > 50
    assert saved["labels/tags"].any()
    assert saved["counts/tag_events"].any()
    for name in ("counts/surface", "counts/after/learned", "counts/company/learned", "combiner/surface_bias"):
        assert saved[name].any(), name
    stopped = from_arrays(saved, SMALL)
    assert_same(to_arrays(stopped), saved)
    assert stopped.surfaces == {"home": 1, "søk": 2}
    assert list(stopped.known_ids) == ["α", "b"]
    learned(whole, LOG[256:])
    assert any(saved[name].tobytes() != array.tobytes() for name, array in to_arrays(whole).items())
    assert_same(to_arrays(learned(stopped, LOG[256:])), to_arrays(whole))


def test_what_was_saved_does_not_move_with_the_state():
    current = learned(admitted(state.fresh(SMALL)), LOG[:128])
    saved = to_arrays(current)
    before = {name: array.tobytes() for name, array in saved.items()}
    restored = from_arrays(saved, SMALL)
    learned(current, LOG[128:256])
    learned(restored, LOG[128:256])
    assert {name: array.tobytes() for name, array in saved.items()} == before


@pytest.fixture(scope="module")
def arrays():
    return to_arrays(state.fresh(SMALL))


def test_a_missing_array_is_named(arrays):
    for name in (
        "combiner/bias",
        "towers/000",
        "combiner/surface_bias",
        "counts/after/near",
        "counts/after/learned",
        "counts/company/learned",
        "reranker/hidden",
        "labels/tags",
        "surfaces",
        "users/keys",
        "scalars",
    ):
        with pytest.raises(StateError, match="has no array"):
            from_arrays({key: array for key, array in arrays.items() if key != name}, SMALL)


def test_another_size_is_refused(arrays):
    other = dataclasses.replace(SMALL, towers=TowerConfig(dim=4, content_dim=16, window=8))
    with pytest.raises(StateError, match="this version and configuration want"):
        from_arrays(arrays, other)


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("combiner/shared", 0), ("combiner/inverse", 1), ("combiner/bias", 0), ("reranker/hidden", 0),
        ("combiner/surface_bias", 0), ("combiner/surface_bias", 1),
        ("reranker/mean", 0), ("labels/tags", 1), ("labels/year", 0), ("counts/surface", 0), ("counts/decayed", 0),
        ("counts/tag_events", 0), ("counts/seen", 0), ("towers/000", 0), ("counts/passed", 0), ("counts/examined", 1),
        ("counts/trials", 0), ("heads/weights", 1), ("passes/item", 1), ("passes/turn", 0), ("passes/queue_at", 0),
    ],
)  # fmt: skip
def test_an_array_of_another_version_is_refused(arrays, name, axis):
    """One feature less: a kernel that is given it would read what lies behind it."""
    shorter = np.delete(arrays[name], -1, axis=axis)
    with pytest.raises(StateError, match=r"a saved array has shape \(.*this version and configuration want \("):
        from_arrays(arrays | {name: shorter}, SMALL)


def test_an_array_of_another_type_is_refused(arrays):
    with pytest.raises(StateError, match="float16"):
        from_arrays(arrays | {"combiner/bias": arrays["combiner/bias"].astype(np.float16)}, SMALL)


@pytest.mark.slow
def test_growth_keeps_every_row():
    current = learned(admitted(state.fresh(SMALL)), LOG[:128])
    before = to_arrays(current)
    current.items.admit(f"new {n}" for n in range(1_024))
    current.users.admit(f"new {n}" for n in range(1_024))
    fit_capacity(current, SMALL)
    after = to_arrays(current)
    for name, array in before.items():
        if not name.startswith(("items/", "users/")):
            grown = np.atleast_1d(after[name])
            by_column = name in BY_COLUMN
            kept = grown[:, : array.shape[-1]] if by_column else grown[: np.atleast_1d(array).shape[0]]
            np.testing.assert_array_equal(kept, np.atleast_1d(array), err_msg=name)
    for length in (
        len(current.live),
        len(current.counts.seen),
        len(current.combiner.bias),
        current.combiner.surface_bias.shape[1],
        len(current.counts.after.start),
        len(current.counts.company.start),
        current.counts.surface.shape[1],
        len(current.labels.year),
    ):
        assert length == current.items.capacity == 2_048
    assert current.towers.tables.id.shape[0] == 2_048
    assert len(current.histories.start) == len(current.hidden.start) == current.users.capacity == 2_048
    result = learning.learn(current, columns([Event(1_030, 1_040, LOG[127].at_ms)]), SMALL)
    assert result.ranks[0, 0] == np.inf
    assert current.counts.seen[1_040] == 1
    with jax.no_tracing():  # a capacity is compiled once
        learning.learn(current, columns([Event(1_031, 1_040, LOG[127].at_ms)]), SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluate_sample": 1.5}, "between 0 and 1, got 1.5"),
        ({"successors": 0}, "successors must be"),
        ({"evict_every": 0}, "evict_every must be"),
        ({"training": TrainingConfig(windows=16, places=64, candidates=191)}, "= 192, got 191"),
    ],
)
def test_a_config_out_of_range_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        small(**change)


def test_the_default_configuration_stands():
    assert ModelConfig().evaluate_sample == 1.0
    assert ModelConfig() == ModelConfig()


def test_a_state_for_serving_needs_no_array_that_only_learning_reads():
    whole = learned(admitted(state.fresh(SMALL)), LOG[:256])
    saved = to_arrays(whole)
    served = {name: array for name, array in saved.items() if state.serves(name, SMALL)}
    assert 0 < len(served) < len(saved)
    for serving in (from_arrays(served, SMALL, learns=False), from_arrays(served, SMALL, learns=False, owns=True)):
        for part in ("weights", "tables.id", "tables.content"):
            ours, theirs = serving.towers, whole.towers
            for step in part.split("."):
                ours, theirs = getattr(ours, step), getattr(theirs, step)
            jax.tree.map(np.testing.assert_array_equal, ours, theirs)
        np.testing.assert_array_equal(serving.counts.seen, whole.counts.seen)
        assert serving.users.keys() == whole.users.keys()
    with pytest.raises(StateError, match="no array"):
        from_arrays(served, SMALL)


def test_arrays_that_a_state_owns_become_part_of_it_and_others_are_copied():
    saved = to_arrays(learned(admitted(state.fresh(SMALL)), LOG[:128]))
    assert from_arrays(saved, SMALL, owns=True).counts.seen is saved["counts/seen"]
    assert not np.shares_memory(from_arrays(saved, SMALL).counts.seen, saved["counts/seen"])
