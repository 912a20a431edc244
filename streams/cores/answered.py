"""What a studio worker remembers: which tasks have their record, and what was told last of each that waits. Bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from streams.contract.events import ContentAsset, ContentTask
from streams.cores.render import Place

MOST: Final = 200_000
"""Tasks whose record is remembered, some 200 bytes each; the ones heard of longest ago make room."""
FOR_EVER: Final = 1 << 62


class Answered:
    """Which tasks need no work. It is the same in whichever order records are taken.

    A task that is done is done for ever. One that failed or was rejected may be tried again once it is told again with
    a later ``not_after_ms`` than its record answers: the planner does so when it still wants it.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._until_ms: dict[str, int] = {}

    def take(self, record: ContentAsset) -> None:
        """One record of `content-assets.v1`, old or new."""
        until_ms = FOR_EVER if record.status == "done" else record.not_after_ms or 0
        until_ms = max(until_ms, self._until_ms.pop(record.task_id, until_ms))
        self._until_ms[record.task_id] = until_ms
        if len(self._until_ms) > self._most:
            del self._until_ms[next(iter(self._until_ms))]

    def merge(self, other: Answered) -> None:
        """All that the other knows."""
        for task_id, until_ms in other._until_ms.items():
            self._until_ms[task_id] = max(until_ms, self._until_ms.pop(task_id, until_ms))
        while len(self._until_ms) > self._most:
            del self._until_ms[next(iter(self._until_ms))]

    def has(self, task: ContentTask) -> bool:
        """Whether the task, as it is told here, has its record."""
        until_ms = self._until_ms.get(task.task_id)
        return until_ms is not None and (task.not_after_ms or 0) <= until_ms

    def __len__(self) -> int:
        return len(self._until_ms)


class Telling(NamedTuple):
    """A task as one record has it, and where and when that was told."""

    task: ContentTask
    place: Place
    at_ms: int

    def is_newer(self, other: Telling) -> bool:
        """Whether this one counts and not the other: the later of a partition, or else the one with the later time."""
        if self.place.source == other.place.source:
            return self.place.offset >= other.place.offset
        return self.at_ms >= other.at_ms


@dataclass
class Tellings:
    """The last telling of every task of which one is under way; those of others are let go of."""

    _newest: dict[str, Telling] = field(default_factory=dict)
    _open: dict[str, int] = field(default_factory=dict)

    def begin(self, telling: Telling) -> None:
        """A record of a task was read."""
        task_id = telling.task.task_id
        old = self._newest.get(task_id)
        if old is None or telling.is_newer(old):
            self._newest[task_id] = telling
        self._open[task_id] = self._open.get(task_id, 0) + 1

    def newest(self, task: ContentTask) -> ContentTask:
        """The task as it was told last."""
        found = self._newest.get(task.task_id)
        return task if found is None else found.task

    def last(self, task_id: str) -> Telling | None:
        """The last telling of a task; None: none is under way."""
        return self._newest.get(task_id)

    def end(self, task_id: str, count: int = 1) -> None:
        """So many records of a task are done."""
        left = self._open.get(task_id, 0) - count
        if left > 0:
            self._open[task_id] = left
        else:
            self._open.pop(task_id, None)
            self._newest.pop(task_id, None)

    def clear(self) -> None:
        """Forgets them all: partitions were assigned anew and will be read again."""
        self._newest.clear()
        self._open.clear()

    def __len__(self) -> int:
        return len(self._newest)
