"""Asks a registry of Confluent's protocol what an id stands for. Follows nothing, and tells no password."""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from streams.registry_settings import RegistrySettings

ANSWER_S: Final = 5.0
MOST_BYTES: Final = 4 << 20
NO_SCHEMA: Final = 40_403
"""What a registry says of an id that it never gave; any other 404 is of an address that is no registry's."""
DEFAULT_TYPE: Final = "AVRO"


class AwayError(Exception):
    """Whether there is such a schema cannot be told now; the text says why."""


class Told(msgspec.Struct, frozen=True):
    """A schema, as the registry and our own folder have it."""

    schema: str
    kind: str = msgspec.field(name="schemaType", default=DEFAULT_TYPE)
    references: list[Any] = []


class _Trouble(msgspec.Struct):
    error_code: int = 0


class Client:
    """One registry.

    Args:
      settings: its address, and who we are.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._parts = urlsplit(settings.url)
        self.where = settings.url
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if settings.username:
            pair = f"{settings.username}:{settings.read_password().reveal()}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"

    def schema(self, number: int) -> Told | None:
        """The schema of an id; None if the registry never gave that id.

        Raises:
          AwayError: it does not answer, or not as a registry does.
        """
        host = self._parts.hostname or ""
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, self._parts.port, timeout=ANSWER_S, context=context)
        else:
            connection = http.client.HTTPConnection(host, self._parts.port, timeout=ANSWER_S)
        try:
            connection.request("GET", f"{self._parts.path.rstrip('/')}/schemas/ids/{number}", headers=self._headers)
            with contextlib.closing(connection.getresponse()) as response:
                answer = response.read(MOST_BYTES + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise AwayError(f"{type(error).__name__}") from None
        finally:
            connection.close()
        if response.status == http.HTTPStatus.NOT_FOUND:
            with contextlib.suppress(msgspec.DecodeError):
                if msgspec.json.decode(answer, type=_Trouble).error_code == NO_SCHEMA:
                    return None
        if response.status != http.HTTPStatus.OK or len(answer) > MOST_BYTES:
            raise AwayError(f"status {response.status} and {len(answer)} bytes")
        try:
            return msgspec.json.decode(answer, type=Told)
        except msgspec.DecodeError as error:
            raise AwayError(f"something that is no schema: {error}") from None
