"""Films of generated clips through the engine `follow`: the window, the blur and what is hidden, seen in the pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from models.vision.figures import CLASSES
from models.vision.learning import HELD_OUT
from models.vision.precision import Found
from models.vision.scenes import clip
from models.vision.subjects import Track
from streams.contract.events import Item
from streams.studio import checks, media, watched
from streams.studio.engines import Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.follow import Follow
from streams.studio.means import Means
from streams.studio.veils import veiled, written
from streams.studio.watched import Shot
from tests.scene_films import scene_film
from tests.vision_weights import blind

FRAMES, WIDTH, HEIGHT = 24, 512, 288


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clip with a known subject, the film of it, and what makes a reel of that."""
    folder = tmp_path_factory.mktemp("follow")
    frames = clip((HELD_OUT, 1, 4), frames=FRAMES, subject=True)
    film = scene_film(folder / "film.mp4", frames, width=WIDTH, height=HEIGHT)
    numbers = itertools.count()

    def reel(engine, **spec):
        room = folder / str(next(numbers))
        room.mkdir()
        job = Job(task_id="t", kind="cut", item=Item(item_id="i"), spec=spec, source=str(film))
        return engine.produce(job, room)

    return frames, film, reel


def test_what_moves_is_followed_where_the_detector_finds_nobody(made, tmp_path):
    frames, film, reel = made
    draft = reel(Follow(Means(vision_dir=str(blind(tmp_path)))), aspect="9:16")
    told = checks.figures(draft.checks)

    assert checks.first_failure(draft.checks) is None
    assert told["subject_shots"] == told["subject_shots_by_motion"] == 1.0
    assert 0 < told["camera_jerk"] <= 4.0
    assert_the_subject_is_in(Path(draft.path), film, frames)


def test_the_subject_is_in_the_narrow_window(made):
    frames, film, reel = made
    draft = reel(Follow(), aspect="9:16")
    told = checks.figures(draft.checks)

    assert checks.first_failure(draft.checks) is None
    assert told["subject_shots"] == 1.0
    assert told["subject_shots_by_motion"] == 0.0
    assert told["subject_safe"] >= 0.95
    assert_the_subject_is_in(Path(draft.path), film, frames)


def assert_the_subject_is_in(path, film, frames):
    """Where the window was, by laying the reel over the film."""
    source, window = pictures(film), pictures(path, 162, HEIGHT)
    for at in range(0, FRAMES, 6):
        apart = [np.abs(source[at, :, x : x + 162] - window[at]).mean() for x in range(0, WIDTH - 162, 2)]
        left = 2 * int(np.argmin(apart))
        row = int(np.flatnonzero(frames[at].ids == 1)[0])
        middle = frames[at].boxes[row, [0, 2]].mean() * WIDTH / frames[at].picture.shape[1]
        assert left <= middle <= left + 162, at


def pictures(path, width=WIDTH, height=HEIGHT):
    return np.stack(list(media.frames(path, width=width, height=height))).astype(np.float32)


def test_hidden_figures_cannot_be_made_out(made):
    frames, film, reel = made
    draft = reel(Follow(), hide=["person"])
    source, after = pictures(film), pictures(Path(draft.path))
    scale = WIDTH / frames[0].picture.shape[1]

    assert checks.first_failure(draft.checks) is None
    left_over = []
    for at in range(0, FRAMES, 3):
        row = int(np.flatnonzero(frames[at].ids == 1)[0])
        left, top, right, bottom = (frames[at].boxes[row] * scale).astype(int)
        box = np.s_[at, top:bottom, left:right]
        left_over.append(detail(after[box]) / detail(source[box]))
    assert np.median(left_over) < 0.3  # the detector may miss a frame or an edge


def detail(picture):
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(picture, axis=1)).mean())


def test_nothing_is_blurred_without_weights_of_the_segmenter(made, tmp_path):
    *_, reel = made
    (blind(tmp_path) / "segment.json").unlink()
    with pytest.raises(EngineError, match="marquee studio train segment"):
        reel(Follow(Means(vision_dir=str(tmp_path))), background="blur")


def test_a_background_is_blurred_where_somebody_is(made, tmp_path):
    *_, reel = made
    draft = reel(Follow(Means(vision_dir=str(blind(tmp_path)))), background="blur")

    assert checks.first_failure(draft.checks) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "expected an aspect, a background or figures to see to"),
        ({"hide": ["dog"]}, f"expected spec.hide to be a list out of {', '.join(CLASSES)}, got"),
        ({"hide": "person"}, "expected spec.hide to be a list"),
        ({"background": "pink"}, "expected spec.background to be one of keep, blur"),
    ],
)
def test_wishes_that_it_has_nothing_to_do_with_are_left_to_others(made, spec, words):
    *_, reel = made
    with pytest.raises(SpecError, match=words):
        reel(Follow(), **spec)


def shot(found, tracks=(), subject=None):
    return Shot(0, len(found), list(found), list(tracks), subject, "figure", 64, 48)


BOX = np.array([20.0, 10, 30, 40])


def test_who_is_hidden_stays_so_where_the_detector_misses_them():
    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    unsure = Found(np.array([[50.0, 5, 60, 15]]), np.array([0.2]), np.zeros(1, np.int64))
    frames = np.array([10, 11, 15, 16])
    track = Track(1, 0, frames, np.tile(BOX, (4, 1)), np.ones(4))
    masks = list(watched.hidden(shot([nothing] * 20 + [unsure] + [nothing] * 9, [track]), [0], fps=5.0))

    assert [at for at, mask in enumerate(masks) if mask[10:40, 20:30].all()] == list(range(8, 19))
    assert masks[20][5:15, 50:60].all()
    assert not any(mask.any() for mask in watched.hidden(shot([nothing] * 30, [track]), [1], fps=5.0))


def test_the_subject_stays_sharp_and_a_shot_without_one_is_left_alone():
    chances = np.zeros((48, 64, 6), np.float32)
    chances[..., 0] = 1
    chances[10:40, 20:30, 0], chances[10:40, 50:60, 0] = 0, 0  # two figures, of which one is the subject
    track = Track(1, 0, np.arange(3), np.tile(BOX, (3, 1)), np.ones(3))

    blurred = list(watched.kept_sharp(shot([None] * 3, subject=track), iter([chances] * 3)))
    assert blurred[2][12:38, 22:28].max() == 0
    assert blurred[2][12:38, 52:58].min() == 1
    assert not any(mask.any() for mask in watched.kept_sharp(shot([None] * 3), iter([chances] * 3)))


def test_a_veil_is_laid_over_each_piece_at_its_own_frames(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 128, 3)).astype(np.uint8)
    (tmp_path / "in.rgb").write_bytes(noise.tobytes())
    masks = [np.full((8, 16), at >= 4, np.float32) for at in range(8)]
    hidden = written("hidden", tmp_path / "m.gray", masks, fps=25.0)
    cuts = "[0:v:0]split=2[i0][i1];[i0]trim=end_frame=3,setpts=PTS-STARTPTS[c0];"
    cuts += "[i1]trim=start_frame=3,setpts=PTS-STARTPTS[c1];"
    graph = cuts + ";".join(veiled([hidden], [3, 5], 128, 64)) + ";[w0][w1]concat=n=2:v=1:a=0[v]"
    raw = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "128x64", "-framerate", "25"]
    read = [*raw, "-i", str(tmp_path / "in.rgb"), *hidden.options(), "-filter_complex", graph, "-map", "[v]"]
    out = list(media.raw([*read, "-pix_fmt", "rgb24", "-f", "rawvideo"], noise[0].nbytes))

    rough = [detail(np.frombuffer(one, np.uint8).reshape(64, 128, 3).astype(np.float32)) for one in out]
    assert len(rough) == 8
    assert min(rough[:4]) > 60
    assert max(rough[4:]) < 10
