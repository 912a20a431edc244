"""What `content-tasks.v1` and `content-assets.v1` say, as lines that the screen can draw. No IO, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from streams.contract.events import ContentAsset, ContentTask

State = Literal["wanted", "made", "not made"]
ORDER: Final[tuple[State, ...]] = ("made", "wanted", "not made")
LANGUAGES: Final = {"de": "German", "en": "English", "fr": "French", "es": "Spanish"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task: what for whom, by which counts, and what became of it."""

    kind: str
    title: str
    audience: str
    gain: str
    why: str
    state: State
    became: str


@dataclass(frozen=True, kw_only=True)
class Making:
    """All of them, and how many there are of each state."""

    lines: tuple[Line, ...] = ()
    tasks: int = 0
    made: int = 0
    not_made: int = 0


class MakingWatch:
    """Takes the records in the order of their arrival; gives `Making`.

    Args:
      titles: item_id -> title.
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = titles
        self._tasks: dict[str, ContentTask] = {}
        self._assets: dict[str, ContentAsset] = {}

    def take_task(self, task: ContentTask) -> None:
        """The last record of a task counts, with the evidence of the last that has some."""
        if task.withdrawn and task.task_id not in self._tasks:
            return
        if not task.withdrawn:
            self._tasks[task.task_id] = task
        elif task.task_id not in self._assets:
            self._tasks.pop(task.task_id)

    def take_asset(self, asset: ContentAsset) -> None:
        """What became of a task."""
        self._assets[asset.task_id] = asset

    def making(self) -> Making:
        """Everything so far: what was made last comes first, then what has most to gain."""
        place = {task_id: at for at, task_id in enumerate(self._assets)}
        found = [(self._line(task, self._assets.get(task_id)), task) for task_id, task in self._tasks.items()]
        found.sort(key=lambda one: (
            ORDER.index(one[0].state), -place.get(one[1].task_id, -1), -one[1].expected_gain.value, one[1].task_id
        ))  # fmt: skip
        lines = tuple(line for line, _ in found)
        made, not_made = (sum(line.state == state for line in lines) for state in ("made", "not made"))
        return Making(lines=lines, tasks=len(lines), made=made, not_made=not_made)

    def _line(self, task: ContentTask, asset: ContentAsset | None) -> Line:
        state: State = "wanted" if asset is None else "made" if asset.status == "done" else "not made"
        return Line(
            kind=task.kind, title=self._titles.get(task.item_id) or task.item_id, audience=audience_of(task),
            gain=f"+{task.expected_gain.value:,.0f} {task.expected_gain.metric}", why=evidence_of(task), state=state,
            became=became(asset),
        )  # fmt: skip


def audience_of(task: ContentTask) -> str:
    """Whom a task is for, short."""
    spoken = str(task.audience.get("language", ""))
    return f"who read {LANGUAGES.get(spoken, spoken)}" if spoken else "everybody"


def evidence_of(task: ContentTask) -> str:
    """The counts that say so, short: as "clicked 2 of 61, expected 21 %"."""
    parts: dict[str, Mapping[str, Any]] = {str(one.get("of")): one for one in task.evidence}
    own, expected = parts.get("audience", {}), parts.get("expected", {})
    if "shown" in own:
        said = f"clicked {own.get('clicked', 0)} of {own['shown']}"
    elif "views" in own:
        said = f"finished {own.get('finished', 0)} of {own['views']}"
    else:
        return ""
    rate = expected.get("rate")
    return said + (f", expected {100 * float(rate):.0f} %" if isinstance(rate, int | float) else "")


def became(asset: ContentAsset | None) -> str:
    """What a task became, short."""
    if asset is None:
        return ""
    if asset.asset is None:
        return asset.error or asset.status
    size = asset.asset.size_bytes or 0
    length = f", {asset.asset.duration_ms / 1000:.1f} s" if asset.asset.duration_ms else ""
    by = f" by {asset.engine['name']}" if "name" in asset.engine else ""
    return f"{asset.asset.media_type}, {size / 1000:,.1f} kB{length}{by}"
