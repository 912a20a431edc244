"""The trainer's one state, and its form as a flat dict of named arrays."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, StateError
from models.recommend import combiner as combining
from models.recommend import pools, sources, step
from models.recommend.combiner import Combiner
from models.recommend.metrics import SUMS
from models.recommend.pools import Histories, Rows
from models.recommend.sources import Counts
from models.recommend.step import Learned
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from models.recommend.vocab import Vocab, texts_from_arrays, texts_to_arrays
from models.typing import F64, I32, Bools

Arrays = dict[str, NDArray[Any]]
RECENT_MOST = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides what a log teaches.

    Attributes:
      successors: most entries of an item's row of successors or predecessors.
      history_most: events remembered of a user; beyond it the oldest half is forgotten.
      combiner_rate, bias_rate: learning rates of the combiner and of its item biases.
      evaluate_sample: share of events that is ranked before it is learned; the combiner learns from these.
      dedupe_window: event ids remembered. min_count: sightings before an item gets a row.
      item_ttl_days, user_ttl_days: days of event time unseen after which a row is freed; 0 keeps for ever.
      evict_every: steps between two looks for expired rows.
    """

    towers: TowerConfig = dataclasses.field(default_factory=TowerConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    successors: int = 256
    history_most: int = 4096
    combiner_rate: float = 0.05
    bias_rate: float = 0.05
    evaluate_sample: float = 1.0
    dedupe_window: int = 200_000
    min_count: int = 1
    item_ttl_days: float = 0.0
    user_ttl_days: float = 0.0
    evict_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.evaluate_sample <= 1.0:
            raise ConfigError(f"evaluate_sample must be between 0 and 1, got {self.evaluate_sample}")
        for name in ("successors", "history_most", "min_count", "evict_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be a whole number >= 1, got {getattr(self, name)}")
        needed = self.training.windows * self.towers.window + self.training.places
        if self.training.candidates < needed:
            raise ConfigError(
                f"training.candidates must hold every item of a step, windows x window + places = {needed}, "
                f"got {self.training.candidates}; raise it or lower the others"
            )


@dataclasses.dataclass(kw_only=True)
class State:
    """All that the trainer knows; changed in place by `learning`, owned by one thread.

    Attributes:
      live: whether the catalogue has the item, bool [items.capacity].
      withdrawn: whether a tombstone took it from the catalogue; neither is so of items only seen in interactions.
      hidden: per user, the items hidden or disliked. recent: user rows of the last learned events (a ring).
      learned_events, repeated_events: events learned; events left out as repeats of an ``event_id``.
      newest_ms: newest event time learned. totals: added-up `metrics.sums` since the log's start.
      known_ids: ids inside the dedupe window, oldest first.
    """

    items: Vocab
    users: Vocab
    live: Bools
    withdrawn: Bools
    histories: Histories
    hidden: Rows
    counts: Counts
    combiner: Combiner
    towers: Learned
    recent: I32
    known_ids: dict[str, None]
    totals: F64
    step: int = 0
    learned_events: int = 0
    repeated_events: int = 0
    newest_ms: int = 0


def fresh(config: ModelConfig) -> State:
    """A state that has learned nothing."""
    items, users = Vocab(min_count=config.min_count), Vocab()
    n, u = items.capacity, users.capacity
    return State(
        items=items,
        users=users,
        live=np.zeros(n, np.bool_),
        withdrawn=np.zeros(n, np.bool_),
        histories=pools.empty_histories(u),
        hidden=pools.empty_rows(u),
        counts=sources.empty_counts(n),
        combiner=combining.empty_combiner(n),
        towers=step.fresh(config.towers, rows=n, seed=config.seed),
        recent=np.zeros(RECENT_MOST, np.int32),
        known_ids={},
        totals=np.zeros(SUMS),
    )


def fit_capacity(state: State, config: ModelConfig) -> None:
    """Give every array room for the rows of the vocabularies; rows keep their place."""
    n, u = state.items.capacity, state.users.capacity
    missing = n - len(state.live)
    if missing > 0:
        state.live = np.concatenate([state.live, np.zeros(missing, np.bool_)])
        state.withdrawn = np.concatenate([state.withdrawn, np.zeros(missing, np.bool_)])
        state.counts = sources.grown(state.counts, n)
        state.combiner = state.combiner._replace(
            bias=np.concatenate([state.combiner.bias, np.zeros(missing, np.float32)])
        )
        state.towers = step.grown(state.towers, config.towers, rows=n, seed=config.seed)
    if u > len(state.histories.start):
        state.histories = pools.with_capacity(state.histories, u)
        state.hidden = pools.with_capacity(state.hidden, u)


_SCALARS = ("step", "learned_events", "repeated_events", "newest_ms")
_POOLS = {"histories": Histories, "hidden": Rows}
_COUNT_POOLS = ("after", "before", "near")


def to_arrays(state: State) -> Arrays:
    """The whole state as named arrays, copied: what a snapshot holds."""
    arrays: Arrays = {}
    for name, vocab in (("items", state.items), ("users", state.users)):
        arrays |= {f"{name}/{part}": array for part, array in vocab.to_arrays().items()}
    for name in _POOLS:
        arrays |= _pool_arrays(name, getattr(state, name))
    for part, value in state.counts._asdict().items():
        arrays |= _pool_arrays(f"counts/{part}", value) if isinstance(value, Rows) else {f"counts/{part}": value.copy()}
    arrays |= {f"combiner/{part}": value.copy() for part, value in state.combiner._asdict().items()}
    leaves = jax.tree.leaves(state.towers)
    arrays |= {f"towers/{at:03d}": np.array(leaf) for at, leaf in enumerate(leaves)}
    used = min(state.learned_events, RECENT_MOST)
    arrays["recent"] = state.recent[:used].copy()
    arrays["known_ids"], arrays["known_id_ends"] = texts_to_arrays(list(state.known_ids))
    arrays |= {"live": state.live.copy(), "withdrawn": state.withdrawn.copy(), "totals": state.totals.copy()}
    arrays["scalars"] = np.array([getattr(state, name) for name in _SCALARS], np.int64)
    return arrays


def _pool_arrays(name: str, pool: Any) -> Arrays:
    """A pool without garbage, so that the bytes depend on what was learned alone."""
    return {f"{name}/{part}": value.copy() for part, value in pools.compacted(pool)._asdict().items()}


def from_arrays(arrays: Arrays, config: ModelConfig) -> State:
    """The state that `to_arrays` saved.

    Raises:
      StateError: an array is missing or does not fit ``config``.
    """

    def part(prefix: str) -> Arrays:
        return {name.removeprefix(f"{prefix}/"): a for name, a in arrays.items() if name.startswith(f"{prefix}/")}

    def pool(kind: Any, prefix: str) -> Any:
        return kind(*(np.array(part(prefix)[field]) for field in kind._fields))

    try:
        items = Vocab.from_arrays(part("items"), min_count=config.min_count)
        counts: dict[str, Any] = {
            name: pool(Rows, f"counts/{name}") if name in _COUNT_POOLS else np.array(arrays[f"counts/{name}"])
            for name in Counts._fields
        }
        shape = jax.eval_shape(lambda: step.fresh(config.towers, rows=items.capacity, seed=config.seed))
        leaves, tree = jax.tree.flatten(shape)
        loaded = [arrays[f"towers/{at:03d}"] for at in range(len(leaves))]
        scalars = dict(zip(_SCALARS, arrays["scalars"].tolist(), strict=True))
        recent = np.zeros(RECENT_MOST, np.int32)
        recent[: len(arrays["recent"])] = arrays["recent"]
        state = State(
            items=items,
            users=Vocab.from_arrays(part("users")),
            live=np.array(arrays["live"]),
            withdrawn=np.array(arrays["withdrawn"]),
            histories=pool(Histories, "histories"),
            hidden=pool(Rows, "hidden"),
            counts=Counts(**counts),
            combiner=Combiner(**{name: np.array(arrays[f"combiner/{name}"]) for name in Combiner._fields}),
            towers=jax.tree.unflatten(tree, [jnp.array(array) for array in loaded]),
            recent=recent,
            known_ids=dict.fromkeys(texts_from_arrays(arrays["known_ids"], arrays["known_id_ends"])),
            totals=np.array(arrays["totals"]),
            **scalars,
        )
    except KeyError as error:
        raise StateError(f"the saved state has no array {error}; it was written by another version") from error
    for leaf, array in zip(leaves, loaded, strict=True):
        if leaf.shape != array.shape:
            raise StateError(
                f"a saved tower array has shape {array.shape}, the configuration wants {leaf.shape}; "
                "start with the configuration that wrote the snapshot, or with an empty snapshot directory"
            )
    return state
