"""The planner's core: records in order of arrival -> content tasks to publish.

Decides when wishes become tasks: at the end of each window of event time those with most to gain are published, within
a budget per day and per kind; again only when their priority moved materially; never for items that may not be shown.
A task's id comes from the wish alone, so a replay or a restart publishes no others. Counting is `demand.py`, estimating
`wishes.py`; no clock but that of the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from streams.contract import ids, rules
from streams.contract.absent import Erased, Withdrawn
from streams.contract.arms import ItemArms
from streams.contract.events import (
    Asset,
    ContentAsset,
    ContentKind,
    ContentTask,
    Gain,
    Interaction,
    Item,
    Metric,
    User,
)
from streams.cores.arm_book import NEWS, ArmBook
from streams.cores.cells import Key, audience_of
from streams.cores.demand import DAY_MS, Demand
from streams.cores.event_clock import EventClock
from streams.cores.recoveries import Made
from streams.cores.tracks import Audience, kind_of, name_of, primary
from streams.cores.wishes import METRIC, Wish, WishRules, wishes_of

KIND_BUDGETS: Final[Mapping[ContentKind, int]] = {"blurb": 50, "image": 50, "cut": 10, "dub": 10, "subtitles": 30}


class Unmade(NamedTuple):
    """A tombstone on the assets of an item; ``next_offset``: the one after its own in its partition."""

    item_id: str
    next_offset: int = 0


class Filed(NamedTuple):
    """A record of an asset as it stands on its topic."""

    record: ContentAsset
    next_offset: int


Entry = Interaction | Item | Withdrawn | User | Erased | ContentAsset | Filed | Unmade
Told = ItemArms | Metric


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """How the planner plans.

    Attributes:
      window_ms: of event time; tasks are chosen when one ends.
      half_life_ms: counts fade to a half in it. open_ms: a task is wanted for so long after it was published.
      day_budget, kind_budgets: records published a day of event time, in all and by kind; withdrawals are free.
      moved: an open task is published again when its priority has moved by this share.
      long_s: from this duration on an item may have a cut.
      arms_every_ms: of event time: counts of arms are told at most so often; of an item when a fiftieth of its is new.
      max_cells, max_users, max_made, dedupe_window: bounds of what is held; see docs/studio.md.
    """

    window_ms: int = 6 * 3_600_000
    half_life_ms: int = 30 * DAY_MS
    open_ms: int = 14 * DAY_MS
    day_budget: int = 100
    kind_budgets: Mapping[ContentKind, int] = field(default_factory=lambda: dict(KIND_BUDGETS))
    moved: float = 0.25
    long_s: float = 2_400.0
    arms_every_ms: int = 10_000
    max_cells: int = 200_000
    max_users: int = 1_000_000
    max_made: int = 20_000
    dedupe_window: int = 100_000
    rules: WishRules = field(default_factory=WishRules)


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A published task that still stands."""

    key: Key
    spec: dict[str, Any]
    priority: float
    not_after_ms: int
    made: Made


class Planner:
    """Owns the counts and the tasks that stand; one thread calls it.

    Attributes:
      clock: event time. taken: records so far. open: by task id.
      spent: records published on ``day`` by kind.
    """

    def __init__(self, config: PlanConfig | None = None) -> None:
        self.config = config = config or PlanConfig()
        self.demand = Demand(
            long_s=config.long_s, half_life_ms=config.half_life_ms, max_cells=config.max_cells,
            max_users=config.max_users,
        )  # fmt: skip
        self.open: dict[str, Open] = {}
        self.made: dict[str, Made] = {}
        self.book = ArmBook()
        self.told: list[Told] = []
        """Arms and what they are worth, to be published; `drain` takes them."""
        self.told_ms = 0
        self.clock = EventClock()
        self.ended_ms = 0
        """The end of the last window."""
        self.day = -1
        self.spent: dict[str, int] = {}
        self.taken = self.repeated = 0
        self.recent: dict[str, None] = {}
        self.before: dict[str, None] = {}
        """Event ids of late, in two generations of at most ``dedupe_window``."""

    @property
    def now_ms(self) -> int | None:
        """Event time."""
        return self.clock.now_ms

    def take(self, entries: Iterable[Entry | None]) -> list[ContentTask]:
        """Counts entries in order; the tasks that follow, in order. None stands for a record without meaning here."""
        tasks: list[ContentTask] = []
        demand = self.demand
        for entry in entries:
            self.taken += 1
            if isinstance(entry, Interaction):
                if self._is_repeated(entry.event_id):
                    continue
                before_ms = self.now_ms
                now_ms = self.clock.take(entry.occurred_at_ms)
                if before_ms is None or now_ms != before_ms:
                    tasks += self._move_to(before_ms, now_ms)
                demand.count(entry, now_ms)
            elif isinstance(entry, Item):
                self._take_item(entry)
            elif isinstance(entry, User):
                demand.take_user(entry)
            elif isinstance(entry, Withdrawn):
                tasks += self._withdraw(entry.item_id)
                demand.forget_item(entry.item_id)
                self._lose_all(entry.item_id)
            elif isinstance(entry, Erased):
                demand.forget_user(entry.user_id)
            elif isinstance(entry, ContentAsset):
                self._take_asset(entry, 0)
            elif isinstance(entry, Filed):
                self._take_asset(*entry)
            elif isinstance(entry, Unmade):
                demand.lose_assets(entry.item_id, self.now_ms or 0)
                self._lose_all(entry.item_id, entry.next_offset)
                self._forget_unarmed()
        return tasks

    def drain(self) -> list[Told]:
        """What is to be told of arms since the last call."""
        told, self.told = self.told, []
        return told

    def _is_repeated(self, event_id: str) -> bool:
        if event_id in self.recent or event_id in self.before:
            self.repeated += 1
            return True
        self.recent[event_id] = None
        if len(self.recent) >= self.config.dedupe_window:
            self.before, self.recent = self.recent, {}
        return False

    def _move_to(self, before_ms: int | None, now_ms: int) -> list[ContentTask]:
        window_ms = self.config.window_ms
        tasks: list[ContentTask] = []
        end_ms = now_ms // window_ms * window_ms
        if before_ms is None or now_ms < before_ms:  # the first event, or the first ones were stamped wrongly
            self.ended_ms, self.told_ms = end_ms, min(self.told_ms, now_ms)
        elif end_ms > self.ended_ms:
            self.told += self.book.metrics(self.demand, end_ms)
            tasks = self._end_window(end_ms)
            self._tell_moved(share=0.0)
        if self.demand.armed and now_ms - self.told_ms >= self.config.arms_every_ms:
            self.told_ms = now_ms
            self._tell_moved(share=NEWS)
        return tasks

    def _end_window(self, end_ms: int) -> list[ContentTask]:
        """The one place where tasks are chosen."""
        self.demand.end_window(end_ms - self.ended_ms)
        self.ended_ms = end_ms
        if end_ms // DAY_MS != self.day:
            self.day, self.spent = end_ms // DAY_MS, {}
        self.open = {task_id: task for task_id, task in self.open.items() if task.not_after_ms > end_ms}
        found = wishes_of(self.demand, self.made, self.config.rules, end_ms)
        wishes = {task_id: (wish, spec) for wish in found for task_id, spec in [self._wanted(wish)]}
        tasks = [self._take_back(task_id) for task_id in sorted(self.open) if task_id not in wishes]
        for task_id, (wish, spec) in sorted(wishes.items(), key=lambda one: (-one[1][0].priority, one[0])):
            old = self.open.get(task_id)
            if old is None and not wish.is_sure:
                continue
            if old is not None and abs(wish.priority - old.priority) < self.config.moved * max(old.priority, 1e-9):
                continue
            if self._may_spend(wish.kind):
                self.spent[wish.kind] = self.spent.get(wish.kind, 0) + 1
                until_ms = min(rules.MAX_TIME_MS, end_ms + self.config.open_ms)
                opened = Open(key=wish.key, spec=spec, priority=wish.priority, not_after_ms=until_ms, made=wish.made)
                self.open[task_id] = opened
                tasks.append(_task(task_id, opened, wish))
        return tasks

    def _may_spend(self, kind: ContentKind) -> bool:
        config = self.config
        return sum(self.spent.values()) < config.day_budget and self.spent.get(kind, 0) < config.kind_budgets[kind]

    def _wanted(self, wish: Wish) -> tuple[str, dict[str, Any]]:
        """A wish's task id and spec. The variant rises with each asset made, so that the next one is another task."""
        key = wish.key
        made = self.demand.items[key[1]].made.get(name_of(key[0], audience_of(key)), 0)
        spec = {"variant": made + 1}
        return ids.content_task_id(
            item_id=key[1], kind=key[0], audience=_audience(key), locale=key[2] or None, spec=spec
        ), spec

    def _withdraw(self, item_id: str) -> list[ContentTask]:
        return [self._take_back(task_id) for task_id in sorted(self.open) if self.open[task_id].key[1] == item_id]

    def _take_back(self, task_id: str) -> ContentTask:
        task = self.open.pop(task_id)
        kind = task.made.kind
        return ContentTask(
            task_id=task_id, kind=kind, item_id=task.key[1], audience=_audience(task.key), locale=task.key[2] or None,
            spec=task.spec, expected_gain=Gain(metric=METRIC[kind], value=0.0, interval=(0.0, 0.0)),
            not_after_ms=max(0, self.now_ms or 0), withdrawn=True,
        )  # fmt: skip

    def _take_item(self, item: Item) -> None:
        old = self.demand.items.get(item.item_id)
        self.demand.take_item(item, self.now_ms or 0)
        if old is not None and old.originals != self.demand.items[item.item_id].originals:
            self._tell(item.item_id)

    def _take_asset(self, done: ContentAsset, next_offset: int) -> None:
        """An asset goes live, or a task has none any more: it stands until it is too old, and is wished for then."""
        if done.status != "done" or done.asset is None:
            self._lose_of_task(done)
        else:
            self._add(done, done.asset)
        page = self.book.pages.get(done.item_id)
        if page is not None:
            page.offset = max(page.offset, next_offset)
            self._tell(done.item_id)

    def _add(self, done: ContentAsset, asset: Asset) -> None:
        task = self.open.get(done.task_id)
        audience: Audience
        if task is not None and task.key[1] == done.item_id:
            kind: ContentKind | None = task.made.kind
            audience = audience_of(task.key)
        else:
            kind = kind_of(asset.media_type)
            audience = (primary(asset.language) if asset.language else "", "", "")
        if kind is None:
            return
        if self.demand.add_asset(asset.asset_id, kind, done.item_id, audience, self.now_ms or 0):
            self.book.add(done.item_id, asset, kind, audience, done.task_id)
            self.open.pop(done.task_id, None)
            if task is not None:
                self.made[asset.asset_id] = task.made
        if len(self.made) > self.config.max_made:
            del self.made[next(iter(self.made))]

    def _lose_of_task(self, refused: ContentAsset) -> None:
        found = self.book.of_task(refused.item_id, refused.task_id)
        if found is not None:
            del self.book.pages[refused.item_id].assets[found[0]]
            self.demand.lose_asset(found[0], found[1].audience, self.now_ms or 0)
            self._forget_unarmed()

    def _lose_all(self, item_id: str, next_offset: int = 0) -> None:
        page = self.book.pages.get(item_id)
        if page is not None:
            page.assets.clear()
            page.offset = max(page.offset, next_offset)
            self._tell(item_id)

    def _tell_moved(self, *, share: float) -> None:
        """Tell the items whose counts moved by this share since they were told."""
        armed = self.demand.armed
        for item_id in sorted(
            item_id for item_id, events in armed.items() if self.book.is_news(item_id, events, share)
        ):
            self._tell(item_id)

    def _tell(self, item_id: str) -> None:
        self.demand.armed.pop(item_id, None)
        if item_id in self.book.pages:
            self.told.append(self.book.record(item_id, self.demand, self.now_ms or 0))

    def _forget_unarmed(self) -> None:
        self.made = {asset: made for asset, made in self.made.items() if asset in self.demand.arms}


def _audience(key: Key) -> dict[str, Any]:
    named = zip(("language", "segment", "surface"), audience_of(key), strict=True)
    return {name: value for name, value in named if value}


def _task(task_id: str, task: Open, wish: Wish) -> ContentTask:
    return ContentTask(
        task_id=task_id, kind=wish.kind, item_id=wish.key[1], audience=_audience(wish.key), locale=wish.key[2] or None,
        spec=task.spec, priority=wish.priority, evidence=list(wish.evidence), not_after_ms=task.not_after_ms,
        expected_gain=Gain(metric=METRIC[wish.kind], value=wish.value, interval=(wish.low, wish.high)),
    )  # fmt: skip
