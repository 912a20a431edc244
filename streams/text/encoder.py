"""Texts to vectors with MiniLM: pieces, the network, and the cache of what it gave before.

Every text is encoded by itself, padded to one of a few lengths. So its vector depends on nothing but the text, neither
on what else was new in that moment nor on how a log was cut: a replay gives the same bits. It costs little, since
the network is as wide as the processor at one text already; two texts at a time keep two cores busy.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from models.text.encoder import EncoderConfig, Weights, encode, weights_from
from models.text.wordpiece import WordPiece
from streams.text.cache import VectorCache
from streams.text.files import VOCABULARY, WEIGHTS, read_checked

LENGTHS: Final = (16, 32, 64, 128)
"""Pieces that a text is padded to; the longest texts are cut. One compilation each, at its first use."""
MODEL_ID: Final = "minilm-l6-v2/128"
"""What the cached vectors were made by: the weights and the longest text."""
MOST_THREADS: Final = 8

F32 = npt.NDArray[np.float32]


class _Loaded(NamedTuple):
    weights: Weights
    pieces: WordPiece


class MiniLM:
    """The encoder; files are read at the first text that the cache does not have.

    Args:
      folder: has the files, see `streams.text.files.find_files`.
      cache: remembers vectors; None encodes each text every time.
    """

    def __init__(self, folder: Path, *, cache: VectorCache | None = None) -> None:
        self._folder = folder
        self._cache = cache
        self.encoded_count = 0
        """Texts that went through the network."""

    def __call__(self, texts: Sequence[str]) -> F32:
        """Vectors of the texts, float32 [M, 384] of length 1, to the precision of float16.

        Raises:
          TextEncoderError: the files are gone or others.
        """
        known = self._cache.get(texts) if self._cache is not None else {}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            fresh = dict(zip(missing, self._encode(missing), strict=True))
            if self._cache is not None:
                self._cache.put(fresh)
            known |= fresh
        return np.stack([known[text] for text in texts]).astype(np.float32)

    @functools.cached_property
    def _loaded(self) -> _Loaded:
        arrays = safetensors.numpy.load(read_checked(self._folder, WEIGHTS))
        pieces = read_checked(self._folder, VOCABULARY).decode().splitlines()
        return _Loaded(weights_from(arrays, EncoderConfig()), WordPiece(pieces))

    def _encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.float16]]:
        loaded = self._loaded
        self.encoded_count += len(texts)
        if len(texts) == 1:
            return [_encode_one(loaded, texts[0])]
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="encode") as threads:
            return list(threads.map(functools.partial(_encode_one, loaded), texts))


def _encode_one(loaded: _Loaded, text: str) -> npt.NDArray[np.float16]:
    ids = loaded.pieces.ids(text, most=LENGTHS[-1])
    padded = np.zeros((1, next(length for length in LENGTHS if len(ids) <= length)), np.int32)
    padded[0, : len(ids)] = ids
    vectors = encode(loaded.weights, padded, np.array([len(ids)], np.int32), config=EncoderConfig())
    vector: npt.NDArray[np.float16] = np.asarray(vectors)[0].astype(np.float16)
    return vector
