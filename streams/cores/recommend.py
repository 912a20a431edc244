"""Requests -> slates: retrieval by the index, ranking by the combiner, hard rules, exploration.

Pure but for the serving state's scratch arrays: the same requests on the same state give the same slates.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import jax
import numpy as np

from models.recommend import serving as ranking
from models.recommend import step
from models.recommend.windows import empty_windows, query_windows
from models.typing import F32, I32, Bools
from streams.contract import rules
from streams.contract.events import AsOf, Item, Request, Slate, SlateItem, Source, User
from streams.cores.learn import ACTION_CODES
from streams.cores.serving import Serving

FEW_SIGHTINGS: Final = 5
OVERFETCH: Final = 512
"""Most items that a user has had for which the index is asked for more; beyond it the search masks them out."""
BATCHES: Final = (1, 4, 16, 64)
DEPTHS: Final = (64, 256, 1024)
"""Shapes that the index and the user tower are asked in: few, since each is compiled once."""
FRESH_POOL: Final = 2_000
REASONS: Final[dict[Source, str]] = {
    "successor": "goes with what you chose",
    "tower": "close to what you last chose",
    "popular": "much watched now",
    "fresh": "new here",
}
REASON_MOST: Final = 300
"""Characters of a reason; the contract allows a title as long as a whole reason."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecommendConfig:
    """How slates are made.

    Attributes:
      max_k: longest slate. explore_slots: places for items with few sightings, chosen evenly; propensity is logged.
      rewatchable_actions: after these alone an item may come back to the same user.
    """

    max_k: int = 200
    explore_slots: int = 1
    rewatchable_actions: frozenset[str] = rules.REWATCHABLE_ACTIONS


@dataclasses.dataclass(kw_only=True)
class _Wish:
    """One request with what decides its slate."""

    request: Request
    k: int
    error: str | None
    row: int
    history: I32
    times: Any
    had: I32
    rules_mask: Bools | None


class Recommender:
    """Answers requests from a `Serving`; one thread calls it."""

    def __init__(self, serving: Serving, config: RecommendConfig) -> None:
        self.serving = serving
        self.config = config
        self._rewatchable = np.zeros(256, np.bool_)
        for word in config.rewatchable_actions:
            self._rewatchable[ACTION_CODES[word]] = True
        self._scratch = ranking.scratch_for(0)
        self._showable = np.zeros(0, np.bool_)
        self._known: Bools = np.zeros(0, np.bool_)
        self._fresh: I32 = np.zeros(0, np.int32)
        self._is_fresh: Bools = np.zeros(0, np.bool_)
        self._bounds = (0, 2**62)

    def refresh(self, now_ms: int) -> None:
        """Bring the index and the rules that hold for everybody up to event time ``now_ms``."""
        serving = self.serving
        serving.refresh(now_ms)
        n = len(serving.announced)
        if len(self._scratch.touched) < n:
            self._scratch = ranking.scratch_for(n)
        self._showable = serving.announced.copy()
        self._bounds = (0, 2**62)
        for item in serving.timed.values():
            self._showable[serving.items.row(item.item_id)] &= _is_available(item, now_ms)
            self._note_moments(item, now_ms)
        seen = serving.counts.seen
        self._known = self._showable & (seen > 0)
        few = np.nonzero(self._showable & (seen < FEW_SIGHTINGS))[0]
        self._fresh = few[-FRESH_POOL:].astype(np.int32)
        self._is_fresh = np.zeros(n, np.bool_)
        self._is_fresh[self._fresh] = True

    def warm_up(self, now_ms: int) -> None:
        """Compile what answers need, before the first question waits for it."""
        for size in BATCHES:
            wishes = [Request(request_id="warm-up", user_id="", k=1)] * size
            self.answer(wishes, now_ms=now_ms, generated_at_ms=0, offsets={})
            for depth in DEPTHS:
                queries = np.zeros((size, self.serving.index.dim), np.float32)
                self.serving.index.search(queries, depth, mask=self._known)

    def take_item(self, item_id: str, item: Item | None, now_ms: int) -> None:
        """A catalogue record; what it forbids holds from the next slate on, what it allows from the next refresh."""
        self.serving.take_item(item_id, item)
        row = self.serving.items.row(item_id)
        if row < len(self._known) and (item is None or not _is_available(item, now_ms)):
            self._known[row] = self._showable[row] = False
            self._fresh = self._fresh[self._fresh != row]
        if item is not None:
            self._note_moments(item, now_ms)

    def _note_moments(self, item: Item, now_ms: int) -> None:
        lower, upper = self._bounds
        for moment in (item.available_from_ms, item.available_until_ms):
            if moment is not None:
                lower, upper = (max(lower, moment), upper) if moment <= now_ms else (lower, min(upper, moment))
        self._bounds = (lower, upper)

    def answer(
        self, requests: Sequence[Request], *, now_ms: int, generated_at_ms: int, offsets: dict[str, int]
    ) -> list[Slate]:
        """One slate a request, in order.

        Args:
          now_ms: event time, for decay, gaps and availability. generated_at_ms: what the slates say.
          offsets: next offset of each interactions partition, as text, that the state has taken in.
        """
        if self.serving.is_stale or not self._bounds[0] <= now_ms < self._bounds[1]:
            self.refresh(now_ms)
        wishes = [self._wish(request) for request in requests]
        as_of = AsOf(event_time_ms=self.serving.newest_ms, offsets=offsets)
        asked = [wish for wish in wishes if wish.k > 0]
        ranked = dict(zip((id(wish) for wish in asked), self._rank(asked, now_ms), strict=True))
        return [
            Slate(
                request_id=wish.request.request_id,
                user_id=wish.request.user_id,
                generated_at_ms=generated_at_ms,
                as_of=as_of,
                model=self.serving.model,
                k=wish.k,
                items=ranked.get(id(wish), []),
                error=wish.error,
            )
            for wish in wishes
        ]

    # --- what is asked -----------------------------------------------------------------------------------------

    def _wish(self, request: Request) -> _Wish:
        serving = self.serving
        errors = []
        k = min(request.k, self.config.max_k)
        if request.k < 1:
            k = 0
            errors.append(f"k must be a whole number >= 1, got {request.k}; ask for 1 to {self.config.max_k}")
        elif request.k > k:
            errors.append(f"k was clamped from {request.k} to {k}, the longest slate")
        unknown = sorted(set(request.filters) - rules.KNOWN_FILTERS)
        if unknown:
            known = ", ".join(sorted(rules.KNOWN_FILTERS))
            errors.append(f"unknown filter {', '.join(map(repr, unknown))} was not applied; known are {known}"[:900])
        row = serving.users.row(request.user_id)
        h = serving.histories
        start, length = int(h.start[row]), int(h.length[row]) if row else 0
        history, times = h.item[start : start + length], h.at_ms[start : start + length]
        hidden_start, hidden_length = int(serving.hidden.start[row]), int(serving.hidden.length[row]) if row else 0
        hidden = serving.hidden.key[hidden_start : hidden_start + hidden_length]
        had = ranking.had_rows(history, h.action[start : start + length], self._rewatchable, hidden)
        if request.exclude:
            excluded = serving.items.rows(request.exclude)
            had = np.concatenate([had, excluded[excluded > 0]]).astype(np.int32)
        mask = self._rules_mask(request, serving.profiles.get(request.user_id))
        return _Wish(
            request=request, k=k, error="; ".join(errors) or None, row=row, history=history, times=times, had=had,
            rules_mask=mask,
        )  # fmt: skip

    def _rules_mask(self, request: Request, profile: User | None) -> Bools | None:
        """Rows that this request's filters and this user's profile allow; None where they forbid nothing."""
        filters = {name: value for name, value in request.filters.items() if name in rules.KNOWN_FILTERS}
        maturity = profile.maturity if profile is not None else None
        region = profile.region if profile is not None else None
        limited = self.serving.limited
        if not filters:
            forbidden = [
                item for item in limited.values()
                if (maturity is not None and item.maturity > maturity)
                or (item.regions and region is not None and region not in item.regions)
            ] if profile is not None and (maturity is not None or region is not None) else []  # fmt: skip
            if not forbidden:
                return None
            mask = np.ones(len(self._showable), np.bool_)
            mask[self.serving.items.rows(item.item_id for item in forbidden)] = False
            return mask
        mask = np.zeros(len(self._showable), np.bool_)
        for item in self.serving.catalogue.values():
            if passes(item, filters, maturity=maturity, region=region):
                mask[self.serving.items.row(item.item_id)] = True
        mask[0] = False
        return mask

    # --- ranking -----------------------------------------------------------------------------------------------

    def _rank(self, wishes: Sequence[_Wish], now_ms: int) -> list[list[SlateItem]]:
        if not wishes:
            return []
        states = self._user_states(wishes, now_ms)
        gaps = [ranking.time_gap(wish.times, now_ms) for wish in wishes]
        pairs = [
            ranking.query(self.serving.combiner, state, len(wish.history), gap)
            for wish, state, gap in zip(wishes, states, gaps, strict=True)
        ]
        plain = [at for at, wish in enumerate(wishes) if wish.rules_mask is None and len(wish.had) <= OVERFETCH]
        found: dict[int, tuple[I32, F32]] = {}
        if plain:
            most = max(wishes[at].k + len(wishes[at].had) for at in plain)
            queries = np.zeros((_bucket(len(plain), BATCHES), len(pairs[0][0])), np.float32)
            queries[: len(plain)] = [pairs[at][0] for at in plain]
            hits = self.serving.index.search(queries, _bucket(most, DEPTHS), mask=self._known)
            found = {at: (hits.rows[i], hits.scores[i]) for i, at in enumerate(plain)}
        slates = []
        for at, wish in enumerate(wishes):
            allowed = self._known if wish.rules_mask is None else self._known & wish.rules_mask
            if at not in found:
                mask = allowed.copy()
                mask[wish.had] = False
                hits = self.serving.index.search(pairs[at][0][None], _bucket(wish.k, DEPTHS), mask=mask)
                found[at] = (hits.rows[0], hits.scores[0])
            rows, scores, parts, because, filled = ranking.rank_user(
                self.serving.counts, self.serving.augmented, *found[at], *pairs[at], wish.history, wish.times,
                wish.had, now_ms, allowed, wish.k, self._scratch,
            )  # fmt: skip
            best = ranking.Ranked(rows[:filled], scores[:filled], parts[:filled], because[:filled])
            slates.append(self._slate_items(wish, best))
        return slates

    def _user_states(self, wishes: Sequence[_Wish], now_ms: int) -> F32:
        count = len(wishes)
        windows = empty_windows(_bucket(count, BATCHES), self.serving.config.towers.window)
        users = np.array([wish.row for wish in wishes], np.int32)
        lengths = np.array([len(wish.history) for wish in wishes], np.int32)
        query_windows(self.serving.histories, users, lengths, np.full(count, now_ms, np.int64), windows)
        inputs = self.serving.vectors[windows.item]
        states = step.states_of_inputs(self.serving.weights, inputs, *windows, config=self.serving.config.towers)
        return np.asarray(jax.device_get(states))[:count]

    def _slate_items(self, wish: _Wish, best: ranking.Ranked) -> list[SlateItem]:
        key = self.serving.items.key
        columns = zip(best.rows.tolist(), best.scores.tolist(), sources_of(best), best.because.tolist(), strict=True)
        chosen: list[tuple[str, float, Source, list[str], bool, float]] = [
            (key(row), score, source, self._reasons(source, because), False, 1.0)
            for row, score, source, because in columns
        ]
        fresh = self._explored(wish, set(best.rows.tolist()), missing=wish.k - len(chosen))
        for place, (row, propensity) in enumerate(fresh):
            entry: tuple[str, float, Source, list[str], bool, float]
            entry = (key(row), 0.0, "fresh", [REASONS["fresh"]], True, propensity)
            if len(chosen) < wish.k:
                chosen.append(entry)
            else:
                at = min(len(chosen) - 1, wish.k // 2 + place)
                chosen = [*chosen[:at], entry, *chosen[at : wish.k - 1]]
        floor = min((entry[1] for entry in chosen if not entry[4]), default=0.0)
        return [
            SlateItem(
                item_id=item_id,
                rank=rank,
                score=floor if explored else score,
                source=source,
                reasons=reasons,
                explored=explored,
                propensity=propensity,
            )
            for rank, (item_id, score, source, reasons, explored, propensity) in enumerate(chosen, start=1)
        ]

    def _reasons(self, source: Source, because: int) -> list[str]:
        if because and source == "successor":
            item_id = self.serving.items.key(because)
            item = self.serving.catalogue.get(item_id)
            return [f"often follows {(item.title if item else '') or item_id}"[:REASON_MOST]]
        return [REASONS[source]]

    def _explored(self, wish: _Wish, taken: set[int], *, missing: int) -> list[tuple[int, float]]:
        """Items with few sightings, chosen evenly by a hash of the request: as many as have a place, or are missing."""
        slots = max(missing, min(self.config.explore_slots, wish.k - 1))
        if slots <= 0 or not len(self._fresh):
            return []
        pool = self._fresh if wish.rules_mask is None else self._fresh[wish.rules_mask[self._fresh]]
        barred = np.concatenate([np.array([*taken], np.int32), wish.had])
        if self._is_fresh[barred].any():
            pool = pool[~np.isin(pool, barred)]
        if not len(pool):
            return []
        digest = hashlib.blake2b(wish.request.request_id.encode(), digest_size=8).digest()
        first = int.from_bytes(digest) % len(pool)
        return [(row, 1.0 / len(pool)) for row in np.roll(pool, -first)[:slots].tolist()]


def sources_of(best: ranking.Ranked) -> list[Source]:
    """Which part speaks most for each item: against the slate's own mean, since parts have different zeros."""
    if not len(best.rows):
        return []
    relative = best.parts - best.parts.mean(axis=0, keepdims=True)
    relative[:, ranking.SUCCESSOR_PART] = best.parts[:, ranking.SUCCESSOR_PART]
    names: tuple[Source, ...] = ("popular", "tower", "successor")
    return [names[part] for part in relative.argmax(axis=1).tolist()]


def passes(item: Item, filters: dict[str, Any], *, maturity: int | None, region: str | None) -> bool:
    """Whether an item of the catalogue meets a request's filters and the user's limits."""
    if maturity is not None and item.maturity > maturity:
        return False
    if item.regions and region is not None and region not in item.regions:
        return False
    for name, wanted in filters.items():
        if wanted is None:
            continue
        words = {str(word) for word in wanted} if isinstance(wanted, list) else {str(wanted)}
        if name == "tags" and not words & set(item.tags):
            return False
        if name == "language" and item.language not in words:
            return False
        if name == "creator" and item.creator not in words:
            return False
        if name == "max_duration_s" and not _is_at_most(item.duration_s, wanted):
            return False
    return True


def _is_at_most(duration_s: float | None, wanted: Any) -> bool:
    return duration_s is not None and isinstance(wanted, int | float) and duration_s <= wanted


def _is_available(item: Item, now_ms: int) -> bool:
    if item.available_from_ms is not None and now_ms < item.available_from_ms:
        return False
    return item.available_until_ms is None or now_ms < item.available_until_ms


def _bucket(count: int, sizes: tuple[int, ...]) -> int:
    """The least of ``sizes`` that holds ``count``, or a power of two beyond them."""
    return next((size for size in sizes if size >= count), 1 << (count - 1).bit_length())
