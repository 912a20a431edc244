"""The evaluation of a log: what each protocol learns and scores, against the slow version."""

import json

import numpy as np
import pytest

from models.errors import ConfigError
from models.recommend.learning import Judging
from models.recommend.towers import TEXT_DIMS, TowerConfig
from streams.errors import EvaluationError, LogFormatError
from streams.replay.evaluation import Asked, evaluate
from streams.replay.logs import read_log
from tests.planted import SMALL, random_log, small
from tests.slow_counts import Event, SlowLog, rank
from tests.slow_learning import prequential

LOG = random_log(200, users=16, items=30, seed=11)
COUNTS = small(towers=TowerConfig(dim=8, content_dim=16, window=8, flavour="counts"))
"""No towers: nothing to compile but the kernels."""


@pytest.fixture
def written(tmp_path):
    """A function that writes events, each with an action, as a log and reads it."""

    def write(events, **columns):
        path = tmp_path / "small.jsonl"
        rows = [
            {"user_id": f"u{e.user}", "item_id": f"i{e.item}", "timestamp_ms": e.at_ms, "action": action}
            | {name: column[n] for name, column in columns.items()}
            for n, (e, action) in enumerate(events)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return read_log(path)

    return write


def rated(events):
    return [(event, "rate") for event in events]


@pytest.fixture(scope="module")
def slow():
    """How many are scored, and HR@10 and NDCG@10 of both baselines, after the first tenth."""
    ranks = prequential(LOG, 30, np.zeros((200, 30))).ranks[20:, 1:]
    scored = ranks[ranks[:, 0] > 0]
    gains = np.where(scored <= 10, 1 / np.log2(1 + np.maximum(scored, 1)), 0)
    return len(scored), (scored <= 10).mean(0), gains.mean(0)


@pytest.mark.parametrize(("config", "batch_size"), [(SMALL, 128), (COUNTS, 100)])
def test_prequential_figures_are_those_of_the_protocol(written, slow, config, batch_size):
    heard = []
    found = evaluate(
        written(rated(LOG)), config, Asked(batch_size=batch_size, resamples=50),
        heard=lambda who, done, figures: heard.append((who, done, figures.events)),
    )  # fmt: skip
    scored, hits, gains = slow
    assert (found.events, found.learned, found.scored) == (200, 200, scored)
    assert list(found.hr_at_10.values())[1:] == pytest.approx(hits.tolist())
    assert list(found.ndcg_at_10.values())[1:] == pytest.approx(gains.tolist(), rel=1e-6)
    assert heard[-1] == ("model", 200, scored)
    assert found.summary.curve.events.sum() == scored
    assert sum(int(means.events.sum()) for _, means in found.summary.segments) == scored * len(found.summary.segments)


def test_the_words_of_the_catalogue_are_read_by_the_encoder_once_each(tmp_path, written):
    titles = [f"Film {item}" for item in range(30)]
    listed = [{"item_id": f"i{item}", "title": title} for item, title in enumerate(titles)]
    (tmp_path / "small.items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in listed), encoding="utf-8")
    heard = []

    def encode(texts):
        heard.extend(texts)
        return np.eye(384, dtype=np.float32)[[titles.index(text) for text in texts]]

    wide = TowerConfig(dim=8, content_dim=16 + TEXT_DIMS["minilm"], text_encoder="minilm", window=8, flavour="counts")
    log = written(rated(LOG))
    found = evaluate(log, small(towers=wide), encode=encode)
    assert sorted(heard) == sorted(titles)
    assert found.hr_at_10 == evaluate(log, COUNTS).hr_at_10
    with pytest.raises(ConfigError, match="the towers read text by minilm, got no encoder"):
        evaluate(log, small(towers=wide))


def test_the_warm_up_is_a_tenth_of_the_events_learned_or_not(written):
    # 20 impressions in front: the first 22 of 220 events are warm-up, two of them choices.
    events = [*((event, "impression") for event in LOG[:20]), *rated(LOG)]
    events = [(event._replace(at_ms=n), action) for n, (event, action) in enumerate(events, start=10**6)]
    found = evaluate(written(events), COUNTS)
    later = [event._replace(at_ms=10**6 + 20 + n) for n, event in enumerate(LOG)]
    ranks = prequential(later, 30, np.zeros((200, 30))).ranks[2:, 1]
    assert (found.events, found.learned) == (220, 200)
    assert found.scored == (ranks > 0).sum()


def test_what_was_shown_is_heard_in_its_place(written):
    """Skips move ranks, and no event is judged by what comes after it."""
    rng, events = np.random.default_rng(0), []
    for n in range(1_500):
        item = int(rng.integers(1, 30))
        events.append((Event(int(rng.integers(1, 200)), item, 10**6 + 60_000 * n),
                       "rate" if item < 15 or rng.random() < 0.05 else "skip"))  # fmt: skip
    config = small(towers=COUNTS.towers, candidates=16)
    told = evaluate(written(events), config, Asked(batch_size=100))
    silent = evaluate(written([one for one in events if one[1] == "rate"]), config, Asked(batch_size=100))
    assert told.learned == silent.learned
    assert abs(told.hr_at_10["model"] - silent.hr_at_10["model"]) < 0.05
    assert (told.records.ranks[:, 0][-400:] != silent.records.ranks[:, 0][-400:]).any()
    assert (told.records.ranks[:, 1:][-400:] == silent.records.ranks[:, 1:][-400:]).all(), "baselines know choices"
    part = evaluate(written(events[:900]), config, Asked(batch_size=100))
    first = dict(zip(told.passage.place[told.records.at].tolist(), told.records.ranks[:, 0].tolist(), strict=True))
    for place, rank_ in zip(part.passage.place[part.records.at].tolist(), part.records.ranks[:, 0], strict=True):
        assert first.get(place, rank_) == rank_


def ranks_on(past, targets):
    """Ranks of targets by decayed popularity and transitions, on one state; 0: had, inf: nobody had it."""
    counts = SlowLog(30)
    counts.events = list(past)
    found = []
    for event in targets:
        if event.item in {past.item for past in counts.history(event.user)}:
            found.append([0.0, 0.0])
        elif counts.seen()[event.item] == 0:
            found.append([np.inf, np.inf])
        else:
            allowed = counts.candidates(event.user)
            transitions = counts.sparse(event.user, event.at_ms)[-1] + 1e-6 * counts.seen()
            scores = (counts.decayed_by_events(2_000), transitions)
            found.append([rank(score, allowed, event.item) for score in scores])
    return np.array(found)


def test_leave_one_out_judges_last_choices_on_all_others(written):
    last = {event.user: n for n, event in enumerate(LOG)}
    several = [user for user in last if sum(event.user == user for event in LOG) > 1]
    targets = sorted(last[user] for user in several)
    past = [event for n, event in enumerate(LOG) if n not in targets]
    found = evaluate(written(rated(LOG)), COUNTS, Asked(protocol="leave-one-out"))
    want = ranks_on(past, [LOG[n] for n in targets])
    assert found.learned == len(past)
    np.testing.assert_array_equal(found.records.ranks[:, 1:], want[want[:, 0] > 0])
    assert found.frozen is None


def test_temporal_judges_the_last_tenth_frozen_and_going_on(written):
    found = evaluate(written(rated(LOG)), COUNTS, Asked(protocol="temporal", batch_size=64))
    split = next(n for n, event in enumerate(LOG) if event.at_ms == LOG[180].at_ms)
    later = [event for n, event in enumerate(LOG[split:]) if event[:2] not in {e[:2] for e in LOG[split : split + n]}]
    want = ranks_on(LOG[:split], later)
    assert found.frozen is not None
    assert (found.frozen.learned, found.learned) == (split, 200)
    np.testing.assert_array_equal(found.frozen.records.ranks[:, 1:], want[want[:, 0] > 0])
    going_on = prequential(LOG, 30, np.zeros((200, 30))).ranks[split:, 1:]
    np.testing.assert_array_equal(found.records.ranks[:, 1:], going_on[going_on[:, 0] > 0])
    assert found.records.ranks[0].tolist() == found.frozen.records.ranks[0].tolist(), "the first, on the same state"


def test_repeats_are_scored_among_all_items_beside_baselines_for_them(written):
    plays = [(1, 1), (2, 1), (3, 3), (1, 2), (1, 2), (1, 2), (1, 1), (1, 2)]
    events = [(Event(user, item, 10**6 + n), "play") for n, (user, item) in enumerate(plays)]
    skipped = evaluate(written(events), COUNTS)
    scored = evaluate(written(events), COUNTS, Asked(repeats=True))
    assert (skipped.scored, scored.scored) == (4, 8)
    assert skipped.records.rankers[3:] == ()
    assert scored.records.rankers[3:] == ("repeat_last", "repeat_most")
    # By hand, from the fifth play on: user 1 had 1 2, then 1 2 2, then 1 2 2 2, then 1 2 2 2 1.
    assert scored.records.ranks[4:, 3].tolist() == [1, 1, 2, 2]
    assert scored.records.ranks[4:, 4].tolist() == [1, 1, 2, 1]


def test_an_item_without_a_row_is_a_miss(written):
    found = evaluate(written(rated(LOG)), small(towers=COUNTS.towers, min_count=3), Asked(batch_size=32))
    scored = evaluate(written(rated(LOG)), COUNTS)
    assert found.scored == scored.scored
    assert np.isinf(found.records.ranks[:, 0]).sum() > np.isinf(scored.records.ranks[:, 0]).sum()


def test_lists_hold_items_of_the_log_that_the_user_has_not_had(written):
    log = written(rated(LOG))
    found = evaluate(log, COUNTS, Asked(baselines=["knn"]))
    passage, records = found.passage, found.records
    for at, tops, ranks in zip(records.at, records.tops, records.ranks, strict=True):
        had = {passage.item[p] for p in range(at) if passage.user[p] == passage.user[at]}
        seen = set(passage.item[:at].tolist())
        for top, place in zip(tops, ranks, strict=True):
            listed = [item for item in top.tolist() if item >= 0]
            assert not had & set(listed)
            assert set(listed) <= seen
            assert not (np.isfinite(place) and not listed)


@pytest.mark.parametrize(
    ("asked", "error", "reason"),
    [
        (Asked(baselines=["popular"]), EvaluationError, "expected baselines among .*got popular; check the spelling"),
        (Asked(protocol="leave-one-out"), EvaluationError, "expected events to score in small, got none of 1"),
    ],
)
def test_what_cannot_be_judged_is_said(written, asked, error, reason):
    with pytest.raises(error, match=reason):
        evaluate(written(rated(LOG[:1])), COUNTS, asked)


def test_unknown_actions_are_refused(written):
    with pytest.raises(LogFormatError, match="expected the actions .*got eat"):
        evaluate(written([(LOG[0], "eat")]), COUNTS)


def test_judging_keeps_no_lists_unless_asked():
    assert Judging() == Judging(lists=0, repeats=False)
