"""A platform whose unmet demand is known: seeded items, viewers and visits, and what each asset would really earn.

People visit a surface, see a few items, click by place and by how well picture and text suit them, and finish what they
start by the item's quality, by whether they understand it and by whether they have the time. Each cell's true ratio is
drawn once; satisfied cells have 1. Assets that a studio makes change it and are named in the events that follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from streams.contract.events import Asset, ContentAsset, ContentTask, Interaction, Item, User

DAY_MS: Final = 86_400_000
START_MS: Final = 1_767_225_600_000
"""2026-01-01."""
LANGUAGES: Final = ("en", "de", "fr", "ja")
GROUPS: Final = tuple((language, segment) for language in LANGUAGES for segment in ("evening", "commute"))
SURFACE: Final = {"evening": "home", "commute": "mobile"}
PLACES: Final = np.array([0.24, 0.17, 0.12, 0.09])
RECOVERS: Final = {"blurb": 0.5, "image": 0.5, "cut": 0.5, "dub": 0.6, "subtitles": 0.5}
HORIZON_DAYS: Final = 30.0

Cell = tuple[str, str, str, str, str]
"""Kind, item, language, segment, surface."""


class World:
    """One platform.

    Args:
      seed: decides everything. items, users: how many. visits_per_day: over all. days: that events are spread over.
      deprived: share of the cells that could be that are.
    """

    def __init__(
        self, seed: int, *, items: int = 40, users: int = 3_000, visits_per_day: float = 450.0, deprived: float = 0.4
    ) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.visits_per_day = visits_per_day
        self.names = [f"film-{i:04d}" for i in range(items)]
        weight = (1.0 / np.arange(1, items + 1) ** 0.8)[rng.permutation(items)]
        self.popular = weight / weight.sum()
        self.language = rng.choice(LANGUAGES, items, p=[0.55, 0.2, 0.1, 0.15])
        self.is_long = rng.random(items) < 0.5
        self.quality = np.clip(rng.beta(12, 8, items), 0.2, 0.95)
        self.group = rng.choice(len(GROUPS), users, p=np.outer([0.4, 0.3, 0.2, 0.1], [0.6, 0.4]).ravel())
        self.groups = np.bincount(self.group, minlength=len(GROUPS)) / users
        spread = {kind: float(np.clip(rng.normal(mean, 0.2), 0.2, 0.95)) for kind, mean in RECOVERS.items()}
        self.ratio: dict[Cell, float] = {}
        self.recovers: dict[Cell, float] = {}
        """Share of the gap that an asset for this cell would close, its own luck included."""
        self.usual = spread
        """The mean of that by kind: what can be known before the asset is made."""
        for i, name in enumerate(self.names):
            picture = rng.uniform(0.3, 0.75) if rng.random() < deprived else 1.0
            for segment, surface in SURFACE.items():
                self._add(("image", name, "", segment, surface), picture, spread)
                if self.is_long[i]:
                    is_short_of_time = segment == "commute" and rng.random() < 2 * deprived
                    self._add(
                        ("cut", name, "", segment, surface), rng.uniform(0.2, 0.7) if is_short_of_time else 1.0, spread
                    )
            for language in LANGUAGES:
                if language == self.language[i]:
                    continue
                sound = rng.uniform(0.15, 0.7) if rng.random() < 2 * deprived else 1.0
                self._add(("dub", name, language, "", ""), sound, spread)
                self._add(("subtitles", name, language, "", ""), sound, spread)
                words = rng.uniform(0.3, 0.75) if rng.random() < deprived else 1.0
                for surface in SURFACE.values():
                    self._add(("blurb", name, language, "", surface), words, spread)
        self.made: dict[Cell, str] = {}
        self.now_ms = float(START_MS)
        self.count = self.assets = 0

    def _add(self, cell: Cell, ratio: float, spread: Mapping[str, float]) -> None:
        self.ratio[cell] = float(ratio)
        self.recovers[cell] = float(np.clip(self.rng.normal(spread[cell[0]], 0.12), 0.05, 1.0))

    # --- what is true --------------------------------------------------------------------------------------------

    def cells_of(self, i: int, group: int) -> tuple[Cell, tuple[Cell, ...]]:
        """The cell that a group's clicks on item ``i`` depend on, and those that its finishing depends on."""
        language, segment = GROUPS[group]
        name, surface = self.names[i], SURFACE[segment]
        if language == self.language[i]:
            shown: Cell = ("image", name, "", segment, surface)
            return shown, ((("cut", name, "", segment, surface),) if self.is_long[i] else ())
        return ("blurb", name, language, "", surface), (("dub", name, language, "", ""),)

    def finish(self, i: int, group: int, without: str = "") -> float:
        """Probability that one of a group finishes item ``i``, with the ratio of kind ``without`` taken as 1."""
        rate = float(self.quality[i])
        for cell in self.cells_of(i, group)[1]:
            rate *= 1.0 if cell[0] == without else self.ratio[cell]
        return rate

    def gains(self, *, with_luck: bool) -> dict[Cell, float]:
        """What an asset for each cell would add in `HORIZON_DAYS`, in clicks or finished views.

        Args:
          with_luck: of this very asset; else the mean over assets of its kind.
        """
        recovers = self.recovers if with_luck else {cell: self.usual[cell[0]] for cell in self.ratio}
        found = dict.fromkeys(self.ratio, 0.0)
        clicks = self.visits_per_day * HORIZON_DAYS * float(PLACES.sum())
        for i in range(len(self.names)):
            for group, share in enumerate(self.groups.tolist()):
                shown, finishing = self.cells_of(i, group)
                could = clicks * float(self.popular[i]) * share
                found[shown] += could * (1 - self.ratio[shown]) * recovers[shown]
                views = could * self.ratio[shown]
                for cell in finishing:
                    gap = views * self.finish(i, group, cell[0]) * (1 - self.ratio[cell])
                    found[cell] += gap * recovers[cell]
                    if cell[0] == "dub":
                        words: Cell = ("subtitles", *cell[1:])
                        found[words] += gap * recovers[words]
        has = {cell for cell in self.made if cell[0] in ("dub", "subtitles")}  # a second picture may still be better
        return {cell: 0.0 if cell in has else gain for cell, gain in found.items()}

    def is_satisfied(self, cell: Cell) -> bool:
        """Whether nothing is missing there."""
        return self.ratio[cell] >= 0.97

    # --- what happens --------------------------------------------------------------------------------------------

    def catalogue(self) -> list[Item | User]:
        """Items and viewers."""
        items: list[Item | User] = [
            Item(item_id=name, language=str(self.language[i]), duration_s=6_000.0 if self.is_long[i] else 1_200.0)
            for i, name in enumerate(self.names)
        ]
        return items + [
            User(user_id=f"user-{u:05d}", languages=[GROUPS[group][0]], segments=[GROUPS[group][1]])
            for u, group in enumerate(self.group.tolist())
        ]

    def events(self, count: int) -> Iterator[Interaction]:
        """About so many interactions more, by whole visits, in order of time."""
        until = self.count + count
        rng, users, places = self.rng, len(self.group), len(PLACES)
        while self.count < until:
            self.now_ms += rng.exponential(DAY_MS / self.visits_per_day)
            user = int(rng.integers(users))
            shown = rng.choice(len(self.names), places, p=self.popular).tolist()
            luck = rng.random((places, 2)).tolist()
            yield from self._visit(user, shown, luck, int(self.now_ms))

    def _visit(self, user: int, shown: list[int], luck: list[list[float]], at_ms: int) -> Iterator[Interaction]:
        group = int(self.group[user])
        surface = SURFACE[GROUPS[group][1]]
        for place, i in enumerate(shown):
            picture, finishing = self.cells_of(i, group)
            seen = self._event(user, i, "impression", at_ms, surface, place, self.made.get(picture))
            yield seen
            if luck[place][0] < PLACES[place] * self.ratio[picture]:
                yield self._event(user, i, "click", at_ms + 1, surface, place, self.made.get(picture))
                heard = next((self.made[cell] for cell in finishing if cell in self.made), None)
                if heard is None and finishing and finishing[0][0] == "dub":
                    heard = self.made.get(("subtitles", *finishing[0][1:]))
                yield self._event(user, i, "play", at_ms + 2, surface, place, heard)
                if luck[place][1] < self.finish(i, group):
                    yield self._event(user, i, "complete", at_ms + 3, surface, place, heard)

    def _event(
        self, user: int, i: int, action: str, at_ms: int, surface: str, place: int, asset: str | None
    ) -> Interaction:
        self.count += 1
        return Interaction(
            event_id=f"event-{self.count:08d}", user_id=f"user-{user:05d}", item_id=self.names[i], action=action,  # type: ignore[arg-type]
            occurred_at_ms=at_ms, surface=surface, position=place + 1, asset_id=asset,
        )  # fmt: skip

    def make(self, task: ContentTask) -> ContentAsset:
        """A studio carries out a task: the cell changes, and later events name the asset."""
        cell = cell_of(task)
        self.assets += 1
        asset_id = f"asset-{self.assets:04d}"
        self.made[cell] = asset_id
        self.ratio[cell] += self.recovers[cell] * (1 - self.ratio[cell])
        if cell[0] in ("dub", "subtitles"):
            other: Cell = ("subtitles" if cell[0] == "dub" else "dub", *cell[1:])
            self.ratio[other] = self.ratio[("dub", *cell[1:])] = self.ratio[cell]
            if cell[0] == "dub":
                self.made[other] = asset_id
        media = {"dub": "audio/mp4", "subtitles": "text/vtt", "image": "image/jpeg", "cut": "video/mp4"}
        asset = Asset(
            asset_id=asset_id, uri=f"file:///{asset_id}", media_type=media.get(task.kind, "text/plain"),
            language=task.locale,
        )  # fmt: skip
        return ContentAsset(task_id=task.task_id, item_id=task.item_id, status="done", asset=asset)


def cell_of(task: ContentTask) -> Cell:
    """The world's cell of a task."""
    audience = {name: str(value) for name, value in task.audience.items()}
    return (
        task.kind, task.item_id, audience.get("language", ""), audience.get("segment", ""), audience.get("surface", "")
    )  # fmt: skip
