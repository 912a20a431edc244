"""The only file that imports prometheus_client: a board's figures as Prometheus and OpenMetrics text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from streams.telemetry.board import Board
from streams.telemetry.durations import Histogram
from streams.telemetry.exported import ANSWER_BOUNDS_S, BUILD_INFO, Exported, of_role

ROLE: Final = "role"
"""The label that every metric of ours has."""
_FAMILIES: Final[Mapping[str, Any]] = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class BoardCollector(Collector):
    """Makes metrics of a board, when somebody asks."""

    def __init__(self, board: Board, *, version: str) -> None:
        self._board = board
        self._version = version
        self._exported = of_role(board.role)

    def collect(self) -> Iterable[Metric]:
        """Every metric whose figure has been told."""
        name, text = BUILD_INFO
        info = GaugeMetricFamily(name, text, labels=[ROLE, "version"])
        info.add_metric([self._board.role, self._version], 1.0)
        yield info
        for name, ones in self._exported.items():
            found = self._histogram(name, ones[0]) if ones[0].kind == "histogram" else self._family(name, ones)
            if found.samples:
                yield found

    def _family(self, name: str, ones: Sequence[Exported]) -> Metric:
        family = _FAMILIES[ones[0].kind](name, ones[0].help, labels=[ROLE, *ones[0].labels])
        for one in ones:
            value = self._board.figure(one.series, one.value, since_start=one.since_start)
            if value is not None:
                family.add_metric([self._board.role, *one.labels.values()], value * one.scale)
        return family  # type: ignore[no-any-return]

    def _histogram(self, name: str, one: Exported) -> Metric:
        family = HistogramMetricFamily(name, one.help, labels=[ROLE])
        found = self._board.histogram(one.value)
        if found is not None:
            family.add_metric([self._board.role], buckets_of(found), found.sum_s)
        return family


def buckets_of(found: Histogram) -> list[tuple[str, float]]:
    """Counts up to each bound, as Prometheus wants them."""
    bounds = [*map(str, ANSWER_BOUNDS_S), "+Inf"]
    return list(zip(bounds, map(float, accumulate(found.counts)), strict=True))


def metrics_app(board: Board, *, version: str) -> Callable[..., Any]:
    """A WSGI application that answers with a board's metrics, and with those of the process itself."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(board, version=version))
    ProcessCollector(registry=registry)
    return make_wsgi_app(registry)
