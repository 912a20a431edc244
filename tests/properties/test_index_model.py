"""Any sequence of writes, removals, rebuilds and searches answers as a dictionary of vectors would."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from index.exact import ExactIndex
from index.faiss_index import FaissConfig
from index.live import LiveConfig, LiveIndex
from index.protocol import NO_ROW, IndexConfig
from index.refresh import RefreshConfig
from index.table import VectorTable
from index.topk import best_of, select_on_host

D = 3


def rebuilt_often():
    return LiveIndex(
        LiveConfig(
            index=IndexConfig(dim=D),
            faiss=FaissConfig(probes_count=10_000, device="cpu"),
            refresh=RefreshConfig(exact_max_count=4, exact_margin=0.5, changed_max_share=0.2, recall_min=1.0),
        )
    )


INDEXES = {
    "host": lambda: ExactIndex(IndexConfig(dim=D, select_on="host", min_capacity=1)),
    "device": lambda: ExactIndex(IndexConfig(dim=D, select_on="device", min_capacity=1)),
    "table": lambda: VectorTable(IndexConfig(dim=D, min_capacity=1)),
    "live": rebuilt_often,
}
rows = st.lists(st.integers(0, 300), max_size=12, unique=True)
whole = st.integers(-4, 4).map(float)  # inner products of small whole numbers are exact, so ties are real
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.dictionaries(st.integers(0, 300), st.tuples(whole, whole, whole), max_size=12)),
        st.tuples(st.just("remove"), rows),
        st.tuples(st.just("search"), st.tuples(st.integers(1, 40), st.none() | rows)),
        st.tuples(st.just("maintain"), st.none()),
    ),
    max_size=25,
)


@pytest.mark.parametrize("name", INDEXES)
@given(steps=steps, queries=hnp.arrays(np.float32, (3, D), elements=st.integers(-4, 4)))
@settings(max_examples=60)
def test_an_index_answers_as_a_dictionary_would(name, steps, queries):
    index, model = INDEXES[name](), {}
    for action, what in [*steps, ("search", (40, None))]:
        if action == "upsert":
            index.upsert(np.array(list(what), np.int32), np.array(list(what.values()), np.float32).reshape(-1, D))
            model.update(what)
        elif action == "remove":
            index.remove(np.array(what, np.int32))
            model = {row: vector for row, vector in model.items() if row not in what}
        elif action == "maintain" and isinstance(index, LiveIndex):
            index.maintain()
        elif action == "search":
            k, hidden = what
            mask = None if hidden is None else ~np.isin(np.arange(301), hidden)
            hits = index.search(queries, k, mask=mask)
            shown = {row: vector for row, vector in model.items() if hidden is None or row not in hidden}
            assert_as_the_model(hits, shown, queries, k, in_row_order=name != "live")
        assert len(index) == len(model)


def assert_as_the_model(hits, model, queries, k, *, in_row_order):
    for query, found, scores in zip(queries, hits.rows.tolist(), hits.scores.tolist(), strict=True):
        score_of = {row: float(np.dot(query, np.float32(vector))) for row, vector in model.items()}
        wanted = sorted(score_of, key=lambda row: (-score_of[row], row))[:k]
        filled = found[: len(wanted)]
        assert scores[: len(wanted)] == [score_of[row] for row in wanted]
        assert [score_of[row] for row in filled] == scores[: len(wanted)]
        assert len(set(filled)) == len(filled)
        assert set(found[len(wanted) :]) <= {NO_ROW}
        if in_row_order:
            assert filled == wanted


@given(
    scores=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.sampled_from([32, 64])),
        elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, -np.inf]) | st.floats(-(2.0**99), 2.0**99, width=32),
    ),
    block=st.sampled_from([1, 2, 8, 32]),
    k=st.integers(1, 70),
)
def test_picking_on_the_host_is_a_stable_sort_whatever_the_blocks(scores, block, k):
    hits = select_on_host(scores, scores.reshape(len(scores), -1, block).max(axis=2), k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_array_equal(hits.rows[:, : order.shape[1]], np.where(best == -np.inf, NO_ROW, order))
    np.testing.assert_array_equal(hits.scores[:, : order.shape[1]], best)
    assert (hits.rows[:, order.shape[1] :] == NO_ROW).all()


@given(
    scores=hnp.arrays(np.float32, (2, 12), elements=st.integers(-3, 3)),
    cut=st.integers(0, 12),
    k=st.integers(1, 15),
)
def test_merging_the_best_of_two_halves_gives_the_best_of_all(scores, cut, k):
    rows = np.tile(np.arange(12, dtype=np.int32), (2, 1))
    halves = [best_of(rows[:, part], scores[:, part], k) for part in (slice(cut), slice(cut, None))]
    merged = best_of(
        np.concatenate([half.rows for half in halves], axis=1),
        np.concatenate([half.scores for half in halves], axis=1),
        k,
    )
    whole_answer = best_of(rows, scores, k)
    np.testing.assert_array_equal(merged.rows, whole_answer.rows)
    np.testing.assert_array_equal(merged.scores, whole_answer.scores)
