"""Where a server of ours listens and which token it takes: what the tables ``[console]`` and ``[door]`` share."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path
from typing import ClassVar, Final

from streams.errors import SettingsError
from streams.setting_kinds import Checked, Secret, optional_file, read_secret, secret, several, text, whole

LEAST_TOKEN_CHARS: Final = 16
HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListenSettings(Checked):
    """Base of a server's table.

    Attributes:
      host: address to listen on; one that is no loopback needs `hosts`.
      port: 0 takes a free one, and says which.
      hosts: names that clients may reach it by, beside those of the loopback.
      token: what is sent in the header ``Authorization: Bearer``. token_file: holds it, in its place.
    """

    TABLE: ClassVar[str] = ""
    """Name of the table, for errors."""

    host: str = text("127.0.0.1", expected="an IP address", accepts=_is_address)
    port: int = whole(0, least=0, most=65_535)
    hosts: tuple[str, ...] = several((), expected="a list of host names", accepts=lambda one: (
        HOST.fullmatch(one) is not None
    ))  # fmt: skip
    token: Secret = secret()  # noqa: RUF009 - an immutable value
    token_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value

    def __post_init__(self) -> None:
        super().__post_init__()
        table = self.TABLE
        if self.token and self.token_file is not None:
            raise SettingsError(f"{table}.token and {table}.token_file must not both be given, got both; remove one")
        if not self.is_loopback and not self.hosts:
            raise SettingsError(
                f"{table}.hosts must name the hosts that clients reach it by where {table}.host is {self.host}, got "
                "none; name them, or leave the host out for 127.0.0.1"
            )
        self._long_enough(self.token)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def read_token(self) -> Secret:
        """The token, out of its file where it has one; empty where there is none.

        Raises:
          SettingsError: the file cannot be read, or holds no token.
        """
        return self._long_enough(self.token if self.token_file is None else read_secret(self.token_file))

    def _long_enough(self, token: Secret) -> Secret:
        text = token.reveal()
        if text and (len(text) < LEAST_TOKEN_CHARS or not text.isascii() or not text.isprintable() or " " in text):
            raise SettingsError(
                f"{self.TABLE}.token must be at least {LEAST_TOKEN_CHARS} printable ASCII characters without spaces, "
                "got something else; `openssl rand -hex 32` makes one"
            )
        return token
