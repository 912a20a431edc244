"""What the trainer tells the recommenders: the item states that changed, and the dense weights they belong to.

Decides which items are worth a record: those counted, listed, withdrawn or evicted since the last flush, and
those whose vector has moved far, since the shared layers move every item a little. How often to flush is the
caller's decision.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from models.recommend import step
from models.recommend.combiner import Combiner
from models.recommend.sources import Counts
from models.recommend.state import ModelConfig, State
from models.typing import F32, I32
from streams.contract.arrays import floats_to_bytes, rows_to_bytes, tensor_from_array
from streams.contract.events import ItemState, ModelWeights

TOWER_KEY: Final = "hybrid"
"""Key of the one record on ``model-weights.v1``."""
MOVED = 0.05
"""A vector that moved by more than this share of its length is published again."""
COMBINER_PARTS: Final = ("shared", "by_history", "by_gap")
ITEM_TOWER: Final = "towers/content/"
"""Where the names of the item tower's weights begin."""
STRIPE = 16_384
"""Unchanged rows that are looked at for movement at one flush; a larger catalogue is looked at in turns."""
MOVED_SHARE = 8
"""One record in so many is kept for rows that have moved, so that many changed ones cannot crowd them out for ever."""
WIRE_SUCCESSORS = 128
"""Strongest successors and predecessors in a record."""


class Announcement(NamedTuple):
    """One flush: all of its item states come before the weights are used."""

    states: list[ItemState]
    weights: ModelWeights


class Announcer:
    """Remembers what was last published; owned by the trainer's thread."""

    def __init__(self, config: ModelConfig, *, fingerprint: str) -> None:
        self._config = config
        self._fingerprint = fingerprint
        self._published: F32 = np.zeros((0, config.towers.dim + 1), np.float32)
        self._is_out = np.zeros(0, np.bool_)
        """Rows whose item has had a record."""
        self._turn = self._stripe = 0

    def announce(self, state: State, evicted: list[tuple[str, int]], *, most: int) -> Announcement:
        """Collect what changed, at most ``most`` items; the others follow with later flushes.

        Clears the marks of the rows that it takes. ``evicted``: ids that lost the row given beside them.
        """
        self._fit(state.items.capacity)
        self._is_out[[row for _, row in evicted]] = False
        rows, vectors = self._chosen(state, most)
        version = state.learned_events
        states = [
            ItemState(
                item_id=item_id, row=row, version=version, live=False, clock_events=0, clock_ms=0, first_seen_ms=0
            )
            for item_id, row in evicted
        ]
        columns = zip(rows.tolist(), vectors, strict=True)
        states += [_item_state(state, row, vector, version) for row, vector in columns]
        self._published[rows], self._is_out[rows] = vectors, True
        state.counts.changed[rows] = False
        return Announcement(states, self._weights(state, len(states)))

    def _fit(self, capacity: int) -> None:
        missing = capacity - len(self._published)
        if missing > 0:
            blank = np.zeros((missing, self._published.shape[1]), np.float32)
            self._published = np.concatenate([self._published, blank])
            self._is_out = np.concatenate([self._is_out, np.zeros(missing, np.bool_)])

    def _changed(self, state: State, most: int) -> I32:
        """Rows whose turn it is: items that nobody has heard of first, the others round and round."""
        changed = np.nonzero(state.counts.changed[: state.items.used])[0]
        changed = changed[changed > 0]
        if len(changed) > most:
            ahead = (changed - self._turn) % state.items.used
            changed = changed[np.lexsort((ahead, self._is_out[changed]))[:most]]
            told = changed[self._is_out[changed]]
            self._turn = int(told[-1]) + 1 if len(told) else self._turn
        return np.sort(changed).astype(np.int32)

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
        order = np.argsort(-urgency, kind="stable")[:most]
        taken = np.sort(order[urgency[order] > 0])
        state.counts.changed[looked_at[is_changed & ~in_use]] = False
        return looked_at[taken], vectors[taken]

    def _weights(self, state: State, item_states: int) -> ModelWeights:
        arrays = combiner_arrays(state.combiner) | tower_arrays(state.towers.weights)
        return ModelWeights(
            version=state.learned_events,
            step=state.step,
            item_states=item_states,
            arrays={name: tensor_from_array(array) for name, array in arrays.items()},
            clock_events=int(state.counts.clock[0]),
            clock_ms=state.newest_ms,
            state_hash=weights_hash(arrays, state.step),
            fingerprint=self._fingerprint,
        )


def item_vectors(state: State, rows: I32, config: ModelConfig) -> F32:
    """Tower vectors of ``rows``, bias in the last column; padded to a power of two so that few shapes compile."""
    size = max(256, 1 << (len(rows) - 1).bit_length())
    padded = np.zeros(size, np.int32)
    padded[: len(rows)] = rows
    vectors = step.item_vectors(
        state.towers.weights, state.towers.tables, padded, state.counts.seen[padded], config=config.towers
    )
    return np.asarray(vectors)[: len(rows)]


def combiner_arrays(combiner: Combiner) -> dict[str, NDArray[np.generic]]:
    """The combiner's weights by name, but for the biases: those travel with their items."""
    return {f"combiner/{name}": getattr(combiner, name) for name in COMBINER_PARTS}


def tower_arrays(weights: Any) -> dict[str, NDArray[np.generic]]:
    """The dense weights by their path in the module, in tree order, but for the item tower's.

    What the item tower makes of an item's content travels as the item's vector, so a recommender needs neither those
    weights nor a text encoder.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    named = {_path(path): np.asarray(leaf) for path, leaf in leaves}
    return {name: array for name, array in named.items() if not name.startswith(ITEM_TOWER)}


def with_tower_arrays(weights: Any, arrays: Mapping[str, NDArray[np.generic]]) -> Any:
    """``weights`` with those arrays of `tower_arrays`; the others stay."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jax.numpy.array(arrays[_path(path)]) if _path(path) in arrays else leaf, weights
    )


def _path(path: Any) -> str:
    return "towers" + "".join(f"/{_name(key)}" for key in path)


def _name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))


def weights_hash(arrays: dict[str, NDArray[np.generic]], at_step: int) -> str:
    """Hash of the dense weights at a step, hex 32: tells versions apart; the hash of the whole state is another."""
    digest = hashlib.blake2b(str(at_step).encode(), digest_size=16)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _item_state(state: State, row: int, vector: F32, version: int) -> ItemState:
    counts = state.counts
    after, after_weights = _strongest(counts, "after", row)
    before, before_weights = _strongest(counts, "before", row)
    return ItemState(
        item_id=state.items.key(row),
        row=row,
        version=version,
        live=not state.withdrawn[row],
        vector=floats_to_bytes(vector),
        bias=float(state.combiner.bias[row]),
        count=float(counts.seen[row]),
        popularity=floats_to_bytes(counts.decayed[:, row]),
        clock_events=int(counts.last_event[row]),
        clock_ms=max(0, int(counts.last_ms[row])),
        successors=rows_to_bytes(after),
        successor_weights=floats_to_bytes(after_weights),
        predecessors=rows_to_bytes(before),
        predecessor_weights=floats_to_bytes(before_weights),
        first_seen_ms=max(0, int(counts.first_ms[row])),
    )


def _strongest(counts: Counts, pool_name: str, row: int) -> tuple[I32, F32]:
    pool = getattr(counts, pool_name)
    start, length = int(pool.start[row]), int(pool.length[row])
    keys, weights = pool.key[start : start + length], pool.weight[start : start + length]
    if length > 1:
        order = np.argsort(-weights, kind="stable")[:WIRE_SUCCESSORS]
        keys, weights = keys[order], weights[order]
    return keys.copy(), weights.copy()
