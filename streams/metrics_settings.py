"""The table ``[metrics]`` of the settings: where each role answers Prometheus and health checks, if anywhere."""

from __future__ import annotations

import dataclasses
import ipaddress
from types import MappingProxyType
from typing import Final

from streams.errors import SettingsError
from streams.setting_kinds import Checked, text, whole

PORT_OF: Final = MappingProxyType({"trainer": 0, "recommender": 1, "planner": 2, "studio": 3, "console": 4})
"""What is added to `port` for each role: the roles of one machine have ports of their own, always the same."""
MOST_PORT: Final = 65_535


def is_address(value: str) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricsSettings(Checked):
    """Where a role answers ``/metrics``, ``/healthz`` and ``/readyz``; docs/operations.md says more.

    Attributes:
      host: address to listen on.
      port: of the trainer; the other roles have those behind it, see `PORT_OF`. 0: nobody listens.
      stall_s: seconds of silence of a role's event loop after which it is not healthy.
    """

    host: str = text("127.0.0.1", expected="an IP address", accepts=is_address)
    port: int = whole(0, least=0, most=MOST_PORT)
    stall_s: int = whole(60, least=5, most=3_600)

    def __post_init__(self) -> None:
        super().__post_init__()
        most = MOST_PORT - max(PORT_OF.values())
        if self.port > most:
            raise SettingsError(
                f"metrics.port must be at most {most}, since the roles have the ports behind it, got {self.port}; "
                "choose a lower one, or leave it out to have none"
            )

    def port_of(self, role: str) -> int | None:
        """The port of a role; None: it does not listen."""
        return self.port + PORT_OF[role] if self.port else None
