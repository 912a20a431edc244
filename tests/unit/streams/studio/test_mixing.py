"""The mix against what is known of it: lines at their samples, the film down under them, by fits of pure tones."""

import wave

import numpy as np
import pytest

from streams.cores import dub as core
from streams.cores.dub import RATE, Fit
from streams.studio import checks, media, mixing
from streams.studio.media import Limits
from streams.studio.mixing import Voiced


def line(path, *, first, seconds, tone=1_000, size=0.5):
    count = round(seconds * RATE)
    sound = (size * np.sin(2 * np.pi * tone * np.arange(count) / RATE)).astype(np.float32)
    np.save(path, sound)
    return Voiced(path=path, first=first, count=count, peak=size)


def level(sound, tone):
    """Amplitude of a tone in a sound, by least squares against every tone that is in it."""
    at = np.arange(len(sound)) / RATE
    waves = [f(2 * np.pi * hz * at) for hz in (330, 1_320, 1_000) for f in (np.sin, np.cos)]
    found, *_ = np.linalg.lstsq(np.stack(waves, axis=1), sound, rcond=None)
    place = 2 * (330, 1_320, 1_000).index(tone)
    return float(np.hypot(*found[place : place + 2]))


@pytest.mark.slow
def test_a_line_stands_at_its_sample_over_a_film_that_is_down(movie, tmp_path):
    lines = [
        line(tmp_path / "a.npy", first=2 * RATE + 7, seconds=1.5),
        line(tmp_path / "b.npy", first=5 * RATE + 1, seconds=1.0, size=0.1),
    ]
    out = tmp_path / "mix.wav"
    under = mixing.mix(movie.path, lines, out, seconds=8.0, has_sound=True, limits=Limits())
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, RATE, 8 * RATE)
        mixed = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32767
    left = mixed[:, 0]
    np.testing.assert_allclose(left, mixed[:, 1], atol=0.02)  # as far as the film's own channels agree
    part = lambda from_s, to_s: left[round(from_s * RATE) : round(to_s * RATE)]  # noqa: E731
    alone = level(part(4.2, 4.8), 330)
    for one, from_s, to_s in ((lines[0], 2.2, 3.4), (lines[1], 5.2, 5.9)):
        assert level(part(from_s, to_s), 1_000) == pytest.approx(one.peak, rel=0.02)
        down = level(part(from_s, to_s), 330)
        assert 20 * np.log10(down / alone) <= mixing.DUCK_DB + 0.5
        assert 20 * np.log10(down / one.peak) <= mixing.UNDER_DB
    assert under <= mixing.UNDER_DB
    before, after = left[2 * RATE - 60 : 2 * RATE + 7], left[2 * RATE + 7 : 2 * RATE + 74]
    assert np.max(np.abs(after)) > 3 * np.max(np.abs(before)), "nothing of the line before its first sample"


@pytest.mark.slow
def test_a_film_without_sound_has_the_lines_alone(movie, tmp_path):
    out = tmp_path / "mix.wav"
    one = line(tmp_path / "a.npy", first=RATE, seconds=0.25)
    assert mixing.mix(movie.path, [one], out, seconds=2.05, has_sound=False, limits=Limits()) == -120.0
    with wave.open(str(out)) as file:
        mixed = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32767
    assert len(mixed) == round(2.05 * RATE)
    np.testing.assert_allclose(mixed[RATE : RATE + one.count, 0], np.load(one.path), atol=1 / 32_000)
    assert not np.any(mixed[:RATE])
    assert not np.any(mixed[RATE + one.count :])


@pytest.mark.slow
def test_a_line_is_as_quick_as_its_fit_and_keeps_its_pitch(tmp_path):
    at = np.arange(2 * RATE) / RATE
    sound = (0.4 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
    fit = Fit(1.25, False, 1_000 + 1_600, 0, 0)
    found = mixing.voiced(sound, fit, start_ms=1_000, path=tmp_path / "x.npy", limits=Limits())
    heard = np.asarray(found.sound())
    assert found.first == RATE
    assert abs(found.count - 1.6 * RATE) <= 0.03 * RATE
    assert found.last <= fit.end_ms * core.PER_MS
    assert np.argmax(np.abs(np.fft.rfft(heard))) * RATE / len(heard) == pytest.approx(440, abs=2)


@pytest.mark.slow
def test_sound_that_begins_late_keeps_its_time(movie, tmp_path):
    late = tmp_path / "late.mkv"
    arguments = [*media.read_options(movie.path), "-itsoffset", "1.5", *media.read_options(movie.path)]
    media.ffmpeg([*arguments, "-map", "0:v", "-map", "1:a", "-c", "copy", str(late)])
    sound = np.concatenate(list(media.sound(late, rate=8_000, channels=1)))[:, 0]
    begins = np.flatnonzero(np.abs(sound) > 0.05)[0] / 8_000
    assert begins == pytest.approx(1.5, abs=0.05)
    whole = np.concatenate(list(media.sound(movie.path, rate=8_000, channels=1)))[:, 0]
    part = np.concatenate(list(media.sound(movie.path, rate=8_000, channels=1, from_s=3.0, length_s=1.0)))[:, 0]
    np.testing.assert_allclose(part[100:7_000], whole[24_100:31_000], atol=0.02)
    assert checks.loudness_of(late)[0] > -60
