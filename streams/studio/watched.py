"""The pieces of a reel watched: whom each shot of them is about, who else is there, and where the window goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.typing import F32, F64, U8
from models.vision import subjects
from models.vision.camera import CameraConfig, follow, is_safe, jerk
from models.vision.precision import Found
from models.vision.segmenter import steadied
from models.vision.subjects import Track
from streams.cores.shots import Piece
from streams.studio import media
from streams.studio.errors import EngineError
from streams.studio.eyes import Eyes, looked_at
from streams.studio.footage import Footage
from streams.studio.media import Limits

MOST_FRAMES = 30_000
"""Twenty minutes at 25 frames a second; a longer reel is left to the next engine."""
HIDING = 0.15
"""Share of a box by which what is hidden reaches beyond it, each way."""
HELD_S = 0.4
"""Somebody is hidden for so long before and after the frames in which they are found."""
UNSURE = 0.15
"""Score from which a detection is hidden even where it is in no track."""


class Shot(NamedTuple):
    """A part of one piece without a cut.

    Attributes:
      first, last: frames of the film, the last not included. found: of each frame. tracks: of all of them.
      subject: whom it is about, and by what it was found: "figure", "motion"; None and "none".
      width, height: px that boxes are in.
    """

    first: int
    last: int
    found: list[Found]
    tracks: list[Track]
    subject: Track | None
    by: str
    width: int
    height: int

    def edges(self) -> F64:
        """The subject's box in each frame, shares of the sides, NaN where not seen, [T, 4]."""
        if self.subject is None:
            return np.full((self.last - self.first, 4), np.nan)
        return subjects.edges_of(self.subject, self.last - self.first, width=self.width, height=self.height)


class Way(NamedTuple):
    """A window's way along one axis in one shot: its lower edge by frame, share of the side [T].

    ``safe``: frames with the subject in the safe area; ``seen``: frames in which it was seen. ``jerk``: largest, sides
    a second cubed.
    """

    edge: F64
    safe: int
    seen: int
    jerk: float


def parted(pieces: Sequence[Piece], cuts: Sequence[int]) -> list[list[Piece]]:
    """The shots of each piece."""
    found = []
    for piece in pieces:
        edges = [piece.first, *(one for one in cuts if piece.first < one < piece.last), piece.last]
        found.append([Piece(a, b) for a, b in pairwise(edges)])
    return found


def pictures_of(film: Footage, pieces: Sequence[Piece], limits: Limits | None = None) -> Iterator[U8]:
    """The frames of the pieces, in the film's order, as they are looked at, uint8 [H, W, 3]."""
    width, height = looked_at(film.picture.width, film.picture.height)
    wanted = np.zeros(max(piece.last for piece in pieces), bool)
    for piece in pieces:
        wanted[piece.first : piece.last] = True
    given = 0
    for at, picture in enumerate(media.frames(film.path, width=width, height=height, fps=film.fps, limits=limits)):
        if at >= len(wanted):
            break
        if wanted[at]:
            given += 1
            yield picture
    if given != int(wanted.sum()):
        raise EngineError(f"expected {int(wanted.sum())} frames of the film, got {given}")


def watch(film: Footage, pieces: Sequence[Piece], eyes: Eyes, limits: Limits | None = None) -> list[list[Shot]]:
    """Watches the pieces of a film, which lie in its order and do not overlap.

    Raises:
      EngineError: there is too much to watch, or the weights cannot be used.
    """
    count = sum(piece.last - piece.first for piece in pieces)
    if count > MOST_FRAMES:
        raise EngineError(f"expected at most {MOST_FRAMES} frames to watch, got {count}; ask for a shorter reel")
    moves: list[Found] = []

    def seen() -> Iterator[U8]:
        before: U8 | None = None
        for picture in pictures_of(film, pieces, limits):
            moves.append(subjects.moving(picture if before is None else before, picture))
            before = picture
            yield picture

    found = list(eyes.found(seen()))
    width, height = looked_at(film.picture.width, film.picture.height)
    at = 0
    shots: list[list[Shot]] = []
    for parts in parted(pieces, film.cuts):
        shots.append([])
        for part in parts:
            rows = slice(at, at + part.last - part.first)
            shots[-1].append(shot_of(part, found[rows], moves[rows], width=width, height=height))
            at = rows.stop
    return shots


def shot_of(part: Piece, found: list[Found], moves: list[Found], *, width: int, height: int) -> Shot:
    """A shot out of what was found and what moved in its frames."""
    count = part.last - part.first
    tracks = subjects.tracks_of(found)
    subject = subjects.subject_of(tracks, count, width=width, height=height)
    by = "figure"
    if subject is None:
        moves = [
            moves[0]._replace(boxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, np.int64)),
            *moves[1:],
        ]
        subject = subjects.subject_of(subjects.tracks_of(moves), count, width=width, height=height)
        by = "none" if subject is None else "motion"
    return Shot(part.first, part.last, found, tracks, subject, by, width, height)


def way_of(shot: Shot, axis: int, *, share: float, fps: float, otherwise: F64, config: CameraConfig) -> Way:
    """The window's way in a shot; after what catches the eye, smoothed alike, where it is about nobody.

    Args:
      axis: 0 across, 1 down. share: of the side that the window has.
      otherwise: middle of what catches the eye in each frame, 0..1, [T].
    """
    edges = shot.edges()
    low, high = edges[:, axis], edges[:, axis + 2]
    is_about = shot.subject is not None
    if not is_about:
        low, high = otherwise, otherwise
    edge = np.clip(follow(low, high, share=share, fps=fps, config=config), 0, max(0.0, 1 - share))
    seen = np.isfinite(low)
    safe = is_safe(low, high, edge, share=share, config=config) & seen
    largest = float(np.abs(jerk(edge, fps)).max(initial=0.0))
    return Way(edge, int(safe.sum()) if is_about else 0, int(seen.sum()) if is_about else 0, largest)


def hidden(shot: Shot, labels: Sequence[int], *, fps: float) -> Iterator[F32]:
    """Where each frame of a shot is hidden, 1 in the boxes of figures of these classes, float32 [H, W]."""
    count = shot.last - shot.first
    held = round(HELD_S * fps)
    size = np.array([shot.width, shot.height, shot.width, shot.height])
    boxes: list[list[F64]] = [[] for _ in range(count)]
    for track in shot.tracks:
        if track.label in labels:
            whole = subjects.filled(subjects.edges_of(track, count, width=shot.width, height=shot.height), beyond=held)
            for place in np.flatnonzero(np.isfinite(whole[:, 0])):
                boxes[place].append(whole[place] * size)
    for at, found in enumerate(shot.found):
        rows = np.isin(found.labels, list(labels)) & (found.scores >= UNSURE)
        boxes[at] += list(found.boxes[rows])
    for each in boxes:
        mask = np.zeros((shot.height, shot.width), np.float32)
        for left, top, right, bottom in each:
            across, down = HIDING * (right - left) + 1, HIDING * (bottom - top) + 1
            rows_, columns = _span(top - down, bottom + down), _span(left - across, right + across)
            mask[rows_, columns] = 1
        yield mask


def kept_sharp(shot: Shot, chances: Iterator[F32]) -> Iterator[F32]:
    """Where each frame of a shot is blurred: all but the subject's mask, steadied along its track, float32 [H, W]."""
    edges = subjects.filled(shot.edges(), beyond=shot.last - shot.first)
    size = np.array([shot.width, shot.height, shot.width, shot.height])
    before: F32 | None = None
    middle = np.zeros(2)
    for at in range(shot.last - shot.first):
        figure = 1 - next(chances)[..., 0]
        if shot.subject is None or not np.isfinite(edges[at, 0]):
            yield np.zeros((shot.height, shot.width), np.float32)  # of nobody: nothing is blurred
            continue
        mask, here = instance(figure, edges[at] * size)
        mask = mask if before is None else steadied(before, mask, here - middle)
        before, middle = mask, here
        yield np.asarray(1 - mask, np.float32)


def instance(figure: F32, box: F64) -> tuple[F32, F64]:
    """The part of a mask [H, W] that lies in a box, px, and a little beyond; and the box's middle."""
    mask = np.zeros_like(figure)
    left, top, right, bottom = box
    across, down = 0.06 * (right - left) + 1, 0.06 * (bottom - top) + 1
    rows, columns = _span(top - down, bottom + down), _span(left - across, right + across)
    mask[rows, columns] = figure[rows, columns]
    return mask, np.array([(left + right) / 2, (top + bottom) / 2])


def points(edges: Sequence[F64], fps: float) -> list[tuple[float, float]]:
    """A way by frame as points of seconds and shares."""
    return [(at / fps, float(value)) for at, value in enumerate(np.concatenate(edges))]


def _span(low: float, high: float) -> slice:
    return slice(max(0, int(np.floor(low))), max(0, int(np.ceil(high))))
