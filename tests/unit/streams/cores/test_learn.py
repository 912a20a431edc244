"""The trainer's core: which records are learned, who gets a row, and what tombstones take away."""

import dataclasses

import numpy as np
import pytest

from models.recommend.labels import creator_code, tag_codes
from models.recommend.sources import SURFACES
from models.recommend.state import from_arrays, to_arrays
from models.recommend.towers import TowerConfig
from streams.contract import rules
from streams.contract.absent import Erased, Withdrawn
from streams.cores.contents import features
from streams.cores.learn import ACTION_CODES, Learner
from tests.factories import NOW_MS, make_item, make_user
from tests.planted import SMALL, event, interactions, play, random_log, small

COUNTS = TowerConfig(dim=8, content_dim=16, window=8, flavour="counts")


def histories(learner):
    """What each user id did, as item ids, oldest first."""
    state = learner.state
    found = {}
    user_ids = state.users.keys()
    for user_id in user_ids:
        row = state.users.row(user_id)
        start, length = state.histories.start[row], state.histories.length[row]
        found[user_id] = [state.items.key(item) for item in state.histories.item[start : start + length].tolist()]
    return found


def hidden(learner, user_id):
    state, row = learner.state, learner.state.users.row(user_id)
    start, length = state.hidden.start[row], state.hidden.length[row]
    return {state.items.key(item) for item in state.hidden.key[start : start + length].tolist()}


@pytest.fixture
def learner():
    return Learner(SMALL)


def test_choices_are_learned_and_join_the_history(learner):
    done = learner.learn([event(1), event(2, item_id="j"), event(3, user_id="v")])
    assert (done.interactions, done.learned, done.repeated) == (3, 3, 0)
    assert histories(learner) == {"u": ["i", "j"], "v": ["i"]}
    assert done.learnt.ranks[:, 0].tolist() == [np.inf, np.inf, 2.0]


@pytest.mark.parametrize("action", sorted(rules.ACTION_WORDS))
def test_every_action(learner, action):
    done = learner.learn([event(1), event(2, item_id="j", action=action)])
    is_learned = action in rules.LEARNED_ACTIONS
    assert done.learned == 1 + is_learned
    assert histories(learner)["u"] == (["i", "j"] if is_learned else ["i"])
    assert 1 <= ACTION_CODES[action] < 16


def test_surfaces_get_codes_in_the_order_in_which_they_come(learner):
    learner.learn([event(1, surface="home"), event(2, item_id="j"), event(3, item_id="k", surface="search")])
    learner.learn([event(4, user_id="v", surface="home"), event(5, user_id="v", item_id="j", surface="")])
    state = learner.state
    assert state.surfaces == {"home": 1, "search": 2}
    rows = {key: state.items.row(key) for key in "ijk"}
    counted = {key: np.flatnonzero(state.counts.surface[:, row]).tolist() for key, row in rows.items()}
    assert counted == {"i": [1], "j": [], "k": [2]}


def test_surfaces_that_come_too_late_count_as_none(learner):
    learner.learn([event(n, item_id=f"i{n}", surface=f"s{n}") for n in range(SURFACES + 4)])
    state = learner.state
    assert sorted(state.surfaces.values()) == list(range(1, SURFACES))
    late = [state.items.row(f"i{n}") for n in range(SURFACES - 1, SURFACES + 4)]
    assert not state.counts.surface[:, late].any()


def test_ranking_gives_no_surface_a_code(learner):
    learner.learn([event(1), event(2, user_id="v", item_id="j", surface="home")])
    judged = learner.rank([event(3, item_id="j", surface="never heard of")])
    assert learner.state.surfaces == {"home": 1}
    assert judged.ranks[0, 0] == 1


def test_the_catalogue_brings_labels(learner):
    learner.learn([make_item(item_id="i", title="Alien (1979)", tags=["Horror", "Space"], creator="Scott"), event(1)])
    state, row = learner.state, learner.state.items.row("i")
    assert state.labels.year[row] == 1979
    codes = [int(tag_codes([tag])[0]) for tag in ("horror", "space")]
    assert state.labels.tags[row].tolist() == [*codes, 0, 0, 0, 0, 0, 0]
    assert state.labels.creator[row] == creator_code("Scott")
    assert [state.counts.tag_events[code] for code in codes] == [1, 1]
    assert state.counts.tag_events[0] == 2
    learner.learn([make_item(item_id="i", title="Alien", tags=["Space"], creator=None)])
    assert [state.counts.tag_events[code] for code in codes] == [0, 1]
    assert (state.counts.tag_events[0], state.labels.year[row], state.labels.creator[row]) == (1, 0, 0)


def test_action_codes_are_saved_in_histories_and_may_never_change():
    words = (
        "impression click play progress complete like dislike rate share skip hide purchase search-click"  # as in 0.1
    )
    assert {word: code for code, word in enumerate(words.split(), start=1)} == ACTION_CODES


def test_values_times_and_actions_reach_the_history(learner):
    learner.learn([event(1, action="rate", value=4.5), event(2, action="play", item_id="j")])
    h, row = learner.state.histories, learner.state.users.row("u")
    at = slice(h.start[row], h.start[row] + 2)
    assert h.value[at][0] == 4.5
    assert np.isnan(h.value[at][1])
    assert h.at_ms[at].tolist() == [NOW_MS + 1, NOW_MS + 2]
    assert h.action[at].tolist() == [ACTION_CODES["rate"], ACTION_CODES["play"]]


def test_a_repeated_event_is_learned_once(learner):
    first = learner.learn([event(1), event(1), event(2, item_id="j")])
    assert (first.interactions, first.learned, first.repeated) == (3, 2, 1)
    again = learner.learn([event(2, item_id="j"), event(3, item_id="k")])
    assert (again.interactions, again.learned, again.repeated) == (2, 1, 1)
    assert histories(learner) == {"u": ["i", "j", "k"]}
    assert learner.state.repeated_events == 2


def test_the_dedupe_window_forgets_the_oldest():
    learner = Learner(small(dedupe_window=3))
    learner.learn([event(number, item_id=str(number)) for number in range(5)])
    assert list(learner.state.known_ids) == ["e2", "e3", "e4"]
    assert learner.learn([event(2), event(3), event(4)]).repeated == 3
    assert learner.learn([event(1)]).repeated == 0
    assert list(learner.state.known_ids) == ["e3", "e4", "e1"]


def test_hide_and_dislike_hide(learner):
    learner.learn([event(1), event(2, user_id="v", item_id="j")])
    learner.learn([
        event(3, action="hide"), event(4, action="dislike", item_id="j"),
        event(5, action="skip", item_id="j", user_id="v"), event(6, action="hide", item_id="never seen"),
    ])  # fmt: skip
    assert hidden(learner, "u") == {"i", "j"}
    assert hidden(learner, "v") == set()
    assert "never seen" not in learner.state.items
    assert histories(learner)["u"] == ["i"], "what was hidden is no choice"


def test_a_hide_of_what_the_same_batch_made_known_holds(learner):
    learner.learn([event(1, user_id="v", item_id="new"), event(2, action="hide", item_id="new")])
    assert hidden(learner, "u") == {"new"}


def test_a_user_who_only_hides_is_kept_while_he_is_active():
    learner = Learner(small(user_ttl_days=1.0, evict_every=1))
    learner.learn([event(1, user_id="v")])
    learner.learn([event(2, action="hide"), event(3, user_id="v", item_id="j")])
    assert hidden(learner, "u") == {"i"}


def test_admission_waits_for_enough_sightings():
    learner = Learner(small(min_count=2))
    assert learner.learn([event(1)]).learned == 0
    assert learner.learn([event(2, user_id="v")]).learned == 1
    assert histories(learner) == {"u": [], "v": ["i"]}


def test_the_catalogue_lists_and_a_tombstone_withdraws(learner):
    items = [make_item(item_id="i", title="Alien (1979)"), make_item(item_id="j"), make_item(item_id="k")]
    learner.learn([*items, Withdrawn("j"), Withdrawn("unheard of")])
    state = learner.state
    rows = {key: state.items.row(key) for key in "ijk"}
    assert {key: bool(state.live[row]) for key, row in rows.items() if row} == {"i": True, "k": True}
    assert "unheard of" not in state.items
    np.testing.assert_array_equal(np.asarray(state.towers.tables.content)[rows["i"]], features(items[0], 16))
    learner.learn([Withdrawn("i"), event(1)])
    assert not state.live[rows["i"]]
    assert histories(learner) == {"u": ["i"]}, "what is said of an item stays true after it"
    learner.learn([Withdrawn("i"), make_item(item_id="i")])
    assert state.live[rows["i"]]
    learner.learn([make_item(item_id="i"), Withdrawn("i")])
    assert not state.live[rows["i"]], "the last word of a batch counts"


def test_the_catalogue_needs_no_second_sighting():
    learner = Learner(small(min_count=5))
    learner.learn([make_item(item_id="i"), event(1)])
    assert histories(learner) == {"u": ["i"]}


def test_the_newest_description_counts(learner):
    new = make_item(item_id="i", title="Emma (2020)", tags=["romance"])
    learner.learn([make_item(item_id="i", title="Alien (1979)"), new])
    row = learner.state.items.row("i")
    np.testing.assert_array_equal(np.asarray(learner.state.towers.tables.content)[row], features(new, 16))


def test_erasing_a_user_leaves_nothing_of_him(learner):
    learner.learn([event(n, user_id="uv"[n % 2], item_id=f"{'uv'[n % 2]}{n}") for n in range(40)])
    learner.learn([event(100, action="hide", item_id="v3")])
    mine = {learner.state.items.row(f"u{n}") for n in range(0, 40, 2)}
    learner.learn([Erased("u"), Erased("nobody")])
    state = learner.state
    assert state.users.row("u") == 0
    assert histories(learner) == {"v": [f"v{n}" for n in range(1, 40, 2)]}
    assert not mine & set(state.histories.item.tolist()), "nor in stretches of the pool that it has outgrown"
    assert not state.hidden.key.any()
    saved = to_arrays(state)
    assert b"u" not in saved["users/keys"].tobytes()
    assert not mine & set(saved["histories/item"].tolist())


def test_what_came_before_the_tombstone_is_not_learned_and_what_came_after_is(learner):
    learner.learn([event(1)])
    done = learner.learn([event(2, item_id="j"), event(3, user_id="v"), Erased("u"), event(4, item_id="k")])
    assert histories(learner) == {"u": ["k"], "v": ["i"]}
    assert done.learned == 2


def test_an_erased_user_is_not_replayed():
    learner = Learner(small(training=dataclasses.replace(SMALL.training, events_per_step=1)))
    learner.learn([event(n, item_id=f"i{n}") for n in range(20)])
    learner.learn([Erased("u"), *(event(100 + n, user_id="v", item_id=f"j{n}") for n in range(20))])
    done = learner.learn([event(200, user_id="v", item_id="j1")])
    assert done.learnt.loss is not None
    assert np.isfinite(float(done.learnt.loss))
    assert histories(learner)["v"][-1] == "j1"


def test_users_are_read_over_and_an_empty_batch_is_fine(learner):
    done = learner.learn([make_user(user_id="u")])
    assert (done.interactions, done.learned) == (0, 0)
    assert learner.learn([]).learned == 0
    assert learner.state.step == 2  # a step is a batch, whatever is in it


def test_the_evicted_are_told_to_the_caller():
    learner = Learner(small(item_ttl_days=1.0, evict_every=1))
    learner.learn([event(1), event(2, item_id="j")])
    row = learner.state.items.row("i")
    learner.learn([event(3, item_id="j", occurred_at_ms=NOW_MS + 2 * 86_400_000)])
    assert learner.evicted_items == [("i", row)]
    assert histories(learner) == {"u": ["j", "j"]}


def test_order_decides_and_the_batch_only_when_the_towers_learn():
    log = interactions(random_log(256, users=16, seed=4))
    whole, split = Learner(SMALL), Learner(SMALL)
    ranks, split_ranks = play(whole, log), play(split, log, batch=64)
    np.testing.assert_array_equal(ranks[:, 1:], split_ranks[:, 1:])
    assert histories(whole) == histories(split)
    np.testing.assert_array_equal(whole.state.counts.decayed, split.state.counts.decayed)
    assert list(whole.state.known_ids) == list(split.state.known_ids)


def test_a_restored_learner_goes_on_as_if_it_had_not_stopped():
    log = interactions(random_log(384, users=16, seed=5))
    catalogue = [make_item(item_id=f"i{n}", title=f"Title {n}", tags=[f"t{n % 3}"]) for n in range(1, 20)]
    whole = Learner(SMALL)
    whole.learn(catalogue)
    play(whole, log[:256])
    stopped = Learner(SMALL, first=from_arrays(to_arrays(whole.state), SMALL))
    np.testing.assert_array_equal(play(whole, log[200:]), play(stopped, log[200:]))
    a, b = to_arrays(whole.state), to_arrays(stopped.state)
    assert {name: array.tobytes() for name, array in a.items()} == {name: array.tobytes() for name, array in b.items()}


def test_features_tell_language_and_creator_apart():
    plain = make_item(item_id="i", title="Alien", tags=[])
    for change in ({"language": "en"}, {"creator": "Scott"}, {"text": "a story"}, {"tags": ["horror"]}):
        assert (
            0.1
            < features(make_item(item_id="i", title="Alien", **{"tags": []} | change), 128) @ features(plain, 128)
            < 0.99
        )
