"""The last line that a benchmark prints: its figures, whether each goal is met, the machine and the versions.

Measuring is left to the benchmark; collecting the lines of all benchmarks to `run_all`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "numpy",
    "faiss-cpu",
    "faiss-gpu",
    "faust-streaming",
    "aiokafka",
    "msgspec",
    "numba",
)
_GOAL = re.compile(r"(ratio|ours) (>=|<=) (\d+(?:\.\d+)?)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value beside what it is judged against.

    Attributes:
      name: what was measured, such as ``learned events``.
      ours: our value, in ``unit``.
      unit: such as ``events/s`` or ``ms``.
      limit: what the machine allows, measured in the same run (the bare computation); or None.
      peer: what another library reached in the same run; or None. A figure has at most one of limit and peer.
      goal: ``ratio >= 0.8``, ``ratio <= 1.15``, ``ours >= 10000`` or ``ours <= 200``; None for a figure without one.
    """

    name: str
    ours: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    goal: str | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.peer is not None:
            raise ValueError(f"{self.name}: expected limit or peer, got both; make two figures")
        for field in ("ours", "limit", "peer"):
            value = getattr(self, field)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{self.name}: {field} must be finite, got {value}; measure again, never report it")
        if self._against() == 0:
            raise ValueError(f"{self.name}: limit or peer is 0, so there is no ratio; measure for longer")
        if self.goal is not None:
            self._judged(self.goal)

    @property
    def ratio(self) -> float | None:
        """`ours` divided by limit or peer; None where there is neither."""
        against = self._against()
        return None if against is None else self.ours / against

    @property
    def ok(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        value, sign, bound = self._judged(self.goal)
        return value >= bound if sign == ">=" else value <= bound

    def as_dict(self) -> dict[str, Any]:
        """The figure as it is printed; limit and peer only where measured."""
        measured = {key: getattr(self, key) for key in ("limit", "peer") if getattr(self, key) is not None}
        return {
            "name": self.name,
            "ours": self.ours,
            **measured,
            "ratio": self.ratio,
            "goal": self.goal,
            "ok": self.ok,
            "unit": self.unit,
        }

    def _against(self) -> float | None:
        return self.limit if self.limit is not None else self.peer

    def _judged(self, goal: str) -> tuple[float, str, float]:
        match = _GOAL.fullmatch(goal)
        if match is None:
            raise ValueError(f"{self.name}: goal must read like 'ratio >= 0.8' or 'ours <= 200', got {goal!r}")
        value = self.ratio if match[1] == "ratio" else self.ours
        if value is None:
            raise ValueError(
                f"{self.name}: goal {goal!r} needs a limit or a peer, got neither; give one, or judge 'ours'"
            )
        return value, match[2], float(match[3])


def report(figure: Figure, *also: Figure, **extras: object) -> None:
    """Print the line that `run_all` reads; call it last.

    Args:
      figure: the benchmark's figure.
      also: further figures of the same run, each with a goal of its own.
      extras: what else a reader may want to know (spread, sizes, percentiles), as JSON values.
    """
    print(last_line(figure, *also, machine=machine(), versions=versions(), **extras), flush=True)


def last_line(
    figure: Figure, *also: Figure, machine: Mapping[str, object], versions: Mapping[str, str], **extras: object
) -> str:
    """The same line as text.

    Raises:
      ValueError: an extra has the name of a field of the line, or is not JSON (NaN and infinity included).
    """
    line: dict[str, object] = {**figure.as_dict(), "machine": dict(machine), "versions": dict(versions)}
    if also:
        line["also"] = [each.as_dict() for each in also]
    taken = sorted(line.keys() & extras.keys())
    if taken:
        raise ValueError(f"extras must have names of their own, got {taken}; rename them")
    return json.dumps({**line, **extras}, allow_nan=False)


def machine() -> dict[str, object]:
    """What the figures depend on: processor, cores that we may use, memory, system, Python; no host name."""
    return {
        "cpu": _first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "core_count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Installed version of each package that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _first_value(path: str, key: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)
