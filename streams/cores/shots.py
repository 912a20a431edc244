"""Where a film's shots change, which of them a reel takes, and where a narrow window looks: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Numbers = NDArray[np.float64]

BINS: Final = 8
CUT: Final = 0.30
"""Least change of picture, 0..1, that may be a cut."""
RATIO: Final = 3.0
"""And so many times what changes around it."""
NEAR: Final = 6
DISSOLVE: Final = 0.25
"""Least change across a dissolve's length."""
DISSOLVE_FRAMES: Final = 12
LEAST_SHOT_FRAMES: Final = 6
PIECE_S: Final = (1.2, 4.0)
"""Shortest and longest piece of a reel, seconds."""


class Look(NamedTuple):
    """What is kept of one picture.

    ``colours``: float32 [3 * BINS]; ``grey``: float16 [H, W] 0..1; ``motion``: mean change from the one before;
    ``centre``: (x, y) of what catches the eye, shares of the sides; ``sharpness``, ``light``, ``contrast``: of grey.
    """

    colours: NDArray[np.float32]
    grey: NDArray[np.float16]
    motion: float
    centre: tuple[float, float]
    sharpness: float
    light: float
    contrast: float


class Piece(NamedTuple):
    """Frames ``first`` to ``last``, the last not included."""

    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Window:
    """The part of a picture of ``width`` x ``height`` that an aspect leaves, even numbers of pixels."""

    width: int
    height: int


def look(frame: Frame, before: Look | None) -> Look:
    """What is kept of a picture, uint8 [H, W, 3]."""
    grey = (frame @ np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)).astype(np.float32)
    binned = (frame >> 5).reshape(-1, 3)
    colours = np.concatenate([np.bincount(binned[:, channel], minlength=BINS) for channel in range(3)])
    edges_y, edges_x = np.abs(np.diff(grey, axis=0))[:, :-1], np.abs(np.diff(grey, axis=1))[:-1, :]
    change = np.zeros_like(grey) if before is None else np.abs(grey - before.grey.astype(np.float32))
    weight = (edges_x + edges_y) * np.float32(0.3) + change[:-1, :-1]
    weight = np.where(weight > np.quantile(weight, 0.75), weight, np.float32(0)) + np.float32(1e-6)
    total = float(weight.sum())
    ys, xs = np.arange(weight.shape[0]) + 1.0, np.arange(weight.shape[1]) + 1.0
    centre = (
        float((weight.sum(axis=0) * xs).sum() / total / grey.shape[1]),
        float((weight.sum(axis=1) * ys).sum() / total / grey.shape[0]),
    )
    curve = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return Look(
        (colours / binned.shape[0] / 3).astype(np.float32), grey.astype(np.float16), float(change.mean()), centre,
        float(curve.var()), float(grey.mean()), float(grey.std()),
    )  # fmt: skip


def distance(one: Look, other: Look) -> float:
    """How unlike two pictures are, 0..1: of their colours and of their greys."""
    colours = float(np.abs(one.colours - other.colours).sum()) / 2
    return 0.5 * colours + 0.5 * min(1.0, 2.5 * _apart(one.grey, other.grey))


def _apart(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).mean())


def boundaries(looks: Sequence[Look]) -> list[int]:
    """First frame of each shot but the first: cuts, and the middles of dissolves.

    A cut is a change far above its neighbours'. A dissolve is a change over half a second during which no single step
    stands out, and the frames in between are the mix of those at its ends.
    """
    count = len(looks)
    if count < 2:
        return []
    steps = np.array([0.0, *(distance(looks[i - 1], looks[i]) for i in range(1, count))])
    found: list[int] = []
    for at in range(1, count):
        low, high = max(1, at - NEAR), min(count, at + NEAR + 1)
        others = np.delete(steps[low:high], at - low)
        around = float(np.mean(others)) if others.size else 0.0
        if steps[at] >= CUT * 0.5 and steps[at] >= steps[low:high].max() and steps[at] > RATIO * around + 0.06:
            found.append(at)
    found += _dissolves(looks, found)
    kept: list[int] = []
    for at in sorted(found):
        if (
            at >= LEAST_SHOT_FRAMES
            and count - at >= LEAST_SHOT_FRAMES
            and (not kept or at - kept[-1] >= LEAST_SHOT_FRAMES)
        ):
            kept.append(at)
    return kept


def _dissolves(looks: Sequence[Look], cuts: Sequence[int]) -> list[int]:
    half = DISSOLVE_FRAMES
    scores = np.zeros(len(looks))
    for at in range(half, len(looks) - half):
        if any(abs(at - cut) <= half for cut in cuts):
            continue
        across = distance(looks[at - half], looks[at + half])
        if across < DISSOLVE:
            continue
        one, mid, other = looks[at - half].grey, looks[at].grey, looks[at + half].grey
        mixed = _apart(mid, (one + other) / np.float16(2))
        apart = _apart(one, other)
        if apart > 0.04 and mixed < 0.35 * apart:
            scores[at] = across * (1 - mixed / apart)
    found: list[int] = []
    while scores.size and (at := int(scores.argmax())) and scores[at] > 0:
        found.append(at)
        scores[max(0, at - 2 * half) : at + 2 * half] = 0
    return found


def shots_of(count: int, cuts: Sequence[int]) -> list[Piece]:
    """The shots between changes."""
    edges = [0, *cuts, count]
    return [Piece(a, b) for a, b in pairwise(edges) if b > a]


def reel(
    looks: Sequence[Look], shots: Sequence[Piece], *, fps: float, target_s: float, loudness: Sequence[float] = ()
) -> list[Piece]:
    """The pieces of a reel of exactly the target's frames (or the whole film), in the film's order.

    Each piece lies in one shot. What moves, is sharp and well lit, and is loud, comes first; a second piece of the same
    shot counts half as much as one of another.

    Args:
      looks: of every frame. shots: from `shots_of`. fps: frames a second. target_s: seconds.
      loudness: by frame, or nothing.
    """
    want = round(target_s * fps)
    if want >= len(looks):
        return [Piece(0, len(looks))]
    least, most = max(1, round(PIECE_S[0] * fps)), max(1, round(PIECE_S[1] * fps))
    worth = _worth(looks, loudness)
    sums = np.concatenate([[0.0], np.cumsum(worth)])
    choices: list[tuple[float, Piece]] = []
    for shot in shots:
        length = min(most, shot.last - shot.first, want)
        for nth, first in enumerate(range(shot.first, shot.last - length + 1, max(1, length))):
            mean = float(sums[first + length] - sums[first]) / length
            choices.append((mean / (1 + nth * 0.5) * (1.0 if length >= least else 0.5), Piece(first, first + length)))
    chosen: list[Piece] = []
    left = want
    for _, piece in sorted(choices, key=lambda choice: (-choice[0], choice[1])):
        if left <= 0:
            break
        take = min(left, piece.last - piece.first)
        chosen.append(Piece(piece.first, piece.first + take))
        left -= take
    return _filled(sorted(chosen), left, len(looks))


def _worth(looks: Sequence[Look], loudness: Sequence[float]) -> Numbers:
    columns: list[Any] = [
        [min(one.motion, 0.25) for one in looks],
        [np.log1p(1000 * one.sharpness) for one in looks],
        [1 - abs(one.light - 0.45) for one in looks],
        [one.contrast for one in looks],
    ]
    if len(loudness) >= len(looks):
        columns.append(list(loudness[: len(looks)]))
    total = np.zeros(len(looks))
    for column in columns:
        numbers = np.asarray(column, np.float64)
        spread = float(numbers.max() - numbers.min())
        total += (numbers - numbers.min()) / spread if spread > 1e-9 else 0.5
    return total / len(columns)


def _filled(pieces: list[Piece], left: int, count: int) -> list[Piece]:
    """Pieces made longer until nothing is left, and joined where they then touch."""
    out: list[Piece] = []
    for place, piece in enumerate(pieces):
        room = (pieces[place + 1].first if place + 1 < len(pieces) else count) - piece.last
        grown = Piece(piece.first, piece.last + min(left, room))
        left -= grown.last - piece.last
        if out and out[-1].last == grown.first:
            grown = Piece(out.pop().first, grown.last)
        out.append(grown)
    if left > 0 and out:
        out[0] = Piece(max(0, out[0].first - left), out[0].last)
    return out


def window_of(width: int, height: int, aspect: tuple[int, int]) -> Window:
    """The largest part of a picture with an aspect."""
    across, down = aspect
    if width * down > height * across:
        return Window(width=max(2, height * across // down // 2 * 2), height=height // 2 * 2)
    return Window(width=width // 2 * 2, height=max(2, width * down // across // 2 * 2))


def path_of(centres: Sequence[float], *, fps: float, share: float, key_s: float = 0.5) -> list[tuple[float, float]]:
    """Where a window's left (or upper) edge is: (seconds from the piece's start, share of the side), smooth.

    Args:
      centres: of what catches the eye, by frame, 0..1.
      fps: frames a second. share: how much of the side the window has. key_s: between two points.
    """
    numbers = np.asarray(centres, np.float64)
    span = max(1, round(fps))
    padded = np.pad(numbers, span, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * span + 1) / (2 * span + 1), mode="valid")
    step = max(1, round(key_s * fps))
    places = [*range(0, len(smooth), step)]
    top = max(0.0, 1.0 - share)
    return [(place / fps, float(np.clip(smooth[place] - share / 2, 0.0, top))) for place in places]


def edl(pieces: Sequence[Piece], *, fps: float, title: str) -> str:
    """A CMX 3600 edit list of the pieces, for an editing program."""
    rate = max(1, round(fps))
    lines = [f"TITLE: {''.join(c if c.isalnum() or c in ' -_' else ' ' for c in title)[:60]}", "FCM: NON-DROP FRAME"]
    at = 0
    for number, piece in enumerate(pieces, start=1):
        length = piece.last - piece.first
        times = [_code(frame, rate) for frame in (piece.first, piece.last, at, at + length)]
        lines.append(f"{number:03d}  AX       AA/V  C        {' '.join(times)}")
        at += length
    return "\n".join(lines) + "\n"


def _code(frame: int, rate: int) -> str:
    seconds, frames = divmod(frame, rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"
