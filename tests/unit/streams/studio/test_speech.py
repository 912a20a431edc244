"""Programs that speak: one contract for each that is here, and what none of them may be asked for."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from streams.studio import speech
from streams.studio.errors import EngineError, SpecError
from streams.studio.media import Limits

TEXTS = ["Nobody has lived here since the war.", "Come back before it rains."]


@pytest.fixture(params=speech.NAMES)
def speaker(request):
    found = speech.SPEAKERS[request.param]
    if found.missing() is not None:
        pytest.skip(f"not on this machine: {found.missing()}")
    return found


def sounds(files):
    read = [speech.read(file) if isinstance(file, Path) else file for file in files]
    assert not [one for one in read if isinstance(one, str)]
    return read


def test_what_is_said_sounds_lasts_and_is_the_same_again(speaker, tmp_path):
    voice = speaker.voice_for("en", None, None)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = sounds(speaker.say(TEXTS, voice, tmp_path / "a", Limits()))
    other = sounds(speaker.say(TEXTS, voice, tmp_path / "b", Limits()))
    assert len(one) == 2
    for said, again in zip(one, other, strict=True):
        assert 0.8 < len(said.sound) / said.rate < 5
        np.testing.assert_array_equal(said.sound, again.sound)


def test_nobody_has_a_voice_for_what_is_no_language(speaker):
    assert speaker.voice_for("xx", None, None) is None
    assert speaker.voice_for("en", "nobody", None) is None


def test_piper_goes_on_behind_a_line_that_it_does_not_say(tmp_path):
    ((piper, voice),) = speech.voices(("piper",), "en")
    files = piper.say(["...", TEXTS[1]], voice, tmp_path, Limits())
    assert len(files) == 2
    first = speech.read(files[0]) if isinstance(files[0], Path) else files[0]
    assert isinstance(first, str) or len(first.sound)  # silence or a breath, as this version has it
    assert sounds(files[1:])


def test_a_voice_that_is_broken_is_a_reason(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no weights")
    (tmp_path / "broken.onnx.json").write_text('{"espeak": {"voice": "en-us"}}')
    piper, voice = speech.voices(("piper",), "en", wanted="piper:broken", voices_dir=str(tmp_path))[0]
    assert Path(voice).name == "broken.onnx"
    (found,) = piper.say(TEXTS[:1], voice, tmp_path, Limits())
    assert "expected it to speak, got status" in str(found)


@pytest.mark.parametrize("wanted", ["", "say", "piper:../x", "flite:/etc/passwd", "flite:a b", "-x", "espeak-ng:"])
def test_what_is_no_voice_is_refused(wanted):
    with pytest.raises(SpecError, match="expected a voice"):
        speech.voices(speech.NAMES, "en", wanted=wanted)


def test_a_voice_that_is_not_here_is_refused_and_a_language_that_nobody_speaks_fails():
    with pytest.raises(SpecError, match="it has no such voice"):
        speech.voices(("piper",), "en", wanted="piper:nobody")
    with pytest.raises(EngineError, match="got nobody"):
        speech.voices(("piper",), "xx")


def test_the_wanted_voice_comes_first_and_once():
    found = speech.voices(speech.NAMES, "en", wanted="piper")
    names = [one.name for one, _ in found]
    assert names[0] == "piper"
    assert names == sorted(set(names), key=names.index)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng on this machine")
def test_a_robot_speaks_languages():
    assert [voice for _, voice in speech.voices(speech.NAMES, "de")] == ["de"]


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound at all"])
def test_a_file_that_is_no_sound_is_a_reason(tmp_path, data):
    (tmp_path / "x.wav").write_bytes(data)
    assert "expected a sound file" in speech.read(tmp_path / "x.wav")
