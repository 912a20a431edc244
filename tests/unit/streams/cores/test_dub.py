"""How lines fit, by hand and by property; sounds against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cores import dub
from streams.cores.cues import Cue
from streams.cores.dub import Duck, Fit, FitRules, Line


def test_what_is_not_said_is_left_out():
    cues = [
        Cue(0, 900, "[door slams]"), Cue(1_000, 2_000, "- ANNA: Come (softly) back.\n- No!"),
        Cue(3_000, 4_000, "♪ la la ♪"), Cue(5_000, 6_000, "♪"), Cue(7_000, 8_000, "<i>Left</i> [[h@l'oU]]"),
    ]  # fmt: skip
    assert [line.text for line in dub.lines_of(cues)] == ["Come back. No!", "la la", "Left ]"]


def test_slots_come_one_after_the_other():
    cues = [Cue(1_000, 4_000, "a"), Cue(3_000, 5_000, "b"), Cue(3_000, 6_000, "c")]
    assert dub.lines_of(cues) == [Line(1_000, 3_000, "a"), Line(3_000, 6_000, "b c")]


LINE = Line(1_000, 3_000, "x")


@pytest.mark.parametrize(
    ("length_ms", "short_ms", "next_ms", "fit"),
    [
        (1_900, 1_900, 5_000, Fit(1.0, False, 3_000, 0, 0)),  # fits
        (2_400, 2_300, 5_000, Fit(1.2, False, 3_000, 0, 0)),  # 2,400 in 2,000
        (2_600, 2_400, 5_000, Fit(1.2, True, 3_000, 0, 0)),  # 2,600 is too much, 2,400 is not
        (3_000, 3_000, 5_000, Fit(1.25, True, 3_400, 400, 0)),  # 3,000 / 1.25 = 2,400
        (3_000, 3_000, 3_460, Fit(1.25, True, 3_400, 400, 0)),  # 60 ms are left
        (3_000, 3_000, 3_430, Fit(1.25, True, 3_370, 370, 30)),  # and here they would not be
        (2_600, 2_600, 3_100, Fit(1.25, True, 3_080, 80, 0)),  # within the slack of 150 ms, before the next
        (9_000, 9_000, 99_000, Fit(1.25, True, 5_000, 2_000, 3_200)),  # 7,200 needed, 4,000 there
        (2_400, 2_400, 2_500, Fit(1.25, True, 2_500, 0, 420)),  # the film ends first
    ],
)
def test_a_line_fits_by_the_rules(length_ms, short_ms, next_ms, fit):
    found = dub.fit(LINE, length_ms, short_ms, next_ms=next_ms)
    assert found._replace(tempo=round(found.tempo, 9)) == fit


@given(
    slot=st.integers(1, 8_000), length=st.floats(1, 20_000), share=st.floats(0.3, 1.0), silence=st.integers(0, 5_000)
)
def test_no_line_leaves_its_room(slot, length, share, silence):
    rules, line = FitRules(), Line(500, 500 + slot, "x")
    found = dub.fit(line, length, length * share, next_ms=line.end_ms + silence, rules=rules)
    sound = (length * share if found.pauses_cut else length) / found.tempo
    assert 1.0 <= found.tempo <= rules.speed_up
    assert found.end_ms <= line.end_ms + max(0, min(silence, rules.borrow_ms))
    assert found.lacks_ms or line.start_ms + sound <= found.end_ms + 1e-6
    assert not found.lacks_ms or line.start_ms + sound > found.end_ms


def test_the_loud_part_and_its_pauses():
    sound = np.zeros(48_000, np.float32)
    sound[4_800:9_600] = sound[28_800:33_600] = 0.5  # 0.1 to 0.2 s and 0.6 to 0.7 s
    assert dub.spoken_part(sound) == (4_800 - 240, 33_600 + 960)
    assert dub.spoken_part(np.zeros(10, np.float32)) == (0, 0)
    short = dub.without_pauses(sound)
    assert len(short) == 48_000 - (19_200 - 5_760)  # a pause of 0.4 s is 0.12 s
    assert np.count_nonzero(short) == 9_600


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_another_rate_is_the_same_sound(rate):
    at = np.arange(rate) / rate
    shape = np.sin(np.pi * np.minimum(1, at / 1.0)) ** 2
    tone = (shape * np.sin(2 * np.pi * 997 * at)).astype(np.float32)
    found = dub.resampled(tone, rate)
    at = np.arange(48_000) / 48_000
    wanted = np.sin(np.pi * np.minimum(1, at)) ** 2 * np.sin(2 * np.pi * 997 * at)
    assert len(found) == 48_000
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_a_level_is_reached_or_the_peak_stops_it():
    tone = (0.01 * np.sin(np.arange(48_000) * 0.1)).astype(np.float32)
    quiet = dub.levelled(tone, rms=0.1, peak=0.7)
    assert np.sqrt(np.mean(quiet[2_000:-2_000] ** 2)) == pytest.approx(0.1, rel=0.02)
    assert np.max(np.abs(dub.levelled(tone, rms=0.9, peak=0.7))) == pytest.approx(0.7, rel=1e-3)
    assert not np.any(dub.levelled(np.zeros(100, np.float32), rms=0.1, peak=0.7))


def test_the_film_is_down_under_a_line_and_up_again_whatever_the_pieces():
    ducks = [Duck(48_000, 96_000, 0.1), Duck(100_000, 120_000, 0.5)]
    whole = dub.envelope(ducks, 0, 200_000)
    pieces = np.concatenate([dub.envelope(ducks, first, 4_000) for first in range(0, 200_000, 4_000)])
    np.testing.assert_array_equal(whole, pieces)
    np.testing.assert_allclose(whole[48_000:96_001], 0.1, rtol=1e-6)
    assert whole[0] == whole[-1] == 1.0
    assert whole[48_000 - 2_880] == pytest.approx(10**-0.5, rel=1e-3)  # half of the fall of 0.12 s: half of 20 dB
    assert np.all(whole[100_000:120_000] <= 0.5 + 1e-6)
