"""What a recommender knows, and how records change it: item states, weights, catalogue, users, interactions.

The same arrays as the trainer's (`Counts`, `Combiner`, `Reranker`, `Histories`), filled from the topics or a snapshot,
so that both compute scores by the same code. One thread owns it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from index.live import LiveConfig, LiveIndex
from index.protocol import IndexConfig
from models.recommend import combiner as combining
from models.recommend import heads as heading
from models.recommend import labels as labelling
from models.recommend import pools, rerank, showings, sources, step
from models.recommend.candidates import Known
from models.recommend.serving import augment_some, augmented_dim
from models.recommend.state import ModelConfig, State
from models.recommend.vocab import Vocab
from models.recommend.windows import append_all
from models.typing import F32, I32
from streams.contract import rules
from streams.contract.arrays import array_from_tensor
from streams.contract.events import Interaction, Item, ItemState, ModelRef, ModelWeights, User
from streams.cores import histories
from streams.cores.announce import all_vectors
from streams.cores.catalogue import Catalogue, put_known_labels
from streams.cores.facets import Facets
from streams.cores.item_states import columns_of, has_sizes, largest_row, write_counts
from streams.cores.learn import ACTION_CODES
from streams.cores.signals import noted, worth_noting
from streams.cores.waiting import Waiting
from streams.cores.weights import Dense, dense_arrays, have_shapes, weights_hash, with_dense_arrays

NEW_VERSION_ROWS: Final = 65_536
"""Rows whose augmented vectors are brought up to a new version at once; a larger catalogue takes turns."""
AGED_ROWS: Final = 4_096
"""Unchanged rows that are brought up to the present at a refresh: the quickest clock of theirs halves in an hour."""
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
        self.labels = labelling.empty_labels(n)
        self.combiner = combining.empty_combiner(n)
        self.reranker = rerank.empty_reranker(combining.CONTEXTS, seed=config.seed)
        self.heads = heading.empty_heads(config.heads)
        self.surfaces: dict[str, int] = {}
        self.vectors: F32 = np.zeros((n, dim + 1), np.float32)
        self.announced = np.zeros(n, np.bool_)
        """Rows that the trainer announced and the catalogue has not withdrawn."""
        self._row_version = np.zeros(n, np.int64)
        self.histories = pools.empty_histories(u)
        self.hidden = pools.empty_rows(u)
        self.passes = showings.empty_passes(u, window_ms=config.impression_window_ms)
        self.catalogue, self.facets = Catalogue(), Facets()
        self.profiles: dict[str, User] = {}
        self.weights: Any = step.fresh_weights(config.towers, config.seed)
        self.model = ModelRef(version=0, step=0, state_hash=weights_hash(dense_arrays(self._dense), 0))
        self.newest_ms = 0
        self.augmented: F32 = np.zeros((n, augmented_dim(dim)), np.float32)
        self.index = LiveIndex(LiveConfig(index=IndexConfig(dim=augmented_dim(dim))))
        self._dirty, self._unlabelled = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._stripe = 0
        self._pending: dict[int, list[ItemState]] = {}
        self._waiting: dict[int, ModelWeights] = {}
        self._unresolved = Waiting(UNRESOLVED_MOST)
        self._known_ids: dict[str, None] = {}
        self.erased_ms: dict[str, int] = {}
        """Erased users, with the timestamp of the record that erased them: what they did before it is not taken."""
        self.is_stale = True
        """Whether rows, weights or sizes changed so that nobody may be answered before the next `refresh`."""

    # --- from a snapshot ---------------------------------------------------------------------------------------

    def restore(self, state: State, config: ModelConfig, *, lead: int = 0) -> None:
        """Start from the trainer's snapshot, without the catalogue's records; ``lead``: as of `Announcer`."""
        self.items, self.users = state.items, state.users
        self.counts, self.labels = state.counts, state.labels
        self.combiner, self.reranker, self.surfaces = state.combiner, state.reranker, state.surfaces
        self.heads = state.heads
        self.histories, self.hidden, self.passes = state.histories, state.hidden, state.passes
        self.weights = jax.tree.map(jnp.asarray, state.towers.weights)
        self.newest_ms = state.newest_ms
        self._known_ids = dict(state.known_ids)
        self._fit()
        self.vectors[1 : state.items.used] = all_vectors(state, config)[1:]
        in_use = np.array(list(map(bool, self.items.keys_at(range(state.items.used)))))
        self.announced[: state.items.used] = in_use & ~state.withdrawn[: state.items.used]
        self._dirty[:] = self.announced
        self._row_version[: state.items.used] = version = state.learned_events + lead
        digest = weights_hash(dense_arrays(self._dense), state.step)
        self.model = ModelRef(version=version, step=state.step, state_hash=digest)

    # --- from the trainer's topics -----------------------------------------------------------------------------

    def take_states(self, states: Iterable[ItemState]) -> None:
        """Stage item states until the weights of their version are here; older versions take effect at once."""
        current = []
        for state in states:
            if not has_sizes(state, self.vectors.shape[1]):
                continue
            if state.version <= self.model.version:
                current.append(state)
            else:
                self._pending.setdefault(state.version, []).append(state)
        self._put_states(current)
        self._settle()

    def forget_item(self, item_id: str) -> None:
        """A tombstone on item states: the item is as if it had never been announced."""
        for version, states in self._pending.items():
            self._pending[version] = [state for state in states if state.item_id != item_id]
        row = self.items.row(item_id)
        if row:
            self.catalogue.version += 1
            self.items.evict([row])
            self._forget_rows([row])

    def take_weights(self, weights: ModelWeights) -> None:
        """Stage the weights of a version; it is used once all of its item states are here, or a newer one is whole."""
        if weights.version > self.model.version and have_shapes(weights, dense_arrays(self._dense)):
            self._waiting[weights.version] = weights
        self._settle()

    @property
    def _dense(self) -> Dense:
        return Dense(self.combiner, self.reranker, self.heads, self.counts.trials, self.weights)

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
        self.counts.clock[0] = max(int(self.counts.clock[0]), weights.clock_events)
        sources.age_surfaces(self.counts)
        staged = sorted(v for v in self._pending if v <= version)
        self._put_states([state for v in staged for state in self._pending.pop(v)])
        self._waiting = {v: w for v, w in self._waiting.items() if v > version}
        arrays = {name: array_from_tensor(tensor) for name, tensor in weights.arrays.items()}
        self.combiner, self.reranker, self.heads, trials, self.weights = with_dense_arrays(self._dense, arrays)
        self.counts.trials[:] = trials
        self.surfaces = {surface: code for code, surface in enumerate(weights.surfaces, start=1)}
        self.newest_ms = max(self.newest_ms, weights.clock_ms)
        self.model = ModelRef(version=version, step=weights.step, state_hash=weights.state_hash)
        self.is_stale = True

    def _put_states(self, states: Sequence[ItemState]) -> None:
        """Give the items their rows one by one, then write all that is known of them at once."""
        live: dict[int, ItemState] = {}
        gone: list[int] = []
        for state in states:
            self._put_row(state, live, gone)
        self._forget_rows(gone)
        if not live:
            return
        columns = columns_of(list(live.values()))
        self._grow_for(largest_row(columns))
        rows = columns.rows
        self.vectors[rows], self.combiner.bias[rows] = columns.vectors, columns.bias
        self.combiner.surface_bias[1:, rows] = columns.surface_bias
        self.counts = write_counts(self.counts, self.labels, columns)
        withdrawn = self.catalogue.withdrawn
        self.announced[rows] = [state.live and state.item_id not in withdrawn for state in live.values()]
        self._dirty[rows] = True
        self._remember_late([state.item_id for state in live.values() if state.item_id in self._unresolved])

    def _put_row(self, state: ItemState, live: dict[int, ItemState], gone: list[int]) -> None:
        """Move one item to its row: ``live`` gets its state, ``gone`` the rows that lost theirs on the way.

        An item that was withdrawn keeps its row, since histories name it; one that was evicted comes without a vector.
        """
        row, held = state.row, self.items.row(state.item_id)
        if state.version < max(self._version_of(row), self._version_of(held)):
            return
        lost = []
        is_evicted = not state.live and not state.vector
        if is_evicted:
            if held != row:
                return
            lost.append(row)
        else:
            if row < self.items.used and self.items.key(row) not in ("", state.item_id):
                lost.append(row)
            if held and held != row:  # compaction has removed the record that freed its old row
                lost.append(held)
        self.catalogue.version += bool(lost) or not held
        for one in lost:
            live.pop(one, None)
        gone += lost
        self.items.evict(lost)
        if not is_evicted:
            self.items.put(state.item_id, row)
            self._fit()
            live[row] = state
            self._unlabelled[row] |= held != row
        self._row_version[row] = state.version

    def _version_of(self, row: int) -> int:
        return int(self._row_version[row]) if 0 < row < len(self._row_version) else 0

    def _forget_rows(self, rows: Sequence[int]) -> None:
        """What stands in these rows belongs to nobody any more."""
        if not rows:
            return
        self.is_stale = True
        self.announced[rows] = False
        self.index.remove(np.array(rows, np.int32))
        for row in rows:
            sources.forget_item(self.counts, self.labels.tags, row)
            self.facets.put(row, None)
        for column in self.labels:
            column[rows] = 0
        gone = np.zeros(len(self.announced), np.bool_)
        gone[rows] = True
        pools.scrub_histories(self.histories, gone)
        pools.scrub_rows(self.hidden, gone)
        showings.scrub_passes(self.passes, gone)

    def _remember_late(self, item_ids: Sequence[str]) -> None:
        """Interactions that waited for the rows of these items take their place in time."""
        for event in self._unresolved.take(item_ids):
            self._remember([event])
            if event.action in rules.LEARNED_ACTIONS:
                histories.put_newest_in_time(self.histories, self.users.row(event.user_id))

    # --- from the platform's topics ----------------------------------------------------------------------------

    def take_item(self, item_id: str, item: Item | None, *, is_labelled: bool = False) -> None:
        """A catalogue record; None withdraws it at once. ``is_labelled``: a restored state has its labels already."""
        self.catalogue.take(item_id, item)
        row = self.items.row(item_id)
        self.announced[row] = row > 0 and item is not None
        self._dirty[row] = row > 0
        self._unlabelled[row] = row > 0 and item is not None and not is_labelled
        if row:
            self.facets.put(row, item)

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
        self._unresolved.forget_user(user_id)
        row = self.users.row(user_id)
        if not row:
            return
        if not is_news and self.users.last_ms[row] > at_ms:
            histories.forget_before(self.histories, row, at_ms)
            showings.forget_before(self.passes, row, at_ms)
            return
        self.users.evict([row])
        pools.clear_row(self.histories, row)
        pools.clear_row(self.hidden, row)
        showings.forget_users(self.passes, np.array([row], np.int32))

    def take_interactions(self, events: Sequence[Interaction]) -> None:
        """Histories move with each interaction, at once; one on an item without a row waits for its first state."""
        known: list[Interaction] = []
        for event in histories.without_repeats(self._known_ids, events, window=self.config.dedupe_window):
            if event.item_id in self.items:
                known.append(event)
            elif event.action in rules.LEARNED_ACTIONS or event.action in rules.HIDING_ACTIONS:
                self._unresolved.add(event)
        self._remember(known)

    def _remember(self, events: Sequence[Interaction]) -> None:
        self._hide([event for event in events if event.action in rules.HIDING_ACTIONS])
        chosen = [event for event in events if event.action in rules.LEARNED_ACTIONS]
        most = self.config.history_most
        for first in range(0, len(chosen), most):
            self._append(chosen[first : first + most], most)
        if told := worth_noting(events, are_any=self.passes.used[0] > 1):
            users, items = self._rows_of(told)  # first: it may make room in the showings
            self.passes = noted(self.passes, self.counts, told, users, items)

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
        self.hidden = pools.with_pairs(self.hidden, users, items, self.config.history_most)

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
            self.passes = showings.with_users(self.passes, self.users.capacity)
            self.hidden = pools.with_capacity(self.hidden, self.users.capacity)

    def _resize(self, n: int) -> None:
        self.is_stale = True
        missing = n - len(self.announced)

        def longer(array: Any) -> Any:
            return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])

        self.counts, self.labels = sources.grown(self.counts, n), labelling.grown_labels(self.labels, n)
        self.combiner = combining.grown_combiner(self.combiner, n)
        self.vectors, self.augmented = longer(self.vectors), longer(self.augmented)
        self.announced, self._dirty = longer(self.announced), longer(self._dirty)
        self._unlabelled = longer(self._unlabelled)
        self._row_version = longer(self._row_version)

    def refresh(self, now_ms: int) -> int:
        """Bring the index up to event time ``now_ms``: rows that changed, and a stripe of the others.

        Returns:
          How many rows were written.
        """
        self._label()
        used = min(self.items.used, len(self.announced))
        turns = NEW_VERSION_ROWS if self.is_stale else AGED_ROWS
        self.is_stale = False
        chosen = self._dirty[:used].copy()
        chosen[(self._stripe + np.arange(min(turns, used))) % used] = True
        chosen[0] = False
        self._stripe = (self._stripe + turns) % used
        self._dirty[:used] = False
        if 2 * np.count_nonzero(chosen) > used:  # all at once is less work than half of them one by one
            chosen[1:] = True
        gone = np.flatnonzero(chosen & ~self.announced[:used]).astype(np.int32)
        rows = np.flatnonzero(chosen).astype(np.int32)  # of those not shown, histories may name some
        if len(gone):
            self.index.remove(gone)
        if len(rows):
            vectors = augment_some(self.counts, self.vectors, self.combiner, rows, used, now_ms)
            self.augmented[slice(1, used) if len(rows) == used - 1 else rows] = vectors
            is_shown = self.announced[rows]
            if is_shown.any():
                shown = slice(None) if is_shown.all() else is_shown
                self.index.upsert(rows[shown], vectors[shown])
        return len(rows)

    def _label(self) -> None:
        rows = np.flatnonzero(self._unlabelled[: self.items.used]).astype(np.int32)
        self._unlabelled[rows] = False
        put_known_labels(rows, self.items, self.catalogue, self.counts, self.labels, self.facets)

    @property
    def known(self) -> Known:
        """What ranking reads."""
        return Known(
            self.counts, self.histories, self.passes, self.labels, self.combiner, self.reranker, self.heads,
            self.augmented, self.vectors,
        )  # fmt: skip
