"""Lines in another language, by an OpenAI-compatible service that the installation names; nothing else translates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from streams.cores.cues import clean
from streams.studio.chat_client import ask
from streams.studio.means import Endpoint
from streams.studio.speech_means import SpeechMeans

BATCH: Final = 30
"""Lines in one question."""
ANSWER_S: Final = 120.0
MAX_TOKENS: Final = 4096
MAX_LINE: Final = 1_000
ORDER: Final = (
    "You translate subtitles for dubbing. The user gives a JSON array of lines in {source}. Answer with a JSON array "
    "of the same length and order, each line in {target}, about as long to say as the original. No other text."
)


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
        "temperature": 0, "seed": seed, "max_tokens": MAX_TOKENS,
        "messages": [
            {"role": "system", "content": ORDER.format(source=source, target=target)},
            {"role": "user", "content": msgspec.json.encode(list(batch)).decode()},
        ],
    }  # fmt: skip
    endpoint = Endpoint(url=means.translate_url, model=means.translate_model, key=means.translate_key)
    text = ask(endpoint, question, timeout_s=ANSWER_S)
    try:
        lines = msgspec.json.decode(text[text.index("[") : text.rindex("]") + 1], type=list[str])
    except (ValueError, msgspec.DecodeError):
        return None
    if len(lines) != len(batch):
        return None
    return [clean(line)[:MAX_LINE] or None for line in lines]
