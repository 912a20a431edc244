"""What the studio worker and the planner tell of themselves on `metrics.v1`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from streams.contract import codec, rules
from streams.contract.events import ContentAsset, Metric
from streams.transport.publish import Out

TELL_EVERY_S: Final = 5.0
"""Between two looks at the figures."""
SIGN_OF_LIFE_S: Final = 30.0
"""Longest time without a record of a series while nothing changes."""
RENDER: Final = "render/"
"""What the series of one render begins with; its task's id follows."""


class Teller:
    """Makes records of a series; the same figures again only as a sign of life.

    Args:
      topic: `metrics.v1`, with prefix.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._last: dict[str, tuple[dict[str, float], float]] = {}
        self.hear: Callable[[str, Mapping[str, float]], None] = lambda _series, _values: None
        """Gets the figures too, each time, under the first part of the series' name: what follows names a task."""

    def tell(
        self, series: str, values: Mapping[str, float], *, at_ms: int, step: int, events: int, now_s: float
    ) -> Iterator[Out]:
        """One record, or none. ``now_s`` is monotonic."""
        self.hear(series.partition("/")[0], values)
        series = series[: rules.MAX_ID_CHARS]
        figures, said_s = self._last.get(series, ({}, -SIGN_OF_LIFE_S))
        if values == figures and now_s - said_s < SIGN_OF_LIFE_S:
            return
        self._last[series] = (dict(values), now_s)
        metric = Metric(series=series, at_ms=max(0, at_ms), step=step, events=max(0, events), values=dict(values))
        yield Out(topic=self._topic, key=series.encode(), value=codec.encode(metric))

    def forget(self, series: str) -> None:
        """There will be no more of it."""
        self._last.pop(series[: rules.MAX_ID_CHARS], None)


class Tally:
    """What became of the tasks of one worker since it started."""

    def __init__(self) -> None:
        self.counts = {"done": 0.0, "failed": 0.0, "rejected": 0.0}

    def take(self, record: ContentAsset) -> None:
        """One more."""
        self.counts[record.status] += 1

    def figures(
        self, *, waiting: int, under_way: Mapping[str, float], rendered_s: float, now_s: float
    ) -> dict[str, float]:
        """The values of the series `studio`; ``under_way``: task -> since when, monotonic seconds."""
        oldest_s = max((now_s - since_s for since_s in under_way.values()), default=0.0)
        return {
            **self.counts, "waiting": float(waiting), "rendering": float(len(under_way)),
            "rendered_s": round(rendered_s, 1), "oldest_render_s": round(oldest_s, 1),
        }  # fmt: skip

    @property
    def answered(self) -> int:
        """Records told."""
        return int(sum(self.counts.values()))
