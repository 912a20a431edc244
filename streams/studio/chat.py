"""The engine `chat`: a language model behind an address that speaks OpenAI's chat protocol, held to the same rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streams.contract.events import ContentKind
from streams.cores import blurb, blurb_prompts, blurb_rules
from streams.studio import footage, written
from streams.studio.chat_client import ask
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.means import Endpoint, Means

TRIES: Final = 3
"""Texts that are asked for, one after the other, until one keeps to the rules."""
MOST_TOKENS: Final = 200


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
                "messages": messages, "max_tokens": MOST_TOKENS, "temperature": 0.7,
                "top_p": 0.9, "seed": (job.seed + place) % 2**31, "stream": False,
            },
            timeout_s=max(1.0, job.seconds / (TRIES + 1)),
        )  # fmt: skip


chat = Chat()
