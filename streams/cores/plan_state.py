"""The planner's state as named arrays and back: for snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.contract.events import ContentKind
from streams.cores.arm_book import Page
from streams.cores.cells import Key
from streams.cores.demand import COLUMNS, Profile
from streams.cores.event_clock import IN_A_ROW, EventClock
from streams.cores.plan import Open, PlanConfig, Planner
from streams.cores.recoveries import Made
from streams.cores.tracks import Tracks
from streams.errors import DurabilityError

FORMAT = 1


class PlanStateError(DurabilityError):
    """A saved state that this version cannot read."""


class _Saved(msgspec.Struct, kw_only=True):
    """All that is not counts."""

    format: int
    keys: list[Key]
    items: dict[str, Tracks]
    profiles: list[tuple[tuple[str, ...], str]]
    users: dict[str, int]
    arms: dict[str, tuple[ContentKind, str, str]]
    open: dict[str, Open]
    made: dict[str, Made]
    now_ms: int | None
    ended_ms: int
    day: int
    spent: dict[str, int]
    taken: int
    repeated: int
    pruned: int
    recent: list[str]
    before: list[str]
    pages: dict[str, Page] = {}
    armed: dict[str, int] = {}
    told_ms: int = 0
    apart: list[int] = []
    near: int = IN_A_ROW


def to_arrays(planner: Planner) -> dict[str, NDArray[Any]]:
    """The whole state, copied; ``from_arrays`` goes on from it to the same tasks."""
    demand, cells = planner.demand, planner.demand.cells
    cells.flush()
    size = len(cells.keys)
    codes: dict[Profile, int] = {}
    users = {user: codes.setdefault(profile, len(codes)) for user, profile in demand.users.items()}
    saved = _Saved(
        format=FORMAT, keys=cells.keys, items=demand.items, profiles=[(one.languages, one.segment) for one in codes],
        users=users, arms=demand.arms, open=planner.open, made=planner.made, now_ms=planner.now_ms,
        ended_ms=planner.ended_ms, day=planner.day, spent=planner.spent, taken=planner.taken,
        repeated=planner.repeated, pruned=cells.pruned, recent=list(planner.recent), before=list(planner.before),
        pages=planner.book.pages, armed=demand.armed, told_ms=planner.told_ms,
        apart=planner.clock.apart, near=planner.clock.near,
    )  # fmt: skip
    return {
        "whole": cells.whole[:size].copy(),
        "window": cells.window[:size].copy(),
        "faded": cells.faded[:size].copy(),
        "rest": np.frombuffer(msgspec.json.encode(saved), np.uint8),
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]], config: PlanConfig) -> Planner:
    """The planner of a saved state.

    Raises:
      PlanStateError: the arrays are not what ``to_arrays`` of this version gives.
    """
    try:
        saved = msgspec.json.decode(arrays["rest"].tobytes(), type=_Saved)
        whole, window, faded = arrays["whole"], arrays["window"], arrays["faded"]
    except (KeyError, msgspec.DecodeError) as error:
        raise PlanStateError(
            f"expected a planner's state of format {FORMAT}, got: {error}; move its snapshots away to count anew"
        ) from error
    shape = (len(saved.keys), COLUMNS)
    if saved.format != FORMAT or not whole.shape == window.shape == faded.shape == shape:
        raise PlanStateError(
            f"expected a planner's state of format {FORMAT} and counts of shape {shape}, got format {saved.format} and "
            f"{whole.shape}; move its snapshots away to count anew"
        )
    planner = Planner(config)
    demand = planner.demand
    demand.cells.restore(saved.keys, whole, window, faded)
    demand.cells.pruned = saved.pruned
    demand.items, demand.arms = saved.items, saved.arms
    profiles = [Profile(*one) for one in saved.profiles]
    demand.users = {user: profiles[code] for user, code in saved.users.items()}
    planner.open, planner.made = saved.open, saved.made
    planner.clock = EventClock(saved.now_ms, saved.apart, saved.near)
    planner.ended_ms, planner.day, planner.spent = saved.ended_ms, saved.day, saved.spent
    planner.taken, planner.repeated = saved.taken, saved.repeated
    planner.book.pages, demand.armed, planner.told_ms = saved.pages, saved.armed, saved.told_ms
    planner.recent, planner.before = dict.fromkeys(saved.recent), dict.fromkeys(saved.before)
    return planner
