"""What the recommender shows is what the trainer would rank: the same order, the same scores, over any way there.

The trainer's side is `learning.rank` (the order) and a second computation of both stages (the scores); the
recommender's is the announcement's bytes and the interactions, or a snapshot.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from models.recommend.heads import HeadConfig
from models.recommend.learning import Judging
from models.recommend.state import ModelConfig, from_arrays, to_arrays
from models.recommend.strict import MODEL
from streams.contract.events import Interaction, Item
from streams.cores.announce import Announcer
from streams.cores.learn import Learner
from streams.cores.serving import Serving
from streams.replay.convert import to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from tests import engines, planted
from tests.engines import ask
from tests.factories import make_interaction

K = 20
CLOSE = 1e-4
MOMENTS_MS = (1_000, 90_000, 86_400_000)
"""After the last event that was learned."""
SURFACES = (None, "home", "search", "tv", "unheard of")
REAL_EVENTS = 3_000


class Log(NamedTuple):
    """A catalogue, and three parts of a stream of interactions."""

    items: list[Item]
    parts: list[list[Interaction]]


def sprinkled(events: Sequence[Interaction]) -> list[Interaction]:
    """The events with surfaces on three of four, and every ninth on an item that its user had."""
    had: dict[str, list[str]] = {}
    out = []
    for number, event in enumerate(events):
        mine = had.setdefault(event.user_id, [])
        item_id = mine[number % len(mine)] if mine and number % 9 == 8 else event.item_id
        mine.append(item_id)
        surface = SURFACES[number % 4]
        out.append(msgspec.structs.replace(event, item_id=item_id, surface=surface))
    return out


def thirds(events: Sequence[Interaction]) -> list[list[Interaction]]:
    size = -(-len(events) // 3)
    return [list(events[first : first + size]) for first in range(0, len(events), size)]


Made = Callable[[], Log]


@functools.cache
def planted_log() -> Log:
    events = planted.interactions(planted.planted_log(900, users=25, items=90))
    return Log(engines.catalogue(range(95)), thirds(sprinkled(events)))


@functools.cache
def real_log() -> Log:
    """The first events of the packaged log, and the films that they name."""
    log = read_log(PACKAGED_DIR / "movietweetings").head(REAL_EVENTS)
    events = sprinkled(list(to_interactions(log)))
    named = {event.item_id for event in events}
    return Log([item for item in to_items(log.catalogue) if item.item_id in named], thirds(events))


@functools.cache
def shown_log() -> Log:
    """The planted events with what was shown beside: some passed over, some skipped, some of it chosen later."""
    events = sprinkled(planted.interactions(planted.planted_log(700, users=20, items=60)))
    rng, told = np.random.default_rng(3), []
    for number, event in enumerate(events):
        for k in range(3):
            kind = "skip" if rng.random() < 0.2 else "impression"
            item_id = f"i{rng.integers(0, 60)}" if k or number % 4 else event.item_id
            told.append(
                msgspec.structs.replace(
                    event, event_id=f"shown {number} {k}", item_id=item_id, action=kind, position=k + 1, value=None,
                    occurred_at_ms=event.occurred_at_ms - 1_000,
                )
            )  # fmt: skip
        action = ("rate", "like", "complete")[number % 7 % 3]
        dwell_ms = 1_000 if number % 11 == 5 else None
        told.append(msgspec.structs.replace(event, action=action, dwell_ms=dwell_ms))
    return Log(engines.catalogue(range(65)), thirds(told))


def users_of(events: Sequence[Interaction], most: int) -> list[str]:
    """Some who act, quick and slow ones, and one who never did."""
    distinct = sorted({event.user_id for event in events})
    return [*distinct[:: max(1, len(distinct) // most)], "nobody has seen me"]


def compare(learner: Learner, serving: Serving, users: Sequence[str], now_ms: int, *, repeats: bool = False) -> None:
    """Hold the first places of each user's slate against the trainer's list and scores."""
    rewatchable = frozenset({"rate"} if repeats else ())
    made = engines.recommender(serving, now_ms, rewatchable_actions=rewatchable)
    state = learner.state
    for number, user_id in enumerate(users):
        surface = SURFACES[number % len(SURFACES)]
        slate = ask(made, now_ms, user_id=user_id, k=K, surface=surface)
        rows = state.items.rows(item.item_id for item in slate.items)
        scores = np.array([item.score for item in slate.items])
        final = engines.scored_of(learner, user_id, now_ms, surface=surface, repeats=repeats)
        wanted = np.sort(final.final[~np.isnan(final.final)])[::-1][:K]
        assert len(rows) == len(wanted) == K
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(scores, final.final[rows], rtol=0, atol=CLOSE)
        listed = trainers_list(learner, user_id, now_ms, surface, final.allowed)
        for at in np.flatnonzero(listed != rows):  # only where two scores are as good as equal
            assert abs(final.final[listed[at]] - final.final[rows[at]]) < CLOSE


def trainers_list(
    learner: Learner, user_id: str, now_ms: int, surface: str | None, allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """The rows that the trainer ranks first when it judges an event of this user."""
    target = learner.state.items.key(int(np.flatnonzero(allowed)[0]))
    event = make_interaction(
        event_id="judged", user_id=user_id, item_id=target, action="rate", occurred_at_ms=now_ms, surface=surface
    )
    rows: npt.NDArray[np.int32] = learner.rank([event]).tops[0, MODEL]
    return rows


def learner_of(log: Log, *, repeats: bool, config: ModelConfig = planted.SMALL) -> Learner:
    learner = Learner(config, judging=Judging(lists=K, repeats=repeats))
    learner.learn(log.items)
    return learner


def recommender_of(log: Log, config: ModelConfig) -> Serving:
    serving = Serving(config)
    for item in log.items:
        serving.take_item(item.item_id, item)
    return serving


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("log", [planted_log, real_log])
def test_slates_are_the_trainers_lists_from_first_flush_to_last(log: Made, repeats: bool) -> None:
    log_ = log()
    learner = learner_of(log_, repeats=repeats)
    serving, announcer = recommender_of(log_, learner.config), Announcer(learner.config, fingerprint="test")
    for part in log_.parts:
        planted.play(learner, part)
        engines.flush(serving, learner, announcer)
        serving.take_interactions(part)
        for after_ms in MOMENTS_MS:
            compare(learner, serving, users_of(part, 12), part[-1].occurred_at_ms + after_ms, repeats=repeats)
    assert np.abs(learner.state.reranker.out).max() > 0.01, "the second stage has learned something"


@pytest.mark.parametrize("log", [planted_log, real_log])
def test_a_recommender_of_half_of_the_users_ranks_for_them_as_the_trainer_does(
    log: Made,
) -> None:
    log_ = log()
    learner, serving = learner_of(log_, repeats=False), recommender_of(log_, planted.SMALL)
    everything = [event for part in log_.parts for event in part]
    mine = [event for event in everything if event.user_id[-1] in "02468"]
    planted.play(learner, everything)
    serving.take_interactions(mine)  # before anything is known of their items
    engines.flush(serving, learner)
    compare(learner, serving, users_of(mine, 20), everything[-1].occurred_at_ms + 5_000)


HEADS = HeadConfig(click=0.5, complete=0.3, like=0.2, hide=0.4)


def test_what_was_shown_and_not_chosen_moves_slates_as_it_moves_the_trainer() -> None:
    log, config = shown_log(), planted.small(heads=HEADS)
    learner = learner_of(log, repeats=False, config=config)
    serving, announcer = recommender_of(log, config), Announcer(config, fingerprint="test")
    for part in log.parts:
        planted.play(learner, part)
        engines.flush(serving, learner, announcer)
        serving.take_interactions(part)
        for after_ms in (0, *MOMENTS_MS):
            compare(learner, serving, users_of(part, 12), part[-1].occurred_at_ms + after_ms)
    assert (learner.state.counts.trials[:4] > 20).all()
    assert np.abs(learner.state.counts.appeal).max() > 0.1
    assert (np.abs(learner.state.heads.weights[:3, :-1]).max(axis=1) > 0.01).all(), "three heads have learned"
    arrays = {name: np.array(array) for name, array in to_arrays(learner.state).items()}
    again = recommender_of(log, config)
    again.restore(from_arrays(arrays, config), config)
    for item in log.items:
        again.take_item(item.item_id, item)
    compare(learner, again, users_of(log.parts[2], 12), log.parts[2][-1].occurred_at_ms + 1_000)


def test_a_recommender_that_starts_from_a_snapshot_ranks_as_the_trainer_does() -> None:
    log = planted_log()
    learner = learner_of(log, repeats=False)
    planted.play(learner, log.parts[0])
    arrays = {name: np.array(array) for name, array in to_arrays(learner.state).items()}
    serving = recommender_of(log, learner.config)
    serving.restore(from_arrays(arrays, learner.config), learner.config)
    for item in log.items:  # the catalogue's topic is read from its beginning
        serving.take_item(item.item_id, item)
    users = users_of(log.parts[0], 12)
    compare(learner, serving, users, log.parts[0][-1].occurred_at_ms + 1_000)
    announcer = Announcer(learner.config, fingerprint="test")
    for part in log.parts[1:]:
        planted.play(learner, part)
        engines.flush(serving, learner, announcer)
        serving.take_interactions(part)
        compare(learner, serving, users, part[-1].occurred_at_ms + 1_000)


def test_without_a_second_stage_slates_are_the_trainers_lists_too() -> None:
    log, config = planted_log(), planted.small(candidates=0)
    learner, serving = learner_of(log, repeats=False, config=config), recommender_of(log, config)
    planted.play(learner, log.parts[0])
    engines.flush(serving, learner)
    serving.take_interactions(log.parts[0])
    now_ms = log.parts[0][-1].occurred_at_ms + 1_000
    made = engines.recommender(serving, now_ms)
    for user_id in users_of(log.parts[0], 12):
        scored = engines.scored_of(learner, user_id, now_ms)
        slate = ask(made, now_ms, user_id=user_id, k=K)
        wanted = np.sort(scored.linear[scored.allowed])[::-1][:K]
        np.testing.assert_allclose([item.score for item in slate.items], wanted, rtol=0, atol=CLOSE)


def test_behind_the_items_that_are_ranked_twice_the_others_keep_the_linear_order() -> None:
    log, config = planted_log(), planted.small(candidates=10)
    learner, serving = learner_of(log, repeats=False, config=config), recommender_of(log, config)
    for part in log.parts:
        planted.play(learner, part)
    engines.flush(serving, learner)
    serving.take_interactions([event for part in log.parts for event in part])
    now_ms = log.parts[-1][-1].occurred_at_ms + 1_000
    made, reordered = engines.recommender(serving, now_ms), 0
    for user_id in users_of(log.parts[-1], 20):
        scored = engines.scored_of(learner, user_id, now_ms)
        slate = ask(made, now_ms, user_id=user_id, k=K)
        rows = learner.state.items.rows(item.item_id for item in slate.items)
        scores = [item.score for item in slate.items]
        assert scores == sorted(scores, reverse=True)
        linear = np.sort(scored.linear[scored.allowed])[::-1]
        assert set(rows[:10].tolist()) == set(np.flatnonzero(~np.isnan(scored.final)).tolist())
        np.testing.assert_allclose(scores[:10], np.sort(scored.final[rows[:10]])[::-1], rtol=0, atol=CLOSE)
        np.testing.assert_allclose(scored.linear[rows[10:]], linear[10:K], rtol=0, atol=CLOSE)
        np.testing.assert_allclose(np.diff(scores[10:]), np.diff(linear[10:K]), rtol=0, atol=CLOSE)
        reordered += not np.array_equal(np.sort(-scored.linear[rows[:10]]), -scored.linear[rows[:10]])
    assert reordered, "the second stage changed the order of somebody"
