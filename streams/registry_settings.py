"""The table ``[registry]`` of the settings: the schema registry behind values that begin with its header."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from streams.chat_settings import ADDRESS_OF_CHAT
from streams.errors import SettingsError
from streams.service_settings import LOOPBACK
from streams.setting_kinds import Checked, Secret, optional_file, read_secret, secret, text


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegistrySettings(Checked):
    """A registry of Confluent's protocol; docs/events.md says more.

    Attributes:
      url: what ``/schemas/ids/ID`` is put behind; empty: there is none, and such values are refused.
      username, password, password_file: HTTP Basic; sent to another machine by https alone.
    """

    url: str = text("", expected="an http or https address, or empty", accepts=lambda one: (
        not one or ADDRESS_OF_CHAT.fullmatch(one) is not None
    ))  # fmt: skip
    username: str = text("", expected="a text")
    password: Secret = secret()  # noqa: RUF009 - an immutable value
    password_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.password and self.password_file is not None:
            raise SettingsError(
                "registry.password and registry.password_file must not both be given, got both; remove the password"
            )
        if self.username and self.url.startswith("http:") and LOOPBACK.match(self.url) is None:
            raise SettingsError(
                "registry.url must begin with https:// where a password is sent to another machine, got http://; "
                "remove the user or use https"
            )

    def read_password(self) -> Secret:
        """The password, out of its file where it has one.

        Raises:
          SettingsError: the file cannot be read, or is no password.
        """
        return self.password if self.password_file is None else read_secret(self.password_file)
