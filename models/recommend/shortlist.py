"""What a large catalogue is ranked by instead of all of it: settings, upkeep after each batch, and its saved form.

Item vectors are kept on the host: after each batch those are computed again that the batch's events and the towers'
steps were about, and a stripe of the others in turn, since shared layers move all of them a little.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, StateError
from models.recommend import cells as celling
from models.recommend import step, toplists
from models.recommend.cells import Cells, Tree
from models.recommend.choosing import Scratch, Shortlists, Sizes, scratch_for
from models.recommend.sources import Counts
from models.recommend.step import Learned
from models.recommend.toplists import TopLists
from models.recommend.towers import TowerConfig
from models.typing import F32, I32

AT_ONCE = 65_536
"""Vectors that are computed at once where all are."""
LEAST = 256
"""Vectors are computed in powers of two from here on, so that few shapes compile."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShortlistConfig:
    """Up to which size a catalogue is ranked whole, and what is ranked of a larger one.

    Attributes:
      exact_items: item rows up to which every item is ranked.
      popular: items of each list of popular ones: by sightings, by seven half-lives, and on the event's surface.
      lately: last events whose items are candidates. fresh: items that were first seen last.
      by_history: items that the history leads to, those with most evidence; the baseline's come on top.
      by_tower: best items by the tower. scanned: vectors looked at for them.
      negatives: items drawn from the rest, for learning alone.
      stripe: vectors computed again after each batch, and rows put into their new cells.
    """

    exact_items: int = 50_000
    popular: int = 128
    lately: int = 256
    fresh: int = 128
    by_history: int = 1024
    by_tower: int = 128
    scanned: int = 8192
    negatives: int = 256
    stripe: int = 4096

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            least = 1 if field.name in ("popular", "by_history", "stripe") else 0
            if getattr(self, field.name) < least:
                raise ConfigError(f"{field.name} must be a whole number >= {least}, got {getattr(self, field.name)}")


class Awaited(NamedTuple):
    """Vectors of ``rows``, and where the stripe among them ends; ``used`` and ``number`` as `refresh` was told."""

    rows: I32
    vectors: jax.Array
    last: int
    used: int
    number: int


@dataclasses.dataclass(kw_only=True)
class Shortlist:
    """Kept from event to event; changed in place by the thread that owns the state.

    Attributes:
      vectors: of every row, bias in the last column, float32 [N, D + 1].
      scratch: work arrays, not saved.
      awaited: what was asked for after the last batch and perhaps is still being computed.
    """

    lists: TopLists
    cells: Cells
    vectors: F32
    scratch: Scratch
    awaited: Awaited | None = None

    def of_kernel(self) -> Shortlists:
        """The part that ranking reads and counting changes."""
        return Shortlists(self.lists, self.cells, self.vectors)


def sizes_of(config: ShortlistConfig, towers: TowerConfig, seed: int) -> Sizes:
    """The part of the configuration that ranking reads; a tower that says nothing finds nothing."""
    by_tower = 0 if towers.flavour == "counts" else config.by_tower
    return Sizes(config.fresh, config.by_history, by_tower, config.negatives, config.scanned, seed)


def built(
    counts: Counts, towers: Learned, used: int, config: ShortlistConfig, tower_config: TowerConfig, seed: int
) -> Shortlist:
    """Made from what was learned while every item was ranked: once, when the catalogue outgrows ``exact_items``."""
    rows = len(counts.seen)
    vectors = np.zeros((rows, tower_config.dim + 1), np.float32)
    if tower_config.flavour != "counts":
        for first in range(0, used, AT_ONCE):
            some = np.arange(first, min(used, first + AT_ONCE), dtype=np.int32)
            vectors[some] = np.asarray(_computed(towers, counts.seen, some, tower_config))[: len(some)]
    cells = celling.built(vectors, used, np.random.default_rng([seed, 2]))
    lists = toplists.lists_of(counts, popular=config.popular, lately=config.lately)
    return Shortlist(lists=lists, cells=cells, vectors=vectors, scratch=scratch_for(rows))


def fit(shortlist: Shortlist, rows: int) -> None:
    """Make room for ``rows`` item rows; existing rows keep their place."""
    missing = rows - len(shortlist.vectors)
    if missing > 0:
        shortlist.lists = toplists.grown_lists(shortlist.lists, rows)
        shortlist.cells = celling.grown_cells(shortlist.cells, rows)
        shortlist.vectors = np.pad(shortlist.vectors, ((0, missing), (0, 0)))
        shortlist.scratch = scratch_for(rows)


def refresh(
    shortlist: Shortlist,
    rows: I32,
    towers: Learned,
    seen: F32,
    used: int,
    stripe: int,
    config: TowerConfig,
    number: int,
) -> None:
    """Have the vectors of ``rows`` and of the next ``stripe`` rows computed anew; `settle` takes them.

    Args:
      number: of the batch, from which the randomness of the next cells follows.
    """
    if config.flavour == "counts":
        return
    settle(shortlist)
    first = int(shortlist.cells.turn[0])
    last = min(used, first + stripe)
    wanted = np.unique(np.concatenate([rows, np.arange(first, last, dtype=np.int32)])).astype(np.int32)
    if len(wanted):
        shortlist.awaited = Awaited(wanted, _computed(towers, seen, wanted, config), last, used, number)


def settle(shortlist: Shortlist) -> None:
    """Wait for the vectors asked for, put them in place, and let the stripe have its turn in the cells."""
    if shortlist.awaited is None:
        return
    rows, vectors, last, used, number = shortlist.awaited
    shortlist.awaited = None
    shortlist.vectors[rows] = np.asarray(vectors)[: len(rows)]
    first, generator = int(shortlist.cells.turn[0]), np.random.default_rng([number, 3])
    shortlist.cells = celling.advanced(shortlist.cells, shortlist.vectors, first, last, used, generator)


def forget(shortlist: Shortlist, rows: I32) -> None:
    """Take evicted rows out of the lists; in the cells they stay, without sightings, until these are made again."""
    settle(shortlist)
    toplists.forget_rows(shortlist.lists, rows)


def to_arrays(shortlist: Shortlist) -> dict[str, NDArray[Any]]:
    """All that cannot be made from the rest of the state, copied."""
    settle(shortlist)
    cells = shortlist.cells
    arrays = {f"lists/{name}": getattr(shortlist.lists, name) for name in toplists.SAVED}
    arrays |= {"vectors": shortlist.vectors, "order": cells.order, "starts": cells.starts, "turn": cells.turn}
    arrays |= {"top": cells.tree.top, "low": cells.tree.low, "next_cell": cells.next_cell}
    arrays |= {"next_top": cells.next_tree.top, "next_low": cells.next_tree.low}
    return {name: array.copy() for name, array in arrays.items()}


def from_arrays(arrays: dict[str, NDArray[Any]], rows: int, config: ShortlistConfig, towers: TowerConfig) -> Shortlist:
    """What `to_arrays` saved, for ``rows`` item rows.

    Raises:
      KeyError: an array is missing.
      StateError: an array does not fit the configuration.
    """
    wanted: dict[str, tuple[int, ...]] = {
        "lists/popular": (toplists.LISTS, config.popular),
        "lists/keys": (toplists.LISTS, config.popular),
        "lists/lately": (config.lately,),
        "lists/known": (rows,),
        "next_cell": (rows,),
        "vectors": (rows, towers.dim + 1),
    }
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise StateError(
                f"the saved array shortlist/{name} has shape {arrays[name].shape}, this configuration wants {shape}; "
                "start with the [model] settings that wrote the snapshot, or with an empty snapshot directory"
            )
    a = {name: np.array(array) for name, array in arrays.items()}
    cells = Cells(
        Tree(a["top"], a["low"]), a["order"], a["starts"], Tree(a["next_top"], a["next_low"]), a["next_cell"], a["turn"]
    )
    lists = toplists.loaded_lists({name: a[f"lists/{name}"] for name in toplists.SAVED})
    return Shortlist(lists=lists, cells=cells, vectors=a["vectors"], scratch=scratch_for(rows))


def _computed(towers: Learned, seen: F32, rows: I32, config: TowerConfig) -> jax.Array:
    padded = np.zeros(max(LEAST, 1 << (len(rows) - 1).bit_length()), np.int32)
    padded[: len(rows)] = rows
    vectors: jax.Array = step.item_vectors(towers.weights, towers.tables, padded, seen[padded], config=config)
    return vectors
