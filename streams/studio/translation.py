"""Lines in another language, by an OpenAI-compatible service that the installation names; nothing else translates."""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from streams.cores.cues import clean
from streams.studio.errors import EngineError
from streams.studio.speech_means import SpeechMeans

BATCH: Final = 30
"""Lines in one question."""
MOST_BYTES: Final = 4 << 20
ANSWER_S: Final = 120.0
MAX_TOKENS: Final = 4096
MAX_LINE: Final = 1_000
ORDER: Final = (
    "You translate subtitles for dubbing. The user gives a JSON array of lines in {source}. Answer with a JSON array "
    "of the same length and order, each line in {target}, about as long to say as the original. No other text."
)


class _Message(msgspec.Struct):
    content: str = ""


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]


def translate(lines: Sequence[str], *, source: str, target: str, means: SpeechMeans, seed: int = 0) -> list[str | None]:
    """Each line in another language; None where the service gave none for it.

    A batch whose answer has another number of lines is asked again line by line.

    Args:
      lines: texts. source, target: languages, as "en"; ``source`` may be empty: not known.
      means: address, model and key. seed: passed on.

    Raises:
      EngineError: the service is not there, refuses, or answers what is no answer.
    """
    found: list[str | None] = []
    for at in range(0, len(lines), BATCH):
        batch = list(lines[at : at + BATCH])
        answer = _ask(batch, source or "any language", target, means, seed)
        if answer is None and len(batch) > 1:
            alone = [_ask([line], source or "any language", target, means, seed) for line in batch]
            found += [one[0] if one else None for one in alone]
        else:
            found += answer if answer is not None else [None]
    return found


def _ask(batch: Sequence[str], source: str, target: str, means: SpeechMeans, seed: int) -> list[str | None] | None:
    """The answer, line by line; None: it is not as many lines."""
    question = {
        "model": means.translate_model, "temperature": 0, "seed": seed, "max_tokens": MAX_TOKENS,
        "messages": [
            {"role": "system", "content": ORDER.format(source=source, target=target)},
            {"role": "user", "content": msgspec.json.encode(list(batch)).decode()},
        ],
    }  # fmt: skip
    body = _post(means, msgspec.json.encode(question))
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        text = answer.choices[0].message.content
    except (msgspec.DecodeError, IndexError) as error:
        raise EngineError(f"expected an answer of a chat service at speech.translate_url, got: {error}") from error
    try:
        lines = msgspec.json.decode(text[text.index("[") : text.rindex("]") + 1], type=list[str])
    except (ValueError, msgspec.DecodeError):
        return None
    if len(lines) != len(batch):
        return None
    return [clean(line)[:MAX_LINE] or None for line in lines]


def _post(means: SpeechMeans, body: bytes) -> bytes:
    parts = urlsplit(means.translate_url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=ANSWER_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=ANSWER_S)
    headers: dict[str, Any] = {"Content-Type": "application/json"}
    if means.translate_key:
        if parts.scheme != "https" and not is_loopback(host):
            raise EngineError("expected https in speech.translate_url, as a key goes with it, got http; use https")
        headers["Authorization"] = f"Bearer {means.translate_key}"
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/chat/completions", body, headers)
        response = connection.getresponse()
        data = response.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(f"expected {host} to translate, got: {error}; see speech.translate_url") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise EngineError(f"expected {host} to translate, got status {response.status}; see speech.translate_url")
    if len(data) > MOST_BYTES:
        raise EngineError(f"expected at most {MOST_BYTES} bytes from {host}, got more")
    return data


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
