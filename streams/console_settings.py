"""The table ``[console]`` of the settings: where the console listens, and who may change anything by it."""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

from streams.listen_settings import ListenSettings
from streams.setting_kinds import text, whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleSettings(ListenSettings):
    """Where the console listens, and who may change anything by it; docs/console.md says more.

    Attributes:
      token: what a change must bring in its header; none: nothing can be changed.
      streams: event streams open at a time; each open page is one.
      content_prefix: of the topics of planner and studio, where it is another one than the engine's.
    """

    TABLE: ClassVar[str] = "console"

    port: int = whole(8088, least=0, most=65_535)
    streams: int = whole(64, least=1, most=10_000)
    content_prefix: str = text("", expected="letters, digits, '.', '_' and '-', 100 at most", accepts=lambda value: (
        re.fullmatch(r"[A-Za-z0-9._-]{0,100}", value) is not None
    ))  # fmt: skip
