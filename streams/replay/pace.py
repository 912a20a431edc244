"""When each event of a replay is due: as fast as possible, so many a second, or so many times the speed of life."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.errors import ReplayError

_FASTER: Final = re.compile(r"(\d+(?:\.\d+)?)x")
_PER_SECOND: Final = re.compile(r"(\d+(?:\.\d+)?)/s")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a log is played; with neither given as fast as possible.

    Attributes:
      speedup: seconds of the log in one second of the replay, > 0.
      per_second: events a second, > 0.
    """

    speedup: float | None = None
    per_second: float | None = None

    @staticmethod
    def parse(text: str) -> Pace:
        """The pace in words: ``max``, ``10x`` or ``500/s``.

        >>> Pace.parse("10x")
        Pace(speedup=10.0, per_second=None)

        Raises:
          ReplayError: neither of these, or not above zero.
        """
        if text == "max":
            return Pace()
        for pattern, field in ((_FASTER, "speedup"), (_PER_SECOND, "per_second")):
            match = pattern.fullmatch(text)
            if match and float(match[1]) > 0:
                return Pace(**{field: float(match[1])})
        raise ReplayError(f"expected a rate like max, 10x or 500/s, above zero, got {text!r}")

    def schedule_s(self, time_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Seconds after the start at which each event is due, never decreasing.

        Args:
          time_ms: event times in order, [E].
        """
        if self.speedup is not None:
            since_ms = (time_ms - time_ms[:1]).astype(np.float64)
            return since_ms / (1_000.0 * self.speedup)
        if self.per_second is not None:
            return np.arange(len(time_ms), dtype=np.float64) / self.per_second
        return np.zeros(len(time_ms), dtype=np.float64)
