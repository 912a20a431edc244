"""Item states there and back: a recommender's counts are the trainer's, written once or again and again."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommend import pools, sources
from models.recommend.labels import empty_labels
from models.recommend.sources import Counts, empty_counts
from streams.cores.item_states import columns_of, has_sizes, largest_row, states_of, write_counts
from streams.cores.learn import Learner
from tests import engines, planted
from tests.factories import make_item_state
from tests.slow_counts import Event

ITEMS = 50
PER_ITEM = ("seen", "decayed", "last_event", "last_ms", "first_ms", "value_sum", "value_count", "appeal", "outcomes")


def entries(pool: pools.Rows | pools.Successors, row: int, column: str) -> list[float]:
    first = int(pool.start[row])
    return getattr(pool, column)[first : first + int(pool.length[row])].tolist()  # type: ignore[no-any-return]


def assert_equal(got: Counts, want: Counts, rows: list[int]) -> None:
    for name in PER_ITEM:
        np.testing.assert_array_equal(getattr(got, name)[..., rows], getattr(want, name)[..., rows])
    for name, columns in (("after", ("key", "weight", "lag")), ("before", ("key", "weight")),
                          ("company", ("key", "weight"))):  # fmt: skip
        for row in rows:
            for column in columns:
                assert entries(getattr(got, name), row, column) == entries(getattr(want, name), row, column)


@pytest.mark.parametrize("clock", [0, 50_000, 10**9])
def test_counts_are_the_trainers_after_every_flush(clock: int) -> None:
    rng = np.random.default_rng(clock)
    log = planted.random_log(600, users=9, items=ITEMS)
    learner = Learner(planted.small(successors=16))
    learner.state.counts.clock[0] = clock
    counts, labels = empty_counts(1024), empty_labels(1024)
    for first in range(0, len(log), 100):
        planted.play(learner, planted.interactions(log[first : first + 100], first=first))
        state = learner.state
        some = np.sort(rng.permutation(np.arange(1, state.items.used))[: 30 if first < 500 else ITEMS]).astype(np.int32)
        columns = columns_of(states_of(state, some, np.ones((len(some), 9), np.float32), 1))
        assert largest_row(columns) < state.items.used
        counts.clock[0] = state.counts.clock[0]
        sources.age_surfaces(counts)
        counts = write_counts(counts, labels, columns)
        assert_equal(counts, state.counts, some.tolist())
        for one in (counts, state.counts):
            sources.age_surfaces(one)
        scale = 2.0 ** ((int(state.counts.surface_base[0]) - int(counts.surface_base[0])) / sources.SURFACE_HALF_LIFE)
        np.testing.assert_allclose(
            counts.surface[:, some], state.counts.surface[:, some] * scale, rtol=1e-5, atol=1e-10
        )


def test_no_rows_are_no_states() -> None:
    learner = engines.taught([Event(1, 1, 1_700_000_000_000)])
    assert states_of(learner.state, np.zeros(0, np.int32), np.zeros((0, 9), np.float32), 1) == []


def test_states_of_an_earlier_version_have_no_lags_company_or_surfaces() -> None:
    state = make_item_state(successors=b"\x02\0\0\0", successor_weights=b"\0\0\x80?")
    columns = columns_of([state])
    assert columns.lag.tolist() == [0.0]
    assert columns.company.ends.tolist() == [0]
    assert not columns.surface.any()


def test_states_of_other_sizes_are_told_apart() -> None:
    right = make_item_state(vector=bytes(4 * 9), popularity=bytes(4 * sources.DECAYS))
    assert has_sizes(right, 9)
    assert not has_sizes(right, 8)
    assert has_sizes(make_item_state(live=False, vector=b"", popularity=b""), 9)
    assert not has_sizes(make_item_state(live=False, vector=bytes(8), popularity=b""), 9)
    wide = make_item_state(vector=bytes(4 * 9), popularity=bytes(4 * sources.DECAYS), surface_popularity=bytes(8))
    assert not has_sizes(wide, 9)
