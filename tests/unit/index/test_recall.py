import numpy as np
import pytest

from index.protocol import Hits
from index.recall import recall


def hits(rows, scores):
    return Hits(np.array(rows, np.int32), np.array(scores, np.float32))


@pytest.mark.parametrize(
    ("rows", "scores", "share"),
    [
        ([[5, 6, 7, 8]], [[9, 8, 7, 6]], 1.0),
        ([[5, 6, 7, 4]], [[9, 8, 7, 5]], 0.75),
        ([[5, 1, 2, 3]], [[9, 2, 1, 0]], 0.25),
        ([[5, 6, 7, 99]], [[9, 8, 7, 6]], 1.0),  # another row that scores as well
        ([[5, -1, -1, -1]], [[9, -np.inf, -np.inf, -np.inf]], 0.25),
    ],
)
def test_recall_is_the_share_of_the_exact_places_that_were_reached(rows, scores, share):
    assert recall(hits(rows, scores), hits([[5, 6, 7, 8]], [[9, 8, 7, 6]])) == share


def test_places_that_exact_search_left_empty_do_not_count():
    wanted = hits([[5, -1], [6, 7]], [[2, -np.inf], [2, 1]])
    found = hits([[5, -1], [6, -1]], [[2, -np.inf], [2, -np.inf]])
    assert recall(found, wanted) == pytest.approx(2 / 3)


def test_nothing_wanted_is_nothing_missed():
    empty = hits([[-1, -1]], [[-np.inf, -np.inf]])
    assert recall(empty, empty) == 1.0
    assert recall(hits(np.zeros((0, 2)), np.zeros((0, 2))), hits(np.zeros((0, 2)), np.zeros((0, 2)))) == 1.0
