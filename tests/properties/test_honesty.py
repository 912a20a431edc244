"""Does a figure mean what it says? The model may know the past of each event, and nothing of the event or after it."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

import streams.replay
from models.recommend import tower_part
from models.recommend.shortlist import ShortlistConfig
from models.recommend.state import from_arrays, to_arrays
from streams.cores.learn import Learner
from streams.replay import convert
from streams.replay.logs import EventLog, read_log
from tests.planted import SMALL, interactions, planted_log, play, random_log, small
from tests.slow_counts import Event
from tests.slow_learning import prequential

pytestmark = pytest.mark.timeout(300)  # whoever comes first compiles every kernel

MODEL, POPULARITY, TRANSITIONS = 0, 1, 2
BATCH = 128
FILMS = 1_536
SHORTLIST = ShortlistConfig(
    exact_items=0, popular=8, lately=16, fresh=8, by_history=32, by_tower=16, scanned=64, negatives=16, stripe=64
)
both_forms = pytest.mark.parametrize("config", [SMALL, small(shortlist=SHORTLIST)], ids=["exact", "among candidates"])
"""Every item ranked, and candidates that are a small part of the films."""


def hit_rate(ranks):
    """HR@10 of each ranker, over scored events."""
    scored = ranks[ranks[:, 0] > 0]
    return (scored <= 10).mean(0)


@pytest.fixture(scope="module")
def films() -> EventLog:
    """The first events of MovieTweetings, with the catalogue entries of their films."""
    return read_log(Path(streams.replay.__file__).parent / "data" / "movietweetings").head(FILMS)


@pytest.fixture(scope="module")
def catalogue(films):
    named = set(films.item_id.tolist())
    return [item for item in convert.to_items(films.catalogue) if item.item_id in named]


@pytest.fixture
def config():
    """`SMALL`, which ranks every item; a test may ask for another."""
    return SMALL


@pytest.fixture
def fresh(catalogue, config):
    """Learners that know the catalogue and no event."""

    def make():
        learner = Learner(config)
        learner.learn(catalogue)
        return learner

    return make


@pytest.fixture(scope="module")
def events(films):
    return list(convert.to_interactions(films))


@pytest.fixture
def whole(fresh, events):
    """Ranks of all events of the log."""
    return play(fresh(), events, batch=BATCH)


@pytest.mark.slow
@both_forms
@pytest.mark.parametrize("cut", [768, 1_000])
def test_ranks_do_not_depend_on_what_comes_later(fresh, events, whole, cut):
    np.testing.assert_array_equal(play(fresh(), events[:cut], batch=BATCH), whole[:cut])


@pytest.mark.slow
@both_forms
def test_ranks_do_not_depend_on_what_comes_later_in_the_same_batch(fresh, events, whole):
    cut = 768 + 50
    other = events[:cut] + interactions(random_log(BATCH - 50, seed=1), first=10**6)
    np.testing.assert_array_equal(play(fresh(), other, batch=BATCH)[:cut], whole[:cut])


@pytest.mark.slow
def test_a_target_has_no_part_in_its_own_rank(fresh, events):
    """Forty other targets in one event's place: forty different ranks, spread over the whole catalogue."""
    start, place = 1_024, 60
    learner = fresh()
    play(learner, events[:start], batch=BATCH)
    saved = to_arrays(learner.state)
    target = events[start + place]
    had = {event.item_id for event in events[: start + place] if event.user_id == target.user_id}
    seen = sorted({event.item_id for event in events[: start + place]} - had)
    others = np.random.default_rng(0).choice(seen, 40, replace=False).tolist()
    found = []
    for item_id in others:
        swapped = msgspec.structs.replace(target, item_id=item_id)
        batch = [*events[start : start + place], swapped, *events[start + place + 1 : start + BATCH]]
        again = Learner(SMALL, first=from_arrays(saved, SMALL))
        found.append(again.learn(batch).learnt.ranks[place])
    ranks = np.array(found)
    assert len(set(ranks[:, MODEL].tolist())) == 40
    assert ranks.max() <= len(seen)
    # Mean of 40 uniform ranks: half the catalogue, give or take three standard errors.
    middle, error = len(seen) / 2, len(seen) / np.sqrt(12 * 40)
    assert abs(ranks[:, MODEL].mean() - middle) < 3 * error


@pytest.mark.slow
@both_forms
def test_a_shuffled_log_has_nothing_but_popularity_in_it(fresh, films, whole):
    order = np.random.default_rng(0).permutation(len(films))
    shuffled = dataclasses.replace(films, item_index=films.item_index[order])
    ranks = play(fresh(), list(convert.to_interactions(shuffled)), batch=BATCH)
    rates, scored = hit_rate(ranks), (ranks[:, 0] > 0).sum()
    error = np.sqrt(rates[POPULARITY] * (1 - rates[POPULARITY]) / scored)
    assert rates[MODEL] <= rates[POPULARITY] + 3 * error
    assert rates[MODEL] < hit_rate(whole)[MODEL], "the true log has more to tell"


def test_both_baselines_are_those_of_their_definition():
    log = random_log(256, users=16, items=30, seed=9)
    slow = prequential(log, 30, np.zeros((256, 30)))
    ranks = play(Learner(SMALL), interactions(log), batch=BATCH)
    np.testing.assert_array_equal(ranks[:, 1:], slow.ranks[:, 1:])


def sittings(count, *, seed=0):
    """Users who rate four films at one moment, always in one order: the order of the file is the structure."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 15, count)
    users = rng.integers(0, 40, count)
    return [
        Event(int(user), 4 * int(group) + at, 1_000_000 * number)
        for number, (user, group) in enumerate(zip(users, groups, strict=True), start=1)
        for at in range(4)
    ]


@pytest.mark.slow
def test_the_order_inside_a_moment_flatters_everybody():
    """Why figures are given for file order and for shuffled ties."""
    log = sittings(128)
    rng = np.random.default_rng(1)
    shuffled = [log[at] for at in np.lexsort((rng.random(len(log)), [event.at_ms for event in log]))]
    in_order = play(Learner(SMALL), interactions(log), batch=BATCH)
    mixed = play(Learner(SMALL), interactions(shuffled), batch=BATCH)

    def first_places(ranks):
        scored = ranks[(ranks[:, 0] > 0) & np.isfinite(ranks[:, 0])]
        return (scored == 1).mean(0)

    assert (first_places(mixed)[[MODEL, TRANSITIONS]] < 0.9 * first_places(in_order)[[MODEL, TRANSITIONS]]).all()
    assert first_places(mixed)[TRANSITIONS] > 0, "the group itself is still there"


@pytest.fixture(scope="module")
def taught():
    """Even users like even items: a learner of that, its log, and the ranks on the way."""
    config = small(training=dataclasses.replace(SMALL.training, events_per_step=1))
    learner, log = Learner(config), planted_log(2_048)
    return learner, log, play(learner, interactions(log), batch=BATCH)


def by_chance(log, items):
    """Expected HR@10 of a random order of what a user has not had, for every event."""
    had: dict[int, set[int]] = {}
    chances = []
    for event in log:
        mine = had.setdefault(event.user, set())
        chances.append(min(1.0, 10 / (items - len(mine))))
        mine.add(event.item)
    return np.array(chances)


@pytest.mark.slow
def test_the_whole_learns_a_planted_structure(taught):
    _, log, ranks = taught
    late = np.arange(len(log)) >= 1_024
    scored = late & (ranks[:, 0] > 0)
    chance = by_chance(log, 80)[scored].mean()
    assert (ranks[scored, MODEL] <= 10).mean() > 2.2 * chance
    assert (ranks[scored, POPULARITY] <= 10).mean() < 1.3 * chance, "popularity cannot know it"


@pytest.mark.slow
def test_the_tower_alone_learns_a_planted_structure(taught):
    learner, log, _ = taught
    state = learner.state
    users = np.arange(BATCH) % 60
    rows = state.users.rows(f"u{user}" for user in users)
    at_ms = np.full(BATCH, log[-1].at_ms + 60_000, np.int64)
    logits = tower_part.tower_logits(state, rows, at_ms, state.histories.length[rows], learner.config).of_users
    share, chance = [], []
    for user, scores in zip(users[:60], logits, strict=False):
        had = {event.item for event in log if event.user == user}
        left = [item for item in range(80) if item not in had]
        best = sorted(left, key=lambda item: -scores[state.items.row(f"i{item}")])[:10]
        share.append(np.mean([item % 2 == user % 2 for item in best]))
        chance.append(np.mean([item % 2 == user % 2 for item in left]))
    assert np.mean(chance) < 0.45
    assert np.mean(share) > 2 * np.mean(chance)
