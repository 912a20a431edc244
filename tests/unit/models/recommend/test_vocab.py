"""Who has a row: lookup, admission, eviction, and the way to arrays and back."""

import numpy as np
import pytest

from models.errors import StateError
from models.recommend.vocab import FIRST_CAPACITY, UNKNOWN_ROW, Vocab, texts_from_arrays, texts_to_arrays


def i64(*values):
    return np.array(values, np.int64)


def test_reading_never_admits():
    vocab = Vocab()
    assert vocab.row("a") == UNKNOWN_ROW
    assert vocab.rows(["a", "b"]).tolist() == [0, 0]
    assert "a" not in vocab
    assert len(vocab) == 0
    assert vocab.used == 1


def test_rows_are_given_in_order_and_once():
    vocab = Vocab()
    assert vocab.admit(["b", "a", "b", "c"]) == ["b", "a", "c"]
    assert vocab.admit(["a", "d"]) == ["d"]
    assert vocab.rows(["a", "b", "c", "d", "e"]).tolist() == [2, 1, 3, 4, 0]
    assert vocab.keys() == ["b", "a", "c", "d"]
    assert [vocab.key(row) for row in range(5)] == ["", "b", "a", "c", "d"]
    assert vocab.rows([]).dtype == np.int32


def test_admission_after_enough_sightings():
    vocab = Vocab(min_count=3)
    assert vocab.admit(["a", "b", "a"]) == []
    assert vocab.admit(["a"]) == ["a"]
    assert vocab.admit(["c"], at_once=True) == ["c"]
    assert vocab.admit(["b", "b"]) == ["b"]


def test_the_oldest_of_those_that_wait_is_forgotten_first():
    vocab = Vocab(min_count=2, pending_most=2)
    vocab.admit(["a", "b", "c"])
    assert vocab.admit(["a"]) == [], "a was forgotten and starts again, which pushes b out"
    assert vocab.admit(["c"]) == ["c"]


def test_capacity_doubles():
    vocab = Vocab()
    vocab.admit(str(n) for n in range(FIRST_CAPACITY - 1))
    assert vocab.capacity == FIRST_CAPACITY
    vocab.touch(vocab.rows(["7"]), i64(99))
    vocab.admit(["one more"])
    assert vocab.capacity == 2 * FIRST_CAPACITY
    assert vocab.last_ms[vocab.row("7")] == 99


def test_expiry_is_by_the_newest_sighting():
    vocab = Vocab()
    vocab.admit("abc")
    vocab.touch(vocab.rows("abca"), i64(10, 20, 30, 25))
    vocab.touch(vocab.rows("a"), i64(5))
    assert vocab.expired(25).tolist() == [2]
    assert vocab.expired(31).tolist() == [1, 2, 3]
    vocab.evict([2])
    assert vocab.expired(31).tolist() == [1, 3], "a free row does not expire"


def test_an_evicted_row_is_used_again():
    vocab = Vocab()
    vocab.admit("abc")
    vocab.touch(vocab.rows("abc"), i64(10, 20, 30))
    assert vocab.evict([2, 2, 0]) == ["b"]
    assert vocab.row("b") == UNKNOWN_ROW
    assert vocab.key(2) == ""
    assert vocab.admit("d") == ["d"]
    assert vocab.row("d") == 2
    assert vocab.last_ms[2] == 0, "the newcomer does not inherit a sighting"
    assert vocab.rows("ac").tolist() == [1, 3]
    vocab.admit("b")
    assert vocab.row("b") == 4


def test_put_follows_another_process():
    vocab = Vocab()
    vocab.put("a", 5)
    vocab.put("b", 2_000)
    assert vocab.rows("ab").tolist() == [5, 2_000]
    assert vocab.capacity >= vocab.used == 2_001
    vocab.put("c", 5)
    assert vocab.rows("ac").tolist() == [0, 5], "whoever had the row loses it"
    vocab.put("c", 6)
    assert vocab.key(5) == ""
    assert vocab.keys() == ["c", "b"]


@pytest.mark.parametrize("row", [0, -1])
def test_put_refuses_rows_that_are_none(row):
    with pytest.raises(StateError, match=f">= 1, got {row} for 'a'"):
        Vocab().put("a", row)


def test_a_loaded_vocabulary_goes_on_as_the_saved_one():
    saved = Vocab(min_count=2)
    saved.admit(["α", "b", "α", "b", "c", "日本", "日本"])
    saved.touch(saved.rows(["α", "b"]), i64(3, 9))
    saved.evict([saved.row("b"), saved.row("α")])
    loaded = Vocab.from_arrays(saved.to_arrays(), min_count=2)
    for vocab in (saved, loaded):
        vocab.admit(["c", "x", "x", "b", "y", "b", "y"])
    assert loaded.keys() == saved.keys()
    for name, array in saved.to_arrays().items():
        np.testing.assert_array_equal(loaded.to_arrays()[name], array, err_msg=name)


def test_texts():
    for texts in ([], [""], ["", "a", "", "ŝ日\x00", ""]):
        assert texts_from_arrays(*texts_to_arrays(texts)) == texts
