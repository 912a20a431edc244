"""The trainer's core on impressions and outcomes: counted when their window is over, whatever the batches."""

import numpy as np
import pytest

from models.recommend.heads import HeadConfig, log_odds
from models.recommend.showings import RING, SHORT
from models.recommend.state import from_arrays, to_arrays
from models.recommend.towers import TowerConfig
from streams.contract import rules
from streams.contract.absent import Erased
from streams.cores.learn import Learner
from streams.cores.signals import outcome_of
from tests.factories import NOW_MS, make_interaction
from tests.planted import SMALL, event, interactions, random_log, small

COUNTS = TowerConfig(dim=8, content_dim=16, window=8, flavour="counts")


@pytest.fixture
def learner():
    return Learner(SMALL)


def test_what_comes_of_a_choice_is_learned_whether_or_not_it_is_ranked():
    """Half of the clicks are finished; the share of events that is ranked changes how sure that is, not what it is."""
    chances = []
    for sample in (1.0, 0.1):
        learner = Learner(small(evaluate_sample=sample, towers=COUNTS))
        rng, events = np.random.default_rng(0), []
        for n in range(1_500):
            user, item = f"u{rng.integers(500)}", f"i{rng.integers(30)}"
            events.append(event(2 * n, action="click", user_id=user, item_id=item))
            if n % 2:
                events.append(event(2 * n + 1, action="complete", user_id=user, item_id=item))
        for first in range(0, len(events), 100):
            learner.learn(events[first : first + 100])
        heads = learner.state.heads
        known = range(int(heads.turn[0]))[-100:]
        chances.append(
            np.mean([1 / (1 + np.exp(-log_odds(heads, 1, heads.inputs[at], heads.hidden[at]))) for at in known])
        )
    assert all(chance > 0.1 for chance in chances)


def test_a_slate_longer_than_what_is_remembered_says_nothing_before_its_window_is_over(learner):
    """Neither the showings that are remembered nor those whose place was taken."""
    learner.learn([event(n, user_id="v", item_id=f"i{n}") for n in range(40)])
    shown = [event(100 + n, action="impression", item_id=f"i{n}", occurred_at_ms=NOW_MS + 100) for n in range(40)]
    learner.learn(shown)
    counts = learner.state.counts
    assert counts.passed[0].sum() == 0
    later = NOW_MS + 100 + learner.config.impression_window_ms
    learner.learn([event(200, user_id="w", item_id="i0", occurred_at_ms=later)])
    assert counts.passed[0].sum() == RING


def test_a_short_stay_takes_back_looks_alone():
    def is_short(**said):
        return bool(outcome_of(event(1, **said)) & SHORT)

    looks = [word for word in sorted(rules.LEARNED_ACTIONS) if is_short(action=word, dwell_ms=500)]
    assert looks == sorted(rules.LOOKS)
    assert not is_short(action="play", dwell_ms=rules.SHORT_DWELL_MS)
    assert not is_short(action="play", dwell_ms=500, completion=0.95)
    assert not is_short(action="play")


def shown(events):
    """The events with two impressions before each, one of five skipped or hidden, some of what is then chosen."""
    rng, out = np.random.default_rng(2), []
    for number, one in enumerate(events):
        for k in range(2):
            item_id = one.item_id if rng.random() < 0.2 else f"i{rng.integers(1, 30)}"
            action = str(rng.choice(["impression", "skip", "hide"], p=[0.8, 0.15, 0.05]))
            out.append(
                make_interaction(
                    event_id=f"s{number}-{k}", user_id=one.user_id, item_id=item_id, action=action, position=k + 1,
                    occurred_at_ms=one.occurred_at_ms - 5, surface=one.surface,
                )
            )  # fmt: skip
        out.append(one)
    return out


WATCHED = shown(interactions(random_log(256, users=16, seed=6)))


def test_an_impression_counts_when_its_window_is_over_choice_or_not(learner):
    learner.learn(
        [event(1), event(2, item_id="j"), event(3, action="impression", user_id="v", item_id="i", position=2)]
    )
    state = learner.state
    assert not state.counts.passed.any()
    later = NOW_MS + learner.config.impression_window_ms + 3
    done = learner.learn([event(4, action="impression", user_id="w", item_id="j", occurred_at_ms=later)])
    assert (done.interactions, done.learned) == (1, 0)
    assert state.counts.passed[0, state.items.row("i")] == 1
    assert state.counts.passed.sum(axis=1).tolist() == [1.0] * len(state.counts.passed)
    assert set(state.users.keys()) == {"u", "v", "w"}


def test_what_nobody_has_chosen_and_no_catalogue_lists_is_not_counted(learner):
    learner.learn([event(1, action="skip"), event(2, action="impression")])
    assert "i" not in learner.state.items
    assert not learner.state.counts.trials.any()


def test_order_decides_and_not_the_batch_what_impressions_do():
    whole, split = Learner(SMALL), Learner(SMALL)
    done = [learner.learn(WATCHED[at : at + size]).learned for learner, size in ((whole, 384), (split, 96))
            for at in range(0, len(WATCHED), size)]  # fmt: skip
    assert sum(done) == 512
    a, b = to_arrays(whole.state), to_arrays(split.state)
    for name in [name for name in a if name.startswith("passes/") or name in (
        "counts/passed", "counts/taken", "counts/outcomes", "counts/examined", "counts/trials", "counts/surface",
    )]:  # fmt: skip
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert a["counts/trials"][1] > 100


def test_a_learner_restored_among_impressions_goes_on_as_if_it_had_not_stopped():
    whole = Learner(SMALL)
    for at in range(0, 384, 96):
        whole.learn(WATCHED[at : at + 96])
    saved = to_arrays(whole.state)
    assert saved["passes/status"].any()
    assert saved["heads/turn"][0] > 0
    stopped = Learner(SMALL, first=from_arrays(saved, SMALL))
    for learner in (whole, stopped):
        learner.learn(WATCHED[384:])
    a, b = to_arrays(whole.state), to_arrays(stopped.state)
    assert {name: array.tobytes() for name, array in a.items()} == {name: array.tobytes() for name, array in b.items()}


def test_weights_of_heads_and_the_window_are_the_settings_and_not_the_snapshots():
    saved = to_arrays(Learner(SMALL).state)
    other = small(heads=HeadConfig(like=0.5), impression_window_ms=5)
    restored = from_arrays(saved, other)
    assert restored.heads.share.tolist() == [0.0, 0.0, 0.5, 0.0]
    assert restored.passes.window_ms[0] == 5


def test_erasing_a_user_leaves_nothing_of_what_he_was_shown(learner):
    learner.learn([event(1, item_id="j"), event(2, user_id="v"), event(3, user_id="v", item_id="j", action="skip")])
    learner.learn([event(4, action="impression"), event(5, item_id="k"), event(6, item_id="j", user_id="w")])
    row = learner.state.users.row("u")
    ring = learner.state.passes.ring[row]
    assert learner.state.passes.status[ring].any()
    learner.learn([Erased("u")])
    assert not learner.state.passes.item[ring].any()
    assert row not in learner.state.heads.user
    assert learner.state.passes.status.any(), "but of others"


def test_an_evicted_item_is_nobodys_impression_any_more():
    learner = Learner(small(item_ttl_days=1.0, evict_every=1))
    learner.learn([event(1), event(2, item_id="j"), event(3, item_id="k")])
    learner.learn([event(4, user_id="v", action="skip"), event(5, user_id="v", item_id="j", action="skip")])
    row = learner.state.items.row("i")
    learner.learn([event(6, item_id="j", user_id="w", occurred_at_ms=NOW_MS + 2 * 86_400_000)])
    state = learner.state
    assert row in [row for _, row in learner.evicted_items]
    assert row not in state.passes.item[state.passes.status > 0]
    assert not state.counts.passed[:, row].any()
