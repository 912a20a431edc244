"""Engines by capability: what one is, which there are, in which order they are tried, and why one is not available."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from streams.contract.events import ContentKind, Item
from streams.errors import SettingsError
from streams.studio.checks import Check
from streams.studio.means import Means
from streams.studio.media import Limits
from streams.studio.speech_means import SpeechMeans

BUILT_IN: Final = (
    "streams.studio.cut:reel",
    "streams.studio.follow:follow",
    "streams.studio.image:frame",
    "streams.studio.subtitles:cues",
    "streams.studio.subtitles:whisper",
    "streams.studio.dub:dub",
    "streams.studio.chat:chat",
    "streams.studio.smollm:smollm",
    "streams.studio.blurb:extract",
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One content task, ready to be rendered.

    Attributes:
      spec: what the task asks for, see docs/studio.md.
      seed: of every random choice.
      source: an absolute path of the item's media; None: it has none.
      text_source: the same of its subtitles. text_language: theirs; empty: that of the task.
      lacks_text: why there is no text source although the item has texts.
      speech: what the installation speaks, hears and translates with.
      seconds, memory_bytes, file_bytes: what may be used.
    """

    task_id: str
    kind: ContentKind
    item: Item
    spec: dict[str, Any] = {}
    locale: str | None = None
    seed: int = 0
    source: str | None = None
    text_source: str | None = None
    text_language: str = ""
    lacks_text: str | None = None
    speech: SpeechMeans = SpeechMeans()
    seconds: float = 300.0
    memory_bytes: int = 3 << 30
    file_bytes: int = 8 << 30

    @property
    def limits(self) -> Limits:
        """For each program that works on it."""
        return Limits(seconds=self.seconds, memory_bytes=self.memory_bytes, file_bytes=self.file_bytes)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine made: a file in its work folder, and what its own checks say of it.

    Attributes:
      path: the file. beside: further files for a person (an edit list, the other text format).
      media_type, suffix: as "video/mp4" and ".mp4".
      duration_ms: of what plays.
      checks: every one of them must be well, or the draft is thrown away.
    """

    path: str
    media_type: str
    suffix: str
    checks: list[Check]
    duration_ms: int | None = None
    beside: list[str] = []


@runtime_checkable
class Backend(Protocol):
    """An engine. It is called in a process of its own, which may be ended at any time.

    Attributes:
      name: told in every record. version: changes where its output does.
      capability: the kind of task that it takes.
      requires: what it needs, in words. licence: of its code and weights, as SPDX writes it.
      weights_sha256: hash of the weights, or empty.
    """

    name: str
    version: str
    capability: ContentKind
    requires: str
    licence: str
    weights_sha256: str

    def available(self) -> str | None:
        """Why it cannot work on this machine; None: it can."""

    def produce(self, job: Job, workdir: Path) -> Draft:
        """Makes the file in ``workdir``, the same for the same job.

        Raises:
          StudioError: it cannot; the text is the reason that the task's record may carry.
        """


@runtime_checkable
class Equippable(Backend, Protocol):
    """An engine that uses something of the installation beside what is installed."""

    def equipped(self, means: Means) -> Backend:
        """The same engine with these means."""


def load(names: Sequence[str] = (), means: Means | None = None) -> list[Backend]:
    """The engines in the order in which they are tried: those named first, then the built-in ones.

    Args:
      names: names of built-in engines, or ``module:object`` of others.
      means: for those that use them; None: what is installed must do.

    Raises:
      SettingsError: one is not there or is no engine.
    """
    built_in = {engine.name: engine for engine in map(_import, BUILT_IN)}
    first = [built_in[name] if name in built_in else _import(name) for name in names]
    every = first + [engine for engine in built_in.values() if engine not in first]
    if means is None:
        return every
    return [engine.equipped(means) if isinstance(engine, Equippable) else engine for engine in every]


def order(engines: Sequence[Backend], kind: str, *, skip: Sequence[str] = ()) -> list[Backend]:
    """Those that take a kind of task, without the ones to skip."""
    return [engine for engine in engines if engine.capability == kind and engine.name not in skip]


def _import(name: str) -> Backend:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise SettingsError(f"expected an engine's name or module:object in studio.engines, got {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"expected an engine at {name}, got: {error}; check studio.engines") from error
    if not isinstance(found, Backend):
        raise SettingsError(f"expected an engine at {name}, got {type(found).__name__}; see docs/studio.md")
    return found
