"""What the studio worker decides: which tasks to render, in which order, what may be committed, what a result says."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from streams.contract import ids, rules
from streams.contract.events import Asset, ContentAsset, ContentTask, Item

Source = tuple[str, int]
SPOKEN: Final = frozenset({"blurb", "dub", "subtitles"})
"""Kinds whose assets are in a language."""


class Refusal(NamedTuple):
    """A task that will not be rendered, and why."""

    reason: str


Verdict = Refusal | Literal["render", "finished", "withdrawn"]


def judge(task: ContentTask, *, item: Item | None, is_answered: bool, now_ms: int) -> Verdict:
    """Whether a task is to be rendered: not one that is finished, withdrawn, too late, mislabelled, or of no item.

    Args:
      task: as it was told last. item: of the catalogue; None: there is none of this id.
      is_answered: it has its asset or its reason. now_ms: event time, UTC epoch ms.
    """
    if is_answered:
        return "finished"
    if task.withdrawn:
        return "withdrawn"
    wanted = ids.content_task_id(
        item_id=task.item_id, kind=task.kind, audience=task.audience, locale=task.locale, spec=task.spec
    )
    if task.task_id != wanted:
        return Refusal(f"expected the task_id {wanted} of item, kind, audience, locale and spec; got another")
    if task.not_after_ms is not None and now_ms > task.not_after_ms:
        return Refusal(f"expected to be begun by {task.not_after_ms}, got to it at {now_ms}")
    if item is None:
        return Refusal(f"expected an item {task.item_id!r} in the catalogue, got none; list it, then ask again")
    return "render"


def seed_of(seed: int, task_id: str) -> int:
    """The seed of a task's every random choice, from the installation's."""
    return int(ids.derive("content-seed", str(seed), task_id)[:8], 16)


def asset_id_of(task_id: str) -> str:
    """``asset_id`` of what a task makes: a repeat is the same asset."""
    return ids.derive("content-asset", task_id)


def done(
    task: ContentTask, *, uri: str, sha256: str, size_bytes: int, media_type: str, duration_ms: int | None,
    quality: Mapping[str, float], engine: Mapping[str, Any],
) -> ContentAsset:  # fmt: skip
    """The record of a finished asset."""
    asset = Asset(
        asset_id=asset_id_of(task.task_id), uri=uri, media_type=media_type, sha256=sha256, size_bytes=size_bytes,
        duration_ms=duration_ms, language=task.locale if task.kind in SPOKEN else None, devices=_devices_of(task),
    )  # fmt: skip
    figures = dict(list(quality.items())[: rules.MAX_CONTEXT_KEYS])
    return ContentAsset(
        task_id=task.task_id, item_id=task.item_id, status="done", asset=asset, quality=figures, engine=dict(engine),
        not_after_ms=task.not_after_ms,
    )  # fmt: skip


def worn_out(task: ContentTask, tries: int) -> ContentAsset:
    """The record of a task that ended its worker each time that it was begun."""
    reason = f"expected an end within {tries} tries, got none: whoever began it was ended with it each time"
    return failed(task, reason, quality={}, engine={})


def _devices_of(task: ContentTask) -> list[str]:
    """The devices of a task's audience: one, several, or no matter which."""
    named = task.audience.get("device")
    devices = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return [one[: rules.MAX_LABEL_CHARS] for one in devices if one][: rules.MAX_DEVICES]


def refused(task: ContentTask, reason: str) -> ContentAsset:
    """The record of a task that asks for what there is not."""
    return ContentAsset(
        task_id=task.task_id, item_id=task.item_id, status="rejected", error=reason[: rules.MAX_VALUE_CHARS],
        not_after_ms=task.not_after_ms,
    )  # fmt: skip


def failed(task: ContentTask, reason: str, *, quality: Mapping[str, float], engine: Mapping[str, Any]) -> ContentAsset:
    """The record of a task that no engine could carry out; its figures say how far it came."""
    figures = dict(list(quality.items())[: rules.MAX_CONTEXT_KEYS])
    return ContentAsset(
        task_id=task.task_id, item_id=task.item_id, status="failed", quality=figures, engine=dict(engine),
        error=reason[: rules.MAX_VALUE_CHARS], not_after_ms=task.not_after_ms,
    )  # fmt: skip


class Place(NamedTuple):
    """Where a task came from: partition, offset, and the epoch of the assignment in which it was read."""

    source: Source
    offset: int
    epoch: int


@dataclass
class Waiting:
    """Tasks that wait: the highest priority first, equal ones in the order in which they came."""

    _heap: list[tuple[float, int, Place, ContentTask]] = field(default_factory=list)
    _count: int = 0

    def add(self, place: Place, task: ContentTask) -> None:
        """One more."""
        heapq.heappush(self._heap, (-task.priority, self._count, place, task))
        self._count += 1

    def next(self) -> tuple[Place, ContentTask] | None:
        """The one whose turn it is, no longer waiting; None: nobody waits."""
        if not self._heap:
            return None
        _, _, place, task = heapq.heappop(self._heap)
        return place, task

    def clear(self) -> None:
        """Forgets them all: partitions were assigned anew and will be read again."""
        self._heap.clear()

    def __len__(self) -> int:
        return len(self._heap)


@dataclass
class Progress:
    """Up to where each partition is done, though its tasks end in any order."""

    _open: dict[Source, set[int]] = field(default_factory=dict)
    _read: dict[Source, int] = field(default_factory=dict)

    def begin(self, source: Source, offsets: Sequence[int], next_offset: int) -> None:
        """These offsets were read and are not done; everything before ``next_offset`` was read."""
        self._open.setdefault(source, set()).update(offsets)
        self._read[source] = next_offset

    def end(self, source: Source, offset: int) -> None:
        """This one is done."""
        self._open.get(source, set()).discard(offset)

    def done_up_to(self, source: Source) -> int | None:
        """The offset before which everything is done; None: nothing was read."""
        return min(self._open.get(source, ()), default=self._read.get(source))

    def clear(self) -> None:
        """Forgets everything, as after a new assignment."""
        self._open.clear()
        self._read.clear()
