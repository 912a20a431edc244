"""Which candidates make a slate: the kernel against plain Python, the rules, and what the floor promises."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import ConfigError
from models.recommend.candidates import Candidates
from models.recommend.diversity import OFF, SPARE_MOST, Looks, Mix, Readers, mixed, width_for
from models.recommend.labels import TAGS, ItemLabels
from tests import slow_mixes

ITEMS, DIM = 40, 8
DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
PLAIN = dataclasses.replace(OFF, quality_floor=0.0)


def looks(rng: Any, *, tags: int = 6, creators: int = 5) -> Looks:
    """Items of up to three tags; every seventh has none, every fifth no vector and no creator."""
    codes = np.zeros((ITEMS, TAGS), np.uint16)
    for row in range(ITEMS):
        some = rng.permutation(tags)[: rng.integers(1, 4)] + 1
        codes[row, : len(some)] = some if row % 7 else 0
    vectors = rng.normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors[::5] = 0.0
    creator = rng.integers(0, creators, ITEMS).astype(np.int32)
    first_ms = NOW_MS - rng.integers(0, 60, ITEMS) * DAY_MS
    return Looks(vectors, ItemLabels(codes, creator, np.zeros(ITEMS, np.int16)), first_ms.astype(np.int64))


def offered(rng: Any, *, users: int, width: int) -> Candidates:
    rows = np.array([rng.permutation(ITEMS)[:width] for _ in range(users)], np.int32).reshape(users, width)
    scores = -np.sort(-rng.normal(size=(users, width)), axis=1).astype(np.float32)
    parts = rng.normal(size=(users, width, 3)).astype(np.float32)
    return Candidates(rows, scores, parts, rng.integers(0, width + 1, users).astype(np.int32))


def readers(rng: Any, users: int, most: int = 130) -> Readers:
    lengths = rng.integers(0, most, users).astype(np.int32)
    start = np.r_[0, np.cumsum(lengths)][:-1].astype(np.int64)
    history = rng.integers(0, ITEMS, int(lengths.sum())).astype(np.int32)
    return Readers(history, start, lengths, np.full(users, NOW_MS, np.int64))


def lines(made: Candidates) -> list[list[int]]:
    return [made.rows[b, : made.filled[b]].tolist() for b in range(len(made.filled))]


MIXES = st.builds(
    Mix,
    diversity=st.sampled_from([0.0, 0.5, 3.0]),
    quality_floor=st.sampled_from([0.0, 0.4, 0.9, 1.0]),
    calibration=st.sampled_from([0.0, 0.3, 2.0]),
    creator_share=st.sampled_from([0.0, 0.2, 1.0]),
    tag_share=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    fresh_share=st.sampled_from([0.0, 0.25, 1.0]),
    fresh_days=st.sampled_from([0.0, 20.0]),
)


@given(MIXES, st.integers(0, 10_000))
@example(Mix(), 0)
def test_the_kernel_makes_what_the_rules_say(mix: Mix, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items, users = looks(rng), 4
    given_, asked = offered(rng, users=users, width=int(rng.integers(1, 25))), readers(rng, users)
    k = rng.integers(1, 15, users).astype(np.int32)
    made = mixed(given_, k, items, asked, mix)
    for b in range(users):
        n = int(given_.filled[b])
        history = asked.history[asked.start[b] : asked.start[b] + asked.length[b]].tolist()
        rows, scores = slow_mixes.mixed(
            given_.scores[b, :n].astype(np.float64).tolist(), given_.rows[b, :n].tolist(), int(k[b]), items.vectors,
            items.labels.tags, items.labels.creator, items.first_ms, history, NOW_MS, mix,
        )  # fmt: skip
        assert lines(made)[b] == rows
        np.testing.assert_allclose(made.scores[b, : len(rows)], scores, rtol=1e-6)


@given(MIXES, st.integers(0, 10_000))
def test_nothing_is_invented_or_shown_twice_and_k_items_come(mix: Mix, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_, k = offered(rng, users=5, width=20), rng.integers(1, 25, 5).astype(np.int32)
    made = mixed(given_, k, looks(rng), readers(rng, 5), mix)
    assert made.filled.tolist() == np.minimum(k, given_.filled).tolist()
    for b, line in enumerate(lines(made)):
        offered_rows = given_.rows[b, : given_.filled[b]].tolist()
        assert len(set(line)) == len(line)
        assert set(line) <= set(offered_rows)
        for at, row in enumerate(line):
            assert made.parts[b, at].tolist() == given_.parts[b, offered_rows.index(row)].tolist()
        assert (np.diff(made.scores[b, : len(line)]) <= 0).all()


@given(st.floats(0.0, 5.0), st.floats(0.0, 5.0), st.floats(0.05, 1.0), st.integers(0, 10_000))
def test_no_more_than_the_floor_is_given_away(diversity: float, calibration: float, floor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_, k = offered(rng, users=5, width=20), np.full(5, 10, np.int32)
    mix = Mix(diversity=diversity, calibration=calibration, quality_floor=floor)
    made = mixed(given_, k, looks(rng), readers(rng, 5), mix)
    for b, line in enumerate(lines(made)):
        odds = dict(zip(given_.rows[b].tolist(), np.exp(given_.scores[b].astype(np.float64)).tolist(), strict=True))
        best = np.exp(given_.scores[b, : len(line)].astype(np.float64))
        assert sum(odds[row] for row in line) >= floor * best.sum() * (1 - 1e-5)


def test_off_is_the_best_in_their_order() -> None:
    rng = np.random.default_rng(0)
    given_, k = offered(rng, users=9, width=12), rng.integers(1, 15, 9).astype(np.int32)
    for mix in (OFF, PLAIN, Mix(diversity=4.0, quality_floor=1.0)):
        made = mixed(given_, k, looks(rng), readers(rng, 9), mix)
        for b, line in enumerate(lines(made)):
            assert line == given_.rows[b, : min(k[b], given_.filled[b])].tolist()


def three(*scores: float) -> Candidates:
    """Items 1, 2, 3 with these scores."""
    return Candidates(
        np.array([[1, 2, 3]], np.int32), np.array([scores], np.float32), np.zeros((1, 3, 3), np.float32),
        np.array([3], np.int32),
    )  # fmt: skip


def made_of(given_: Candidates, items: Looks, mix: Mix, k: int = 3) -> list[int]:
    nobody = Readers(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(1, np.int32), np.array([NOW_MS]))
    return lines(mixed(given_, np.array([k], np.int32), items, nobody, mix))[0]


def alike(*, tags: list[list[int]], angles: list[float] | None = None) -> Looks:
    """Items 1, 2, ... with these tags, and vectors at these angles, none without."""
    count = len(tags) + 1
    codes, vectors = np.zeros((count, TAGS), np.uint16), np.zeros((count, 2), np.float32)
    for row, of_item in enumerate(tags, start=1):
        codes[row, : len(of_item)] = of_item
    for row, angle in enumerate(angles or [], start=1):
        vectors[row] = 9 * math.cos(angle), 9 * math.sin(angle)
    labels = ItemLabels(codes, np.zeros(count, np.int32), np.zeros(count, np.int16))
    return Looks(vectors, labels, np.zeros(count, np.int64))


def test_an_item_like_the_one_above_it_loses_what_it_is_said_to_lose() -> None:
    items = alike(tags=[[1], [1], [2]])
    for gap, order in ((0.49, [1, 3, 2]), (0.51, [1, 2, 3])):
        assert made_of(three(1.0, 1.0, 1.0 - gap), items, Mix(diversity=0.5, quality_floor=0.0)) == order
    half = alike(tags=[[1], [1], [2]], angles=[0.0, math.pi / 2, math.pi / 2])  # as tags are alike, and vectors not
    for gap, order in ((0.24, [1, 3, 2]), (0.26, [1, 2, 3])):
        assert made_of(three(1.0, 1.0, 1.0 - gap), half, Mix(diversity=0.5, quality_floor=0.0)) == order


def test_the_floor_holds_an_item_back_that_is_too_much_worse() -> None:
    items = alike(tags=[[1], [1], [2]])
    for share, order in ((0.69, [1, 2, 3]), (0.71, [1, 3, 2])):
        given_ = three(1.0, 1.0, 1.0 + math.log(share))
        assert made_of(given_, items, Mix(diversity=9.0, quality_floor=0.7)) == order


def test_caps_yield_when_nothing_else_is_left() -> None:
    items = alike(tags=[[1], [1], [2]])
    mix = Mix(diversity=0.0, tag_share=0.3)
    assert made_of(three(3.0, 2.0, -9.0), items, mix) == [1, 3, 2]
    creators = items._replace(labels=items.labels._replace(creator=np.array([0, 5, 5, 6], np.int32)))
    assert made_of(three(3.0, 2.0, -9.0), creators, Mix(diversity=0.0, creator_share=0.3)) == [1, 3, 2]
    unknown = items._replace(labels=items.labels._replace(creator=np.zeros(4, np.int32)))
    assert made_of(three(3.0, 2.0, -9.0), unknown, Mix(diversity=0.0, creator_share=0.3)) == [1, 2, 3]


def test_new_items_get_their_share_from_the_top_on() -> None:
    items = alike(tags=[[], [], []])._replace(first_ms=np.array([0, 0, 0, NOW_MS - 20 * DAY_MS]))
    for share, order in ((0.49, [1, 2, 3]), (0.5, [1, 3, 2]), (1.0, [3, 1, 2])):
        assert made_of(three(3.0, 2.0, -9.0), items, Mix(diversity=0.0, fresh_share=share, fresh_days=21.0)) == order
    assert made_of(three(3.0, 2.0, -9.0), items, Mix(diversity=0.0, fresh_share=1.0, fresh_days=19.0)) == [1, 2, 3]


def test_a_calibrated_slate_has_tags_as_the_user_had() -> None:
    items = alike(tags=[[1], [1], [1], [2]])
    given_ = Candidates(
        np.array([[1, 2, 3, 4]], np.int32), np.array([[3.0, 2.9, 2.8, 2.7]], np.float32),
        np.zeros((1, 4, 3), np.float32), np.array([4], np.int32),
    )  # fmt: skip
    for history, first_two in (([1, 2, 3], [1, 2]), ([1, 2, 4, 4], [1, 4]), ([4, 4, 4, 4], [4, 1])):
        reader = Readers(
            np.array(history, np.int32), np.zeros(1, np.int64), np.array([len(history)], np.int32), np.array([NOW_MS])
        )
        mix = Mix(diversity=0.0, quality_floor=0.0, calibration=1.0)
        assert lines(mixed(given_, np.array([2], np.int32), items, reader, mix))[0] == first_two


def test_nobody_and_nothing() -> None:
    rng = np.random.default_rng(0)
    assert mixed(
        offered(rng, users=0, width=3), np.zeros(0, np.int32), looks(rng), readers(rng, 0), Mix()
    ).rows.shape == (0, 0)


def test_more_is_looked_at_than_is_shown() -> None:
    k = np.array([1, 20, 500], np.int32)
    assert width_for(k, OFF).tolist() == k.tolist()
    assert width_for(k, Mix()).tolist() == [2, 40, 500 + SPARE_MOST]


@pytest.mark.parametrize("wrong", [{"diversity": -1.0}, {"quality_floor": 1.1}, {"fresh_days": math.inf}])
def test_a_mix_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be a"):
        Mix(**wrong)
