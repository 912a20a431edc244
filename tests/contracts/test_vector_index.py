"""What `index.protocol.VectorIndex` promises, asked of every implementation, on either way of picking the best."""

import sys
import threading

import numpy as np
import pytest

from index.errors import BadRowsError, BadSearchError, BadVectorsError
from index.exact import ExactIndex
from index.faiss_index import FaissConfig, FaissIndex, faiss
from index.live import LiveConfig, LiveIndex
from index.overlay import OverlaidIndex
from index.protocol import MAX_ROW, NO_ROW, IndexConfig
from index.refresh import RefreshConfig
from index.table import VectorTable

D = 7
MANY_PROBES = 10_000  # more than there are lists: all are looked into, so the answer must be exact


def exact(select_on):
    return ExactIndex(IndexConfig(dim=D, select_on=select_on))


def exact_in_parts():
    return ExactIndex(IndexConfig(dim=D, max_scores_count=1, min_capacity=1))


def overlaid(**faiss_settings):
    """A FAISS index over one row that is gone again, so that the rest lives in the list of changes."""
    main = FaissIndex.build(np.array([3]), np.ones((1, D), np.float32), FaissConfig(**faiss_settings))
    index = OverlaidIndex(main, IndexConfig(dim=D))
    index.remove(np.array([3]))
    return index


class Rebuilding:
    """A live index that is rebuilt, approximately, after every write."""

    def __init__(self, **faiss_settings):
        self.live = LiveIndex(
            LiveConfig(
                index=IndexConfig(dim=D),
                faiss=FaissConfig(probes_count=MANY_PROBES, **faiss_settings),
                refresh=RefreshConfig(exact_max_count=1, exact_margin=1.0, changed_max_share=1e-9),
            )
        )
        self.dim = self.live.dim

    def __len__(self):
        return len(self.live)

    def search(self, queries, k, *, mask=None):
        return self.live.search(queries, k, mask=mask)

    def upsert(self, rows, vectors):
        self.live.upsert(rows, vectors)
        self.live.maintain()

    def remove(self, rows):
        self.live.remove(rows)
        self.live.maintain()


IMPLEMENTATIONS = {
    "exact, picked on the host": lambda: exact("host"),
    "exact, picked on the device": lambda: exact("device"),
    "exact, one query at a time": exact_in_parts,
    "table": lambda: VectorTable(IndexConfig(dim=D)),
    "overlaid flat": lambda: overlaid(kind="flat", device="cpu"),
    "overlaid lists": lambda: overlaid(kind="ivf", device="cpu"),
    "live, exact": lambda: LiveIndex(LiveConfig(index=IndexConfig(dim=D))),
    "live, rebuilt flat": lambda: Rebuilding(kind="flat", device="cpu"),
    "live, rebuilt lists": lambda: Rebuilding(kind="ivf", device="cpu"),
    "live, rebuilt lists, found and dropped": lambda: Rebuilding(kind="ivf", device="cpu", mask_by="overfetch"),
    "live, rebuilt flat on a GPU": lambda: Rebuilding(kind="flat", device="gpu"),
    "live, rebuilt lists on a GPU": lambda: Rebuilding(kind="ivf", device="gpu"),
}
TIES_IN_ROW_ORDER = ("exact", "table", "live, exact")
SEARCHED_DURING_WRITES = [name for name in IMPLEMENTATIONS if name != "table" and "GPU" not in name]


@pytest.fixture(params=IMPLEMENTATIONS)
def make(request):
    if "GPU" in request.param and faiss.get_num_gpus() == 0:
        pytest.skip("FAISS sees no GPU on this machine; not run here")
    return IMPLEMENTATIONS[request.param]


def drawn(count, seed):
    """float32 [count, D] of small whole numbers: their inner products are exact, so they tie as they should."""
    return np.random.default_rng(seed).integers(-9, 10, (count, D)).astype(np.float32)


def by_hand(rows, vectors, queries, k):
    """Brute force in float64: for each query the best (score, row), falling and then rising."""
    answers = []
    for query in queries.astype(np.float64):
        scored = [
            (float(query @ vector), int(row)) for row, vector in zip(rows, vectors.astype(np.float64), strict=True)
        ]
        answers.append(sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k])
    return answers


def assert_answers(hits, wanted, k):
    assert hits.rows.dtype == np.int32
    assert hits.scores.dtype == np.float32
    assert hits.rows.shape == hits.scores.shape == (len(wanted), k)
    for rows, scores, pairs in zip(hits.rows, hits.scores, wanted, strict=True):
        np.testing.assert_allclose(scores[: len(pairs)], [score for score, _ in pairs], rtol=1e-5, atol=1e-4)
        assert (rows[len(pairs) :] == NO_ROW).all()
        assert (scores[len(pairs) :] == -np.inf).all()


@pytest.mark.parametrize(("count", "k"), [(1, 1), (40, 5), (40, 40), (300, 17)])
def test_search_agrees_with_brute_force(make, count, k):
    index = make()
    rows = np.random.default_rng(1).permutation(2 * count)[:count]
    vectors, queries = drawn(count, 2), drawn(6, 3)
    index.upsert(rows, vectors)
    hits = index.search(queries, k)
    assert_answers(hits, by_hand(rows, vectors, queries, k), k)
    vector_of = dict(zip(rows.tolist(), vectors, strict=True))
    for query, found, scores in zip(queries, hits.rows, hits.scores, strict=True):
        assert len(set(found.tolist())) == k
        np.testing.assert_allclose([query @ vector_of[row] for row in found.tolist()], scores, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in IMPLEMENTATIONS if name.startswith(TIES_IN_ROW_ORDER)])
def test_equal_scores_are_in_row_order(name):
    index = IMPLEMENTATIONS[name]()
    rows = np.random.default_rng(5).permutation(400)
    vectors = np.tile(drawn(4, 6), (100, 1))  # each vector a hundred times
    index.upsert(rows, vectors)
    queries = np.concatenate([drawn(3, 7), np.zeros((1, D), np.float32), np.full((1, D), -0.0, np.float32)])
    for k in (1, 30, 150, 400):
        wanted = [[row for _, row in pairs] for pairs in by_hand(rows, vectors, queries, k)]
        np.testing.assert_array_equal(index.search(queries, k).rows, wanted)


def test_a_k_above_the_size_leaves_the_rest_empty(make):
    index = make()
    index.upsert(np.array([4, 9]), drawn(2, 1))
    hits = index.search(drawn(3, 2), 5000)
    assert hits.rows.shape == (3, 5000)
    assert sorted(hits.rows[0, :2].tolist()) == [4, 9]
    assert (hits.rows[:, 2:] == NO_ROW).all()
    assert (hits.scores[:, 2:] == -np.inf).all()


def test_an_empty_index_finds_nothing(make):
    index = make()
    assert len(index) == 0
    assert index.dim == D
    hits = index.search(drawn(2, 1), 3)
    assert (hits.rows == NO_ROW).all()
    assert hits.rows.shape == (2, 3)


def test_no_query_gets_no_answer(make):
    index = make()
    index.upsert(np.array([1]), drawn(1, 1))
    assert index.search(np.zeros((0, D), np.float32), 4).rows.shape == (0, 4)


def test_a_second_write_replaces_the_first(make):
    index = make()
    rows = np.arange(50)
    index.upsert(rows, drawn(50, 1))
    index.upsert(rows[10:20], drawn(10, 2))
    vectors = drawn(50, 1)
    vectors[10:20] = drawn(10, 2)
    assert len(index) == 50
    assert_answers(index.search(drawn(4, 3), 50), by_hand(rows, vectors, drawn(4, 3), 50), 50)


def test_a_removed_row_is_gone_at_once_and_may_return(make):
    index = make()
    rows, vectors, queries = np.arange(60), drawn(60, 1), drawn(4, 3)
    index.upsert(rows, vectors)
    index.remove(np.array([0, 7, 7, 59, 1000]))
    kept = np.setdiff1d(rows, [0, 7, 59])
    assert len(index) == 57
    assert_answers(index.search(queries, 60), by_hand(kept, vectors[kept], queries, 60), 60)
    index.upsert(np.array([7]), drawn(1, 9))
    kept = np.append(kept, 7)
    now = np.concatenate([vectors[kept[:-1]], drawn(1, 9)])
    assert len(index) == 58
    assert_answers(index.search(queries, 60), by_hand(kept, now, queries, 60), 60)


def test_an_index_may_be_emptied_and_filled_again(make):
    index = make()
    index.upsert(np.arange(30), drawn(30, 1))
    index.remove(np.arange(30))
    assert len(index) == 0
    assert (index.search(drawn(2, 2), 4).rows == NO_ROW).all()
    index.upsert(np.array([5]), drawn(1, 3))
    assert index.search(drawn(2, 2), 4).rows[:, 0].tolist() == [5, 5]


@pytest.mark.parametrize("length", [0, 20, 64, 5000])
def test_a_mask_hides_rows_and_all_rows_beyond_its_end(make, length):
    index = make()
    rows, vectors, queries = np.arange(64), drawn(64, 1), drawn(4, 3)
    index.upsert(rows, vectors)
    mask = np.random.default_rng(4).random(length) < 0.5
    shown = rows[: min(64, length)][mask[:64]]
    assert_answers(index.search(queries, 30, mask=mask), by_hand(shown, vectors[shown], queries, 30), 30)


def test_a_mask_and_removals_hold_together(make):
    index = make()
    rows, vectors, queries = np.arange(64), drawn(64, 1), drawn(4, 3)
    index.upsert(rows, vectors)
    index.remove(np.arange(0, 64, 3))
    mask = np.arange(64) % 2 == 0
    shown = rows[(rows % 3 != 0) & (rows % 2 == 0)]
    assert_answers(index.search(queries, 64, mask=mask), by_hand(shown, vectors[shown], queries, 64), 64)


def test_growing_keeps_what_is_there(make):
    index = make()
    rows = np.array([2, 40, 900, 5000, 20_000])
    for row, vector in zip(rows, drawn(5, 1), strict=True):
        index.upsert(np.array([row]), vector[None])
        index.search(drawn(3, 2), 5)
    assert_answers(index.search(drawn(3, 2), 5), by_hand(rows, drawn(5, 1), drawn(3, 2), 5), 5)


def test_an_empty_write_changes_nothing(make):
    index = make()
    index.upsert(np.array([1]), drawn(1, 1))
    index.upsert(np.zeros(0, np.int32), np.zeros((0, D), np.float32))
    index.remove(np.zeros(0, np.int32))
    assert len(index) == 1


def test_what_it_was_given_may_be_overwritten_afterwards(make):
    index = make()
    rows, vectors = np.arange(20, dtype=np.int32), drawn(20, 1)
    index.upsert(rows, vectors)
    before = index.search(drawn(2, 2), 5)
    rows[:] = 3
    vectors[:] = 0
    np.testing.assert_array_equal(index.search(drawn(2, 2), 5).scores, before.scores)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e16])
def test_numbers_that_cannot_be_searched_are_refused_and_nothing_is_written(make, bad):
    index = make()
    vectors = drawn(3, 1)
    vectors[1, 2] = bad
    with pytest.raises(BadVectorsError, match=r"vectors must be finite .* at \[1, 2\]"):
        index.upsert(np.arange(3), vectors)
    assert len(index) == 0
    with pytest.raises(BadVectorsError, match="queries must be finite"):
        index.search(vectors, 2)


@pytest.mark.parametrize("shape", [(3, D + 1), (3,), (3, D, 1)])
def test_vectors_of_another_shape_are_refused(make, shape):
    index = make()
    with pytest.raises(BadVectorsError, match=rf"float32 \[any, {D}\]"):
        index.upsert(np.arange(3), np.ones(shape, np.float32))
    with pytest.raises(BadVectorsError, match=rf"float32 \[any, {D}\]"):
        index.search(np.ones(shape, np.float32), 2)


def test_vectors_of_another_dtype_are_refused(make):
    with pytest.raises(BadVectorsError, match="got float64"):
        make().upsert(np.arange(3), np.ones((3, D)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1, 2, 1], "got row 1 again"),
        ([0, -1, 2], "got -1"),
        ([0, 1, MAX_ROW], f"got {MAX_ROW}"),
        ([0.0, 1.0, 2.0], "got float64"),
        ([[0, 1, 2]], r"got int64 \[1, 3\]"),
        ([0, 1], "2 rows and 3 vectors"),
    ],
)
def test_rows_that_name_no_place_are_refused(make, rows, message):
    index = make()
    with pytest.raises(BadRowsError, match=message):
        index.upsert(np.array(rows), drawn(3, 1))
    assert len(index) == 0


@pytest.mark.parametrize("k", [0, -3])
def test_a_k_below_one_is_refused(make, k):
    with pytest.raises(BadSearchError, match=f"got {k}"):
        make().search(drawn(1, 1), k)


@pytest.mark.parametrize("mask", [np.ones(3, np.int8), np.ones((3, 1), np.bool_)])
def test_a_mask_that_is_not_a_flag_by_row_is_refused(make, mask):
    with pytest.raises(BadSearchError, match="mask must be bool"):
        make().search(drawn(1, 1), 2, mask=mask)


@pytest.fixture
def hasty_threads():
    """Threads take turns as often as Python lets them, so that a race shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize("name", SEARCHED_DURING_WRITES)
def test_a_search_sees_a_whole_write_or_nothing_of_it(name):
    index = IMPLEMENTATIONS[name]()
    rows, query = np.arange(200), np.eye(1, D, dtype=np.float32)
    written = [np.zeros((200, D), np.float32) + np.float32(n) for n in range(30)]
    index.upsert(rows, written[0])
    torn, stop = [], threading.Event()

    def search():
        try:
            while not stop.is_set():
                scores = index.search(query, 200).scores[0]
                if scores.min() != scores.max():
                    torn.append(scores)
                    return
        except (IndexError, RuntimeError) as error:  # rows that are not there yet; an array that was given away
            torn.append(error)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for searcher in searchers:
        searcher.start()
    for vectors in written[1:]:
        index.upsert(rows, vectors)
    stop.set()
    for searcher in searchers:
        searcher.join()
    assert not torn
    assert index.search(query, 1).scores[0, 0] == 29
