"""How long the parts of a start took, from the start of the process on, for the one line that a role says of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IMPORTED_S = time.monotonic()
_STARTED_FIELD = 19
"""Of ``/proc/self/stat`` behind the program's name: clock ticks from the machine's start to the process's."""


class Stopwatch:
    """Parts one after the other; the first began with the process."""

    def __init__(self) -> None:
        self._began_s = self._last_s = time.monotonic() - process_age_s()
        self._parts: list[tuple[str, float]] = []

    def note(self, part: str) -> None:
        """What was done since the part before."""
        now_s = time.monotonic()
        self._parts.append((part, now_s - self._last_s))
        self._last_s = now_s

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {taken_s:.2f}" for part, taken_s in self._parts)
        return f"{self._last_s - self._began_s:.1f} s: {parts}"


def process_age_s() -> float:
    """Seconds since this process started; since this module was imported where the system does not say."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTED_FIELD]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED_S
