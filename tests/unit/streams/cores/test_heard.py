"""What was heard: words held to speech, sentences that were lost, names that only replace, and distances by hand."""

import random
from functools import cache

import pytest

from streams.cores import heard
from streams.cores.cues import Word
from streams.cores.heard import Span


def words(*rows):
    return [Word(*row) for row in rows]


def test_a_first_word_that_is_pinned_to_the_silence_goes_to_where_speech_begins():
    held = heard.hold_to_speech(words((0, 660, "The"), (660, 940, "last"), (3_000, 4_000, "it.")), [Span(448, 3_040)])
    assert held == words((448, 660, "The"), (660, 940, "last"), (3_000, 3_040, "it."))


def test_each_span_has_edges_of_its_own_and_words_beside_all_speech_stay():
    spans = [Span(500, 1_500), Span(3_000, 4_000)]
    heard_words = words(
        (520, 900, "a"), (900, 1_400, "b"), (2_980, 3_400, "c"), (3_400, 4_300, "d"), (9_000, 9_300, "e")
    )
    held = heard.hold_to_speech(heard_words, spans)
    assert held == words(
        (500, 900, "a"), (900, 1_500, "b"), (3_000, 3_400, "c"), (3_400, 4_000, "d"), (9_000, 9_300, "e")
    )


def test_an_edge_that_is_far_is_not_believed():
    held = heard.hold_to_speech(words((2_000, 2_300, "late"), (2_300, 2_500, "early")), [Span(1_000, 4_000)])
    assert held == words((2_000, 2_300, "late"), (2_300, 2_500, "early"))


@pytest.mark.parametrize("seed", range(20))
def test_held_words_never_end_before_they_begin(seed):
    chance = random.Random(seed)
    at, spans, found = 0, [], []
    for _ in range(8):
        at += chance.randrange(1, 900)
        spans.append(Span(at, at := at + chance.randrange(1, 900)))
    for start in sorted(chance.randrange(0, at) for _ in range(30)):
        found.append(Word(start, start + chance.randrange(0, 500), "w"))
    held = heard.hold_to_speech(found, spans)
    assert len(held) == len(found)
    assert all(word.start_ms <= word.end_ms for word in held)


def test_speech_without_words_is_told_and_a_breath_is_not():
    spans = [Span(0, 1_000), Span(2_000, 3_000), Span(3_500, 4_200), Span(9_000, 9_300)]
    assert heard.unheard(words((100, 900, "here")), spans) == [Span(2_000, 4_200)]
    assert heard.unheard([], []) == []


def test_names_replace_words_and_are_never_added():
    plain = words((0, 300, "Ask"), (300, 700, "Asmery"), (700, 900, "Bell"), (900, 1_200, "again."))
    led = words((0, 300, "Ask"), (300, 900, "Mirabelle"), (900, 1_200, "again."), (5_000, 5_300, "Mirabelle"))
    found = heard.with_names(plain, led, "Night Train, Mirabelle")
    assert found == words((0, 300, "Ask"), (300, 900, "Mirabelle"), (900, 1_200, "again."))
    assert heard.with_names(plain, led, "Night Train") == plain
    assert heard.with_names(plain, [], "Mirabelle") == plain


def test_hot_words_are_each_once_and_bounded():
    assert heard.hot_words("Night\nTrain", ["drama", "Night Train", "", "drama"]) == "Night Train, drama"
    assert len(heard.hot_words("x" * 200, [f"{n:03d}" * 20 for n in range(20)])) <= heard.MAX_HOT_CHARS


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("In 1843, Ada wrote 21 letters.", "in eighteen forty three ada wrote twenty one letters"),
        ("It costs 1,200 dollars & 50%.", "it costs one thousand two hundred dollars and fifty per cent"),
        ("Mr. Grey's théâtre, 1905", "mister grey's theater nineteen oh five"),
        ("OK — don’t!", "okay don't"),
        ("", ""),
    ],
)
def test_what_is_said_has_one_spelling(text, spoken):
    assert heard.said(text) == spoken.split()


@pytest.mark.parametrize("number", [0, 7, 10, 19, 20, 42, 100, 101, 999, 1_000, 1_066, 2_005, 12_345, 999_999])
def test_numbers_add_up(number):
    values = {word: n for n, word in enumerate(heard.ONES)} | {
        word: 10 * n for n, word in enumerate(heard.TENS) if word
    }
    total = part = 0
    for word in heard.number_words(number):
        if word == "hundred":
            part *= 100
        elif word == "thousand":
            total, part = 1_000 * part, 0
        else:
            part += values[word]
    assert total + part == number


@pytest.mark.parametrize("seed", range(30))
def test_word_errors_agree_with_the_definition(seed):
    chance = random.Random(seed)
    one, other = (tuple(chance.choice("abc") for _ in range(chance.randrange(6))) for _ in range(2))

    @cache
    def apart(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(apart(a[1:], b) + 1, apart(a, b[1:]) + 1, apart(a[1:], b[1:]) + (a[0] != b[0]))

    assert heard.word_errors(one, other) == apart(one, other)
