"""SmolLM2 as a writer: a conversation as pieces, several answers to it at a time, the same for the same seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from models.text.bpe import Bpe
from models.text.decoder import DecoderConfig, DecoderWeights, decoder_weights
from models.text.gguf import Gguf
from models.text.sampling import SamplingConfig, draw
from streams.cores.blurb_prompts import Turn
from streams.errors import TextEncoderError

PROMPTS: Final = (256, 512, 1024)
"""Pieces that a prompt is padded to; a longer one is refused. One compilation each, at its first use."""
BETWEEN: Final = (".", ",", "!", "?", ";", ":", "'s", " -")
_BEGIN, _END = "<|im_start|>", "<|im_end|>"
_PLAIN: Final = 1
"""Kind of a piece that stands for text, in the file's list of kinds."""


class Answer(NamedTuple):
    """What was written: the text, and how likely the model finds it, nats a piece."""

    text: str
    score: float


class _Loaded(NamedTuple):
    config: DecoderConfig
    weights: DecoderWeights
    bpe: Bpe
    begin: int
    end: int


class Writer:
    """The language model.

    Args:
      content: of its file, see `streams.text.files`.
      sampling: how answers are drawn; how many is its ``rows``. Which piece ends one is the file's to say.

    Raises:
      ModelError: it is not the file of such a model.
    """

    def __init__(self, content: bytes, *, sampling: SamplingConfig | None = None) -> None:
        self._held = _loaded(content)
        self._sampling = dataclasses.replace(sampling or SamplingConfig(), end=self._held.end)

    @property
    def config(self) -> DecoderConfig:
        """Sizes of the network."""
        return self._held.config

    @property
    def weights(self) -> DecoderWeights:
        """What the network knows."""
        return self._held.weights

    def only(self, words: Iterable[str]) -> NDArray[np.bool_]:
        """Which pieces spell these words, where a text or sentence begins and inside one, and what goes between."""
        held = self._held
        forms = {form for word in words for form in (word, word[:1].upper() + word[1:])}
        forms |= {f" {form}" for form in forms} | set(BETWEEN)
        may = np.zeros(held.config.pieces, bool)
        may[[one for form in forms for one in held.bpe.ids(form)]] = True
        return may

    def answers(self, turns: Sequence[Turn], *, seed: int, may: NDArray[np.bool_] | None = None) -> list[Answer]:
        """Answers to a conversation, those first that the model finds likeliest.

        Args:
          turns: what was said so far; what looks like a mark in it is text.
          may: which pieces an answer may have; None: every one that is text.

        Raises:
          TextEncoderError: the conversation is too long.
        """
        held = self._held
        ids = prompt_of(turns, held.bpe, begin=held.begin, end=held.end)
        width = next((one for one in PROMPTS if len(ids) <= one), None)
        if width is None:
            raise TextEncoderError(f"expected a prompt of at most {PROMPTS[-1]} pieces, got {len(ids)}; shorten it")
        padded = np.zeros(width, np.int32)
        padded[: len(ids)] = ids
        allowed = np.array([one not in held.bpe.marks for one in range(held.config.pieces)])
        if may is not None:
            allowed &= may
        drawn = draw(
            held.weights, jnp.asarray(padded), jnp.int32(len(ids)), jnp.asarray(allowed), jax.random.key(seed),
            config=held.config, sampling=self._sampling,
        )  # fmt: skip
        lengths = np.asarray(drawn.lengths).tolist()
        rows = zip(np.asarray(drawn.pieces).tolist(), lengths, np.asarray(drawn.scores).tolist(), strict=True)
        answers = [Answer(held.bpe.text(row[:length]), score) for row, length, score in rows]
        return sorted(answers, key=lambda one: -one.score)


def _loaded(content: bytes) -> _Loaded:
    """Network and vocabulary out of the file's bytes; the sizes that it names are those that its arrays must have."""
    file = Gguf(content)
    meta = file.meta
    config = DecoderConfig(
        layers=meta["llama.block_count"], dim=meta["llama.embedding_length"],
        heads=meta["llama.attention.head_count"], groups=meta["llama.attention.head_count_kv"],
        inner=meta["llama.feed_forward_length"], pieces=meta["llama.vocab_size"], places=meta["llama.context_length"],
        epsilon=float(meta["llama.attention.layer_norm_rms_epsilon"]), base=float(meta["llama.rope.freq_base"]),
    )  # fmt: skip
    pieces = meta["tokenizer.ggml.tokens"]
    marks = np.flatnonzero(np.asarray(meta["tokenizer.ggml.token_type"]) != _PLAIN).tolist()
    bpe = Bpe(pieces, meta["tokenizer.ggml.merges"], marks)
    return _Loaded(config, decoder_weights(file, config), bpe, pieces.index(_BEGIN), pieces.index(_END))


def prompt_of(turns: Sequence[Turn], bpe: Bpe, *, begin: int, end: int) -> list[int]:
    """Ids of a conversation in the form that the model was taught, up to where its answer begins."""
    ids: list[int] = []
    for turn in turns:
        ids += [begin, *bpe.ids(f"{turn.role}\n{turn.text}"), end, *bpe.ids("\n")]
    return [*ids, begin, *bpe.ids("assistant\n")]
