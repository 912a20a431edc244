"""What the trainer tells the recommenders: the item states that changed, and the dense weights they belong to.

Decides which items are worth a record: those counted, listed, withdrawn or evicted since the last flush, and
those whose vector has moved far, since the shared layers move every item a little. How often to flush is the
caller's decision.
"""

from typing import Any, Final, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from models.recommend import step
from models.recommend.state import ModelConfig, State
from models.typing import F32, I32
from streams.contract.arrays import tensor_from_array
from streams.contract.events import ItemState, ModelWeights
from streams.cores.item_states import states_of
from streams.cores.weights import Dense, dense_arrays, weights_hash

TOWER_KEY: Final = "hybrid"
"""Key of the one record on ``model-weights.v1``."""
MOVED = 0.05
"""A vector that moved by more than this share of its length is published again."""
STRIPE = 2_048
"""Unchanged rows that are looked at for movement at one flush; a larger catalogue is looked at in turns."""
KNOWN_SHARE = 2
"""One record in so many at most is of an item that recommenders know and that changed: each event changes the rows of
all items in the user's history, so that on a busy platform nearly every item has changed at every flush."""
NEWS_SHARE = 2
"""One in so many of these goes to the items with the most news; the others have theirs round and round."""
BLOCK: Final = 65_536
"""Rows whose vectors are computed at once where all are: divides every larger capacity, so that one shape compiles."""
MOVED_SHARE = 8
"""One record in so many is kept for rows that have moved, so that many changed ones cannot crowd them out for ever."""


class Announcement(NamedTuple):
    """One flush: all of its item states come before the weights are used."""

    states: list[ItemState]
    weights: ModelWeights


class Announcer:
    """Remembers what was last published; owned by the trainer's thread."""

    def __init__(self, config: ModelConfig, *, fingerprint: str, lead: int = 0) -> None:
        self._config = config
        self._fingerprint = fingerprint
        self._lead = lead
        """What versions are ahead of the interactions learned: they rise although some were learned of no more."""
        self._published: F32 = np.zeros((0, config.towers.dim + 1), np.float32)
        self._is_out = np.zeros(0, np.bool_)
        """Rows whose item has had a record."""
        self._told_seen: F32 = np.zeros(0, np.float32)
        """Sightings that the last record of a row told."""
        self._turn = self._stripe = 0

    def announce(self, state: State, evicted: list[tuple[str, int]], *, most: int) -> Announcement:
        """Collect what changed, at most ``most`` items; the others follow with later flushes.

        Clears the marks of the rows that it takes. ``evicted``: ids that lost the row given beside them.
        """
        self._fit(state.items.capacity)
        gone = [row for _, row in evicted]
        self._is_out[gone], self._told_seen[gone] = False, 0.0
        rows, vectors = self._chosen(state, most)
        version = state.learned_events + self._lead
        states = [
            ItemState(
                item_id=item_id, row=row, version=version, live=False, clock_events=0, clock_ms=0, first_seen_ms=0
            )
            for item_id, row in evicted
        ]
        states += states_of(state, rows, vectors, version)
        self._published[rows], self._is_out[rows], self._told_seen[rows] = vectors, True, state.counts.seen[rows]
        state.counts.changed[rows] = False
        return Announcement(states, self._weights(state, len(states)))

    def _fit(self, capacity: int) -> None:
        missing = capacity - len(self._published)
        if missing > 0:
            blank = np.zeros((missing, self._published.shape[1]), np.float32)
            self._published = np.concatenate([self._published, blank])
            self._is_out = np.concatenate([self._is_out, np.zeros(missing, np.bool_)])
            self._told_seen = np.concatenate([self._told_seen, np.zeros(missing, np.float32)])

    def _changed(self, state: State, most: int) -> I32:
        """Rows whose turn it is: items that nobody has heard of first, those with the most news, the others in turn."""
        changed = np.nonzero(state.counts.changed[: state.items.used])[0]
        changed = changed[changed > 0]
        if len(changed) <= most // KNOWN_SHARE:
            return changed.astype(np.int32)
        unheard, known = changed[~self._is_out[changed]], changed[self._is_out[changed]]
        unheard = unheard[np.argsort((unheard - self._turn) % state.items.used)[:most]]
        room = min(most - len(unheard), most // KNOWN_SHARE)
        seen = state.counts.seen[known]
        news = np.log((seen + 1.0) / (self._told_seen[known] + 1.0))
        first = np.argsort(-news, kind="stable")[: room // NEWS_SHARE]
        others = np.delete(known, first[news[first] > 0])
        first = known[first[news[first] > 0]]
        in_turn = others[np.argsort((others - self._turn) % state.items.used)[: room - len(first)]]
        self._turn = int(in_turn[-1]) + 1 if len(in_turn) else self._turn
        return np.sort(np.concatenate([unheard, first, in_turn])).astype(np.int32)

    def _chosen(self, state: State, most: int) -> tuple[I32, F32]:
        used = state.items.used
        changed = self._changed(state, most - most // MOVED_SHARE)
        self._stripe = 1 if self._stripe >= used else max(self._stripe, 1)
        stripe = np.arange(self._stripe, min(used, self._stripe + STRIPE), dtype=np.int32)
        self._stripe += STRIPE
        looked_at = np.union1d(changed, stripe).astype(np.int32)
        if not len(looked_at):
            return looked_at, np.zeros((0, self._published.shape[1]), np.float32)
        vectors = item_vectors(state, looked_at, self._config)
        before = self._published[looked_at]
        distance = np.linalg.norm(vectors - before, axis=1) / (np.linalg.norm(before, axis=1) + 1e-6)
        is_changed = np.isin(looked_at, changed, assume_unique=True)
        in_use = np.array([bool(state.items.key(row)) for row in looked_at.tolist()])
        urgency = np.where(in_use, np.where(is_changed, np.inf, np.where(distance > MOVED, distance, 0.0)), 0.0)
        places = min(most, max(len(changed) + most // MOVED_SHARE, most // KNOWN_SHARE))
        order = np.argsort(-urgency, kind="stable")[:places]
        taken = np.sort(order[urgency[order] > 0])
        state.counts.changed[looked_at[is_changed & ~in_use]] = False
        return looked_at[taken], vectors[taken]

    def _weights(self, state: State, item_states: int) -> ModelWeights:
        arrays = dense_arrays(
            Dense(state.combiner, state.reranker, state.heads, state.counts.trials, state.towers.weights)
        )
        return ModelWeights(
            version=state.learned_events + self._lead,
            step=state.step,
            item_states=item_states,
            arrays={name: tensor_from_array(array) for name, array in arrays.items()},
            clock_events=int(state.counts.clock[0]),
            clock_ms=state.newest_ms,
            state_hash=weights_hash(arrays, state.step),
            fingerprint=self._fingerprint,
            surfaces=list(state.surfaces),
        )


def item_vectors(state: State, rows: I32, config: ModelConfig) -> F32:
    """Tower vectors of ``rows``, bias in the last column; padded to a power of two so that few shapes compile.

    Zero where the towers don't score.
    """
    if config.towers.flavour == "counts":
        return np.zeros((len(rows), config.towers.dim + 1), np.float32)
    size = max(256, 1 << (len(rows) - 1).bit_length())
    padded = np.zeros(size, np.int32)
    padded[: len(rows)] = rows
    vectors = step.item_vectors(
        state.towers.weights, state.towers.tables, padded, state.counts.seen[padded], config=config.towers
    )
    return np.asarray(vectors)[: len(rows)]


def all_vectors(state: State, config: ModelConfig) -> F32:
    """The same of all rows in use, float32 [used, D + 1], block by block: of tables on the host no copy is made."""
    used, capacity, dim = state.items.used, state.items.capacity, config.towers.dim + 1
    vectors = np.zeros((used, dim), np.float32)
    if config.towers.flavour == "counts":
        return vectors
    tables, none = state.towers.tables, jnp.zeros((0, dim), jnp.float32)
    ids, content, block = np.asarray(tables.id), np.asarray(tables.content), min(BLOCK, capacity)
    for first in range(0, used, block):
        rows = slice(first, first + block)
        part = step.Tables(cast(Any, ids[rows]), none, none, cast(Any, content[rows]))
        found = step.all_item_vectors(state.towers.weights, part, state.counts.seen[rows], config=config.towers)
        vectors[rows] = np.asarray(found)[: used - first]
    return vectors
