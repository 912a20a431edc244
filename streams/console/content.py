"""Content tasks and what became of them, as pages show them. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.contract.codec import Rejected, decoder
from streams.contract.events import ContentAsset, ContentTask
from streams.cores.task_list import Listed, audience_words, listed, why

MOST: Final = 20_000
"""Tasks and assets held; beyond it the oldest go."""
_TASK, _ASSET = decoder(ContentTask), decoder(ContentAsset)


class Content:
    """The newest record of every task, and of every asset."""

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[ContentTask, int]] = {}
        self._assets: dict[str, ContentAsset] = {}
        self.now_ms = 0
        """Newest timestamp of a task's record: the time by which a task is too old."""

    def take_task(self, value: bytes | None, at_ms: int) -> None:
        """A record of ``content-tasks.v1``; one that breaks the contract is left out."""
        task = None if value is None else _TASK(value, -1)
        if task is None or isinstance(task, Rejected):
            return
        self._tasks.pop(task.task_id, None)
        self._tasks[task.task_id] = (task, at_ms)
        self.now_ms = max(self.now_ms, at_ms)
        if len(self._tasks) > MOST:
            del self._tasks[next(iter(self._tasks))]

    def take_asset(self, value: bytes | None) -> None:
        """A record of ``content-assets.v1``."""
        asset = None if value is None else _ASSET(value, -1)
        if asset is None or isinstance(asset, Rejected):
            return
        self._assets.pop(asset.task_id, None)
        self._assets[asset.task_id] = asset
        if len(self._assets) > MOST:
            del self._assets[next(iter(self._assets))]

    def tasks(self) -> list[Listed]:
        """Each task once, with most to gain first."""
        return listed(list(self._tasks.values()), self._assets.values())

    def task(self, task_id: str) -> ContentTask | None:
        """The newest record of a task."""
        found = self._tasks.get(task_id)
        return None if found is None else found[0]

    def of_item(self, item_id: str) -> list[Listed]:
        """The tasks of an item."""
        return [one for one in self.tasks() if one.task.item_id == item_id]

    def assets_of(self, item_id: str) -> list[ContentAsset]:
        """What was made for an item, by tasks that are here or not."""
        return [asset for asset in self._assets.values() if asset.item_id == item_id]

    def counts(self) -> dict[str, int]:
        """How many tasks are in each state."""
        found: dict[str, int] = {}
        for one in self.tasks():
            found[one.state] = found.get(one.state, 0) + 1
        return found


def plain_task(one: Listed, title: str) -> dict[str, Any]:
    """A task as JSON values, its evidence in sentences."""
    task = one.task
    return {
        "task_id": task.task_id, "kind": task.kind, "item_id": task.item_id, "title": title, "state": one.state,
        "audience": audience_words(task), "locale": task.locale, "priority": task.priority,
        "gain": {"metric": task.expected_gain.metric, "value": task.expected_gain.value,
                 "low": task.expected_gain.interval[0], "high": task.expected_gain.interval[1]},
        "not_after_ms": task.not_after_ms, "spec": task.spec, "why": _words(one),
        "evidence": task.evidence, "asset": None if one.asset is None else plain_asset(one.asset),
    }  # fmt: skip


def plain_asset(asset: ContentAsset) -> dict[str, Any]:
    """What became of a task, as JSON values."""
    return {
        "task_id": asset.task_id, "status": asset.status, "error": asset.error, "quality": asset.quality,
        "engine": asset.engine, "file": None if asset.asset is None else msgspec.to_builtins(asset.asset),
    }  # fmt: skip


def _words(one: Listed) -> list[str]:
    """Evidence in sentences; none where it has another shape than our planner's."""
    try:
        return why(one.task)
    except (KeyError, TypeError, ValueError):
        return []
