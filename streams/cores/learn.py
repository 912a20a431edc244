"""The trainer's core: decoded records in arrival order -> what they did to the state.

Decides which interactions are learned, which repeats are left out, and who gets a row. The numbers are
`models.recommend.learning`; reading, publishing and the clock belong to the caller.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, get_args

import numpy as np

from models.recommend import learning, pools, showings, state
from models.recommend.learning import Columns, Judged, Judging, Learnt
from models.recommend.showings import Signals
from models.recommend.sources import SURFACES
from models.recommend.state import ModelConfig, State
from streams.contract import rules
from streams.contract.absent import Erased, Withdrawn
from streams.contract.events import Action, Interaction, Item, User
from streams.cores.contents import Encode, contents, labels_of
from streams.cores.histories import without_repeats
from streams.cores.signals import KINDS, outcome_of, outcomes_of, positions_of

ACTION_CODES: Final[dict[str, int]] = {word: code for code, word in enumerate(get_args(Action), start=1)}
"""Code of each action word in histories; part of the saved state, so a new word goes to the end."""


Entry = Interaction | Item | Withdrawn | User | Erased


class Learned(NamedTuple):
    """What one batch of entries did.

    Attributes:
      interactions: how many came. learned: how many were learned as choices. repeated: repeats of an ``event_id``.
      learnt: see `models.recommend.learning.Learnt`.
    """

    interactions: int
    learned: int
    repeated: int
    learnt: Learnt


class Learner:
    """Owns the one state; one thread calls it.

    Args:
      judging: how each event is ranked before it is learned.
      encode: reads the catalogue's words; needed where ``config`` says that a text encoder does.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        first: State | None = None,
        judging: Judging = Judging(),  # noqa: B008
        encode: Encode | None = None,
    ) -> None:
        self.config = config
        self.judging = judging
        self._encode = encode
        self.state = first or state.fresh(config)
        self.evicted_items: list[tuple[str, int]] = []
        """Items that lost their row since the caller last looked; it empties the list."""

    def learn(self, entries: Sequence[Entry]) -> Learned:
        """Take entries in arrival order: the catalogue's first, then every interaction, scored before it is learned.

        What a user did in the batch before the tombstone that erases him is not learned.
        """
        interactions = [entry for entry in entries if isinstance(entry, Interaction)]
        if len(interactions) < len(entries):
            self._take_catalogue([entry for entry in entries if isinstance(entry, Item | Withdrawn)])
            erased = {entry.user_id: at for at, entry in enumerate(entries) if isinstance(entry, Erased)}
            for user_id in erased:
                self._erase(user_id)
            interactions = [
                entry
                for at, entry in enumerate(entries)
                if isinstance(entry, Interaction) and at > erased.get(entry.user_id, -1)
            ]
        fresh = without_repeats(self.state.known_ids, interactions, window=self.config.dedupe_window)
        self.state.repeated_events += len(interactions) - len(fresh)
        chosen = [event for event in fresh if event.action in rules.LEARNED_ACTIONS]
        told = self._told(fresh) if len(chosen) < len(fresh) else []
        columns = self._columns(chosen)
        self._hide([event for event in told if event.action in rules.HIDING_ACTIONS])
        learnt = learning.learn(self.state, columns, self.config, self.judging, self._signals(told))
        if self.state.step % self.config.evict_every == 0:
            items, _ = learning.evict_expired(self.state, self.config)
            self.evicted_items += items
        return Learned(len(interactions), len(columns.user), len(interactions) - len(fresh), learnt)

    def rank(self, events: Sequence[Interaction]) -> Judged:
        """Rank each event on the state as it is; nothing is learned, nobody gets a row."""
        return learning.rank(self.state, self._rows(events), self.config, self.judging)

    def _columns(self, chosen: Sequence[Interaction]) -> Columns:
        self.state.users.admit(event.user_id for event in chosen)
        self.state.items.admit(event.item_id for event in chosen)
        for event in chosen:
            self._admit_surface(event.surface)
        state.fit_capacity(self.state, self.config)
        columns = self._rows(chosen)
        admitted = columns.item > 0
        if admitted.all():
            return columns
        parts: list[Any] = [column[admitted] for column in columns]
        return Columns(*parts)

    def _rows(self, events: Sequence[Interaction]) -> Columns:
        nothing = float("nan")
        return Columns(
            self.state.users.rows(event.user_id for event in events),
            self.state.items.rows(event.item_id for event in events),
            np.array([event.occurred_at_ms for event in events], np.int64),
            np.array([nothing if event.value is None else event.value for event in events], np.float32),
            np.array([ACTION_CODES[event.action] for event in events], np.uint8),
            np.array([self.state.surfaces.get(event.surface or "", 0) for event in events], np.uint8),
            positions_of(events),
            outcomes_of(events),
        )

    def _told(self, events: Sequence[Interaction]) -> list[Interaction]:
        """The choices, and the signals on items that had a row or a choice before them; their users get a row.

        In order, whatever the batches: an item that is chosen later in the batch is not known yet.
        """
        chosen: set[str] = set()
        told = []
        for event in events:
            if event.action in rules.LEARNED_ACTIONS:
                chosen.add(event.item_id)
            elif event.action not in KINDS or not (event.item_id in self.state.items or event.item_id in chosen):
                continue
            self._admit_surface(event.surface)
            told.append(event)
        self.state.users.admit(event.user_id for event in told)
        state.fit_capacity(self.state, self.config)
        return told

    def _signals(self, told: Sequence[Interaction]) -> Signals:
        """What was done beside choosing, and between which choices; these have their rows by now."""
        rows, learned = [], 0
        for event in told:
            item = self.state.items.row(event.item_id)
            if item and event.action in rules.LEARNED_ACTIONS:
                learned += 1
            elif item:
                rows.append((
                    learned, self.state.users.row(event.user_id), item, event.occurred_at_ms, KINDS[event.action],
                    outcome_of(event), self.state.surfaces.get(event.surface or "", 0), event.position or 0,
                ))  # fmt: skip
        signals = showings.signals_of(rows)
        self.state.users.touch(signals.user, signals.at_ms)
        return signals

    def _admit_surface(self, surface: str | None) -> None:
        """A new surface gets the next code while there are any; 0 stands for none and for those that came too late."""
        known = self.state.surfaces
        if surface and surface not in known and len(known) < SURFACES - 1:
            known[surface] = len(known) + 1

    def _hide(self, events: Sequence[Interaction]) -> None:
        known = [event for event in events if event.item_id in self.state.items]
        if known:
            self.state.users.admit(event.user_id for event in known)
            state.fit_capacity(self.state, self.config)
            users = self.state.users.rows(event.user_id for event in known)
            items = self.state.items.rows(event.item_id for event in known)
            self.state.users.touch(users, np.array([event.occurred_at_ms for event in known], np.int64))
            learning.hide(self.state, users.tolist(), items.tolist(), self.config)

    def _take_catalogue(self, entries: Sequence[Item | Withdrawn]) -> None:
        newest = {entry.item_id: entry for entry in entries}
        listed = [entry for entry in newest.values() if isinstance(entry, Item)]
        if listed:
            self.state.items.admit((item.item_id for item in listed), at_once=True)
            rows = self.state.items.rows(item.item_id for item in listed)
            content = contents(listed, self.config.towers, self._encode)
            learning.list_items(self.state, rows, content, labels_of(listed), self.config)
        gone = self.state.items.rows(entry.item_id for entry in newest.values() if isinstance(entry, Withdrawn))
        learning.withdraw_items(self.state, gone[gone > 0])

    def _erase(self, user_id: str) -> None:
        row = self.state.users.row(user_id)
        if row:
            self.state.users.evict([row])
            pools.clear_row(self.state.histories, row)
            pools.clear_row(self.state.hidden, row)
            learning.forget_users(self.state, np.array([row], np.int32))
