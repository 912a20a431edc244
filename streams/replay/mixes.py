"""What it costs and brings to make slates otherwise: the lists of an evaluation, made anew by each of several mixes.

By the function that serves (`models.recommend.diversity.mixed`), from the candidates that each event was judged on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from models.evaluate.passage import Passage
from models.recommend import diversity, tower_part
from models.recommend.candidates import PARTS, Candidates
from models.recommend.diversity import OFF, Looks, Mix, Readers
from models.recommend.state import ModelConfig, State
from models.recommend.strict import MODEL
from models.typing import F32, I32, Bools

Mixes = Sequence[tuple[str, Mix]]
STANDARD: Final[Mixes] = (
    ("off", OFF),
    ("diversity 0.5", Mix(diversity=0.5)),
    ("diversity 1", Mix(diversity=1.0, quality_floor=0.3)),
    ("diversity 2", Mix(diversity=2.0, quality_floor=0.3)),
    ("a tag in half", Mix(diversity=0.0, tag_share=0.5)),
    ("a creator in a fifth", Mix(diversity=0.0, creator_share=0.2)),
    ("a fifth new", Mix(diversity=0.0, fresh_share=0.2)),
    ("calibration 0.1", Mix(diversity=0.0, calibration=0.1)),
    ("calibration 0.5", Mix(diversity=0.0, calibration=0.5)),
)
"""Each setting alone, strong diversity with a floor that lets it act; the first is what the rest is compared with."""


class MixedLists(NamedTuple):
    """Over P events and M mixes: ranks in the lists, inf beyond, float32 [P, M], and item rows, int32 [P, M, K]."""

    ranks: F32
    tops: I32


class Mixing:
    """Makes the lists of one passage by each mix.

    Args:
      items: ids of the passage's items, in its numbering. length: of the lists.
    """

    def __init__(self, mixes: Mixes, passage: Passage, items: Sequence[str], config: ModelConfig, length: int) -> None:
        self._mixes, self._passage, self._items, self._config = mixes, passage, items, config
        events = len(passage.user)
        self.lists = MixedLists(
            np.full((events, len(mixes)), np.inf, np.float32), np.full((events, len(mixes), length), -1, np.int32)
        )
        self._vectors: F32 = np.zeros((0, config.towers.dim), np.float32)

    def look(self, state: State) -> None:
        """Keep the item vectors as they are before a batch is learned: those that it is judged by."""
        if self._config.towers.flavour != "counts":
            self._vectors = np.array(tower_part.all_vectors(state, self._config))[:, :-1]

    def take(self, state: State, first: int, taken: Bools, tops: I32, scores: F32) -> None:
        """Lists for a batch that was judged: of the events from ``first`` on, those that were ``taken``.

        Args:
          tops, scores: see `models.recommend.strict.learn_events`.
        """
        at = first + np.flatnonzero(taken)
        if not len(at):
            return
        passage, length = self._passage, self.lists.tops.shape[2]
        rows = state.items.rows(self._items)
        vectors = np.zeros((len(state.counts.seen), self._config.towers.dim), np.float32)
        vectors[: len(self._vectors)] = self._vectors  # an item of this batch alone has none yet
        offered = tops[:, MODEL]
        filled = (offered >= 0).sum(axis=1).astype(np.int32)
        candidates = Candidates(np.maximum(offered, 0), scores, np.zeros((*scores.shape, PARTS), np.float32), filled)
        user, target = passage.user[at], rows[passage.item[at]]
        readers = Readers(rows[passage.past], passage.start[user], passage.pos[at], passage.at_ms[at])
        for column, (_, mix) in enumerate(self._mixes):
            made = diversity.mixed(
                candidates, np.full(len(at), length, np.int32),
                Looks(vectors, state.labels, state.counts.first_ms), readers, mix,
            )  # fmt: skip
            line = np.where(np.arange(length) < made.filled[:, None], made.rows, -1)
            hit = line == target[:, None]
            self.lists.tops[at, column] = line
            self.lists.ranks[at, column] = np.where(hit.any(axis=1), 1 + hit.argmax(axis=1), np.inf)
