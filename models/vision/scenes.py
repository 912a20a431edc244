"""Generated scenes and clips with everything known about them: pictures, boxes, classes, masks, identities.

Textured backgrounds with clutter that is nothing, figures of `figures.CLASSES` that hide each other, blur and noise.
The same seed gives the same scene. Detector and segmenter are trained and judged on these; how, is decided elsewhere.
"""

from typing import NamedTuple

import numpy as np

from models.errors import ConfigError
from models.typing import F32, F64, I32, I64, U8
from models.vision.figures import CLASSES, Drawn, Figure, draw

LEAST_SHOWN = 0.35
"""Share of a figure from which it must be found; of less, nothing is asked."""
LEAST_PX = 40
"""Pixels of it from which it must be found."""
CLUTTER = 0.5
"""How strong the patterns and the grain of scenes are where nothing else is said; 1 is more than a film ever has."""
NOTHING = -1
"""In a scene's `owner`: no figure."""


class Scene(NamedTuple):
    """A picture and the truth about it.

    Attributes:
      picture: uint8 [H, W, 3]. boxes: of what shows of each figure, left, top, right, bottom, px, float64 [N, 4].
      labels: class of each, int64 [N]. ids: of each, from 1, int64 [N].
      is_asked: False where so little of it shows that it need not be found, bool [N].
      owner: row of the figure that each pixel shows, `NOTHING` where none, int32 [H, W].
    """

    picture: U8
    boxes: F64
    labels: I64
    ids: I64
    is_asked: np.ndarray[tuple[int], np.dtype[np.bool_]]
    owner: I32

    def classes(self) -> I32:
        """Class of each pixel from 1 up, 0 where none, int32 [H, W]."""
        table = np.concatenate([self.labels + 1, [0]]).astype(np.int32)
        return np.asarray(table[self.owner])


def scene(
    seed: tuple[int, ...], *, width: int = 128, height: int = 128, most: int = 6, clutter: float = CLUTTER
) -> Scene:
    """A scene.

    Args:
      seed: of everything in it; of another length or numbers, another scene.
      width, height: px, 32 at least. most: figures. clutter: strength of patterns and grain, 0..1.

    Raises:
      ConfigError: one is out of range.
    """
    if min(width, height) < 32 or most < 0 or not 0 <= clutter <= 1:
        raise ConfigError(
            f"expected a scene of 32 px a side or more, most >= 0 and clutter 0 to 1, got {width}x{height}, {most} and "
            f"{clutter}"
        )
    chance = np.random.default_rng(seed)
    canvas = background(chance, width, height, clutter)
    count = int(chance.integers(1, most + 1)) if most else 0
    side = min(width, height)
    figures = [
        random_figure(chance, width, height, side * float(chance.uniform(0.14, 0.62)), clutter=clutter)
        for _ in range(count)
    ]
    figures.sort(key=lambda one: one.y + one.height / 2)  # what stands lower stands nearer
    return _seen(chance, canvas, figures, np.arange(1, count + 1), clutter)


def clip(
    seed: tuple[int, ...],
    *,
    frames: int = 48,
    width: int = 256,
    height: int = 144,
    most: int = 4,
    subject: bool = False,
    clutter: float = CLUTTER,
) -> list[Scene]:
    """A clip of figures that move on smooth ways, meet, and hide each other; ids stay with them.

    Args:
      subject: the figure of id 1 is a person, larger than all others and in front, who crosses the picture; no other
        person is there.
      clutter: as of `scene`.
    """
    chance = np.random.default_rng(seed)
    still = background(chance, width + 16, height + 16, clutter)
    count = int(chance.integers(2, most + 1))
    heights = height * chance.uniform(0.16, 0.3 if subject else 0.45, count)
    first = [random_figure(chance, width, height, float(one), clutter=clutter) for one in heights]
    if subject:
        first = [one._replace(kind=int(chance.integers(1, len(CLASSES)))) for one in first]
        first[0] = random_figure(
            chance, width, height, height * float(chance.uniform(0.4, 0.6)), clutter=clutter, kind=0
        )
    ways = [_way(chance, one, frames, width, height, is_brisk=subject and at == 0) for at, one in enumerate(first)]
    order = sorted(range(count), key=lambda at: first[at].height)
    if subject:
        order.remove(0)
        order.append(0)
    drift = np.cumsum(chance.normal(0, 0.15, (frames, 2)), axis=0)
    strength, noise = float(chance.uniform(0, 0.5)), int(chance.integers(1 << 30))
    found = []
    for at in range(frames):
        x, y = (int(np.clip(8 + one, 0, 16)) for one in drift[at])
        canvas = still[y : y + height, x : x + width].copy()
        figures = [ways[row][at] for row in order]
        dust = np.random.default_rng((noise, at))
        found.append(_seen(dust, canvas, figures, np.asarray(order) + 1, clutter, blur=strength))
    return found


def random_figure(
    chance: np.random.Generator, width: int, height: int, size: float, *, clutter: float, kind: int | None = None
) -> Figure:
    """A figure somewhere in a picture, of this height; ``kind`` None: of any class."""
    kind = int(chance.integers(len(CLASSES))) if kind is None else kind
    if CLASSES[kind] == "car":
        size *= 0.6
    upright = CLASSES[kind] in ("person", "car")
    colours = chance.uniform(0.05, 1.0, (4, 3)).astype(np.float32)
    if CLASSES[kind] == "person":
        colours[0] = np.array([0.95, 0.75, 0.6], np.float32) * np.float32(chance.uniform(0.3, 1.05))
    if CLASSES[kind] == "car":
        colours[1:] = np.array([[0.08] * 3, [0.65, 0.75, 0.85], [0.7] * 3], np.float32) * chance.uniform(0.7, 1.2)
    return Figure(
        kind=kind,
        x=float(chance.uniform(0.02, 0.98) * width),
        y=float(chance.uniform(0.05, 0.95) * height),
        height=size,
        angle=float(chance.normal(0, 0.08) if upright else chance.uniform(-np.pi, np.pi)),
        phase=float(chance.uniform(0, 2 * np.pi)),
        facing=float(chance.choice([-1.0, 1.0])),
        colours=np.clip(colours, 0, 1).astype(np.float32),
        stripe=float(chance.uniform(0, 0.35)) * clutter,
        grain=float(chance.uniform(4, 40)),
    )


def background(chance: np.random.Generator, width: int, height: int, clutter: float) -> F32:
    """A textured picture that holds no figure, float32 [H, W, 3], 0..1."""
    canvas = np.zeros((height, width, 3), np.float32)
    share = 1.0
    for cells in (2, 4, 9, 24):
        coarse = chance.uniform(0, 1, (cells + 2, cells + 2, 3)).astype(np.float32)
        canvas += np.float32(share) * (_stretched(coarse, width, height) - np.float32(0.5))
        share *= float(chance.uniform(0.25, 0.7))
    tint = chance.uniform(0.15, 0.85, 3).astype(np.float32)
    canvas = canvas * np.float32(chance.uniform(0.1, 0.7) * (0.3 + 0.7 * clutter)) + tint
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    if chance.uniform() < 0.4:  # a floor
        canvas[int(height * chance.uniform(0.4, 0.9)) :] *= np.float32(chance.uniform(0.5, 1.3))
    for _ in range(int(chance.integers(0, 7))):  # bars, waves and slivers that are nothing
        turn = float(chance.uniform(0, np.pi))
        away = (x - np.float32(chance.uniform(0, width))) * np.float32(np.cos(turn))
        away = away + (y - np.float32(chance.uniform(0, height))) * np.float32(np.sin(turn))
        if chance.uniform() < 0.3:
            weight = np.float32(0.12 * clutter) * np.sin(away * np.float32(chance.uniform(0.1, 1.2)))
            canvas += weight[..., None]
            continue
        cover = np.clip(np.float32(chance.uniform(0.6, 5)) - np.abs(away), 0, 1)[..., None]
        if chance.uniform() < 0.5:
            beyond = x * np.float32(np.sin(turn)) - y * np.float32(np.cos(turn)) - np.float32(chance.uniform(-60, 100))
            cover = cover * (np.abs(beyond) < np.float32(chance.uniform(5, 50)))[..., None]
        canvas += cover.astype(np.float32) * (chance.uniform(0, 1, 3).astype(np.float32) - canvas)
    return np.clip(canvas, 0, 1)


def _seen(
    chance: np.random.Generator, canvas: F32, figures: list[Figure], ids: I64, clutter: float, blur: float | None = None
) -> Scene:
    """The figures on a background, the last in front, as a camera has it."""
    height, width = canvas.shape[:2]
    owner = np.full((height, width), NOTHING, np.int32)
    whole = np.zeros(len(figures), np.int64)
    for row, figure in enumerate(figures):
        drawn = draw(figure, width, height)
        if drawn is None:
            continue
        rows, columns = _place(drawn)
        canvas[rows, columns] += drawn.cover[..., None] * (drawn.paint - canvas[rows, columns])
        is_its = drawn.cover > 0.5
        whole[row] = int(is_its.sum())
        owner[rows, columns][is_its] = row
    picture = _taken(chance, canvas, clutter, blur)
    return _told(picture, owner, figures, ids, whole)


def _told(picture: U8, owner: I32, figures: list[Figure], ids: I64, whole: I64) -> Scene:
    """The truth, without figures of which nothing shows."""
    shown = np.bincount(owner[owner >= 0], minlength=len(figures)) if len(figures) else np.zeros(0, np.int64)
    kept = np.flatnonzero(shown > 0)
    boxes = np.zeros((len(kept), 4))
    for place, row in enumerate(kept):
        ys, xs = np.nonzero(owner == row)
        boxes[place] = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    renumbered = np.full(len(figures) + 1, NOTHING, np.int32)
    renumbered[kept] = np.arange(len(kept), dtype=np.int32)
    return Scene(
        picture=picture,
        boxes=boxes,
        labels=np.array([figures[row].kind for row in kept], np.int64),
        ids=np.asarray(ids)[kept].astype(np.int64),
        is_asked=(shown[kept] >= LEAST_PX) & (shown[kept] >= LEAST_SHOWN * whole[kept]),
        owner=renumbered[owner],
    )


def _taken(chance: np.random.Generator, canvas: F32, clutter: float, blur: float | None) -> U8:
    """Blur, light and noise of a camera."""
    for _ in range(2):
        strength = float(chance.uniform(0, 0.9)) * (chance.uniform() < 0.5) if blur is None else blur
        if strength > 0.05:
            for axis in (0, 1):
                either = np.roll(canvas, 1, axis) + np.roll(canvas, -1, axis)
                canvas = canvas + np.float32(strength) / 3 * (either - 2 * canvas)
    light, contrast = (0.0, 1.0) if blur is not None else (chance.normal(0, 0.05), chance.uniform(0.75, 1.2))
    grain = np.float32(chance.uniform(0.005, 0.05 if blur is None else 0.02) * clutter)
    canvas = (canvas - np.float32(0.5)) * np.float32(contrast) + np.float32(0.5 + light)
    canvas = canvas + grain * chance.standard_normal(canvas.shape, np.float32)
    return np.asarray(np.clip(canvas * 255 + np.float32(0.5), 0, 255).astype(np.uint8))


def _way(
    chance: np.random.Generator, first: Figure, frames: int, width: int, height: int, *, is_brisk: bool
) -> list[Figure]:
    """The figure in every frame: straight and swaying, turned back at the edges, its step in time with its speed."""
    at = np.arange(frames)
    speed = chance.uniform(1.5, 4.0) if is_brisk else chance.uniform(0.2, 2.0)
    speed *= chance.choice([-1.0, 1.0])
    sway = chance.uniform(0, 6) * np.sin(at * chance.uniform(0.02, 0.12) + chance.uniform(0, 6))
    margin = 0.3 * first.height
    room = width - 2 * margin
    along = (first.x - margin + speed * at + sway) % (2 * room)
    x = margin + np.where(along > room, 2 * room - along, along)
    y = first.y + chance.normal(0, 0.2) * at + 2 * np.sin(at * chance.uniform(0.02, 0.1))
    y = np.clip(y, 0.25 * height, height - 0.45 * first.height)
    growth = 1 + 0.15 * np.sin(at * chance.uniform(0.01, 0.06) + chance.uniform(0, 6))
    turn = 0.0 if CLASSES[first.kind] in ("person", "car") else chance.normal(0, 0.03)
    facing = np.sign(np.gradient(x)) if frames > 1 else np.ones(1)
    is_sided = CLASSES[first.kind] == "car"
    return [
        first._replace(
            x=float(x[n]), y=float(y[n]), height=float(first.height * growth[n]), angle=first.angle + turn * n,
            phase=first.phase + 0.25 * abs(speed) * n, facing=float(facing[n] or 1.0) if is_sided else first.facing,
        )
        for n in range(frames)
    ]  # fmt: skip


def _place(drawn: Drawn) -> tuple[slice, slice]:
    height, width = drawn.cover.shape
    return slice(drawn.top, drawn.top + height), slice(drawn.left, drawn.left + width)


def _stretched(coarse: F32, width: int, height: int) -> F32:
    """A coarse grid [c, c, 3] stretched smoothly over a picture."""
    for axis, size in ((0, height), (1, width)):
        at = np.linspace(0, coarse.shape[axis] - 1.001, size).astype(np.float32)
        low = at.astype(np.int64)
        share = at - low
        share = share * share * (3 - 2 * share)
        shape = (size, 1, 1) if axis == 0 else (1, size, 1)
        here, there = np.take(coarse, low, axis), np.take(coarse, low + 1, axis)
        coarse = here + share.reshape(shape).astype(np.float32) * (there - here)
    return coarse
