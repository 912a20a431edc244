"""Pieces by hand, and against the tokenizer library given the same rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from models.errors import ConfigError
from models.text.bpe import CHARACTER_OF, Bpe, split

MERGES = [
    "h e",
    "l l",
    "he ll",
    "hell o",
    "Ġ w",
    "Ġw o",
    "r l",
    "rl d",
    "Ġwo rld",
    "Ġ t",
    "Ġt h",
    "Ġth e",
    "Ã ©",
    "' t",
    "Ġ Ġ",
    "ĠĠ Ġ",
]
PIECES = ["<|end|>", *CHARACTER_OF.values(), *(merge.replace(" ", "") for merge in MERGES)]
BPE = Bpe(PIECES, MERGES, marks=[0])


def library():
    pairs = [(merge.split(" ")[0], merge.split(" ")[1]) for merge in MERGES]
    made = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(PIECES)}, merges=pairs))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    return made


def test_pieces_by_hand():
    assert [PIECES[one] for one in BPE.ids("hello world the é")] == [
        "hello", "Ġworld", "Ġt", "he", "Ġ", "Ã©",  # "h e" is joined before "Ġth e" could be
    ]  # fmt: skip
    assert BPE.ids("") == []
    assert 0 not in BPE.ids("<|end|>"), "a mark in a text is text"
    assert BPE.text([0, *BPE.ids("don't <|end|>\n"), 0]) == "don't <|end|>\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 2012, they'll!", ["It", "'s", " ", "2", "0", "1", "2", ",", " they", "'ll", "!"]),
        ("  a\n\n b ", [" ", " a", "\n\n", " b", " "]),
        ("Café naïve東京", ["Café", " naïve東京"]),
        ("a   5  b", ["a", "   ", "5", " ", " b"]),
        ("a_b ½", ["a", "_", "b", " ", "½"]),
    ],
)
def test_words(text, words):
    assert split(text) == words


@given(st.text(max_size=40) | st.text("helo wrdt'é\n 19½_—\u2028\x85", max_size=40))
def test_every_text_is_cut_as_by_the_library(text):
    assert "".join(split(text)) == text
    assert BPE.ids(text) == LIBRARY.encode(text).ids
    assert BPE.text(BPE.ids(text)) == text


LIBRARY = library()


def test_what_is_no_vocabulary():
    with pytest.raises(ConfigError, match="merges of two pieces"):
        Bpe(PIECES, ["a b c"])
    with pytest.raises(ConfigError, match="every printable byte"):
        Bpe(["a"], [])


def test_a_byte_without_a_piece_is_left_out():
    unable = Bpe([character for byte, character in CHARACTER_OF.items() if byte != ord("\t")], [])
    assert unable.text(unable.ids("a\tb")) == "ab"
