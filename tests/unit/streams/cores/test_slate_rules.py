"""Slates of a large catalogue under rules that leave little of it, and what the mix does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.recommend.candidates import Candidates
from models.recommend.diversity import OFF, Looks, Mix, Readers, mixed
from models.recommend.learning import Judging
from models.recommend.strict import MODEL
from models.recommend.towers import TowerConfig
from streams.cores.learn import Learner
from streams.cores.recommend import SCORED_ONE_BY_ONE
from streams.cores.serving import Serving
from tests import engines, planted
from tests.engines import ask, ids
from tests.factories import make_item, make_user
from tests.planted import small
from tests.slow_counts import Event

ITEMS, SHARE = 10_000, 100
LOG = [Event(1 + n % 7, n, 1_000 * n) for n in range(ITEMS)]
NOW_MS = LOG[-1].at_ms + 1_000
COUNTS = small(towers=TowerConfig(dim=8, content_dim=16, window=8, flavour="counts"), evaluate_sample=0.0)


def listed(n: int) -> Any:
    """One in a hundred is rare, one in a hundred only for Malta; rare ones are by five creators."""
    return make_item(
        item_id=f"i{n}", tags=["rare" if n % SHARE == 7 else "common"], creator=f"c{n // SHARE % 5}",
        maturity=18 if n % SHARE else 0, regions=["MT"] if n % SHARE else [],
    )  # fmt: skip


@pytest.fixture(scope="module")
def serving() -> Serving:
    catalogue = [listed(n) for n in range(ITEMS)]
    return engines.restored(engines.taught(LOG, items=catalogue, config=COUNTS), items=catalogue)


@pytest.mark.parametrize("k", [20, 90])
def test_a_filter_that_leaves_one_per_cent_fills_the_slate(serving: Serving, k: int) -> None:
    assert SCORED_ONE_BY_ONE > ITEMS // SHARE
    for mix in (OFF, Mix(), Mix(tag_share=0.1, creator_share=0.1, fresh_share=0.5)):
        made = engines.recommender(serving, NOW_MS, mix=mix)
        slate = ask(made, NOW_MS, user_id="somebody", k=k, filters={"tags": "rare"})
        assert len(set(ids(slate))) == k
        assert all(int(item_id[1:]) % SHARE == 7 for item_id in ids(slate))
        scores = [item.score for item in slate.items]
        assert scores == sorted(scores, reverse=True)
        assert not any(item.explored for item in slate.items)


@pytest.mark.parametrize("limit", [{"maturity": 12}, {"region": "FR"}, {"maturity": 12, "region": "FR"}])
def test_a_profile_that_leaves_one_per_cent_fills_the_slate(serving: Serving, limit: dict[str, Any]) -> None:
    serving.take_user(make_user(user_id="somebody", **({"maturity": None, "region": None} | limit)))
    slate = ask(engines.recommender(serving, NOW_MS, mix=Mix()), NOW_MS, user_id="somebody", k=50)
    serving.profiles.clear()
    assert len(set(ids(slate))) == 50
    assert all(int(item_id[1:]) % SHARE == 0 for item_id in ids(slate))


def test_a_cap_on_creators_holds_where_it_can(serving: Serving) -> None:
    made = engines.recommender(serving, NOW_MS, mix=Mix(diversity=0.0, creator_share=0.2))
    slate = ask(made, NOW_MS, user_id="somebody", k=20, filters={"tags": "rare"})
    creators = [int(item_id[1:]) // SHARE % 5 for item_id in ids(slate)]
    assert sorted(creators) == sorted([0, 1, 2, 3, 4] * 4)


def test_a_slate_is_what_the_evaluation_would_make_of_the_trainers_list() -> None:
    log = planted.random_log(500, users=12, items=60)
    catalogue = engines.catalogue(range(60))
    learner: Learner = engines.taught(log, items=catalogue, judging=Judging(lists=32))
    now_ms, mix = log[-1].at_ms + 90_000, Mix(diversity=1.0, quality_floor=0.2, calibration=0.2)
    made = engines.recommender(engines.restored(learner, items=catalogue), now_ms, mix=mix)
    state = learner.state
    for user in range(1, 12):
        missed = next(
            n
            for n in range(60)
            if n not in {e.item for e in log if e.user == user} and state.counts.seen[state.items.row(f"i{n}")]
        )
        judged = learner.rank(planted.interactions([Event(user, missed, now_ms)]))
        rows = judged.tops[:, MODEL]
        offered = Candidates(
            np.maximum(rows, 0), judged.scores, np.zeros((*rows.shape, 3), np.float32),
            (rows >= 0).sum(axis=1).astype(np.int32),
        )  # fmt: skip
        row = state.users.row(f"u{user}")
        readers = Readers(
            state.histories.item, state.histories.start[[row]], state.histories.length[[row]], np.array([now_ms])
        )
        looks = Looks(made.serving.vectors[:, :-1], state.labels, state.counts.first_ms)
        want = mixed(offered, np.array([10], np.int32), looks, readers, mix)
        got = ids(ask(made, now_ms, user_id=f"u{user}", k=10))
        assert got == [state.items.key(one) for one in want.rows[0, : want.filled[0]].tolist()]


def test_an_item_asked_for_before_its_row_was_known_is_shown_once_it_is() -> None:
    """Its record came first, then its row, and in between somebody asked for its tag."""
    log = planted.random_log(200, users=8, items=30)
    learner = engines.taught(log, items=engines.catalogue(range(30)))
    serving = engines.restored(learner, items=engines.catalogue(range(30)))
    made = engines.recommender(serving, log[-1].at_ms + 1, explore_slots=1)
    new = make_item(item_id="brand new", tags=["unheard of"])
    wish: dict[str, Any] = {"user_id": "somebody", "k": 3, "filters": {"tags": "unheard of"}}
    learner.learn([new])
    made.take_item(new.item_id, new, log[-1].at_ms + 2)
    engines.flush(serving, learner)
    assert ids(ask(made, log[-1].at_ms + 3, **wish)) == []
    made.refresh(log[-1].at_ms + 4)
    assert ids(ask(made, log[-1].at_ms + 5, **wish)) == ["brand new"]
