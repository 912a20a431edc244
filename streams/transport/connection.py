"""How to reach the broker, once, and in the words of each of the four clients.

Decides nothing: settings give a :class:`Connection`, and the clients get their own spelling of it. Passwords stay out
of every ``repr`` and every log.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import faust
from faust.types.auth import CredentialsT

from streams.errors import SettingsError

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


WIRE_LOGGERS: Final = ("aiokafka.conn", "kafka.net.connection", "kafka.protocol.parser")
"""What these say at debug level is what goes over the wire; with PLAIN the password is part of it."""


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


class Unshown(str):
    """A text that has no repr: kafka-python logs its configuration, at debug level."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One Kafka cluster.

    Attributes:
      bootstrap: comma-separated ``host:port``.
      security_protocol: Kafka's word; the default is for loopback only.
      sasl_mechanism: for the SASL protocols.
      username, password: for the SASL protocols.
      ca_file: PEM file of the authorities to trust; None: the system's.
      is_embedded: the demo's broker (``embedded.py``): no idempotent producer, and its end offsets are not exact.
    """

    bootstrap: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-256"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    is_embedded: bool = False

    def __post_init__(self) -> None:
        for address in self.bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdigit():
                raise SettingsError(
                    f"the broker's address must be host:port[,host:port], got {self.bootstrap!r};"
                    " for a local broker 127.0.0.1:9092"
                )
        if self._has_sasl and not (self.username and self.password):
            raise SettingsError(
                f"{self.security_protocol} needs a user name and a password, got user name {self.username!r}"
                f" and {'a' if self.password else 'no'} password; set both or use PLAINTEXT or SSL"
            )

    @property
    def _has_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    @property
    def _has_tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """A context that checks certificate and host name; None without TLS."""
        return ssl.create_default_context(cafile=self.ca_file) if self._has_tls else None

    def for_aiokafka(self) -> dict[str, Any]:
        """Keyword arguments of aiokafka's clients."""
        words: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context(),
        }
        if self._has_sasl:
            keep_wire_out_of_logs()
            words |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": Unshown(self.password),
            }
        return words

    def for_kafka_python(self) -> dict[str, Any]:
        """Keyword arguments of kafka-python's clients."""
        words = self.for_aiokafka()
        words["bootstrap_servers"] = [address.strip() for address in self.bootstrap.split(",")]
        return words

    def for_confluent(self) -> dict[str, str]:
        """librdkafka's properties."""
        words = {"bootstrap.servers": self.bootstrap, "security.protocol": self.security_protocol}
        if self._has_sasl:
            words["sasl.mechanism"] = self.sasl_mechanism
            words["sasl.username"] = self.username or ""
            words["sasl.password"] = Unshown(self.password or "")
        if self._has_tls and self.ca_file:
            words["ssl.ca.location"] = self.ca_file
        return words

    def faust_url(self) -> str:
        """Faust's broker URL; faust separates several hosts by ``;``."""
        return ";".join(f"kafka://{address.strip()}" for address in self.bootstrap.split(","))

    def for_faust(self) -> CredentialsT | None:
        """Faust's credentials; None for PLAINTEXT."""
        if self._has_sasl:
            keep_wire_out_of_logs()
            return faust.SASLCredentials(
                username=self.username,
                password=Unshown(self.password),
                mechanism=self.sasl_mechanism,
                ssl_context=self.ssl_context(),
            )
        if self._has_tls:
            return faust.SSLCredentials(self.ssl_context())
        return None


def keep_wire_out_of_logs() -> None:
    """From now on the clients' logs hold no bytes of the wire, at whatever level; the same filter is added once."""
    for name in WIRE_LOGGERS:
        logging.getLogger(name).addFilter(_is_above_debug)
