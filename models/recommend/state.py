"""The trainer's one state, and its form as a flat dict of named arrays."""

import ctypes
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, StateError
from models.recommend import combiner as combining
from models.recommend import heads as heading
from models.recommend import labels as labelling
from models.recommend import pools, rerank, showings, sources, step
from models.recommend import shortlist as shortlisting
from models.recommend.combiner import CONTEXTS, Combiner
from models.recommend.heads import HeadConfig, Heads
from models.recommend.labels import ItemLabels
from models.recommend.metrics import SUMS
from models.recommend.pools import Histories, Rows
from models.recommend.rerank import Reranker
from models.recommend.shortlist import Shortlist, ShortlistConfig
from models.recommend.showings import Passes
from models.recommend.sources import Counts
from models.recommend.step import Learned
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from models.recommend.vocab import Vocab, texts_from_arrays, texts_to_arrays
from models.typing import F64, I32, Bools

Arrays = dict[str, NDArray[Any]]
RECENT_MOST = 1_000_000
UNHASHED = frozenset({"counts/changed"})
"""Arrays that say what is still to be told: they depend on when that was done, and nothing learned depends on them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides what a log teaches.

    Attributes:
      successors: most entries of an item's row of successors or predecessors.
      history_most: events remembered of a user; beyond it the oldest half is forgotten.
      combiner_rate, bias_rate, surface_rate, rerank_rate: learning rates of the combiner, of its bias an item, of that
        on a surface, and of the re-ranker. successor_rate, company_rate: of what a pair of items adds to a score.
      candidates: items that the re-ranker orders again; 0 leaves the order to the combiner.
      impression_window_ms: how long an impression may wait for its choice before it counts as passed over.
      evaluate_sample: share of events that is ranked before it is learned; the combiner learns from these.
      dedupe_window: event ids remembered. min_count: sightings before an item gets a row.
      item_ttl_days, user_ttl_days: days of event time unseen after which a row is freed; 0 keeps for ever.
      evict_every: steps between two looks for expired rows.
    """

    towers: TowerConfig = dataclasses.field(default_factory=TowerConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    shortlist: ShortlistConfig = dataclasses.field(default_factory=ShortlistConfig)
    heads: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    successors: int = 256
    history_most: int = 4096
    combiner_rate: float = 1.0
    bias_rate: float = 0.05
    rerank_rate: float = 0.05
    successor_rate: float = 0.03
    company_rate: float = 0.03
    surface_rate: float = 0.1
    candidates: int = 64
    impression_window_ms: int = 600_000
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
        if not 0 <= self.impression_window_ms <= 30 * 86_400_000:
            raise ConfigError(
                f"impression_window_ms must be between 0 and {30 * 86_400_000}, 30 days, "
                f"got {self.impression_window_ms}; 600000 is ten minutes"
            )
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
      hidden: per user, the items hidden or disliked. passes: per user, what was shown and not chosen.
      recent: user rows of the last learned events (a ring).
      learned_events, repeated_events: events learned; events left out as repeats of an ``event_id``.
      surfaces: code of each surface, in the order of their first event. labels: tags, creators and years.
      newest_ms: newest event time learned. totals: added-up `metrics.sums` since the log's start.
      known_ids: ids inside the dedupe window, oldest first.
      shortlist: what a catalogue of more than ``exact_items`` rows is ranked by; None below.
    """

    items: Vocab
    users: Vocab
    live: Bools
    withdrawn: Bools
    histories: Histories
    hidden: Rows
    passes: Passes
    counts: Counts
    labels: ItemLabels
    combiner: Combiner
    reranker: Reranker
    heads: Heads
    towers: Learned
    recent: I32
    known_ids: dict[str, None]
    surfaces: dict[str, int]
    totals: F64
    shortlist: Shortlist | None = None
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
        passes=showings.empty_passes(u, window_ms=config.impression_window_ms),
        counts=sources.empty_counts(n),
        labels=labelling.empty_labels(n),
        combiner=combining.empty_combiner(n),
        reranker=rerank.empty_reranker(CONTEXTS, seed=config.seed),
        heads=heading.empty_heads(config.heads),
        towers=step.fresh(config.towers, rows=n, seed=config.seed),
        recent=np.zeros(RECENT_MOST, np.int32),
        known_ids={},
        surfaces={},
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
        state.labels = labelling.grown_labels(state.labels, n)
        state.combiner = combining.grown_combiner(state.combiner, n)
        state.towers = step.grown(state.towers, config.towers, rows=n, seed=config.seed)
        if state.shortlist is not None:
            shortlisting.fit(state.shortlist, n)
    if u > len(state.histories.start):
        state.histories = pools.with_capacity(state.histories, u)
        state.hidden = pools.with_capacity(state.hidden, u)
        state.passes = showings.with_users(state.passes, u)


_SCALARS = ("step", "learned_events", "repeated_events", "newest_ms")
_POOLS = {"histories": Histories, "hidden": Rows}
_TABLES: dict[str, Any] = {"labels": ItemLabels, "combiner": Combiner, "reranker": Reranker, "heads": Heads}


def at_rest(state: State) -> list[NDArray[Any]] | None:
    """Wait for what JAX still computes; the leaves of the towers where they lie, to be read before the next step only.

    They are no copy, and JAX does not know of them, so that the next step still takes the memory over. None where they
    are not in the host's memory. What `to_arrays` needs is compiled: a process split from this one could not.
    """
    pools.rehearse_compacted()
    if state.shortlist is not None:
        shortlisting.settle(state.shortlist)
    leaves = jax.block_until_ready(jax.tree.leaves(state.towers))  # type: ignore[no-untyped-call]
    if any(device.platform != "cpu" for leaf in leaves for device in leaf.devices()):
        return None
    return [_where_it_lies(leaf) for leaf in leaves]


def _where_it_lies(leaf: jax.Array) -> NDArray[Any]:
    memory = (ctypes.c_byte * leaf.nbytes).from_address(leaf.unsafe_buffer_pointer())
    lying: NDArray[Any] = np.ctypeslib.as_array(memory).view(leaf.dtype).reshape(leaf.shape)
    return lying


def to_arrays(state: State, towers: Sequence[NDArray[Any]] | None = None) -> Arrays:
    """The whole state as named arrays: what a snapshot holds.

    ``towers``: None: everything is copied. Else the leaves of ``state.towers``, where nothing changes any more: what
    need not be put in order is given as it is.
    """
    own = np.array if towers is None else np.asarray
    arrays: Arrays = {}
    for name, vocab in (("items", state.items), ("users", state.users)):
        arrays |= {f"{name}/{part}": array for part, array in vocab.to_arrays().items()}
    for name in _POOLS:
        arrays |= _pool_arrays(name, getattr(state, name))
    for part, value in state.counts._asdict().items():
        arrays |= _pool_arrays(f"counts/{part}", value) if part in sources.POOLS else {f"counts/{part}": own(value)}
    for name in _TABLES:
        arrays |= {f"{name}/{part}": own(value) for part, value in getattr(state, name)._asdict().items()}
    arrays |= {f"passes/{part}": value for part, value in showings.compacted(state.passes)._asdict().items()}
    leaves = jax.tree.leaves(state.towers) if towers is None else towers
    arrays |= {f"towers/{at:03d}": own(leaf) for at, leaf in enumerate(leaves)}
    used = min(state.learned_events, RECENT_MOST)
    arrays["recent"] = state.recent[:used].copy()
    arrays["known_ids"], arrays["known_id_ends"] = texts_to_arrays(list(state.known_ids))
    arrays["surfaces"], arrays["surface_ends"] = texts_to_arrays(list(state.surfaces))
    arrays |= {"live": state.live.copy(), "withdrawn": state.withdrawn.copy(), "totals": state.totals.copy()}
    if state.shortlist is not None:
        arrays |= {f"shortlist/{name}": array for name, array in shortlisting.to_arrays(state.shortlist).items()}
    arrays["scalars"] = np.array([getattr(state, name) for name in _SCALARS], np.int64)
    return arrays


def _pool_arrays(name: str, pool: Any) -> Arrays:
    """A pool without garbage, so that the bytes depend on what was learned alone."""
    made = pools.compacted(pool)
    own = made._replace(length=made.length.copy(), room=made.room.copy())  # the others are new already
    return {f"{name}/{part}": value for part, value in own._asdict().items()}


def serves(name: str, config: ModelConfig) -> bool:
    """Whether a recommender reads this array of a snapshot: what only learning needs is a third of the bytes."""
    return name not in _only_learned(config.towers) and not name.startswith("shortlist/")


@functools.cache
def _only_learned(towers: TowerConfig) -> frozenset[str]:
    shape = jax.eval_shape(lambda: step.fresh(towers, rows=1, seed=0))
    at: Any = jax.tree.unflatten(jax.tree.structure(shape), range(len(jax.tree.leaves(shape))))
    parts = (at.fast, at.moments, at.tables.fast, at.tables.second)
    return frozenset(f"towers/{number:03d}" for number in jax.tree.leaves(parts))


def from_arrays(arrays: Arrays, config: ModelConfig, *, owns: bool = False, learns: bool = True) -> State:
    """The state that `to_arrays` saved.

    Args:
      owns: nobody else has the arrays: they become part of the state, and only what JAX holds is copied.
      learns: False where only arrays that `serves` names are there; the state cannot learn then, and its towers' tables
        stay on the host.

    Raises:
      StateError: an array is missing or does not fit ``config``.
    """

    def own(array: NDArray[Any]) -> NDArray[Any]:
        return array if owns else np.array(array)

    def leaf(name: str, shape: Any) -> Any:
        return arrays[name] if learns or name not in _only_learned(config.towers) else shape

    def part(prefix: str) -> Arrays:
        return {name.removeprefix(f"{prefix}/"): a for name, a in arrays.items() if name.startswith(f"{prefix}/")}

    def pool(kind: Any, prefix: str) -> Any:
        return kind(*(own(part(prefix)[field]) for field in kind._fields))

    try:
        items = Vocab.from_arrays(part("items"), min_count=config.min_count)
        counts: dict[str, Any] = {
            name: pool(sources.POOLS[name], f"counts/{name}")
            if name in sources.POOLS
            else own(arrays[f"counts/{name}"])
            for name in Counts._fields
        }
        tables = {
            name: kind(**{field: own(arrays[f"{name}/{field}"]) for field in kind._fields})
            for name, kind in _TABLES.items()
        }
        surfaces = texts_from_arrays(arrays["surfaces"], arrays["surface_ends"])
        shape = jax.eval_shape(lambda: step.fresh(config.towers, rows=items.capacity, seed=config.seed))
        leaves, tree = jax.tree.flatten(shape)
        loaded = [leaf(f"towers/{at:03d}", shape) for at, shape in enumerate(leaves)]
        scalars = dict(zip(_SCALARS, arrays["scalars"].tolist(), strict=True))
        recent = np.zeros(RECENT_MOST, np.int32)
        recent[: len(arrays["recent"])] = arrays["recent"]
        state = State(
            items=items,
            users=Vocab.from_arrays(part("users")),
            live=own(arrays["live"]),
            withdrawn=own(arrays["withdrawn"]),
            histories=pool(Histories, "histories"),
            hidden=pool(Rows, "hidden"),
            passes=_passes({name: own(array) for name, array in part("passes").items()}, config),
            counts=Counts(**counts),
            **tables,
            surfaces={surface: code for code, surface in enumerate(surfaces, start=1)},
            towers=jax.tree.unflatten(tree, [jnp.array(array) for array in loaded] if learns else loaded),
            recent=recent,
            known_ids=dict.fromkeys(texts_from_arrays(arrays["known_ids"], arrays["known_id_ends"])),
            totals=own(arrays["totals"]),
            **scalars,
        )
        if learns and part("shortlist") and items.used > config.shortlist.exact_items:
            saved = part("shortlist")
            state.shortlist = shortlisting.from_arrays(saved, items.capacity, config.shortlist, config.towers)
        state.heads.share[:] = heading.share_of(config.heads)
    except KeyError as error:
        raise StateError(f"the saved state has no array {error}; it was written by another version") from error
    _refuse_other_shapes(state, leaves, loaded)
    return state


def _passes(arrays: Arrays, config: ModelConfig) -> Passes:
    passes = Passes(**{name: arrays[name] for name in Passes._fields})
    passes.window_ms[:] = config.impression_window_ms
    return passes


def _refuse_other_shapes(state: State, leaves: list[Any], loaded: list[Any]) -> None:
    """Raise where an array is not as this version and configuration would make it: a kernel reads past its end."""
    n = state.items.capacity
    pairs = list(zip(leaves, loaded, strict=True))
    fresh_counts, columns = sources.empty_counts(n), [name for name in Counts._fields if name not in sources.POOLS]
    pairs += [(getattr(fresh_counts, name), getattr(state.counts, name)) for name in columns]
    heads = heading.empty_heads(HeadConfig())
    tables = (labelling.empty_labels(n), combining.empty_combiner(n), rerank.empty_reranker(CONTEXTS, seed=0), heads)
    pairs += zip(showings.sized_as(state.passes), state.passes, strict=True)
    for table, name in zip(tables, _TABLES, strict=True):
        pairs += zip(table, getattr(state, name), strict=True)
    for wanted, saved in pairs:
        if (wanted.shape, wanted.dtype) != (saved.shape, saved.dtype):
            raise StateError(
                f"a saved array has shape {saved.shape} ({saved.dtype}), this version and configuration want "
                f"{wanted.shape} ({wanted.dtype}); start with those that wrote the snapshot, or with an empty snapshot "
                "directory"
            )
