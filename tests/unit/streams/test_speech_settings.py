"""The table [speech]: what engines are lent of it, and that its key shows nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.settings import Settings
from streams.studio.speech_means import SpeechMeans, means_of_speech


def test_engines_are_lent_what_the_table_says(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc123\n")
    environ = {
        "MARQUEE_SPEECH_PROGRAMS": "flite, espeak-ng",
        "MARQUEE_SPEECH_VOICES_DIR": str(tmp_path),
        "MARQUEE_SPEECH_TRANSLATE_URL": "https://models.example.com/v1",
        "MARQUEE_SPEECH_TRANSLATE_MODEL": "m",
        "MARQUEE_SPEECH_TRANSLATE_KEY_FILE": str(tmp_path / "key"),
    }
    settings = Settings.from_env(environ)
    means = means_of_speech(settings.speech)
    assert means.programs == ("flite", "espeak-ng")
    assert means.voices_dir == str(tmp_path)
    assert (means.translate_url, means.translate_key) == ("https://models.example.com/v1", "abc123")
    given = Settings.from_env({"MARQUEE_SPEECH_TRANSLATE_KEY": "abc123"})
    assert "abc123" not in repr(means) + repr(settings) + repr(given)


def test_by_default_everybody_speaks_and_nobody_translates() -> None:
    assert means_of_speech(Settings.from_env({}).speech) == SpeechMeans()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROGRAMS", "say"), ("TRANSLATE_URL", "models.example.com"), ("TRANSLATE_URL", "https://me:pw@example.com/v1")],
)
def test_what_is_no_program_and_no_address_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"MARQUEE_SPEECH_{name}"):
        Settings.from_env({f"MARQUEE_SPEECH_{name}": value})


def test_a_key_comes_from_one_place_and_goes_by_https(tmp_path: Path) -> None:
    key = {"MARQUEE_SPEECH_TRANSLATE_KEY": "abc123"}
    for url in ("http://127.0.0.1:9/v1", "http://localhost/v1", "http://[::1]:9/v1", "https://models.example.com/v1"):
        assert Settings.from_env(key | {"MARQUEE_SPEECH_TRANSLATE_URL": url}).speech.translate_url == url
    with pytest.raises(SettingsError, match="must begin with https://") as raised:
        Settings.from_env(key | {"MARQUEE_SPEECH_TRANSLATE_URL": "http://models.example.com/v1"})
    assert "abc123" not in str(raised.value)
    with pytest.raises(SettingsError, match="must not both be given"):
        Settings.from_env(key | {"MARQUEE_SPEECH_TRANSLATE_KEY_FILE": str(tmp_path / "key")})
