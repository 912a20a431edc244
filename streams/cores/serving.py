"""What a recommender knows, and how records change it: item states, weights, catalogue, users, interactions.

The same arrays as the trainer's (`Counts`, `Combiner`, `Histories`), filled from the topics or a snapshot, so that
both compute scores by the same code. One thread owns it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from index.live import LiveConfig, LiveIndex
from index.protocol import IndexConfig
from models.recommend import combiner as combining
from models.recommend import pools, sources, step
from models.recommend.serving import augment, augmented_dim
from models.recommend.state import ModelConfig, State
from models.recommend.vocab import Vocab
from models.recommend.windows import append_all
from models.typing import F32, I32
from streams.contract import rules
from streams.contract.arrays import array_from_tensor, floats_from_bytes, rows_from_bytes
from streams.contract.events import Interaction, Item, ItemState, ModelRef, ModelWeights, User
from streams.cores import histories
from streams.cores.announce import (
    COMBINER_PARTS,
    combiner_arrays,
    item_vectors,
    tower_arrays,
    weights_hash,
    with_tower_arrays,
)
from streams.cores.learn import ACTION_CODES

REFRESHED_ROWS: Final = 65_536
"""Rows whose augmented vectors are brought up to the present at one refresh; a larger catalogue takes turns."""
UNRESOLVED_MOST: Final = 100_000
"""Interactions remembered on items that the trainer has not announced yet."""


class Serving:
    """The state of one recommender."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.items, self.users = Vocab(), Vocab()
        n, u = self.items.capacity, self.users.capacity
        dim = config.towers.dim
        self.counts = sources.empty_counts(n)
        self.combiner = combining.empty_combiner(n)
        self.vectors: F32 = np.zeros((n, dim + 1), np.float32)
        self.announced = np.zeros(n, np.bool_)
        """Rows that the trainer announced and the catalogue has not withdrawn."""
        self._row_version = np.zeros(n, np.int64)
        self.histories = pools.empty_histories(u)
        self.hidden = pools.empty_rows(u)
        self.catalogue: dict[str, Item] = {}
        self.timed: dict[str, Item] = {}
        """Items of the catalogue with a window of availability."""
        self.limited: dict[str, Item] = {}
        """Items of the catalogue with a least age or regions."""
        self.withdrawn: set[str] = set()
        self.profiles: dict[str, User] = {}
        self.weights: Any = step.fresh_weights(config.towers, config.seed)
        self.model = ModelRef(version=0, step=0, state_hash=weights_hash(tower_arrays(self.weights), 0))
        self.newest_ms = 0
        self.augmented: F32 = np.zeros((n, augmented_dim(dim)), np.float32)
        self.index = LiveIndex(LiveConfig(index=IndexConfig(dim=augmented_dim(dim))))
        self._dirty = np.zeros(n, np.bool_)
        self._stripe = 0
        self._pending: dict[int, list[ItemState]] = {}
        self._waiting: dict[int, ModelWeights] = {}
        self._unresolved: dict[str, list[Interaction]] = {}
        self._unresolved_count = 0
        self._known_ids: dict[str, None] = {}
        self.erased_ms: dict[str, int] = {}
        """Erased users, with the timestamp of the record that erased them: what they did before it is not taken."""
        self.is_stale = True
        """Whether rows, weights or sizes changed so that nobody may be answered before the next `refresh`."""

    # --- from a snapshot ---------------------------------------------------------------------------------------

    def restore(self, state: State, config: ModelConfig) -> None:
        """Start from the trainer's snapshot: everything but the catalogue's records."""
        self.items, self.users = state.items, state.users
        self.counts, self.combiner = state.counts, state.combiner
        self.histories, self.hidden = state.histories, state.hidden
        self.weights = state.towers.weights
        self.newest_ms = state.newest_ms
        self._known_ids = dict(state.known_ids)
        self._fit()
        rows = np.arange(1, state.items.used, dtype=np.int32)
        if len(rows):
            self.vectors[rows] = item_vectors(state, rows, config)
        in_use = np.array([bool(self.items.key(row)) for row in range(state.items.used)])
        self.announced[: state.items.used] = in_use & ~state.withdrawn[: state.items.used]
        self._dirty[:] = self.announced
        self._row_version[: state.items.used] = state.learned_events
        digest = weights_hash(combiner_arrays(self.combiner) | tower_arrays(self.weights), state.step)
        self.model = ModelRef(version=state.learned_events, step=state.step, state_hash=digest)

    # --- from the trainer's topics -----------------------------------------------------------------------------

    def take_states(self, states: Iterable[ItemState]) -> None:
        """Stage item states until the weights of their version are here; older versions take effect at once."""
        for state in states:
            if not self._fits(state):
                continue
            if state.version <= self.model.version:
                self._put_state(state)
            else:
                self._pending.setdefault(state.version, []).append(state)
        self._settle()

    def forget_item(self, item_id: str) -> None:
        """A tombstone on item states: the item is as if it had never been announced."""
        for version, states in self._pending.items():
            self._pending[version] = [state for state in states if state.item_id != item_id]
        row = self.items.row(item_id)
        if row:
            self._forget_row(row)

    def take_weights(self, weights: ModelWeights) -> None:
        """Stage the weights of a version; it is used once all of its item states are here, or a newer one is whole."""
        if weights.version > self.model.version and self._are_ours(weights):
            self._waiting[weights.version] = weights
        self._settle()

    def _fits(self, state: ItemState) -> bool:
        """False for what a trainer of another configuration left on the topic."""
        sizes = len(state.vector), len(state.popularity)
        return not state.live or sizes == (4 * self.vectors.shape[1], 4 * sources.DECAYS)

    def _are_ours(self, weights: ModelWeights) -> bool:
        ours = combiner_arrays(self.combiner) | tower_arrays(self.weights)
        return {name: tuple(tensor.shape) for name, tensor in weights.arrays.items()} == {
            name: array.shape for name, array in ours.items()
        }

    def _settle(self) -> None:
        whole = [v for v, w in self._waiting.items() if len(self._pending.get(v, ())) >= w.item_states]
        if whole:
            self.use_version(max(whole))

    def use_newest(self) -> None:
        """Use what is staged although item states are missing: compaction removed those that newer ones replaced."""
        if self._waiting:
            self.use_version(max(self._waiting))

    def use_version(self, version: int) -> None:
        """Make the staged weights of ``version`` and all item states up to it take effect, all at once."""
        weights = self._waiting[version]
        for staged in sorted(v for v in self._pending if v <= version):
            for state in self._pending.pop(staged):
                self._put_state(state)
        self._waiting = {v: w for v, w in self._waiting.items() if v > version}
        arrays = {name: array_from_tensor(tensor) for name, tensor in weights.arrays.items()}
        self.combiner = self.combiner._replace(
            **{name: np.array(arrays[f"combiner/{name}"]) for name in COMBINER_PARTS}
        )
        self.weights = with_tower_arrays(self.weights, arrays)
        self.counts.clock[0] = max(int(self.counts.clock[0]), weights.clock_events)
        self.newest_ms = max(self.newest_ms, weights.clock_ms)
        self.model = ModelRef(version=version, step=weights.step, state_hash=weights.state_hash)
        self.is_stale = True

    def _put_state(self, state: ItemState) -> None:
        held = self.items.row(state.item_id)
        if state.version < max(self._version_of(state.row), self._version_of(held)):
            return
        if not state.live:
            if held == state.row:
                self._forget_row(state.row)
                self._row_version[state.row] = state.version
            return
        previous = self.items.key(state.row) if state.row < self.items.used else ""
        if previous and previous != state.item_id:
            self._forget_row(state.row)
        if held and held != state.row:  # compaction has removed the record that freed its old row
            self._forget_row(held)
        self.items.put(state.item_id, state.row)
        self._fit()
        row, counts = state.row, self.counts
        after, before = rows_from_bytes(state.successors), rows_from_bytes(state.predecessors)
        popularity = floats_from_bytes(state.popularity)
        self.vectors[row] = floats_from_bytes(state.vector)
        self.combiner.bias[row] = state.bias
        counts.seen[row] = state.count
        counts.decayed[:, row] = popularity
        counts.last_event[row], counts.last_ms[row] = state.clock_events, state.clock_ms
        counts.first_ms[row] = state.first_seen_ms
        self._grow_for(max(after.max(initial=0), before.max(initial=0)))
        self.counts = self.counts._replace(
            after=pools.reserve(self.counts.after, len(after)), before=pools.reserve(self.counts.before, len(before))
        )
        pools.replace_row(self.counts.after, row, after, floats_from_bytes(state.successor_weights))
        pools.replace_row(self.counts.before, row, before, floats_from_bytes(state.predecessor_weights))
        self.announced[row] = state.item_id not in self.withdrawn
        self._dirty[row] = True
        self._row_version[row] = state.version
        waiting = self._unresolved.pop(state.item_id, [])
        self._unresolved_count -= len(waiting)
        for event in waiting:
            self._remember([event])
            if event.action in rules.LEARNED_ACTIONS:
                histories.put_newest_in_time(self.histories, self.users.row(event.user_id))

    def _version_of(self, row: int) -> int:
        return int(self._row_version[row]) if 0 < row < len(self._row_version) else 0

    def _forget_row(self, row: int) -> None:
        self.is_stale = True
        self.announced[row] = False
        self.index.remove(np.array([row], np.int32))
        sources.forget_item(self.counts, row)
        gone = np.zeros(self.items.capacity, np.bool_)
        gone[row] = True
        pools.scrub_histories(self.histories, gone)
        pools.scrub_rows(self.hidden, gone)
        self.items.evict([row])

    # --- from the platform's topics ----------------------------------------------------------------------------

    def take_item(self, item_id: str, item: Item | None) -> None:
        """A catalogue record; None withdraws the item from the next slate on."""
        row = self.items.row(item_id)
        self.timed.pop(item_id, None)
        self.limited.pop(item_id, None)
        if item is None:
            self.catalogue.pop(item_id, None)
            self.withdrawn.add(item_id)
            self.announced[row] = False
        else:
            self.catalogue[item_id] = item
            if item.available_from_ms is not None or item.available_until_ms is not None:
                self.timed[item_id] = item
            if item.maturity or item.regions:
                self.limited[item_id] = item
            self.withdrawn.discard(item_id)
            self.announced[row] = row > 0
        self._dirty[row] = row > 0

    def take_user(self, user: User) -> None:
        """A profile."""
        self.profiles[user.user_id] = user

    def erase_user(self, user_id: str, *, at_ms: int, is_news: bool) -> None:
        """A tombstone erases the user from serving at once.

        Args:
          at_ms: the record's timestamp: what the user did before it is not taken any more either.
          is_news: False while the topic is read from its beginning: the user may have come back since, and what a
            snapshot holds of the time after ``at_ms`` stays.
        """
        self.profiles.pop(user_id, None)
        self.erased_ms[user_id] = at_ms
        for item_id, events in list(self._unresolved.items()):
            kept = [event for event in events if event.user_id != user_id]
            self._unresolved_count -= len(events) - len(kept)
            if kept:
                self._unresolved[item_id] = kept
            else:
                del self._unresolved[item_id]
        row = self.users.row(user_id)
        if not row:
            return
        if not is_news and self.users.last_ms[row] > at_ms:
            histories.forget_before(self.histories, row, at_ms)
            return
        self.users.evict([row])
        pools.clear_row(self.histories, row)
        pools.clear_row(self.hidden, row)

    def take_interactions(self, events: Sequence[Interaction]) -> None:
        """Histories move with each interaction, at once; one on an item without a row waits for its first state."""
        chosen, hiding = [], []
        for event in histories.without_repeats(self._known_ids, events, window=self.config.dedupe_window):
            if event.action in rules.LEARNED_ACTIONS or event.action in rules.HIDING_ACTIONS:
                if event.item_id not in self.items:
                    self._wait_for_row(event)
                elif event.action in rules.LEARNED_ACTIONS:
                    chosen.append(event)
                else:
                    hiding.append(event)
        self._remember(chosen)
        self._hide(hiding)

    def _wait_for_row(self, event: Interaction) -> None:
        self._unresolved.setdefault(event.item_id, []).append(event)
        self._unresolved_count += 1
        while self._unresolved_count > UNRESOLVED_MOST:
            self._unresolved_count -= len(self._unresolved.pop(next(iter(self._unresolved))))

    def _remember(self, events: Sequence[Interaction]) -> None:
        hiding = [event for event in events if event.action in rules.HIDING_ACTIONS]
        if hiding:
            self._hide(hiding)
            events = [event for event in events if event.action not in rules.HIDING_ACTIONS]
        most = self.config.history_most
        for first in range(0, len(events), most):
            self._append(events[first : first + most], most)

    def _append(self, events: Sequence[Interaction], most: int) -> None:
        users, items = self._rows_of(events)
        pools.forget_oldest(self.histories, users, most)
        self.histories = pools.reserve_appends(self.histories, users)
        at_ms = np.array([event.occurred_at_ms for event in events], np.int64)
        value = np.array([np.nan if event.value is None else event.value for event in events], np.float32)
        action = np.array([ACTION_CODES[event.action] for event in events], np.uint8)
        self.users.touch(users, at_ms)
        append_all(self.histories, users, items, value, at_ms, action, most, np.zeros(len(events), np.int32))
        self.newest_ms = max(self.newest_ms, int(at_ms.max()))

    def _hide(self, events: Sequence[Interaction]) -> None:
        if not events:
            return
        users, items = self._rows_of(events)
        room = len(users) * 2 * int(self.hidden.room.max() + pools.FIRST_ROOM)
        self.hidden = pools.reserve(self.hidden, room)
        for user, item in zip(users.tolist(), items.tolist(), strict=True):
            pools.add(self.hidden, user, item, np.float32(1.0), self.config.history_most)

    def _rows_of(self, events: Sequence[Interaction]) -> tuple[I32, I32]:
        users = [event.user_id for event in events]
        self.users.admit(users)
        self._fit()
        return self.users.rows(users), self.items.rows(event.item_id for event in events)

    # --- keeping arrays and index up to date -------------------------------------------------------------------

    def _grow_for(self, row: int) -> None:
        """Successors may name rows whose own record has not come yet."""
        capacity = len(self.announced)
        if row >= capacity:
            self._resize(1 << int(row).bit_length())

    def _fit(self) -> None:
        if self.items.capacity > len(self.announced):
            self._resize(self.items.capacity)
        if self.users.capacity > len(self.histories.start):
            self.histories = pools.with_capacity(self.histories, self.users.capacity)
            self.hidden = pools.with_capacity(self.hidden, self.users.capacity)

    def _resize(self, n: int) -> None:
        self.is_stale = True
        missing = n - len(self.announced)

        def longer(array: Any) -> Any:
            return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])

        self.counts = sources.grown(self.counts, n)
        if len(self.combiner.bias) < n:
            bias = np.zeros(n, np.float32)
            bias[: len(self.combiner.bias)] = self.combiner.bias
            self.combiner = self.combiner._replace(bias=bias)
        self.vectors, self.augmented = longer(self.vectors), longer(self.augmented)
        self.announced, self._dirty = longer(self.announced), longer(self._dirty)
        self._row_version = longer(self._row_version)

    def refresh(self, now_ms: int) -> int:
        """Bring the index up to event time ``now_ms``: rows that changed, and a stripe of all the others.

        Returns:
          How many rows were written.
        """
        self.is_stale = False
        used = min(self.items.used, len(self.announced))
        fresh = np.nonzero(self._dirty[:used])[0]
        self._stripe = 0 if self._stripe >= used else self._stripe
        stripe = np.arange(self._stripe, min(used, self._stripe + REFRESHED_ROWS))
        self._stripe += REFRESHED_ROWS
        rows = np.union1d(fresh, stripe).astype(np.int32)
        rows = rows[rows > 0]
        self._dirty[:used] = False
        gone = rows[~self.announced[rows]]
        rows = rows[self.announced[rows]]
        if len(gone):
            self.index.remove(gone)
        if len(rows):
            new = (
                augment(self.counts, self.vectors, self.combiner.bias, used, now_ms) if used <= REFRESHED_ROWS else None
            )
            vectors = new[rows] if new is not None else self._augment_rows(rows, now_ms)
            self.augmented[rows] = vectors
            self.index.upsert(rows, vectors)
        return len(rows)

    def _augment_rows(self, rows: I32, now_ms: int) -> F32:
        part = self.counts._replace(
            seen=self.counts.seen[rows],
            decayed=np.ascontiguousarray(self.counts.decayed[:, rows]),
            last_event=self.counts.last_event[rows],
            last_ms=self.counts.last_ms[rows],
            first_ms=self.counts.first_ms[rows],
        )
        return augment(part, self.vectors[rows], self.combiner.bias[rows], len(rows), now_ms)
