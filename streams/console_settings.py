"""The table ``[console]`` of the settings: where the console listens, and who may change anything by it."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path
from typing import Final

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
class ConsoleSettings(Checked):
    """Where the console listens, and who may change anything by it; docs/console.md says more.

    Attributes:
      host: address to listen on; one that is no loopback needs `hosts`.
      port: 0 takes a free one, and says which.
      hosts: names that browsers may reach it by, beside those of the loopback.
      token: what a change must bring in its header; none: nothing can be changed.
      token_file: holds the token, in place of `token`.
      streams: event streams open at a time; each open page is one.
      content_prefix: of the topics of planner and studio, where it is another one than the engine's.
    """

    host: str = text("127.0.0.1", expected="an IP address", accepts=_is_address)
    port: int = whole(8088, least=0, most=65_535)
    hosts: tuple[str, ...] = several((), expected="a list of host names", accepts=lambda one: (
        HOST.fullmatch(one) is not None
    ))  # fmt: skip
    token: Secret = secret()  # noqa: RUF009 - an immutable value
    token_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value
    streams: int = whole(64, least=1, most=10_000)
    content_prefix: str = text("", expected="letters, digits, '.', '_' and '-', 100 at most", accepts=lambda value: (
        re.fullmatch(r"[A-Za-z0-9._-]{0,100}", value) is not None
    ))  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token and self.token_file is not None:
            raise SettingsError("console.token and console.token_file must not both be given, got both; remove one")
        if not ipaddress.ip_address(self.host).is_loopback and not self.hosts:
            raise SettingsError(
                f"console.hosts must name the hosts that browsers reach it by where console.host is {self.host}, got "
                "none; name them, or leave console.host out for 127.0.0.1"
            )
        self._long_enough(self.token)

    def read_token(self) -> Secret:
        """The token, out of its file where it has one; empty: nothing can be changed.

        Raises:
          SettingsError: the file cannot be read, or holds no token.
        """
        return self._long_enough(self.token if self.token_file is None else read_secret(self.token_file))

    @staticmethod
    def _long_enough(token: Secret) -> Secret:
        text = token.reveal()
        if text and (len(text) < LEAST_TOKEN_CHARS or not text.isascii() or not text.isprintable() or " " in text):
            raise SettingsError(
                f"console.token must be at least {LEAST_TOKEN_CHARS} printable ASCII characters without spaces, got "
                "something else; `openssl rand -hex 32` makes one"
            )
        return token
