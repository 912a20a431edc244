"""The heads: one step against numbers by hand, a planted outcome, and that they do no harm without a weight."""

import numpy as np
import pytest

from models.errors import ConfigError
from models.recommend import heads as heading
from models.recommend.heads import HEAD_NAMES, REMEMBERED, HeadConfig, empty_heads
from models.recommend.rerank import HIDDEN, INPUTS
from models.recommend.showings import COMPLETED, LIKED, SHOWN, SKIPPED, signals_of
from models.recommend.showings import HIDDEN as HID_KIND
from tests.kernel_run import WINDOW_MS, Run
from tests.planted import RATES, random_labels, random_log
from tests.slow_counts import Event

ITEMS = 20
TWICE = RATES._replace(candidates=8)


def candidate(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=INPUTS).astype(np.float32), rng.normal(size=HIDDEN).astype(np.float32)


def random_heads(seed=0):
    heads = empty_heads(HeadConfig())
    heads.weights[:] = np.random.default_rng(seed).normal(0, 0.1, heads.weights.shape)
    return heads


@pytest.mark.parametrize("outcome", [False, True])
def test_a_step_is_adagrad_on_the_log_likelihood(outcome):
    heads, (inputs, hidden) = random_heads(), candidate(1)
    before, whole = heads.weights[2].astype(float), np.concatenate([inputs, hidden, [1.0]])
    odds = before @ whole
    assert heading.log_odds(heads, 2, inputs, hidden) == pytest.approx(odds, abs=1e-4)
    heading.learn_outcome(heads, 2, inputs, hidden, outcome)
    gradient = (outcome - 1 / (1 + np.exp(-odds))) * whole
    wanted = before + 0.05 * gradient / np.sqrt(0.1 + gradient**2)
    np.testing.assert_allclose(heads.weights[2], wanted, atol=1e-4)
    np.testing.assert_array_equal(heads.weights[[0, 1, 3]], random_heads().weights[[0, 1, 3]])


def test_a_head_learns_a_rate_and_what_it_depends_on():
    rng, heads = np.random.default_rng(0), empty_heads(HeadConfig())
    for _ in range(4_000):
        inputs, hidden = candidate(rng.integers(10**9))
        heading.learn_outcome(heads, 1, inputs, hidden, rng.random() < 1 / (1 + np.exp(2 - 2 * inputs[4])))
    assert heads.weights[1, 4] > 1
    assert heads.weights[1, -1] == pytest.approx(-2, abs=0.6)
    assert np.abs(np.delete(heads.weights[1, :-1], 4)).max() < 0.5


def test_weights_add_and_that_of_hide_takes_off():
    heads = random_heads()._replace(share=heading.share_of(HeadConfig(click=0.5, hide=2.0)))
    inputs, hidden = (np.stack(parts) for parts in zip(candidate(1), candidate(2), strict=True))
    final = np.array([1.0, 2.0], np.float32)
    heading.add_heads(heads, inputs, hidden, 2, final)
    whole = np.concatenate([inputs, hidden, np.ones((2, 1))], axis=1)
    odds = whole @ heads.weights.T
    np.testing.assert_allclose(final, [1.0, 2.0] + 0.5 * odds[:, 0] - 2.0 * odds[:, 3], atol=1e-4)


@pytest.mark.parametrize("name", HEAD_NAMES)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a number >= 0"):
        HeadConfig(**{name: value})


def test_the_newest_choice_of_an_item_is_found_until_others_have_taken_its_place():
    heads, (inputs, hidden) = empty_heads(HeadConfig()), candidate(1)
    heading.remember(heads, 1, 5, inputs, hidden)
    heading.remember(heads, 2, 5, inputs, hidden)
    heading.remember(heads, 1, 5, inputs, hidden)
    assert [heading.remembered(heads, *pair) for pair in ((1, 5), (2, 5), (1, 6))] == [2, 1, -1]
    for _ in range(REMEMBERED - 1):
        heading.remember(heads, 3, 3, inputs, hidden)
    assert [heading.remembered(heads, 1, 5), heading.remembered(heads, 2, 5)] == [2, -1]


def shown(log, rng):
    """Two showings before each event, one in eight of them hidden or skipped."""
    rows = []
    for number, event in enumerate(log):
        for _ in range(2):
            kind = int(rng.choice([SHOWN, SKIPPED, HID_KIND], p=[0.875, 0.0625, 0.0625]))
            rows.append((
                number, event.user, int(rng.integers(1, ITEMS)), event.at_ms - WINDOW_MS, kind,
                4 * (kind == HID_KIND), event.surface, int(rng.integers(0, 12)),
            ))  # fmt: skip
    return signals_of(rows)


def ranks_with(config, *, signals=True, seed=0):
    log = random_log(400, users=8, items=ITEMS, seed=seed)
    run = Run(items=ITEMS, labels=random_labels(ITEMS))
    run.heads = empty_heads(config)
    told = shown(log, np.random.default_rng(1)) if signals else None
    outcome = np.where(np.arange(len(log)) % 3 == 0, COMPLETED, 0) | np.where(np.arange(len(log)) % 5 == 0, LIKED, 0)
    return run, run.learn(log, rates=TWICE, signals=told, outcome=outcome.astype(np.uint8))


def test_heads_without_a_weight_leave_every_rank_and_the_reranker_as_they_were():
    run, ranks = ranks_with(HeadConfig())
    weighed, other = ranks_with(HeadConfig(click=3.0, complete=1.0, hide=2.0))
    assert (np.abs(run.heads.weights[:, :-1]).max(axis=1) > 0.01).all(), "every head has learned"
    assert run.heads.turn[0] > 50
    assert (ranks != other).any()
    for mine, theirs in zip(run.reranker, weighed.reranker, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(run.heads.weights, weighed.heads.weights)


def test_a_log_of_choices_alone_teaches_no_head_of_showings():
    run, _ = ranks_with(HeadConfig(), signals=False)
    for name, weights in zip(HEAD_NAMES, run.heads.weights, strict=True):
        assert weights[:-1].any() == (name in ("complete", "like"))


def test_nothing_after_an_event_moves_its_rank():
    log = random_log(200, users=8, items=ITEMS)
    told = shown(log, np.random.default_rng(1))
    whole, part = Run(items=ITEMS), Run(items=ITEMS)
    ranks = whole.learn(log, rates=TWICE, signals=told)
    first = signals_of([tuple(int(c) for c in row) for row in zip(*told, strict=True) if row[0] < 120])
    np.testing.assert_array_equal(part.learn(log[:120], rates=TWICE, signals=first), ranks[:120])


def test_the_slate_that_a_choice_came_from_does_not_give_it_away():
    log = random_log(200, users=8, items=ITEMS)
    last = log[-1]
    log[-1] = Event(3, 4, last.at_ms, last.value, 0)
    asked = (len(log) - 1, 3, 4, last.at_ms - 2_000, SHOWN, 0, 0, 1)
    plain, told = Run(items=ITEMS), Run(items=ITEMS)
    ranks = plain.learn(log, rates=TWICE)
    np.testing.assert_array_equal(told.learn(log, rates=TWICE, signals=signals_of([asked])), ranks)
    assert told.counts.trials[1] == 0
