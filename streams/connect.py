"""From settings to a connection: the one place where a secret leaves its wrapper."""

from __future__ import annotations

from typing import cast

from streams.registry.known import use_registry
from streams.settings import Settings
from streams.transport.connection import Connection, SaslMechanism, SecurityProtocol


def connection_of(settings: Settings, *, is_embedded: bool = False) -> Connection:
    """How to reach the broker of these settings; from then on, what is read there may need their schema registry.

    Args:
      settings: already checked.
      is_embedded: the broker is the demo's, see `Connection`.

    Raises:
      SettingsError: the password's file cannot be read.
    """
    use_registry(settings.registry, cache_dir=settings.cache_dir)
    security = settings.security
    password = security.read_password().reveal() if security.protocol.startswith("SASL") else None
    return Connection(
        bootstrap=settings.broker,
        security_protocol=cast(SecurityProtocol, security.protocol),
        sasl_mechanism=cast(SaslMechanism, security.mechanism),
        username=security.username or None,
        password=password,
        ca_file=str(security.ca_file) if security.ca_file else None,
        is_embedded=is_embedded,
    )
