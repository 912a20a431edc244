"""Whatever is said, however fast: cues keep every rule, lose no word, and read back as they were written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.cores.cues import Cue, CueRules, Word, build, clean, faults, parse, rebuild, to_srt, to_vtt

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(
    lambda text: clean(text) == text and "<" not in text and "&" not in text and "{" not in text
)


@st.composite
def scripts(draw: st.DrawFn) -> list[Word]:
    at, words = 0, []
    for text, gap, span in draw(
        st.lists(st.tuples(TEXTS, st.integers(0, 3_000), st.integers(1, 2_000)), min_size=1, max_size=60)
    ):
        words.append(Word(at + gap, at + gap + span, text))
        at += gap + span
    return words


@given(scripts(), st.lists(st.integers(0, 120_000), max_size=20))
def test_cues_keep_every_rule_and_every_word(words: list[Word], shots: list[int]) -> None:
    cues = build(words, shots_ms=shots)
    assert faults(cues) == []
    assert " ".join(cue.text.replace("\n", " ") for cue in cues).split() == [word.text for word in words]


@given(scripts())
def test_no_cue_comes_before_its_words(words: list[Word]) -> None:
    rules = CueRules(snap_ms=0)
    left = iter(words)
    for cue in build(words, rules):
        first = next(left)
        assert cue.start_ms >= first.start_ms
        for _ in cue.text.split()[1:]:
            next(left)


@given(scripts())
def test_both_formats_read_back(words: list[Word]) -> None:
    cues = build(words)
    assert parse(to_srt(cues)) == cues
    assert parse(to_vtt(cues)) == cues


@given(scripts())
def test_cues_made_of_cues_keep_every_rule_too(words: list[Word]) -> None:
    long = [Cue(words[0].start_ms, words[-1].end_ms, " ".join(word.text for word in words))]
    cues = rebuild(long)
    assert faults(cues) == []
    assert " ".join(cue.text.replace("\n", " ") for cue in cues).split() == [word.text for word in words]
