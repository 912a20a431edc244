"""The cache of vectors: bits come back, models do not mix, it stays small, and damage costs only time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from streams.text.cache import VectorCache

DIM = 4


def cache(path: Path, *, model_id: str = "m", most: int = 1_000, dim: int = DIM) -> VectorCache:
    return VectorCache(path, model_id=model_id, dim=dim, most=most)


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made on the way" / "vectors.sqlite"


def test_what_was_put_comes_back_bit_by_bit_and_in_another_process(path: Path) -> None:
    texts = {"": vector(0), "Alien": vector(1), "東京 \ud800": vector(2), "x" * 10_000: vector(3)}
    assert cache(path).get(list(texts)) == {}
    cache(path).put(texts)
    got = cache(path).get(["Alien", "unheard of", *texts])
    assert got.keys() == texts.keys()
    for text, want in texts.items():
        np.testing.assert_array_equal(got[text], want)


def test_more_than_one_question_holds(path: Path) -> None:
    texts = {f"text {n}": vector(n) for n in range(1_234)}
    cache(path, most=2_000).put(texts)
    got = cache(path).get(list(texts))
    assert all(np.array_equal(got[text], want) for text, want in texts.items())


def test_models_do_not_mix(path: Path) -> None:
    cache(path, model_id="one").put({"a": vector(1)})
    cache(path, model_id="other").put({"a": vector(2)})
    np.testing.assert_array_equal(cache(path, model_id="one").get(["a"])["a"], vector(1))
    np.testing.assert_array_equal(cache(path, model_id="other").get(["a"])["a"], vector(2))
    assert cache(path, model_id="third").get(["a"]) == {}


def test_the_oldest_are_forgotten(path: Path) -> None:
    small = cache(path, most=20)
    for n in range(25):
        small.put({f"text {n}": vector(n)})
    left = [n for n in range(25) if small.get([f"text {n}"])]
    assert left == list(range(left[0], 25))
    assert 18 <= len(left) <= 20


def test_two_at_once(path: Path) -> None:
    one, other = cache(path), cache(path)
    for n in range(10):
        one.put({f"text {n}": vector(n)})
        other.put({f"text {n}": vector(n), f"other {n}": vector(n)})
        assert len(one.get([f"text {n}", f"other {n}"])) == 2


def test_a_damaged_file_is_gone_without(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1_000)
    damaged = cache(path)
    damaged.put({"a": vector(1)})
    assert damaged.get(["a"]) == {}
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"text vectors are not cached in {path}"
    ]


def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    nowhere = cache(tmp_path / "file" / "vectors.sqlite")
    nowhere.put({"a": vector(1)})
    assert nowhere.get(["a"]) == {}
    assert len(caplog.records) == 1


def test_an_entry_of_another_length_is_no_entry(path: Path) -> None:
    cache(path).put({"a": vector(1), "b": vector(2)})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE vectors SET vector = substr(vector, 1, 3) WHERE at = 1")
    connection.close()
    assert list(cache(path).get(["a", "b"])) == ["b"]
