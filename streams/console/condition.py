"""How the console stands, for its board: figures that its page *Now* shows too."""

from __future__ import annotations

from streams.console.live import Live
from streams.console.watching import Watching
from streams.telemetry.durations import Histogram


class ConsoleCondition:
    """Ready once everything that was there has been read and while the broker answers, as its own ``/healthz`` says."""

    def __init__(self, watching: Watching, live: Live) -> None:
        self._watching = watching
        self._live = live

    def lacking(self) -> str | None:
        """As of `Watched`."""
        if (problem := self._watching.board.problem) is not None:
            return problem
        return None if self._watching.is_caught_up else "reading the topics"

    def figures(self) -> dict[str, dict[str, float]]:
        """As of `Watched`."""
        newest = self._live.newest
        levels = [alarm["level"] for alarm in newest["alarms"]]
        values = {f"alarms {level}": float(levels.count(level)) for level in ("warn", "bad")}
        told = {name: newest[name] for name in ("trainer_lag", "slate_lag", "items", "streams")}
        return {"console": values | {name: float(value) for name, value in told.items() if value is not None}}

    def histograms(self) -> dict[str, Histogram]:
        """As of `Watched`."""
        return {}
