"""Which language model behind an address the studio may ask: part of its table of settings."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

from streams.errors import SettingsError
from streams.service_settings import check_key
from streams.setting_kinds import Checked, Secret, optional_file, read_secret, secret, text

ADDRESS_OF_CHAT: Final = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?(/[A-Za-z0-9._~/-]{0,200})?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatSettings(Checked):
    """A server of OpenAI's chat protocol.

    Attributes:
      chat_url: up to ``/v1``; empty: none is asked. chat_model: the model's name there.
      chat_key, chat_key_file: sent as a bearer, itself or in a file.
    """

    chat_url: str = text("", expected="an http or https address, or empty", accepts=lambda one: (
        not one or ADDRESS_OF_CHAT.fullmatch(one) is not None
    ))  # fmt: skip
    chat_model: str = text("", expected="a text")
    chat_key: Secret = secret()  # noqa: RUF009 - an immutable value
    chat_key_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chat_url and not self.chat_model:
            raise SettingsError("studio.chat_model must be given with studio.chat_url, got none; name the model")
        check_key("studio.chat", self.chat_url, self.chat_key, self.chat_key_file)

    def read_chat_key(self) -> Secret:
        """The key, out of its file where it has one.

        Raises:
          SettingsError: the file cannot be read, or is no key.
        """
        return self.chat_key if self.chat_key_file is None else read_secret(self.chat_key_file)
