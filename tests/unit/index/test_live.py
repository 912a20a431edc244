import threading

import numpy as np
import pytest

from index.errors import BadSearchError
from index.faiss_index import FaissConfig, FaissIndex
from index.live import LiveConfig, LiveIndex
from index.protocol import IndexConfig
from index.recall import measured_recall
from index.refresh import RefreshConfig
from index.table import VectorTable

D = 8
ALL = np.arange(2000)


def drawn(count, seed):
    return np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)


def live(*, build=FaissIndex.build, faiss=None, **refresh):
    limits = {"exact_max_count": 500, "retrain_share": 0.25, "changed_max_share": 0.1, **refresh}
    return LiveIndex(
        LiveConfig(
            index=IndexConfig(dim=D),
            faiss=FaissConfig(**{"probes_count": 4, "device": "cpu", **(faiss or {})}),
            refresh=RefreshConfig(**limits),
            recall_k=20,
        ),
        build=build,
    )


def oracle(rows, vectors):
    table = VectorTable(IndexConfig(dim=D))
    table.upsert(rows, vectors)
    return table


def settle(index):
    """What is done until nothing is left to do."""
    actions = []
    while (plan := index.maintain()).action != "upsert":
        actions.append(plan.action)
        assert len(actions) < 20
    return actions


def test_it_is_exact_while_small_then_approximate_then_exact_again():
    index = live()
    index.upsert(ALL[:500], drawn(500, 1))
    assert settle(index) == []
    index.upsert(ALL, drawn(2000, 1))
    assert settle(index) == ["retrain"]
    assert index.health().kind == "approximate"
    assert index.version == 1
    index.remove(ALL[400:])
    assert settle(index) == ["exact"]
    assert len(index) == 400
    wanted = oracle(ALL[:400], drawn(2000, 1)[:400]).search(drawn(5, 2), 30)
    np.testing.assert_array_equal(index.search(drawn(5, 2), 30).rows, wanted.rows)


def test_lists_are_probed_until_recent_queries_are_answered_well_enough():
    index = live(faiss={"probes_count": 1})
    index.upsert(ALL, drawn(2000, 1))
    for seed in range(10):
        index.search(drawn(8, seed), 20)
    assert settle(index) == ["retrain"]
    health = index.health()
    assert health.recall >= 0.99
    assert 1 < health.probes_count <= health.lists_count
    assert measured_recall(index, oracle(ALL, drawn(2000, 1)), drawn(64, 99), 20) > 0.97


def test_low_recall_widens_at_once_and_needs_no_new_version():
    index = live(faiss={"probes_count": 1})
    index.upsert(ALL, drawn(2000, 1))
    assert settle(index) == ["retrain"]  # nobody has asked yet, so one list is looked into
    index.search(drawn(4, 3), 20)
    assert set(settle(index)) == {"widen"}
    assert index.health().recall >= 0.99
    assert index.version == 1


def test_many_changes_are_filled_into_the_same_lists():
    index = live(faiss={"probes_count": 1000})
    index.upsert(ALL, drawn(2000, 1))
    settle(index)
    index.upsert(ALL[:201], drawn(201, 2))
    assert index.health().changed_count == 201
    assert settle(index) == ["refill"]
    health = index.health()
    assert (health.changed_count, health.hidden_count, health.written_count) == (0, 0, 201)
    vectors = drawn(2000, 1)
    vectors[:201] = drawn(201, 2)
    assert measured_recall(index, oracle(ALL, vectors), vectors[:32], 1) == 1.0


def test_vectors_that_drift_are_followed_by_new_lists():
    index = live(changed_max_share=0.2)
    vectors, actions = drawn(2000, 1), []
    for step in range(1, 7):
        moved = 4 * drawn(1, 100 + step)  # everything moves away together
        vectors = vectors * 0.5 + moved + drawn(2000, 200 + step)
        index.upsert(ALL, vectors)
        for search in range(16):
            index.search(drawn(4, 1000 * step + search) + moved, 20)
        actions += settle(index)
        asked = drawn(64, 300 + step) + moved
        assert measured_recall(index, oracle(ALL, vectors), asked, 20) > 0.95
        assert index.health().changed_count == 0
    assert actions.count("retrain") > 1


def test_a_refilled_index_looks_into_enough_lists_before_it_is_live():
    index = live(faiss={"probes_count": 1}, retrain_share=1.0, probes_max_share=1.0)
    index.upsert(ALL, drawn(2000, 1))
    settle(index)
    index.upsert(ALL, drawn(2000, 2))  # all in the exact list, so recall is perfect until they are filled in
    index.search(drawn(4, 3), 20)
    assert index.maintain().action == "refill"
    assert index.health().recall >= 0.99
    assert index.health().probes_count > 1


def test_what_is_written_during_a_rebuild_is_in_the_new_index():
    def build(*args, **kwargs):
        index.upsert(np.array([3, 5000]), np.full((2, D), [[100.0], [200.0]], np.float32))
        index.remove(np.array([7, 8]))
        index.upsert(np.array([8]), np.full((1, D), 50, np.float32))
        return FaissIndex.build(*args, **kwargs)

    index: LiveIndex = live(build=build)
    index.upsert(ALL, drawn(2000, 1))
    assert index.maintain().action == "retrain"
    assert len(index) == 2000  # one new, one removed
    hits = index.search(np.ones((1, D), np.float32), 2000)
    assert hits.rows[0, :3].tolist() == [5000, 3, 8]
    assert 7 not in hits.rows


def test_a_rebuild_that_fails_leaves_the_live_index_as_it_is():
    def build(*args, **kwargs):
        raise MemoryError("no room for another index")

    index = live(build=build)
    index.upsert(ALL, drawn(2000, 1))
    with pytest.raises(MemoryError):
        index.maintain()
    assert (index.version, len(index)) == (0, 2000)
    index.upsert(np.array([2500]), drawn(1, 2))
    wanted = oracle(np.append(ALL, 2500), np.concatenate([drawn(2000, 1), drawn(1, 2)])).search(drawn(5, 3), 40)
    np.testing.assert_array_equal(index.search(drawn(5, 3), 40).rows, wanted.rows)


def test_searches_go_on_through_writes_and_rebuilds():
    index = live(faiss={"probes_count": 1000})
    index.upsert(ALL, np.ones((2000, D), np.float32))
    wrong, stop = [], threading.Event()

    def search():
        while not stop.is_set():
            scores = index.search(np.ones((2, D), np.float32), 50).scores
            if scores.min() != scores.max() or not np.isfinite(scores).all():
                wrong.append(scores)
                return

    searcher = threading.Thread(target=search)
    searcher.start()
    for value in range(2, 8):
        index.upsert(ALL, np.full((2000, D), value, np.float32))
        index.maintain()
    stop.set()
    searcher.join()
    assert not wrong
    assert index.version >= 2


@pytest.mark.parametrize(("sample_count", "recall_k"), [(0, 20), (64, 0)])
def test_a_sample_of_nothing_is_refused(sample_count, recall_k):
    with pytest.raises(BadSearchError, match="whole numbers >= 1"):
        LiveConfig(index=IndexConfig(dim=D), sample_count=sample_count, recall_k=recall_k)
