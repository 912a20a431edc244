"""Which events are alike: the groups that figures are told apart by."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.evaluate.passage import Passage, activity
from models.typing import I32, I64

HISTORY_EDGES = (5, 20, 100)
"""Events of the user before; a cold user has fewer than the first."""
SIGHTINGS_EDGES = (5, 50, 500)
"""Events on the item before; a cold item has fewer than the first."""
ACTIVITY_EDGES = (1, 5, 20)
"""Events of the user within the last `ACTIVITY_MS`."""
ACTIVITY_MS = 7 * 86_400_000
SURFACES_SHOWN = 8
CURVE_POINTS = 20


class Segments(NamedTuple):
    """One way to tell events apart.

    Attributes:
      name: what tells them apart. labels: of the G groups. group: of each event, int32 [E].
    """

    name: str
    labels: tuple[str, ...]
    group: I32


def segments_of(passage: Passage, at: I64, surface: I32, surfaces: Sequence[str]) -> list[Segments]:
    """By the user's history, the item's sightings, the user's activity, and the surface where the log has some.

    Args:
      at: places of the events in the passage, int64 [E]. surface: code of each of them into ``surfaces``, int32 [E].
    """
    found = [
        _by_edges("user's events before", passage.pos[at], HISTORY_EDGES, first=" (new)"),
        _by_edges("item's events before", passage.sightings[at], SIGHTINGS_EDGES, first=" (new)"),
        _by_edges("user's events in 7 days", activity(passage, ACTIVITY_MS)[at], ACTIVITY_EDGES),
    ]
    if len(surfaces) > 1:
        found.append(_by_surface(surface, surfaces))
    return found


def curve_of(at: I64) -> Segments:
    """Up to `CURVE_POINTS` groups of as many events each, in playing order."""
    points = min(CURVE_POINTS, max(1, len(at)))
    group = (np.arange(len(at), dtype=np.int64) * points // max(1, len(at))).astype(np.int32)
    return Segments("time", tuple(str(point) for point in range(points)), group)


def _by_edges(name: str, value: I32, edges: tuple[int, ...], *, first: str = "") -> Segments:
    middle = [f"{low}-{high - 1}" for low, high in itertools.pairwise(edges)]
    lowest = "0" if edges[0] == 1 else f"0-{edges[0] - 1}"
    group = np.searchsorted(np.array(edges), value, side="right").astype(np.int32)
    return Segments(name, (lowest + first, *middle, f"{edges[-1]} or more"), group)


def _by_surface(surface: I32, surfaces: Sequence[str]) -> Segments:
    counts = np.bincount(surface, minlength=len(surfaces))
    order = np.argsort(-counts, kind="stable")
    shown = [int(code) for code in order[:SURFACES_SHOWN] if counts[code]]
    labels = [surfaces[code] or "(none)" for code in shown]
    group_of = np.full(len(surfaces), len(shown), np.int32)
    group_of[shown] = np.arange(len(shown))
    if counts.sum() > counts[shown].sum():
        labels.append("all others")
    return Segments("surface", tuple(labels), group_of[surface])
