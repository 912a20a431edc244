"""What stands on `content-tasks.v1` and `content-assets.v1`, as people ask for it: a list, and reasons in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from streams.contract.events import ContentAsset, ContentTask

State = Literal["open", "done", "rejected", "failed", "withdrawn", "too old"]


class Listed(NamedTuple):
    """A task as it stands.

    Attributes:
      asset: what became of it last; None where nothing did.
    """

    task: ContentTask
    state: State
    asset: ContentAsset | None


def listed(tasks: Iterable[tuple[ContentTask, int]], assets: Iterable[ContentAsset]) -> list[Listed]:
    """Each task once, by its last record, with most to gain first.

    Args:
      tasks: in the order of their partitions, each with its record's timestamp: the newest is the time by which a
        task is too old. assets: likewise.
    """
    newest: dict[str, ContentTask] = {}
    now_ms = 0
    for task, at_ms in tasks:
        newest[task.task_id] = task
        now_ms = max(now_ms, at_ms)
    became = {asset.task_id: asset for asset in assets}
    found = [
        Listed(task, _state(task, became.get(task.task_id), now_ms), became.get(task.task_id))
        for task in newest.values()
    ]
    return sorted(found, key=lambda one: (-one.task.expected_gain.value, one.task.task_id))


def _state(task: ContentTask, asset: ContentAsset | None, now_ms: int) -> State:
    if asset is not None and not _is_told_again(task, asset):
        return asset.status
    if task.withdrawn:
        return "withdrawn"
    return "too old" if task.not_after_ms is not None and task.not_after_ms <= now_ms else "open"


def _is_told_again(task: ContentTask, asset: ContentAsset) -> bool:
    """Whether a task that was not done is wanted once more: the studio tries it again then."""
    return asset.status != "done" and (task.not_after_ms or 0) > (asset.not_after_ms or 0) and not task.withdrawn


def audience_words(task: ContentTask) -> str:
    """Whom a task is for, in a few words."""
    return ", ".join(f"{name} {value}" for name, value in sorted(task.audience.items())) or "everybody"


def why(task: ContentTask) -> list[str]:
    """The evidence of a task in sentences, each number as it was published."""
    by_name: dict[str, Mapping[str, Any]] = {str(one.get("of")): one for one in task.evidence}
    words: list[str] = []
    if own := by_name.get("audience"):
        if "shown" in own:
            words.append(f"It was shown {own['shown']} times to this audience and clicked {own['clicked']} times.")
        else:
            words.append(
                f"This audience began it {own['views']} times and finished it {own['finished']} times; "
                f"{own.get('left_early', 0)} left early."
            )
    if expected := by_name.get("expected"):
        seen = f" ({expected['finished']} of {expected['views']} views)" if "views" in expected else ""
        words.append(f"Expected are {_percent(expected['rate'])}, from {expected['from']}{seen}.")
    if estimate := by_name.get("estimate"):
        words.append(
            f"So it gets {_percent(estimate['ratio'])} of what it should, between {_percent(estimate['low'])} and "
            f"{_percent(estimate['high'])}; below what is expected with a probability of {estimate['sure']}."
        )
    if (recovery := by_name.get("recovery")) and estimate and expected:
        past = f"{recovery['assets']} past assets say" if recovery["assets"] else "no past asset says so, we guess"
        words.append(
            f"Such an asset closes {_percent(recovery['mean'])} of the gap ({past}; give or take "
            f"{_percent(recovery['sd'])})."
        )
        gain = task.expected_gain
        words.append(
            f"{estimate['per_day']} chances a day make about {gain.value:g} more {gain.metric} in the time ahead, "
            f"between {gain.interval[0]:g} and {gain.interval[1]:g} in nine of ten cases."
        )
    return words


def _percent(share: Any) -> str:
    return f"{100 * float(share):.3g} %"
