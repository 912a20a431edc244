"""The evaluation of a log: what is scored, and figures against the slow version."""

import json

import numpy as np
import pytest

from streams.replay.logs import read_log
from streams.replay.prequential import evaluate
from tests.planted import SMALL, random_log
from tests.slow_counts import prequential

LOG = random_log(200, users=16, items=30, seed=11)


@pytest.fixture
def written(tmp_path):
    """A function that writes events, each with an action, as a log and reads it."""

    def write(events):
        path = tmp_path / "small.jsonl"
        rows = [
            {"user_id": f"u{e.user}", "item_id": f"i{e.item}", "timestamp_ms": e.at_ms, "action": action}
            for e, action in events
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return read_log(path)

    return write


@pytest.fixture(scope="module")
def slow():
    """(HR@10, NDCG@10) of both baselines, after the first tenth."""
    ranks = prequential(LOG, 30, np.zeros((200, 30))).ranks[20:, 1:]
    scored = ranks[ranks[:, 0] > 0]
    gains = np.where(scored <= 10, 1 / np.log2(1 + np.maximum(scored, 1)), 0)
    return len(scored), (scored <= 10).mean(0), gains.mean(0)


@pytest.mark.parametrize("batch_size", [128, 100])
def test_figures_are_those_of_the_protocol(written, slow, batch_size):
    seen = []
    found = evaluate(
        written([(event, "rate") for event in LOG]), SMALL, batch_size=batch_size,
        on_batch=lambda done, figures: seen.append((done, figures.events)),
    )  # fmt: skip
    scored, hits, gains = slow
    assert (found.events, found.learned, found.scored) == (200, 200, scored)
    assert list(found.hr_at_10.values())[1:] == pytest.approx(hits.tolist())
    assert list(found.ndcg_at_10.values())[1:] == pytest.approx(gains.tolist(), rel=1e-6)
    share = found.hr_at_10["model"]
    assert found.standard_error == pytest.approx((share * (1 - share) / scored) ** 0.5)
    assert seen[-1] == (200, scored)


def test_the_warm_up_is_a_tenth_of_the_events_learned_or_not(written):
    # 20 impressions in front: the first 22 of 220 events are warm-up, two of them choices.
    events = [*((event, "impression") for event in LOG[:20]), *((event, "rate") for event in LOG)]
    events = [(event._replace(at_ms=n), action) for n, (event, action) in enumerate(events, start=10**6)]
    found = evaluate(written(events), SMALL)
    later = [event._replace(at_ms=10**6 + 20 + n) for n, event in enumerate(LOG)]
    ranks = prequential(later, 30, np.zeros((200, 30))).ranks[2:, 1]
    assert (found.events, found.learned) == (220, 200)
    assert found.scored == (ranks > 0).sum()


def test_report(written):
    found = evaluate(written([(event, "rate") for event in LOG]), SMALL)
    report = found.to_dict()
    assert report["hr_at_10"] == found.hr_at_10["model"]
    names = ("decayed_popularity", "transitions")
    assert report["best_baseline"] == max(names, key=lambda name: found.hr_at_10[name])
    best_hr, best_ndcg = (max(of[name] for name in names) for of in (found.hr_at_10, found.ndcg_at_10))
    assert report["ratio_hr"] == pytest.approx(found.hr_at_10["model"] / best_hr)
    assert report["ratio_ndcg"] == pytest.approx(found.ndcg_at_10["model"] / best_ndcg)
    assert json.loads(json.dumps(report)) == report
