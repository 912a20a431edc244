"""Counts demand in the stream: who was shown or watched what, and whether the item had what they needed.

Each kind of content has cells of its own. Further kinds hold what is expected: ``shown`` and ``taken`` (showings and
clicks of a surface by place), ``finish`` (how often an audience finishes what is not long) and ``served`` (how often an
item is finished by those who understand it). ``arm:KIND`` counts what was done with one asset of ours. No cell holds a
user's id.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from streams.contract import rules
from streams.contract.events import ContentKind, Interaction, Item, User
from streams.cores.cells import FLUSH_AT, Cells, Key, audience_of
from streams.cores.tracks import KINDS, SEPARATOR, Audience, Tracks, name_of, primary, tracks_of

PLACES: Final = (1, 2, 3, 5, 9, 17, 33)
"""First position of each bucket of positions; one bucket more holds showings without a position."""
NO_PLACE: Final = len(PLACES)
TAKEN: Final = NO_PLACE + 1
"""Column of clicks and completed views; those before it hold showings by place, or views in the first."""
EXITS: Final = TAKEN + 1
COLUMNS: Final = EXITS + 1
_PLACE_OF: Final = [sum(first <= position for first in PLACES) - 1 for position in range(PLACES[-1] + 1)]
EARLY: Final = 0.5
"""A view that ended before this share of the item is an early exit."""
MAX_ROUTES: Final = 300_000
SHOWN_KINDS: Final = frozenset({"blurb", "image"})
ARM: Final = "arm:"
DAY_MS: Final = 86_400_000


Named = str | None | tuple[str | None, ...]
"""The assets that an event names: none, one or several."""


class Profile(NamedTuple):
    """What matters of a viewer: primary subtags, the preferred one first, and the first segment."""

    languages: tuple[str, ...]
    segment: str


class _Route(NamedTuple):
    """Where an event counts: rows of what was shown and of what was watched; a surface's showings and clicks."""

    shows: tuple[int, ...]
    views: tuple[int, ...]
    shown: int
    taken: int
    is_armed: bool


NOBODY: Final = Profile((), "")


class Demand:
    """The counts. Cells are bounded by ``max_cells``, users by ``max_users``, items and arms by the catalogue.

    Args:
      long_s: from this duration on an item may have a cut, seconds. half_life_ms: in which counts fade to a half.
    """

    def __init__(self, *, long_s: float, half_life_ms: int, max_cells: int, max_users: int) -> None:
        self.long_s, self.half_life_ms, self.max_users = long_s, half_life_ms, max_users
        self.items: dict[str, Tracks] = {}
        self.users: dict[str, Profile] = {}
        self.arms: dict[str, tuple[ContentKind, str, str]] = {}
        """Asset -> kind, item, language."""
        self.armed: dict[str, int] = {}
        """Item -> events that named an arm of it, until somebody takes it out."""
        self.cells = Cells(COLUMNS, most=max_cells)
        self._routes: dict[tuple[str, Profile, str | None, Named], _Route] = {}
        self._profiles: dict[Profile, Profile] = {}

    def take_item(self, item: Item, now_ms: int) -> None:
        """A new version of an item; where its tracks changed, what was counted without them is void."""
        new, old = tracks_of(item, long_s=self.long_s), self.items.get(item.item_id)
        self.items[item.item_id] = new
        if old is not None:
            new.inherit(old)
            if new.originals != old.originals:
                self._routes.clear()
            if new.languages() != old.languages():
                self._void(item.item_id, ("dub", "subtitles", "blurb", "cut", "served"), now_ms)

    def forget_item(self, item_id: str) -> None:
        """The item was withdrawn: nothing about it is kept."""
        if self.items.pop(item_id, None) is not None:
            self._forget_arms(item_id)
            self.cells.void(self.cells.of_item(item_id))
            self._routes.clear()

    def take_user(self, user: User) -> None:
        """What a viewer understands, and belongs to; the one told of longest ago makes room."""
        seen = dict.fromkeys(primary(language) for language in user.languages if language)
        profile = Profile(tuple(seen), user.segments[0] if user.segments else "")
        if len(self._profiles) > self.max_users:
            self._profiles.clear()
        self.users.pop(user.user_id, None)
        self.users[user.user_id] = self._profiles.setdefault(profile, profile)
        if len(self.users) > self.max_users:
            del self.users[next(iter(self.users))]

    def forget_user(self, user_id: str) -> None:
        """The user was erased."""
        self.users.pop(user_id, None)

    def add_asset(self, asset_id: str, kind: ContentKind, item_id: str, audience: Audience, now_ms: int) -> bool:
        """An asset of ours went live: what its audience did without it is void; False where that was known."""
        tracks = self.items.get(item_id)
        if tracks is None or asset_id in self.arms:
            return False
        tracks.add(kind, audience)
        self._void(item_id, ("dub", "subtitles") if kind in ("dub", "subtitles") else (kind,), now_ms, audience)
        self.arms[asset_id] = (kind, item_id, audience[0])
        return True

    def lose_assets(self, item_id: str, now_ms: int) -> None:
        """An item's assets of ours are withdrawn."""
        tracks = self.items.get(item_id)
        if tracks is not None and tracks.made:
            tracks.lose()
            self._forget_arms(item_id)
            self._void(item_id, ("dub", "subtitles", "blurb", "cut", "image"), now_ms)

    def lose_asset(self, asset_id: str, audience: Audience, now_ms: int) -> None:
        """One asset of ours is withdrawn: what its audience did with it is void."""
        kind, item_id, _ = self.arms.pop(asset_id)
        self.items[item_id].lose_one(kind, audience)
        self._void(item_id, (kind,), now_ms, audience)

    def arm_counts(self, item_id: str, *, of_window: bool = False) -> dict[tuple[str, str], tuple[float, float]]:
        """Of each kind and asset of an item's arms: chances and how many were taken, faded, or in this window alone."""
        self.cells.flush()
        found: dict[tuple[str, str], tuple[float, float]] = {}
        for key in self.cells.of_item(item_id):
            kind = key[0].removeprefix(ARM)
            row = self.cells.find(key)
            if kind == key[0] or row is None:
                continue
            counts = self.cells.window[row] + (0.0 if of_window else self.cells.faded[row])
            shown = counts[:TAKEN].sum() if kind in SHOWN_KINDS else counts[0]
            before = found.get((kind, key[3]), (0.0, 0.0))
            found[kind, key[3]] = before[0] + float(shown), before[1] + float(counts[TAKEN])
        return found

    def count(self, event: Interaction, now_ms: int) -> None:
        """One interaction, the clock being at ``now_ms``; those with items that the catalogue lacks are left out."""
        tracks = self.items.get(event.item_id)
        if tracks is None:
            return
        if tracks.start_ms is None:
            tracks.start_ms = min(event.occurred_at_ms, now_ms)
        asset: Named = (event.asset_id, *event.asset_ids) if event.asset_ids else event.asset_id
        who = (event.item_id, self.users.get(event.user_id, NOBODY), event.surface, asset)
        route = self._routes.get(who)
        if route is None:
            route = self._route(tracks, *who)
        if route.is_armed:
            self.armed[event.item_id] = self.armed.get(event.item_id, 0) + 1
        pending, action = self.cells.pending, event.action
        if action == "impression":
            column = _column(event.position)
            pending.append(route.shown * COLUMNS + column)
            for row in route.shows:
                pending.append(row * COLUMNS + column)
        elif action == "click":
            if event.position is None and event.request_id is None:
                return  # found by themselves, not shown
            pending.append(route.taken * COLUMNS + _column(event.position))
            for row in route.shows:
                pending.append(row * COLUMNS + TAKEN)
        elif action == "play":
            share = event.completion
            for row in route.views:
                pending.append(row * COLUMNS)
                if share is not None and share >= rules.COMPLETE_FROM:
                    pending.append(row * COLUMNS + TAKEN)
                elif share is not None and share < EARLY:
                    pending.append(row * COLUMNS + EXITS)
        elif action == "complete" or action == "skip":
            column = TAKEN if action == "complete" else EXITS
            for row in route.views:
                pending.append(row * COLUMNS + column)
        if len(pending) > FLUSH_AT:
            self.cells.flush()

    def end_window(self, elapsed_ms: int) -> None:
        """Earlier counts fade by the time since the last window ended, and those of this one join them."""
        if self.cells.end_window(0.5 ** (max(0, elapsed_ms) / self.half_life_ms)):
            self._routes.clear()

    def exposure_days(self, key: Key, now_ms: int) -> float:
        """Days, faded like the counts, in which a cell could count; one at least."""
        start_ms = self.items[key[1]].since(key[0], audience_of(key))
        mean_days = self.half_life_ms / float(np.log(2)) / DAY_MS
        gone: float = 1 - 0.5 ** (max(0, now_ms - start_ms) / self.half_life_ms)
        return max(1.0, mean_days * gone)

    def _route(self, tracks: Tracks, item: str, who: Profile, surface: str | None, asset: Named) -> _Route:
        languages, segment = who
        on = surface or ""
        needs = languages[0] if languages and tracks.heard and not set(languages) & set(tracks.heard) else ""
        reads = not languages or not tracks.told or bool(set(languages) & set(tracks.told))
        shows: list[Key] = [("image", item, "", segment, on) if reads else ("blurb", item, languages[0], "", on)]
        views: list[Key] = []
        if needs:
            views.append(("dub", item, needs, "", ""))
            if not set(languages) & set(tracks.read):
                views.append(("subtitles", item, needs, "", ""))
        elif not languages or not tracks.own or tracks.own in languages:  # a dub is not held against the film itself
            views.append(("cut", item, "", segment, on) if tracks.is_long else ("finish", "", "", segment, on))
            if languages:
                views.append(("served", item, "", "", ""))
        named = dict.fromkeys(one for one in (asset if isinstance(asset, tuple) else (asset,)) if one is not None)
        arms = [found for one in named for found in self._arms(tracks, item, one)]
        for kind, language, one in arms:
            (shows if kind in SHOWN_KINDS else views).append((ARM + kind, item, language, one, on))
        surfaces: list[Key] = [("shown", "", "", "", on), ("taken", "", "", "", on)]
        new = [key for key in (*shows, *views, *surfaces) if self.cells.find(key) is None]
        if not self.cells.has_room(len(new)):
            self.cells.prune()
            self._routes.clear()
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        row = self.cells.row
        route = _Route(tuple(map(row, shows)), tuple(map(row, views)), row(surfaces[0]), row(surfaces[1]), bool(arms))
        self._routes[item, who, surface, asset] = route
        return route

    def _arms(self, tracks: Tracks, item: str, asset: str) -> list[tuple[ContentKind, str, str]]:
        """Kind, language and id of the arm that this asset is of this item; an original is one beside ours alone."""
        ours = self.arms.get(asset)
        if ours is not None:
            return [(ours[0], ours[2], asset)] if ours[1] == item else []
        made = {name.partition(SEPARATOR)[0] for name in tracks.made}
        return [(kind, "", asset) for kind in KINDS if kind in made and tracks.original(kind)[0] == asset]

    def _forget_arms(self, item_id: str) -> None:
        self.arms = {asset: arm for asset, arm in self.arms.items() if arm[1] != item_id}

    def _void(self, item_id: str, kinds: tuple[str, ...], now_ms: int, audience: Audience | None = None) -> None:
        since_ms = self.items[item_id].since_ms
        for kind in kinds:
            since_ms[kind if audience is None else name_of(kind, audience)] = now_ms
        self.cells.void(
            key
            for key in self.cells.of_item(item_id)
            if key[0] in kinds and (audience is None or audience_of(key) == audience)
        )
        self._routes.clear()


def _column(position: int | None) -> int:
    if position is None:
        return NO_PLACE
    return _PLACE_OF[position] if position < len(_PLACE_OF) else NO_PLACE - 1
