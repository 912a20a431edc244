"""Cuts, dissolves and reels of made-up pictures, whose truth is known."""

from itertools import pairwise

import numpy as np
import pytest

from streams.cores.shots import Look, Piece, boundaries, edl, look, path_of, reel, shots_of, window_of

RANDOM = np.random.default_rng(3)


def scene(number, frames, *, drift=2):
    """A picture of blocks that drifts to the right."""
    base = np.kron(np.random.default_rng(number).integers(0, 256, (6, 16, 3)), np.ones((3, 4, 1))).astype(np.uint8)
    return [np.roll(base, drift * n, axis=1)[:, :32].copy() for n in range(frames)]


def looks_of(frames):
    looks: list[Look] = []
    for frame in frames:
        looks.append(look(frame, looks[-1] if looks else None))
    return looks


def test_hard_cuts_are_found_to_the_frame():
    frames = scene(1, 30, drift=0) + scene(2, 41, drift=0) + scene(3, 30, drift=0)
    assert boundaries(looks_of(frames)) == [30, 71]


def test_a_still_film_has_no_cut():
    assert boundaries(looks_of(scene(1, 60, drift=0))) == []


def test_noise_has_no_cut():
    frames = [RANDOM.integers(0, 256, (18, 32, 3)).astype(np.uint8) for _ in range(60)]
    assert boundaries(looks_of(frames)) == []


def test_a_dissolve_is_found_near_its_middle():
    one, other = scene(4, 70, drift=0), scene(5, 70, drift=0)
    frames = []
    for n in range(70):
        share = np.clip((n - 30) / 12, 0, 1)
        frames.append((one[n] * (1 - share) + other[n] * share).astype(np.uint8))
    (at,) = boundaries(looks_of(frames))
    assert abs(at - 36) <= 4


def test_one_frame_is_one_shot():
    assert boundaries(looks_of(scene(1, 1))) == []


@pytest.mark.parametrize("target_s", [1.0, 2.0, 3.5, 7.96])
def test_a_reel_has_exactly_the_frames_asked_for(target_s):
    looks = looks_of(scene(1, 80) + scene(2, 70) + scene(3, 50))
    pieces = reel(looks, shots_of(200, [80, 150]), fps=25, target_s=target_s)
    assert sum(piece.last - piece.first for piece in pieces) == round(25 * target_s)
    assert all(one.last <= other.first for one, other in pairwise(pieces))
    assert pieces[0].first >= 0
    assert pieces[-1].last <= 200


def test_a_reel_longer_than_the_film_is_the_film():
    assert reel(looks_of(scene(1, 50)), [Piece(0, 50)], fps=25, target_s=60) == [Piece(0, 50)]


def test_a_reel_takes_what_moves():
    looks = looks_of(scene(1, 100, drift=0) + scene(2, 50, drift=4) + scene(3, 100, drift=0))
    (piece,) = reel(looks, shots_of(250, [100, 150]), fps=25, target_s=2.0)
    assert piece.first >= 98
    assert piece.last <= 152


@pytest.mark.parametrize(
    ("size", "aspect", "window"),
    [((1920, 1080), (9, 16), (606, 1080)), ((1920, 1080), (1, 1), (1080, 1080)), ((640, 480), (16, 9), (640, 360))],
)
def test_a_window_is_the_largest_of_its_aspect(size, aspect, window):
    found = window_of(size[0], size[1], aspect)
    assert (found.width, found.height) == window


def test_a_window_follows_smoothly_and_stays_inside():
    centres = [0.1] * 50 + [0.95] * 50
    path = path_of(centres, fps=25, share=0.3)
    shares = [share for _, share in path]
    assert shares[0] == pytest.approx(0.0)
    assert shares[-1] == pytest.approx(0.7)
    assert shares == sorted(shares)
    assert max(np.diff(shares)) < 0.3, "it glides, and does not jump"


def test_an_edit_list_counts_frames():
    text = edl([Piece(10, 35), Piece(100, 150)], fps=25, title='A "film"')
    assert "00:00:00:10 00:00:01:10 00:00:00:00 00:00:01:00" in text
    assert "00:00:04:00 00:00:06:00 00:00:01:00 00:00:03:00" in text
    assert '"' not in text
