"""Requests -> slates: retrieval under hard rules, ranking in two stages, what the slate is made of, exploration.

Pure but for the serving state's scratch arrays: the same requests on the same state give the same slates. A batch of
requests is columns from beginning to end; only what is read from a request and what is written into a slate is Python.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final

import jax
import msgspec
import numpy as np

from models.recommend import candidates as ranking
from models.recommend import diversity, masked, slating, step
from models.recommend.candidates import Askers, Candidates, Question
from models.recommend.diversity import DEFAULT, Looks, Mix, Readers
from models.recommend.slating import Slates
from models.recommend.windows import empty_windows, query_windows
from models.typing import F32, I32, I64, Bools
from streams.contract import rules
from streams.contract.events import Item, Request, Slate
from streams.cores.learn import ACTION_CODES
from streams.cores.permissions import Permissions, is_available
from streams.cores.rehearsal import rehearse
from streams.cores.serving import Serving
from streams.cores.showcase import Showcase
from streams.cores.telling import Telling

FEW_SIGHTINGS: Final = 5
OVERFETCH: Final = 512
"""Most items that a user has had for which the index is asked for more; beyond it the search masks them out."""
SCORED_ONE_BY_ONE: Final = 131_072
"""Most pairs of a request and a row that it may show that are scored without the index: at 10,000 items quicker than to
ask it once for each mask, and an approximate one might look where nothing is allowed."""
BATCHES: Final = (1, 4, 16, 64)
DEPTHS: Final = (64, 128, 256, 512, 1024)
"""Shapes that the index and the user tower are asked in: few, since each is compiled once."""
WARMED_MOST: Final = 200_000
"""Items up to which all of these are tried at the start. More are searched exactly until their lists are built, some
minutes, and a try costs what a search costs."""
FRESH_POOL: Final = 2_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecommendConfig:
    """How slates are made.

    Attributes:
      max_k: longest slate. explore_slots: places for items with few sightings, chosen evenly; propensity is logged.
      rewatchable_actions: after these alone an item may come back to the same user.
      mix: what slates are made of.
    """

    max_k: int = 200
    explore_slots: int = 1
    rewatchable_actions: frozenset[str] = rules.REWATCHABLE_ACTIONS
    mix: Mix = DEFAULT


class Recommender:
    """Answers requests from a `Serving`; one thread calls it."""

    def __init__(self, serving: Serving, config: RecommendConfig) -> None:
        self.serving = serving
        self.config = config
        self._rewatchable = np.zeros(256, np.bool_)
        for word in config.rewatchable_actions:
            self._rewatchable[ACTION_CODES[word]] = True
        self._repeats = not rules.LEARNED_ACTIONS.isdisjoint(config.rewatchable_actions)
        """Whether an item of a history, which only actions that choose make, may ever come back."""
        self._most = max(serving.config.candidates, 0)
        self._permissions = Permissions(serving)
        self.showcase = Showcase(seed=serving.config.seed)
        """What items are shown with, as far as it was told."""
        self._telling = Telling(serving, self.showcase)
        self._scratch = ranking.scratch_for(0, self._most)
        self._showable = np.zeros(0, np.bool_)
        self._known: Bools = np.zeros(0, np.bool_)
        self._fresh: I32 = np.zeros(0, np.int32)
        self._bounds = (0, 2**62)

    def refresh(self, now_ms: int) -> None:
        """Bring the index and the rules that hold for everybody up to event time ``now_ms``."""
        serving = self.serving
        serving.refresh(now_ms)
        n = len(serving.announced)
        if len(self._scratch.done) < n:
            self._scratch = ranking.scratch_for(n, self._most)
        self._showable = serving.announced.copy()
        self._bounds = (0, 2**62)
        for item in serving.catalogue.timed.values():
            self._showable[serving.items.row(item.item_id)] &= is_available(item, now_ms)
            self._note_moments(item, now_ms)
        seen = serving.counts.seen
        self._known = self._showable & (seen > 0)
        few = np.flatnonzero(self._showable & (seen < FEW_SIGHTINGS))
        self._fresh = few[-FRESH_POOL:].astype(np.int32)

    def warm_up(self, now_ms: int) -> None:
        """Compile what answers and flushes need, before the first question waits for it."""
        rehearse(self.serving.config)
        for size in BATCHES:
            wishes = [Request(request_id="warm-up", user_id="", k=1)] * size
            self.told(wishes, now_ms=now_ms, generated_at_ms=0, offsets={})
            for depth in DEPTHS if len(self.serving.index) <= WARMED_MOST else ():
                queries = np.zeros((size, self.serving.index.dim), np.float32)
                self.serving.index.search(queries, depth, mask=self._known)

    def take_item(self, item_id: str, item: Item | None, now_ms: int, *, is_labelled: bool = False) -> None:
        """A catalogue record; what it forbids holds from the next slate on, what it allows from the next refresh.

        ``is_labelled``: see `Serving.take_item`.
        """
        self.serving.take_item(item_id, item, is_labelled=is_labelled)
        row = self.serving.items.row(item_id)
        if row < len(self._known) and (item is None or not is_available(item, now_ms)):
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

    def told(
        self, requests: Sequence[Request], *, now_ms: int, generated_at_ms: int, offsets: dict[str, int]
    ) -> list[bytes]:
        """The bytes of one slate a request, in order.

        Args:
          now_ms: event time, for decay, gaps and availability. generated_at_ms: what the slates say.
          offsets: next offset of each interactions partition, as text, that the state has taken in.
        """
        if self.serving.is_stale or not self._bounds[0] <= now_ms < self._bounds[1]:
            self.refresh(now_ms)
        lengths = [self._length(request) for request in requests]
        asked = [(request, k) for request, (k, _) in zip(requests, lengths, strict=True) if k > 0]
        made = self._made([request for request, _ in asked], [k for _, k in asked], now_ms)
        return self._telling.slates(requests, lengths, made, generated_at_ms=generated_at_ms, offsets=offsets)

    def answer(
        self, requests: Sequence[Request], *, now_ms: int, generated_at_ms: int, offsets: dict[str, int]
    ) -> list[Slate]:
        """The same as records."""
        told = self.told(requests, now_ms=now_ms, generated_at_ms=generated_at_ms, offsets=offsets)
        return [msgspec.json.decode(value, type=Slate) for value in told]

    # --- what is asked -----------------------------------------------------------------------------------------

    def _length(self, request: Request) -> tuple[int, str | None]:
        """How many items the slate will have, 0 for none, and what was wrong with the request."""
        k, most = request.k, self.config.max_k
        if 1 <= k <= most and not request.filters:
            return k, None
        errors = []
        if k < 1:
            errors.append(f"k must be a whole number >= 1, got {k}; ask for 1 to {most}")
        elif k > most:
            errors.append(f"k was clamped from {k} to {most}, the longest slate")
        unknown = sorted(set(request.filters) - rules.KNOWN_FILTERS)
        if unknown:
            known = ", ".join(sorted(rules.KNOWN_FILTERS))
            errors.append(f"unknown filter {', '.join(map(repr, unknown))} was not applied; known are {known}"[:900])
        return max(0, min(k, most)), "; ".join(errors) or None

    def _askers(self, requests: Sequence[Request], mask: I32, now_ms: int) -> Askers:
        serving = self.serving
        excluded: list[I32] = []
        ends = np.zeros(len(requests), np.int64)
        for at, request in enumerate(requests):
            if request.exclude:
                rows = serving.items.rows(request.exclude)
                excluded.append(rows[rows > 0])
                ends[at] = len(excluded[-1])
        users = serving.users.rows([request.user_id for request in requests])
        surfaces = np.array([serving.surfaces.get(request.surface or "", 0) for request in requests], np.uint8)
        askers: Askers = ranking.askers_of(
            serving.histories, serving.hidden, users, mask, surfaces,
            np.concatenate(excluded) if excluded else np.zeros(0, np.int32), np.cumsum(ends), self._rewatchable, now_ms,
        )  # fmt: skip
        return askers

    # --- ranking -----------------------------------------------------------------------------------------------

    def _made(self, requests: Sequence[Request], lengths: Sequence[int], now_ms: int) -> Slates:
        if not requests:
            return slating.empty_slates(0, 0)
        serving, k = self.serving, np.array(lengths, np.int32)
        masks, mask_of = self._permissions.masks(requests)
        askers = self._askers(requests, mask_of, now_ms)
        weights = ranking.weights_for(serving.combiner, askers)
        states = self._user_states(askers, now_ms)
        q = ranking.queries(weights, states, askers.surface)
        wanted = np.maximum(diversity.width_for(k, self.config.mix), self._most).astype(np.int32)
        question = Question(
            weights, states, q, *self._search(askers, q, wanted, masks), self._known, masks, now_ms, self._repeats
        )
        candidates = ranking.find_candidates(serving.known, askers, question, int(wanted.max()), self._scratch)
        slates = slating.first_of(self._mixed(candidates, k, askers, now_ms), k)
        slating.name_causes(serving.counts, serving.histories, askers, self._scratch.done, slates)
        slots = np.full(len(k), self.config.explore_slots, np.int32)
        draw = np.array([_number_of(request.request_id) for request in requests], np.uint64)
        slating.explore(self._fresh, askers, masks, k, slots, draw, self._scratch.done, slates)
        return slates

    def _mixed(self, candidates: Candidates, k: I32, askers: Askers, now_ms: int) -> Candidates:
        serving, mix = self.serving, self.config.mix
        if mix.is_off:
            return candidates
        looks = Looks(serving.vectors[:, :-1], serving.labels, serving.counts.first_ms)
        start, now = serving.histories.start[askers.user], np.full(len(k), now_ms, np.int64)
        return diversity.mixed(candidates, k, looks, Readers(serving.histories.item, start, askers.length, now), mix)

    def _user_states(self, askers: Askers, now_ms: int) -> F32:
        count = len(askers.user)
        towers = self.serving.config.towers
        windows = empty_windows(_bucket(count, BATCHES), towers.window)
        query_windows(self.serving.histories, askers.user, askers.length, np.full(count, now_ms, np.int64), windows)
        inputs = self.serving.vectors[windows.item]
        states = step.states_of_inputs(self.serving.weights, inputs, *windows, config=towers)
        return np.asarray(jax.device_get(states))[:count]

    def _search(self, askers: Askers, q: F32, k: I32, masks: Bools) -> tuple[I32, F32]:
        """What the index finds for each asker: deep enough that ``k`` are left when what the user had is taken out."""
        had: I64 = np.diff(askers.had_end, prepend=0)
        by_mask = had <= OVERFETCH
        depth = _bucket(int((k + np.where(by_mask, had, 0)).max()), DEPTHS)
        if by_mask.all() and (askers.mask < 0).all():
            return self._hits(q, depth, self._known)
        rows, scores = np.empty((len(k), depth), np.int32), np.empty((len(k), depth), np.float32)
        for mask in np.unique(askers.mask[by_mask]):
            chosen = by_mask & (askers.mask == mask)
            rows[chosen], scores[chosen] = self._hits(q[chosen], depth, self._allowed(mask, masks))
        for at in np.flatnonzero(~by_mask):
            allowed = self._allowed(askers.mask[at], masks).copy()
            allowed[askers.had[askers.had_end[at] - had[at] : askers.had_end[at]]] = False
            rows[at], scores[at] = (found[0] for found in self._hits(q[at : at + 1], depth, allowed))
        return rows, scores

    def _allowed(self, mask: int, masks: Bools) -> Bools:
        return self._known if mask < 0 else self._known & masks[mask]

    def _hits(self, q: F32, depth: int, allowed: Bools) -> tuple[I32, F32]:
        if allowed is not self._known:
            left = np.flatnonzero(allowed).astype(np.int32)
            if len(left) * len(q) <= SCORED_ONE_BY_ONE:
                return masked.best_of(self.serving.augmented, left, q, depth)
        padded = np.zeros((_bucket(len(q), BATCHES), q.shape[1]), np.float32)
        padded[: len(q)] = q
        hits = self.serving.index.search(padded, depth, mask=allowed)
        return hits.rows[: len(q)], hits.scores[: len(q)]


def _number_of(request_id: str) -> int:
    """An even draw from the request, so that the same request explores the same items."""
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest())


def _bucket(count: int, sizes: tuple[int, ...]) -> int:
    """The least of ``sizes`` that holds ``count``, or a power of two beyond them."""
    return next((size for size in sizes if size >= count), 1 << (count - 1).bit_length())
