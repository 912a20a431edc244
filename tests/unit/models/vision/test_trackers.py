"""What all trackers keep to, on the same clips: identities through crossings, and input that is odd or broken."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from models.errors import ConfigError, ShapeError
from models.vision import bytetrack, deepsort, sort, tracks
from models.vision.bytetrack import ByteConfig
from models.vision.clear_mot import Told, judge
from models.vision.clips import follow
from models.vision.deepsort import DeepConfig
from models.vision.sort import SortConfig
from tests.moving_boxes import LOOK, Clip, generated, meeting

STEPS: dict[str, tuple[Any, Any, bool]] = {
    "sort": (sort.step, SortConfig(), False),
    "bytetrack": (bytetrack.step, ByteConfig(), False),
    "deepsort": (deepsort.step, DeepConfig(), True),
}
KEEPING = ["bytetrack", "deepsort"]
every = pytest.mark.parametrize("name", list(STEPS))


def run(name: str, clip: Clip) -> tracks.Seen:
    step, config, has_looks = STEPS[name]
    looks, gallery = (clip.looks, DeepConfig().gallery) if has_looks else (None, 0)
    return follow(step, config, clip.frame, clip.boxes, clip.scores, looks, gallery=gallery)


def state(name: str) -> tracks.Tracks:
    return tracks.empty(gallery=DeepConfig().gallery, looks=LOOK) if STEPS[name][2] else tracks.empty()


def found(name: str, *boxes: list[float], score: float = 0.9) -> tracks.Detections:
    looks = np.ones((len(boxes), LOOK if STEPS[name][2] else 0), np.float32)
    return tracks.Detections(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), score), looks)


def ids_of(clip: Clip, seen: tracks.Seen, owner: int) -> list[int]:
    """Ids that a true box was given, in order of time, without repeats."""
    ids = seen.ids[(clip.owner == owner) & (seen.ids != tracks.NOBODY)]
    return [int(one) for one in ids[np.flatnonzero(np.diff(ids, prepend=-2))]]


@every
def test_two_who_cross_keep_their_identities(name) -> None:
    clip = meeting(frames=60, speed=5.0, turns_at=None, hidden=range(30, 31), apart=0.0)
    seen = run(name, clip)
    first, second = ids_of(clip, seen, 1), ids_of(clip, seen, 2)

    assert len(first) == len(second) == 1
    assert first != second
    assert (seen.ids[clip.owner == -1] == tracks.NOBODY).all(), "a false detection became a track"


def test_who_hides_for_longer_is_another_to_sort_alone() -> None:
    clip = meeting(frames=60, speed=5.0, turns_at=None, hidden=range(25, 35), apart=0.0)

    assert len(ids_of(clip, run("sort", clip), 1)) == 2
    for name in KEEPING:
        assert len(ids_of(clip, run(name, clip), 1)) == len(ids_of(clip, run(name, clip), 2)) == 1, name


def test_two_who_meet_hidden_and_turn_back_are_told_apart_by_looks_alone() -> None:
    """Where motion goes on they would have passed each other."""
    clip = meeting(frames=60, speed=1.5, turns_at=30, hidden=range(26, 35), apart=2.0)
    by_place, by_looks = run("bytetrack", clip), run("deepsort", clip)

    assert [len(ids_of(clip, by_looks, owner)) for owner in (1, 2)] == [1, 1]
    assert ids_of(clip, by_place, 1) == ids_of(clip, by_place, 2)[::-1]
    assert len(ids_of(clip, by_place, 1)) == 2


def test_lost_tracks_are_forgotten_in_the_end() -> None:
    box = [10.0, 10, 60, 110]
    for name, most in (("sort", 1), ("bytetrack", 30), ("deepsort", 30)):
        step, config, _ = STEPS[name]
        now = state(name)
        for _ in range(5):
            now, _ = step(now, found(name, box), config)
        for _ in range(most):
            now, _ = step(now, found(name), config)
        assert len(now.ids) == 1, name
        now, _ = step(now, found(name), config)
        assert len(now.ids) == 0, name


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("seed", [0, 1])
def test_identities_on_generated_clips(name, seed) -> None:
    """Ten boxes that cross and turn, a tenth missed, false detections: at most one switch in 2,000 boxes."""
    clip = generated(seed)
    seen = run(name, clip)
    told = seen.ids != tracks.NOBODY
    figures = judge(clip.truth, Told(clip.frame[told], seen.ids[told], seen.boxes[told]))

    assert figures.switches <= 1
    assert figures.idf1 > 0.9


@every
def test_the_same_clip_gives_the_same_and_its_beginning_does_not_depend_on_its_end(name) -> None:
    clip = generated(3, frames=40)
    first, again = run(name, clip), run(name, clip)
    short = clip.frame < 25
    part = run(name, Clip(clip.truth, *(column[short] for column in clip[1:])))

    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(part.ids, first.ids[short])
    np.testing.assert_array_equal(part.boxes, first.boxes[short])


@every
def test_a_step_leaves_the_state_before_it_as_it_was(name) -> None:
    step, config, _ = STEPS[name]
    before, _ = step(state(name), found(name, [10.0, 10, 60, 110], [200.0, 10, 260, 110]), config)
    copies = [np.array(column) for column in (before.ids, *before.motion, before.missed, before.streak, before.looks)]
    once, _ = step(before, found(name, [12.0, 10, 62, 110]), config)
    twice, _ = step(before, found(name, [12.0, 10, 62, 110]), config)

    for copy, now in zip(copies, (before.ids, *before.motion, before.missed, before.streak, before.looks), strict=True):
        np.testing.assert_array_equal(copy, now)
    np.testing.assert_array_equal(once.motion.mean, twice.motion.mean)


@every
def test_empty_frames_and_clips(name) -> None:
    step, config, _ = STEPS[name]
    now, seen = step(state(name), found(name), config)

    assert (now.frame, len(now.ids), seen.ids.shape, seen.boxes.shape) == (1, 0, (0,), (0, 4))
    nothing = follow(step, config, np.zeros(0, np.int64), np.zeros((0, 4)))
    assert nothing.ids.shape == (0,)


@every
def test_boxes_without_an_area_are_nobody_s(name) -> None:
    step, config, _ = STEPS[name]
    now = state(name)
    for _ in range(5):
        now, seen = step(now, found(name, [30.0, 30, 30, 90], [10.0, 10, 60, 110], [5.0, 5, 5, 5]), config)

    assert seen.ids.tolist() == [tracks.NOBODY, 1, tracks.NOBODY]
    np.testing.assert_array_equal(seen.boxes[0], [30, 30, 30, 90])
    np.testing.assert_allclose(seen.boxes[1], [10, 10, 60, 110], atol=1e-6)


@every
def test_boxes_that_are_no_numbers_are_refused(name) -> None:
    step, config, _ = STEPS[name]
    with pytest.raises(ShapeError, match="leave such boxes out before tracking"):
        step(state(name), found(name, [0.0, 0, np.nan, 5]), config)


def test_embeddings_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected embeddings"):
        sort.step(tracks.empty(), found("deepsort", [0.0, 0, 5, 5]), SortConfig())


def test_frames_out_of_order_or_too_many_are_refused() -> None:
    boxes = np.tile([0.0, 0, 5, 5], (2, 1))
    with pytest.raises(ShapeError, match="cut the clip"):
        follow(sort.step, SortConfig(), np.array([2, 2**40]), boxes)
    with pytest.raises(ShapeError, match="never fall"):
        follow(sort.step, SortConfig(), np.array([2, 1]), boxes)


@pytest.mark.parametrize(
    "wrong",
    [
        partial(SortConfig, least_overlap=1.5), partial(SortConfig, most_missed=-1), partial(ByteConfig, sure=0.05),
        partial(ByteConfig, same=2.0), partial(DeepConfig, most_apart=2.0), partial(DeepConfig, gallery=0),
    ],
)  # fmt: skip
def test_configs_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="got"):
        wrong()
