"""How one figure of a generated scene is drawn: its parts as distances, their colours, what of each pixel it covers.

A figure stands in its own coordinates: u to the right, v down, both in heights of the figure, (0, 0) its middle. Which
figures stand where is decided by `scenes`.
"""

from typing import NamedTuple

import numpy as np

from models.typing import F32

CLASSES = ("person", "car", "ball", "box", "star")
"""What there is to be found; a class's number is its place."""
WIDE = {"person": 0.62, "car": 2.0, "ball": 1.0, "box": 1.45, "star": 1.05}
"""Width of each beside its height, a little more than it takes."""


class Figure(NamedTuple):
    """One figure in one picture.

    Attributes:
      kind: of `CLASSES`, by number. x, y: of its middle, px. height: px.
      angle: turned by, radians. phase: of its step, radians. facing: 1 or -1.
      colours: float32 [4, 3], 0..1: of its parts. stripe: how strong its pattern is, 0..1; grain: how fine.
    """

    kind: int
    x: float
    y: float
    height: float
    angle: float
    phase: float
    facing: float
    colours: F32
    stripe: float
    grain: float


class Drawn(NamedTuple):
    """The part of a picture that a figure may touch.

    ``left``, ``top``: of it, px, inside the picture. ``cover``: float32 [h, w], 0..1. ``paint``: float32 [h, w, 3].
    """

    left: int
    top: int
    cover: F32
    paint: F32


def draw(figure: Figure, width: int, height: int) -> Drawn | None:
    """The figure in a picture of this size; None: nothing of it is inside."""
    kind = CLASSES[figure.kind]
    reach = 0.5 * figure.height * float(np.hypot(1.0, WIDE[kind])) + 1
    left, right = max(0, int(figure.x - reach)), min(width, int(figure.x + reach) + 2)
    top, bottom = max(0, int(figure.y - reach)), min(height, int(figure.y + reach) + 2)
    if left >= right or top >= bottom:
        return None
    x = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - figure.x)) / np.float32(figure.height)
    y = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - figure.y)) / np.float32(figure.height)
    cos, sin = np.float32(np.cos(figure.angle)), np.float32(np.sin(figure.angle))
    u = (cos * x[None, :] + sin * y[:, None]) * np.float32(figure.facing)
    v = cos * y[:, None] - sin * x[None, :]
    parts = _PARTS[kind](u, v, figure.phase)
    cover = np.zeros_like(u)
    paint = np.zeros((*u.shape, 3), np.float32)
    shade = 1 + np.float32(figure.stripe) * np.sin(np.float32(figure.grain) * (u + np.float32(0.6) * v))
    for distance, colour in parts:
        part = np.clip(np.float32(0.5) - distance * np.float32(figure.height), 0, 1)
        tone = figure.colours[colour][None, None, :] * shade[..., None]
        paint += part[..., None] * (tone - paint)
        cover = np.maximum(cover, part)
    paint /= np.maximum(cover, np.float32(1e-3))[..., None]  # parts were laid over black
    return Drawn(left, top, cover, np.clip(paint, 0, 1))


def _round(u: F32, v: F32, x: float, y: float, radius: float) -> F32:
    return np.asarray(np.hypot(u - np.float32(x), v - np.float32(y)) - np.float32(radius))


def _limb(u: F32, v: F32, start: tuple[float, float], end: tuple[float, float], radius: float) -> F32:
    """Distance to a line with round ends."""
    along = np.array([end[0] - start[0], end[1] - start[1]], np.float32)
    pu, pv = u - np.float32(start[0]), v - np.float32(start[1])
    share = np.clip((pu * along[0] + pv * along[1]) / max(float(along @ along), 1e-6), 0, 1).astype(np.float32)
    return np.asarray(np.hypot(pu - share * along[0], pv - share * along[1]) - np.float32(radius))


def _slab(u: F32, v: F32, box: tuple[float, float, float, float], corner: float) -> F32:
    """Distance to a box, given by middle and half sides, with round corners."""
    x, y, across, down = (np.float32(one) for one in box)
    du, dv = np.abs(u - x) - across + np.float32(corner), np.abs(v - y) - down + np.float32(corner)
    outside = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return np.asarray(outside + np.minimum(np.maximum(du, dv), 0) - np.float32(corner))


def _person(u: F32, v: F32, phase: float) -> list[tuple[F32, int]]:
    step, swing = 0.14 * float(np.sin(phase)), 0.12 * float(np.cos(phase))
    return [
        (_limb(u, v, (0.0, 0.04), (step, 0.45), 0.05), 2),
        (_limb(u, v, (0.0, 0.04), (-step, 0.45), 0.05), 2),
        (_limb(u, v, (0.08, -0.22), (0.14 + 0.5 * swing, 0.05), 0.037), 1),
        (_limb(u, v, (-0.08, -0.22), (-0.14 + 0.5 * swing, 0.05), 0.037), 1),
        (_slab(u, v, (0.0, -0.12, 0.105, 0.18), 0.07), 1),
        (_round(u, v, 0.0, -0.40, 0.1), 0),
    ]


def _car(u: F32, v: F32, _: float) -> list[tuple[F32, int]]:
    return [
        (_slab(u, v, (-0.08, -0.22, 0.5, 0.27), 0.15), 0),
        (_slab(u, v, (-0.08, -0.22, 0.38, 0.16), 0.08), 2),
        (_slab(u, v, (0.0, 0.1, 0.97, 0.24), 0.12), 0),
        (_round(u, v, -0.55, 0.29, 0.2), 1),
        (_round(u, v, 0.55, 0.29, 0.2), 1),
        (_round(u, v, -0.55, 0.29, 0.09), 3),
        (_round(u, v, 0.55, 0.29, 0.09), 3),
    ]


def _ball(u: F32, v: F32, _: float) -> list[tuple[F32, int]]:
    ring = np.maximum(np.abs(v) - np.float32(0.09), _round(u, v, 0.0, 0.0, 0.49))
    return [(_round(u, v, 0.0, 0.0, 0.49), 0), (ring, 1)]


def _box(u: F32, v: F32, _: float) -> list[tuple[F32, int]]:
    return [
        (_slab(u, v, (0.0, 0.0, 0.68, 0.48), 0.02), 0),
        (_slab(u, v, (0.0, 0.0, 0.55, 0.35), 0.02), 1),
        (_slab(u, v, (0.0, 0.0, 0.06, 0.48), 0.01), 2),
    ]


def _star(u: F32, v: F32, _: float) -> list[tuple[F32, int]]:
    turn = np.arctan2(u, -v)
    fold = np.abs((turn + np.float32(np.pi / 5)) % np.float32(2 * np.pi / 5) - np.float32(np.pi / 5))
    length = np.hypot(u, v)
    # In the fold the edge runs straight from the tip (0.5 away) to the inner corner (0.22 away, a tenth of a turn on).
    px, py = length * np.cos(fold), length * np.sin(fold)
    corner = np.array([0.22 * np.cos(np.pi / 5), 0.22 * np.sin(np.pi / 5)], np.float32)
    edge = corner - np.array([0.5, 0.0], np.float32)
    normal = np.array([-edge[1], edge[0]], np.float32) / np.float32(np.hypot(*edge))
    outside = -((px - np.float32(0.5)) * normal[0] + py * normal[1])
    return [(outside.astype(np.float32), 0), (_round(u, v, 0.0, 0.0, 0.1), 1)]


_PARTS = {"person": _person, "car": _car, "ball": _ball, "box": _box, "star": _star}
