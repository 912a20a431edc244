"""Cues by hand: breaks, gaps, speed, shots, and what is no subtitles."""

import pytest

from streams.contract.errors import CueError
from streams.cores.cues import Cue, CueRules, Word, build, faults, lay_out, parse, rebuild

RULES = CueRules()


def said(text: str, *, at_ms: int = 0, each_ms: int = 300) -> list[Word]:
    words = text.split()
    return [Word(at_ms + n * each_ms, at_ms + (n + 1) * each_ms, word) for n, word in enumerate(words)]


def test_a_line_breaks_where_a_clause_ends():
    text = "When the rain had stopped, they went out to look for it"
    assert lay_out(text, RULES) == "When the rain had stopped,\nthey went out to look for it"


def test_a_line_breaks_before_a_joining_word():
    assert lay_out("The old engineer built a machine that nobody understood", RULES).split("\n")[1].startswith("that")


def test_a_sentence_ends_its_cue():
    cues = build(said("This is the first of two sentences. And this is the second one here."))
    assert [cue.text for cue in cues] == ["This is the first of two sentences.", "And this is the second one here."]


def test_a_pause_ends_a_cue():
    cues = build([Word(0, 400, "Wait"), Word(3_000, 3_400, "what")])
    assert [(cue.start_ms, cue.text) for cue in cues] == [(0, "Wait"), (3_000, "what")]


def test_a_short_word_stands_long_enough():
    (cue,) = build([Word(1_000, 1_050, "No")])
    assert cue == Cue(1_000, 1_834, "No")


def test_two_frames_lie_between_cues():
    first, second = build([Word(0, 2_000, "One."), Word(2_700, 4_000, "Two.")], CueRules(frame_ms=1000 / 24))
    assert second.start_ms - first.end_ms >= 83


def test_an_edge_near_a_cut_goes_there():
    (cue,) = build([Word(1_080, 3_000, "Hello")], shots_ms=[1_000, 3_100])
    assert (cue.start_ms, cue.end_ms) == (1_000, 3_100)


def test_a_cut_far_away_moves_nothing():
    (cue,) = build([Word(1_500, 3_000, "Hello")], shots_ms=[1_000, 3_900])
    assert (cue.start_ms, cue.end_ms) == (1_500, 3_000)


def test_a_long_cue_is_parted():
    cues = rebuild([Cue(0, 12_000, "word " * 40)])
    assert len(cues) >= 2
    assert faults(cues) == []


@pytest.mark.parametrize(
    ("cue", "fault"),
    [
        (Cue(0, 1_000, "x" * 43), "43 characters"),
        (Cue(0, 2_000, "a\nb\nc"), "3 lines"),
        (Cue(0, 500, "a"), "500 ms"),
        (Cue(0, 8_000, "a"), "8000 ms"),
        (Cue(0, 1_000, "x" * 30), "30.0 characters a second"),
        (Cue(0, 1_000, " "), "empty"),
    ],
)
def test_each_broken_rule_is_named(cue, fault):
    assert fault in " ".join(faults([cue]))


def test_a_gap_too_small_is_named():
    assert "79 ms before" in faults([Cue(0, 1_000, "a"), Cue(1_079, 2_000, "b")])[0]


def test_marks_of_format_are_left_out():
    text = "WEBVTT\n\nNOTE a note\n\n1\n00:01.000 --> 00:02.500 align:start\n<v Ann><i>Hello</i> &amp; {\\an8}bye\n"
    assert parse(text) == [Cue(1_000, 2_500, "Hello & bye")]


@pytest.mark.parametrize("text", ["", "hello", "1\n00:00:02,000 --> 00:00:01,000\nback\n"])
def test_what_is_no_subtitles_is_refused(text):
    with pytest.raises(CueError, match="expected"):
        parse(text)
