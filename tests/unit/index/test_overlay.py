import sys
import threading

import numpy as np
import pytest

from index.faiss_index import FaissConfig, FaissIndex
from index.overlay import OverlaidIndex
from index.protocol import IndexConfig

D = 3


def line(*values):
    """float32 [M, D]: vectors along one axis, so that the score of a query (1, 0, 0) is the value."""
    return np.array([[value, 0, 0] for value in values], np.float32)


ASK = line(1.0)


@pytest.fixture
def overlaid():
    main = FaissIndex.build(np.array([1, 2, 3, 8]), line(10, 20, 30, 80), FaissConfig(kind="flat", device="cpu"))
    return OverlaidIndex(main, IndexConfig(dim=D))


@pytest.fixture
def hasty_threads():
    """Threads take turns as often as Python lets them, so that a race shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_changed_rows_are_found_at_their_new_vector_only(overlaid):
    overlaid.upsert(np.array([8, 20]), line(5, 25))
    hits = overlaid.search(ASK, 6)
    assert hits.rows.tolist() == [[3, 20, 2, 1, 8, -1]]
    assert hits.scores[0, :5].tolist() == [30, 25, 20, 10, 5]
    assert (len(overlaid), overlaid.changed_count, overlaid.hidden_count) == (5, 2, 1)


def test_removed_rows_are_gone_from_both_parts(overlaid):
    overlaid.upsert(np.array([8, 20]), line(5, 25))
    overlaid.remove(np.array([3, 20, 77]))
    assert overlaid.search(ASK, 6).rows.tolist() == [[2, 1, 8, -1, -1, -1]]
    assert (len(overlaid), overlaid.hidden_count) == (3, 2)


def test_a_row_that_changes_often_takes_one_slot(overlaid):
    for value in range(50):
        overlaid.upsert(np.array([2]), line(value))
    overlaid.remove(np.array([2]))
    overlaid.upsert(np.array([2]), line(99))
    assert overlaid.changed_count == 1
    assert overlaid.search(ASK, 1).rows.tolist() == [[2]]


def test_a_mask_is_by_row_in_both_parts(overlaid):
    overlaid.upsert(np.array([8, 20]), line(5, 25))
    mask = np.zeros(21, np.bool_)
    mask[[1, 20]] = True
    assert overlaid.search(ASK, 3, mask=mask).rows.tolist() == [[20, 1, -1]]
    assert overlaid.search(ASK, 3, mask=mask[:20]).rows.tolist() == [[1, -1, -1]]


def test_more_probes_are_taken_from_the_same_lists():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((400, D), dtype=np.float32)
    main = FaissIndex.build(np.arange(400), vectors, FaissConfig(probes_count=1, device="cpu"))
    overlaid = OverlaidIndex(main, IndexConfig(dim=D))
    overlaid.widen(4)
    assert overlaid.main.probes_count == 4
    assert overlaid.main.lists_count == main.lists_count > 4


@pytest.mark.usefixtures("hasty_threads")
def test_rows_move_from_one_part_to_the_other_in_one_step():
    count, wrong, stop = 1000, [], threading.Event()
    main = FaissIndex.build(np.arange(count), line(*[1.0] * count), FaissConfig(kind="flat", device="cpu"))
    overlaid = OverlaidIndex(main, IndexConfig(dim=D))

    def search():
        try:
            while not stop.is_set():
                rows, scores = (array[0] for array in overlaid.search(ASK, count))
                if len(set(rows.tolist())) < count or np.count_nonzero(scores == 2.0) % 2:
                    wrong.append((rows, scores))
        except IndexError as error:
            wrong.append((error, None))

    searcher = threading.Thread(target=search)
    searcher.start()
    for row in range(0, count, 2):
        overlaid.upsert(np.array([row, row + 1]), line(2.0, 2.0))
    stop.set()
    searcher.join()
    assert not wrong
    assert overlaid.hidden_count == count
