"""The table ``[door]`` of the settings: where the HTTP door listens, who may ask, and how much of everything."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from streams.errors import SettingsError
from streams.listen_settings import ListenSettings
from streams.setting_kinds import Secret, flag, whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoorSettings(ListenSettings):
    """Where the HTTP door listens, and what it lets through; docs/door.md says more.

    Attributes:
      token: what every request must bring in its header.
      without_token: nobody needs a token; on the loopback alone.
      timeout_ms: longest wait for a slate, and for the broker to acknowledge what was posted.
      in_flight: requests that wait for their slate at a time; more are told to come again.
      rate_per_s: requests and posted records a second of one address.
      connections: open at a time.
      body_kb: largest body, KiB.
    """

    TABLE: ClassVar[str] = "door"

    port: int = whole(8090, least=0, most=65_535)
    without_token: bool = flag(False)
    timeout_ms: int = whole(2_000, least=10, most=60_000)
    in_flight: int = whole(1_000, least=1, most=100_000)
    rate_per_s: int = whole(1_000, least=1, most=1_000_000)
    connections: int = whole(2_000, least=1, most=100_000)
    body_kb: int = whole(1_024, least=1, most=65_536)

    def required_token(self) -> Secret:
        """The token that every request must bring; empty where the settings say that none is needed.

        Raises:
          SettingsError: there is none and they do not say so, or they say so of an address that others reach; or its
            file cannot be read.
        """
        token = self.read_token()
        if token and self.without_token:
            raise SettingsError("door.without_token and a token must not both be given, got both; remove one")
        if self.without_token and not self.is_loopback:
            raise SettingsError(
                f"door.host must be of the loopback where door.without_token is true, got {self.host}; give a token"
            )
        if not token and not self.without_token:
            raise SettingsError(
                "the door needs door.token_file (or door.token) with what clients must send, got none; `openssl rand "
                "-hex 32 > door.token` makes one, or set door.without_token = true to let all of this machine ask"
            )
        return token
