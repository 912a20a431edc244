"""A log judged on the engine's own core, with no broker: the model and its baselines play one passage.

What is learned and judged when is `models.evaluate.protocols`; what the figures are is `models.evaluate.summary`. Here
the events become records of the contract, the core plays them, and the ranks are put beside the baselines'.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from models.evaluate import protocols
from models.evaluate.estimates import RESAMPLES
from models.evaluate.lists import tag_vectors
from models.evaluate.passage import Passage, scored_of
from models.evaluate.summary import Records, Summary, summarise
from models.recommend import metrics
from models.recommend.learning import Judging
from models.recommend.state import ModelConfig
from models.recommend.strict import RANKERS
from models.typing import F32, I32, Bools
from streams.contract import rules
from streams.contract.events import Interaction
from streams.cores.contents import Encode
from streams.cores.learn import Learner
from streams.errors import EvaluationError
from streams.replay import baselines, convert
from streams.replay.logs import EventLog
from streams.replay.mixes import MixedLists, Mixes, Mixing

Protocol = Literal["prequential", "leave-one-out", "temporal"]
LISTS: Final = 10
"""Length of the lists that coverage and the like are taken from."""
CATALOGUE_AT_ONCE: Final = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """How a log is to be judged.

    Attributes:
      protocol: what is learned and judged when. baselines: those that play beside the two that always do.
      repeats: items that the user has had are ranked too, and events on them scored.
      batch_size: events that the core learns at once. resamples: of the users, for the intervals. seed: of these.
      mixes: what slates are made of; each makes its own lists from the model's candidates.
    """

    protocol: Protocol = "prequential"
    baselines: Sequence[str] = ()
    repeats: bool = False
    batch_size: int = 512
    resamples: int = RESAMPLES
    seed: int = 0
    mixes: Mixes = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One log judged by one protocol.

    Attributes:
      log, protocol: names. events, users, items: of the log. learned: events that were learned as choices.
      repeats: whether repeats were scored. passage, records, summary: what was played, what came of each scored event,
        and the figures.
      time_ms: event time at each place of ``summary.curve_at``, int64.
      frozen: for the protocol "temporal", the same on the state as it was at the split.
      slates: figures of the lists that each mix makes of the same candidates, as rankers; None without mixes.
    """

    log: str
    protocol: str
    events: int
    users: int
    items: int
    learned: int
    repeats: bool
    passage: Passage
    records: Records
    summary: Summary
    frozen: Evaluation | None = None
    slates: Summary | None = None

    @property
    def scored(self) -> int:
        """How many events the figures are over."""
        return len(self.records.at)

    @property
    def hr_at_10(self) -> dict[str, float]:
        """HR@10 by ranker."""
        return self._column(0)

    @property
    def ndcg_at_10(self) -> dict[str, float]:
        """NDCG@10 by ranker."""
        return self._column(len(self.records.rankers))

    def _column(self, first: int) -> dict[str, float]:
        means = np.nan_to_num(self.summary.overall.mean[0])
        return {name: float(means[first + place]) for place, name in enumerate(self.records.rankers)}


class Heard(typing.Protocol):
    """Told who plays ("model" or a baseline), how many events are done, and the model's figures so far."""

    def __call__(self, who: str, done: int, figures: metrics.Figures | None) -> None:
        """Take note of it."""


class Played(NamedTuple):
    """Ranks, float32 [P, R], and lists, int32 [P, R, K], over a passage; and those that each mix made."""

    ranks: F32
    tops: I32
    mixed: MixedLists | None


def evaluate(
    log: EventLog,
    config: ModelConfig,
    asked: Asked | None = None,
    *,
    encode: Encode | None = None,
    heard: Heard | None = None,
) -> Evaluation:
    """Judge a fresh model, and baselines beside it, on a log.

    Args:
      encode: reads the catalogue's words, where ``config`` wants that.

    Raises:
      EvaluationError: a baseline that is not known or cannot play, or a log with nothing to score.
      LogFormatError: an action that the contract does not have, or events before 1970.
    """
    asked = asked or Asked()
    heard = heard or _nobody
    convert.check_playable(log)
    alone = baselines.chosen(asked.baselines, repeats=asked.repeats)
    words = np.array([word in rules.LEARNED_ACTIONS for word in log.actions])
    columns = (log.user_index, log.item_index, log.time_ms, words[log.action_index])
    kept = max(2 * LISTS, config.candidates) if asked.mixes else LISTS
    learner = _taught_catalogue(log, config, Judging(kept, asked.repeats), encode)
    passage = {
        "prequential": protocols.prequential,
        "temporal": protocols.successive,
        "leave-one-out": protocols.leave_one_out,
    }[asked.protocol](*columns)
    aside = protocols.frozen(*columns) if asked.protocol == "temporal" else None
    player = _Player(log, learner, passage, asked, heard)
    if aside is None:
        player.play(0, len(passage.user))
        return _judged(log, asked, passage, player.played(), alone, heard)
    split = int(aside.learns.sum())
    player.play(0, split)
    still = _Player(log, learner, aside, asked, heard)
    still.rank(split, len(aside.user))
    player.play(split, len(passage.user))
    frozen = _judged(log, dataclasses.replace(asked), aside, still.played(), alone, heard, name="temporal, frozen")
    made = _judged(log, asked, passage, player.played(), alone, heard, name="temporal, successive")
    return dataclasses.replace(made, frozen=frozen)


class _Player:
    """The core playing one passage, and what came of it."""

    def __init__(self, log: EventLog, learner: Learner, passage: Passage, asked: Asked, heard: Heard) -> None:
        self._log, self._learner, self._passage, self._heard = log, learner, passage, heard
        self._batch = asked.batch_size
        self._scored = scored_of(passage, repeats=asked.repeats)
        events = len(passage.user)
        is_choice = np.array([word in rules.LEARNED_ACTIONS for word in log.actions])
        self._others, self._told = np.flatnonzero(~is_choice[log.action_index]), 0
        self._ranks = np.zeros((events, len(RANKERS)), np.float32)
        self._tops = np.full((events, len(RANKERS), LISTS), -1, np.int32)
        self._total = np.zeros(metrics.SUMS)
        mixes = asked.mixes
        self._mixing = Mixing(mixes, passage, log.items.tolist(), learner.config, LISTS) if mixes else None

    def play(self, first: int, last: int) -> None:
        """The events of these places: learned where the passage says so, else only ranked."""
        learning_ends = first + int(self._passage.learns[first:last].sum())
        self._each(first, learning_ends, self._learn)
        self.rank(learning_ends, last)

    def rank(self, first: int, last: int) -> None:
        """Only rank the events of these places."""
        self._each(first, last, self._rank)

    def played(self) -> Played:
        """Ranks and lists so far; lists name items of the log."""
        rows = self._learner.state.items.rows(self._log.items)
        index_of = np.full(self._learner.state.items.capacity + 1, -1, np.int32)
        index_of[rows] = np.arange(len(rows), dtype=np.int32)
        index_of[0] = index_of[-1] = -1
        mixed = None if self._mixing is None else self._mixing.lists
        if mixed is not None:
            mixed = mixed._replace(tops=index_of[mixed.tops])
        return Played(self._ranks, index_of[self._tops], mixed)

    def _each(self, first: int, last: int, take: Callable[[int, int], None]) -> None:
        for start in range(first, last, self._batch):
            until = min(start + self._batch, last)
            if self._mixing is not None:
                self._mixing.look(self._learner.state)
            take(start, until)
            part = np.where(self._scored[start:until, None], self._ranks[start:until], 0)
            self._ranks[start:until] = part
            self._total += metrics.sums(part)
            self._heard("model", until, metrics.figures(self._total))

    def _learn(self, start: int, until: int) -> None:
        batch = list(convert.to_interactions(self._log.take(self._passage.place[start:until])))
        learnt = self._learner.learn(self._with_the_rest(start, until, batch)).learnt
        taken = np.ones(until - start, np.bool_)
        if (
            len(learnt.ranks) < until - start
        ):  # items that have not been seen often enough for a row: nothing ranks them
            taken = self._learner.state.items.rows(event.item_id for event in batch) > 0
            self._ranks[start:until] = np.inf
        self._put(start, until, taken, learnt.ranks, learnt.tops, learnt.scores)

    def _with_the_rest(self, start: int, until: int, batch: list[Interaction]) -> list[Interaction]:
        """The batch, and between its events those of the log that say something beside a choice."""
        place = self._passage.place[start:until]
        others = self._others[np.searchsorted(self._others, self._told) : np.searchsorted(self._others, place.max())]
        if not len(others):
            return batch
        self._told = int(place.max())
        rest = convert.to_interactions(self._log.take(others))
        order = np.argsort(np.concatenate([place, others]), kind="stable")
        both = [*batch, *rest]
        return [both[at] for at in order.tolist()]

    def _rank(self, start: int, until: int) -> None:
        batch = list(convert.to_interactions(self._log.take(self._passage.place[start:until])))
        self._put(start, until, np.ones(until - start, np.bool_), *self._learner.rank(batch))

    def _put(self, start: int, until: int, taken: Bools, ranks: F32, tops: I32, scores: F32) -> None:
        self._ranks[start:until][taken] = ranks
        self._tops[start:until][taken] = tops[:, :, :LISTS]
        if self._mixing is not None:
            self._mixing.take(self._learner.state, start, taken, tops, scores)


def _taught_catalogue(log: EventLog, config: ModelConfig, judging: Judging, encode: Encode | None) -> Learner:
    learner = Learner(config, judging=judging, encode=encode)
    catalogue = list(convert.to_items(log.catalogue))
    for first in range(0, len(catalogue), CATALOGUE_AT_ONCE):
        learner.learn(catalogue[first : first + CATALOGUE_AT_ONCE])
    return learner


def _judged(
    log: EventLog,
    asked: Asked,
    passage: Passage,
    played: Played,
    alone: Sequence[str],
    heard: Heard,
    *,
    name: str | None = None,
) -> Evaluation:
    """The model's ranks with those of the baselines that play by themselves, and all figures."""
    ranks, tops = [played.ranks], [played.tops]
    for baseline in alone:
        theirs = baselines.play(
            baseline, passage, len(log.items), repeats=asked.repeats, lists=LISTS, seed=asked.seed,
            on_done=functools.partial(heard, baseline, figures=None),
        )  # fmt: skip
        ranks.append(theirs.ranks[:, None])
        tops.append(theirs.tops[:, None])
    # A sample of the events is ranked where evaluate_sample says so; the others have no rank by the model.
    at = np.flatnonzero(scored_of(passage, repeats=asked.repeats) & (played.ranks[:, 0] > 0))
    if not len(at):
        raise EvaluationError(
            f"expected events to score in {log.name}, got none of {len(log)}: repeats, and what the protocol only "
            "learns, are not scored; take a longer log"
        )
    rankers = (*RANKERS, *alone)
    records = Records(at, rankers, np.concatenate(ranks, axis=1)[at], np.concatenate(tops, axis=1)[at])
    summed_up = functools.partial(
        summarise, passage=passage, surface=log.surface_index[passage.place[at]].astype(np.int32),
        surfaces=log.surfaces, tags=tag_vectors(log.catalogue.tags, len(log.items)), seed=asked.seed,
        resamples=asked.resamples,
    )  # fmt: skip
    mixed, names = played.mixed, tuple(mix_name for mix_name, _ in asked.mixes)
    slates = None if mixed is None else summed_up(Records(at, names, mixed.ranks[at], mixed.tops[at]))
    return Evaluation(
        log=log.name, protocol=name or asked.protocol, events=len(log), users=len(log.users), items=len(log.items),
        learned=int(passage.learns.sum()), repeats=asked.repeats, passage=passage, records=records,
        summary=summed_up(records), slates=slates,
    )  # fmt: skip


def _nobody(who: str, done: int, figures: metrics.Figures | None) -> None:
    """Nobody listens."""
