"""A question to a server of OpenAI's chat protocol, and the text of its answer: for what writes and what translates.

No redirect is followed and no proxy used, so that the key goes nowhere else; no error names it.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from streams.studio.errors import EngineError
from streams.studio.means import Endpoint

MOST_BYTES: Final = 1 << 20
"""Longest answer that is read."""


class _Message(msgspec.Struct):
    content: str = ""


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: list[_Choice]


def ask(endpoint: Endpoint, question: dict[str, Any], *, timeout_s: float) -> str:
    """The text of one answer.

    Args:
      question: the request's body, but for the model.

    Raises:
      EngineError: the server cannot be reached or answers something else, or a key would go to another machine in
        the clear.
    """
    parts = urlsplit(endpoint.url)
    host = parts.hostname or ""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    key = endpoint.key.strip()  # variables often end with the line of the file that they came from
    if not (key.isascii() and key.isprintable()):  # what HTTP says of such a header has the key in it
        raise EngineError(f"expected a key for {host} of printable ASCII, got another; mend its setting")
    if key:
        if parts.scheme != "https" and not is_loopback(host):
            raise EngineError(f"expected https to {host}, as a key goes with it, got http; use https")
        headers["Authorization"] = f"Bearer {key}"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    body = msgspec.json.encode({**question, "model": endpoint.model})
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/chat/completions", body=body, headers=headers)
        with contextlib.closing(connection.getresponse()) as response:
            answer = response.read(MOST_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise EngineError(f"expected an answer of {host}, got {type(error).__name__}; is it there?") from None
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK or len(answer) > MOST_BYTES:
        raise EngineError(
            f"expected status 200 and at most {MOST_BYTES} bytes of {host}, got {response.status} and {len(answer)}"
        )
    try:
        return msgspec.json.decode(answer, type=_Reply).choices[0].message.content
    except (msgspec.DecodeError, IndexError) as error:
        raise EngineError(f"expected choices with a message's content of {host}, got: {error}") from error


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
