"""What a role has told of itself last, held for whoever asks over HTTP.

The role's event loop writes, threads of the server read: whole values are exchanged, never changed in place. Costs the
role one call a second, and one where it makes figures anyway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from streams.telemetry import health
from streams.telemetry.durations import Histogram
from streams.telemetry.health import Verdict

BEAT_S: Final = 1.0
"""Between two looks at the role."""


class Watched(Protocol):
    """What a role lets be asked, on its event loop, once a second; both must be quick."""

    def lacking(self) -> str | None:
        """What it still waits for before it does its work; None: nothing."""
        ...

    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """Series -> figures, as `exported.EXPORTED` names them."""
        ...

    def histograms(self) -> Mapping[str, Histogram]:
        """Figure -> what was counted."""
        ...


class Board:
    """One process's figures and condition.

    Args:
      role: whose. stall_s: as of `MetricsSettings`. is_away: whether the broker is, as far as is known.
      now_s: monotonic seconds.
    """

    def __init__(
        self,
        role: str,
        *,
        stall_s: float = 60.0,
        is_away: Callable[[], bool] = lambda: False,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.role = role
        self._stall_s = stall_s
        self._is_away = is_away
        self._now_s = now_s
        self._series: dict[str, dict[str, float]] = {}
        self._first: dict[tuple[str, str], float] = {}
        self._histograms: dict[str, Histogram] = {}
        self._beat_s: float | None = None
        self._delay_s = 0.0
        self._lacking: str | None = health.STARTING
        self._is_draining = False

    # --- the role's side, on its event loop ------------------------------------------------------------------------

    def hear(self, series: str, values: Mapping[str, float]) -> None:
        """Takes the newest figures of a series; any thread may call it."""
        self._series[series] = dict(values)
        for name, value in values.items():
            self._first.setdefault((series, name), value)

    def beat(self, watched: Watched, *, late_s: float = 0.0) -> None:
        """The event loop lives, and this is how the role stands."""
        self._beat_s, self._delay_s = self._now_s(), max(0.0, late_s)
        for series, values in watched.figures().items():
            self.hear(series, values)
        self._histograms = dict(watched.histograms())
        self._lacking = watched.lacking()

    def drain(self) -> None:
        """The role is asked to end: not ready any more, whatever it still does."""
        self._is_draining = True

    async def run(self, watched: Watched) -> None:
        """Beats until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            await asyncio.sleep(BEAT_S)
            self.beat(watched, late_s=loop.time() - began_s - BEAT_S)

    # --- the server's side, on threads of its own --------------------------------------------------------------------

    def alive(self) -> Verdict:
        """The answer to ``/healthz``."""
        return health.alive(silence_s=self._silence_s(), stall_s=self._stall_s)

    def ready(self) -> Verdict:
        """The answer to ``/readyz``."""
        return health.ready(has_begun=self._beat_s is not None, is_draining=self._is_draining, lacking=self._lacking)

    def figure(self, series: str, value: str, *, since_start: bool = False) -> float | None:
        """A figure as it was told last, or what it has gained in this process; None: never told."""
        if series == "process":
            return self._process().get(value)
        found = self._series.get(series, {}).get(value)
        if found is None or not since_start:
            return found
        return max(0.0, found - self._first[series, value])

    def histogram(self, value: str) -> Histogram | None:
        """What was counted; None: nothing is."""
        return self._histograms.get(value)

    def _silence_s(self) -> float | None:
        return None if self._beat_s is None else max(0.0, self._now_s() - self._beat_s)

    def _process(self) -> dict[str, float]:
        silence_s = self._silence_s()
        found = {
            "ready": float(self.ready().is_well), "draining": float(self._is_draining),
            "broker_away": float(self._is_away()),
        }  # fmt: skip
        return found if silence_s is None else found | {"loop_silence_s": silence_s, "loop_delay_s": self._delay_s}
