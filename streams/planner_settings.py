"""The settings of the planner; `settings.py` reads them with all the others."""

from __future__ import annotations

import dataclasses

from streams.setting_kinds import Checked, flag, share, whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannerSettings(Checked):
    """How the planner turns demand into content tasks; docs/studio.md says what each number does.

    Attributes:
      enabled: `marquee run` starts a planner too.
      window_minutes: of event time; tasks are chosen when one ends.
      half_life_days: in which what was counted fades to a half.
      open_days: a task is wanted for so long.
      day_budget: tasks published a day of event time, in all.
      blurb_budget, image_budget, cut_budget, dub_budget, subtitles_budget: the same, by kind.
      confidence: a cell is deprived with at least this probability before it gets a task.
      long_minutes: from this duration on an item may have a cut.
      max_cells, max_users: how many are held.
      snapshot_every_events: interactions between two snapshots; 0 writes one only at a clean end.
      keep_snapshots: how many of them stay on disk.
    """

    enabled: bool = flag(False)
    window_minutes: int = whole(360, least=1, most=44_640)
    half_life_days: int = whole(30, least=1, most=3_650)
    open_days: int = whole(14, least=1, most=3_650)
    day_budget: int = whole(100, least=0)
    blurb_budget: int = whole(50, least=0)
    image_budget: int = whole(50, least=0)
    cut_budget: int = whole(10, least=0)
    dub_budget: int = whole(10, least=0)
    subtitles_budget: int = whole(30, least=0)
    confidence: float = share(0.998)
    long_minutes: int = whole(40, least=1)
    max_cells: int = whole(200_000, least=1_000)
    max_users: int = whole(1_000_000, least=1_000)
    snapshot_every_events: int = whole(100_000, least=0)
    keep_snapshots: int = whole(2, least=1)
