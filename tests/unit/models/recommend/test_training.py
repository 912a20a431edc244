"""From histories to a batch of fixed shape."""

import dataclasses

import numpy as np
import pytest

from models.errors import ConfigError
from models.recommend import training
from models.recommend.frequency import log_q
from models.recommend.training import TrainingConfig, draw
from tests.kernel_run import Run
from tests.planted import columns
from tests.slow_counts import Event

CONFIG = TrainingConfig(windows=4, replayed=0.5, places=8, candidates=24, events_per_step=1)
ITEMS = 12


def drawn(log, *, items=ITEMS, config=CONFIG, seed=0, new=2):
    """A batch after ``log``, of which the last ``new`` events are new."""
    run = Run(items=items)
    run.count(log)
    users = columns(log).user
    pos = [sum(other == user for other in users[:at]) for at, user in enumerate(users)]
    return draw(
        run.histories, run.counts, users[-new:], np.array(pos[-new:], np.int32), users[:-new],
        items=items, window=4, config=config, generator=np.random.default_rng(seed),
    )  # fmt: skip


LOG = [Event(1 + at % 3, 1 + at * 5 % 11, 1_000 * at) for at in range(30)]


def test_candidates_hold_every_item_and_columns_point_at_them():
    batch = drawn(LOG)
    assert batch.rows[:11].tolist() == list(range(1, 12)), "the whole catalogue fits"
    assert batch.usable.tolist() == [True] * 11 + [False] * 13
    assert (np.diff(batch.rows.astype(np.int64)) > 0).all()
    assert not batch.log_q.any(), "the softmax is exact"
    assert batch.seen[:11].tolist() == [float(sum(e.item == row for e in LOG)) for row in range(1, 12)]
    histories = {user: [event.item for event in LOG if event.user == user] for user in (1, 2, 3)}
    sequences = {tuple(h[at : at + 2]) for h in histories.values() for at in range(9)}
    for place, target in zip(batch.place.tolist(), batch.target.tolist(), strict=True):
        if target >= 0:
            source = batch.item.ravel()[place]
            assert source == -1 or (batch.rows[source], batch.rows[target]) in sequences
    assert (batch.target >= 0).sum() == 8


def test_shapes_never_change():
    for log, new in ((LOG, 2), (LOG[:1], 1), (LOG[:7], 5)):
        batch = drawn(log, new=new)
        shapes = [(part.shape, part.dtype.name) for part in batch]
        assert shapes == [
            ((24,), "int32"), ((24,), "float32"), ((24,), "float32"), ((24,), "bool"), *[((4, 4), "int32")] * 4,
            ((8,), "int32"), ((8,), "int32"),
        ]  # fmt: skip


def test_the_first_event_ever_is_learned_from_nothing():
    batch = drawn(LOG[:1], new=1)
    assert (batch.item == -1).all()
    assert batch.target.tolist() == [0] + [-1] * 7
    assert batch.place[0] == 3


def test_nothing_to_learn_from_is_none():
    run = Run(items=4)
    none = np.zeros(0, np.int32)
    assert draw(run.histories, run.counts, none, none, none, items=4, window=4, config=CONFIG,
                generator=np.random.default_rng(0)) is None  # fmt: skip


def test_a_large_catalogue_is_sampled():
    items = 200
    log = [Event(1 + at % 3, 1 + at * 7 % 199, 1_000 * at) for at in range(100)]
    batch = drawn(log, items=items)
    used = batch.rows[batch.usable]
    assert len(used) == 24
    assert (np.diff(used) > 0).all()
    assert ((used > 0) & (used < items)).all()
    needed = set(batch.item[batch.item >= 0]) | set(batch.target[batch.target >= 0])
    negatives = 24 - len(needed)
    events = int((batch.item >= 0).sum() + (batch.target >= 0).sum())
    assert (batch.log_q < 0).all()
    # An item that was never seen is there only by the uniform draw.
    never = np.flatnonzero(batch.usable & (batch.seen == 0))
    want = log_q(np.zeros(1, np.float32), recent_total=100.0, drawn=events, negatives=negatives, items=items)
    np.testing.assert_allclose(batch.log_q[never], np.full(len(never), want[0]), rtol=1e-6)
    assert len(never) > 0


def test_the_newest_event_of_each_window_is_learned_first():
    targets = np.array([[0, 1, 2, 3], [0, 0, 0, 4], [5, 6, 7, 8]], np.int32)
    place, target = training._places(targets, 5, np.random.default_rng(0))
    assert place[:3].tolist() == [3, 7, 11]
    assert target.tolist() == targets.ravel()[place].tolist()
    assert len(set(place.tolist())) == 5
    place, target = training._places(targets, 10, np.random.default_rng(0))
    assert sorted(target[:8].tolist()) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert target[8:].tolist() == [0, 0]


def test_the_seed_decides():
    for part, same in zip(drawn(LOG), drawn(LOG), strict=True):
        np.testing.assert_array_equal(part, same)
    assert any((part != other).any() for part, other in zip(drawn(LOG), drawn(LOG, seed=1), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replayed": 1.1}, "between 0 and 1, got 1.1"),
        ({"windows": 0}, "windows must be"),
        ({"events_per_step": 0}, "got 0"),
    ],
)
def test_a_config_out_of_range_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CONFIG, **change)
