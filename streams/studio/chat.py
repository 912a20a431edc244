"""The engine `chat`: a language model behind an address that speaks OpenAI's chat protocol, held to the same rules."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from streams.contract.events import ContentKind
from streams.cores import blurb, blurb_prompts, blurb_rules
from streams.studio import footage, written
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.means import Endpoint, Means

TRIES: Final = 3
"""Texts that are asked for, one after the other, until one keeps to the rules."""
MOST_BYTES: Final = 1 << 20
MOST_TOKENS: Final = 200


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: list[_Choice]


class Chat:
    """Whatever model the address has; its name is part of the version. It may read a record in any language."""

    name = "chat"
    version = "1"
    capability: ContentKind = "blurb"
    requires = "studio.chat_url and studio.chat_model"
    licence = "LicenseRef-of-the-server"
    weights_sha256 = ""

    def __init__(self, means: Means | None = None) -> None:
        self.means = means or Means()
        if self.means.chat is not None:
            self.version = f"1 {self.means.chat.model}"

    def equipped(self, means: Means) -> Chat:
        """The engine that asks the server of these means."""
        return Chat(means)

    def available(self) -> str | None:
        """Whether an address is configured; whether it answers is found out by asking."""
        return None if self.means.chat is not None else "expected studio.chat_url, got none; no server is asked"

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``max_chars`` (280)."""
        most = round(footage.number_in(job.spec, "max_chars", blurb.MOST_CHARS, least=20, most=2000))
        reason = blurb_rules.why_not_english(job.item, job.locale, translates=True)
        if reason is not None:
            raise SpecError(reason)
        if self.means.chat is None or not blurb.record_words(job.item):
            raise EngineError("expected an address, and an item with a title, tags or text; got none")
        texts = _texts(self.means.chat, job)
        return written.first_fit(texts, job.item, workdir, most_chars=most, is_closed=False)


def _texts(endpoint: Endpoint, job: Job) -> Iterator[str]:
    """Answers, each asked for when it is needed."""
    turns = blurb_prompts.conversation(job.item)
    wish = "Answer in English, with one or two sentences and nothing else."
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    messages[0] = {"role": "system", "content": f"{turns[0].text} {wish}"}
    for place in range(TRIES):
        yield ask(
            endpoint,
            {
                "model": endpoint.model, "messages": messages, "max_tokens": MOST_TOKENS, "temperature": 0.7,
                "top_p": 0.9, "seed": (job.seed + place) % 2**31, "stream": False,
            },
            timeout_s=max(1.0, job.seconds / (TRIES + 1)),
        )  # fmt: skip


def ask(endpoint: Endpoint, question: dict[str, Any], *, timeout_s: float) -> str:
    """The text of one answer. No redirect is followed, so that the key goes nowhere else.

    Raises:
      EngineError: the server cannot be reached, or answers something else; the text never has the key.
    """
    parts = urlsplit(endpoint.url)
    if parts.hostname is None:
        raise EngineError("expected an address with a host in studio.chat_url, got none")
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        path = f"{parts.path.rstrip('/')}/chat/completions"
        connection.request("POST", path, body=msgspec.json.encode(question), headers=headers)
        with contextlib.closing(connection.getresponse()) as response:
            body = response.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(
            f"expected an answer of {parts.hostname}, got {type(error).__name__}; is it there?"
        ) from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK or len(body) > MOST_BYTES:
        raise EngineError(f"expected status 200 and at most {MOST_BYTES} bytes, got {response.status} and {len(body)}")
    try:
        return msgspec.json.decode(body, type=_Reply).choices[0].message.content
    except (msgspec.DecodeError, IndexError) as error:
        raise EngineError(f"expected choices with a message's content, got: {error}") from error


chat = Chat()
