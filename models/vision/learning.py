"""How a network of ours learns, whichever it is: steps of AdamW on a cosine, and a mean of the weights that is kept.

State in, state out; which pictures a step sees is a matter of its number and the seed alone, so that learning that was
broken off goes on as if it had not been. Files, progress and when to stop are left to the caller.

References:
  Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019; Polyak and Juditsky, 1992 (the mean).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float
from numpy.typing import NDArray

from models.errors import ConfigError, StateError
from models.typing import U8
from models.vision import detector, segmenter
from models.vision.detector import Detector, DetectorConfig
from models.vision.precision import Found, average_precision, class_overlaps, confusion
from models.vision.pyramid import PyramidConfig
from models.vision.scenes import CLUTTER, Scene, scene
from models.vision.segmenter import Segmenter, SegmenterConfig

TRAINING, HELD_OUT, WATCHED = 0, 1, 2
"""First number of a scene's seed: seen in training; judged at the end; judged meanwhile, to stop early."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnConfig:
    """How long and how fast.

    Attributes:
      steps: in all. batch: B, pictures a step. scenes: different ones, before they come again turned and recoloured.
      rate: highest learning rate. warm: steps until it is reached. decay: of the weights, a step at that rate.
      mean: share of the mean of weights that stays at each step. side: px of a picture's sides.
      clutter: of the scenes, see `scenes.scene`. seed: of weights and scenes.
    """

    steps: int = 1300
    batch: int = 16
    scenes: int = 2560
    rate: float = 2e-3
    warm: int = 100
    decay: float = 1e-4
    mean: float = 0.995
    side: int = 128
    clutter: float = CLUTTER
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.scenes, self.warm) < 1 or self.side < 32 or self.side % 16:
            raise ConfigError(f"expected counts of 1 or more and a side that is a multiple of 16 from 32, got {self}")
        if not 0 < self.rate < 1 or not 0 <= self.mean < 1 or not 0 <= self.decay < 1:
            raise ConfigError(f"expected rate, mean and decay in [0, 1), got {self}")


@dataclasses.dataclass(frozen=True)
class Lesson:
    """One kind of network and what it learns.

    Attributes:
      name: of the weights. config: its sizes. build: a new network. targets: what it should say of scenes, leaves
        [B, ...]. loss: of a network on pictures. judge: figures on scenes out of what `answers` gave, "score" first.
      answers: of a network to pictures. how: it was trained that comes with Marquee.
    """

    name: str
    config: type[PyramidConfig]
    build: Callable[..., nnx.Module]
    targets: Callable[[Sequence[Scene]], Any]
    loss: Callable[[Any, Array, Any], Float[Array, ""]]
    answers: Callable[[Any, Array], Any]
    judge: Callable[[Sequence[Scene], Sequence[Any]], dict[str, float]]
    how: LearnConfig


class Learned(NamedTuple):
    """State of learning: weights, their mean, and what the optimizer keeps."""

    weights: Any
    mean: Any
    optimizer: Any


def begin(
    lesson: Lesson, config: PyramidConfig, how: LearnConfig, *, start: Mapping[str, NDArray[Any]] | None = None
) -> tuple[Any, Learned]:
    """The graph of the network and the state before the first step.

    Args:
      start: arrays of a network of ours, of which those that this one has too, by name, are where it begins.

    Raises:
      StateError: one of these is of another shape.
    """
    graph, weights = nnx.split(lesson.build(config, rngs=nnx.Rngs(how.seed)))
    if start is not None:
        own = named(weights)
        weights = filled(weights, own | {name: one for name, one in start.items() if name in own})
    return graph, Learned(weights, jax.tree.map(jnp.copy, weights), _optimizer(how).init(weights))


@functools.lru_cache(maxsize=8)
def stepper(lesson: Lesson, graph: Any, how: LearnConfig) -> Callable[..., tuple[Learned, Array]]:
    """The compiled step: state, number of the step (an array), pictures and targets in; state and loss out."""
    optimizer = _optimizer(how)

    def step(state: Learned, number: Array, pictures: Array, wanted: Any) -> tuple[Learned, Array]:
        value, slope = jax.value_and_grad(lambda w: lesson.loss(nnx.merge(graph, w), pictures, wanted))(state.weights)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to whole numbers
            change, kept = optimizer.update(slope, state.optimizer, state.weights)
        weights = optax.apply_updates(state.weights, change)
        share = jnp.minimum(how.mean, (1.0 + number) / (10.0 + number))  # quicker at first
        mean = jax.tree.map(lambda old, new: share * old + (1 - share) * new, state.mean, weights)
        return Learned(weights, mean, kept), value

    return jax.jit(step, donate_argnums=0)


@functools.lru_cache(maxsize=8)
def answerer(lesson: Lesson, graph: Any) -> Callable[[Any, U8], Any]:
    """The compiled answers of a network: weights and pictures uint8 [B, H, W, 3] in."""
    return jax.jit(lambda weights, pictures: lesson.answers(nnx.merge(graph, weights), pictures))


def named(tree: Any) -> dict[str, NDArray[Any]]:
    """Arrays of a state by name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}


def filled(tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A state like ``tree`` with these arrays.

    Raises:
      StateError: a name is missing or unknown, or a shape or dtype is another.
    """
    leaves, shape = jax.tree_util.tree_flatten_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    odd = sorted(set(names) ^ set(arrays))
    if odd:
        raise StateError(f"expected arrays of exactly the network's names, got a difference at {odd[0]!r} ({len(odd)})")
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
            got = f"{arrays[name].dtype} {arrays[name].shape}"
            raise StateError(f"expected {name} as {leaf.dtype} {leaf.shape}, got {got}; check the sizes")
    return jax.tree_util.tree_unflatten(shape, [jnp.asarray(arrays[name]) for name in names])


class Scenes:
    """The training scenes, each made once; a step's are chosen by its number."""

    def __init__(self, how: LearnConfig) -> None:
        self.how = how
        self._made: dict[int, Scene] = {}

    def batch(self, step: int) -> list[Scene]:
        """Scenes of a step, from the second round on turned and recoloured."""
        how = self.how
        chance = np.random.default_rng((how.seed, step))
        found = []
        for place in range(how.batch):
            at = step * how.batch + place
            number = at if at < how.scenes else int(chance.integers(how.scenes))
            if number not in self._made:
                self._made[number] = scene(
                    (TRAINING, how.seed, number), width=how.side, height=how.side, clutter=how.clutter
                )
            found.append(varied(self._made[number], chance))
        return found


def varied(one: Scene, chance: np.random.Generator) -> Scene:
    """A scene mirrored, with its colours exchanged, lighter or darker, by chance."""
    picture, owner, boxes = one.picture, one.owner, one.boxes
    if chance.uniform() < 0.5:
        picture, owner, boxes = picture[:, ::-1], owner[:, ::-1], boxes.copy()
        boxes[:, [0, 2]] = picture.shape[1] - one.boxes[:, [2, 0]]
    if chance.uniform() < 0.3:
        picture = picture[..., chance.permutation(3)]
    light = np.clip(np.arange(256) * chance.uniform(0.8, 1.2) + chance.normal(0, 10), 0, 255).astype(np.uint8)
    return one._replace(picture=light[picture], owner=np.ascontiguousarray(owner), boxes=boxes)


def pictures_of(scenes: Sequence[Scene]) -> U8:
    """Pictures of scenes, uint8 [B, H, W, 3]."""
    return np.stack([one.picture for one in scenes])


def _optimizer(how: LearnConfig) -> optax.GradientTransformation:
    rate = optax.warmup_cosine_decay_schedule(0.0, how.rate, how.warm, max(how.steps, how.warm + 1), 0.01 * how.rate)
    return optax.chain(optax.clip_by_global_norm(10.0), optax.adamw(rate, weight_decay=how.decay))


def _detector_targets(scenes: Sequence[Scene]) -> detector.Targets:
    height, width = scenes[0].picture.shape[:2]
    each = [detector.targets(one.boxes, one.labels, one.is_asked, height, width) for one in scenes]
    return detector.Targets(*(np.stack(column) for column in zip(*each, strict=True)))


def _boxes_loss(model: Detector, pictures: Array, wanted: detector.Targets) -> Float[Array, ""]:
    heat, sides = model(pictures)
    return detector.loss(heat, sides, wanted)


def _judge_boxes(scenes: Sequence[Scene], answers: Sequence[Any]) -> dict[str, float]:
    found = [as_found(*answer) for answer in answers]
    classes = int(DetectorConfig().classes)
    return {"score": average_precision(scenes, found, classes=classes)}


def as_found(boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any], *, least: float = 0.05) -> Found:
    """Peaks of one picture as detections: those of a score of ``least`` or more, without repetitions."""
    rows = np.flatnonzero(np.asarray(scores) >= least)
    found = Found(
        np.asarray(boxes, np.float64)[rows], np.asarray(scores, np.float64)[rows], np.asarray(labels, np.int64)[rows]
    )
    kept = detector.unlike(found.boxes, found.scores, found.labels)
    return Found(found.boxes[kept], found.scores[kept], found.labels[kept])


def _judge_masks(scenes: Sequence[Scene], answers: Sequence[Any]) -> dict[str, float]:
    classes = int(SegmenterConfig().classes) + 1
    pixels = np.zeros((classes, classes), np.int64)
    for one, answer in zip(scenes, answers, strict=True):
        pixels += confusion(np.asarray(answer, np.int32), one.classes(), classes)
    shared = class_overlaps(pixels)
    figures = np.array([[pixels[0, 0], pixels[0, 1:].sum()], [pixels[1:, 0].sum(), pixels[1:, 1:].sum()]])
    return {"score": float(shared[1:].mean()), "iou_figures": float(class_overlaps(figures)[1])}


DETECT = Lesson(
    name="detect",
    config=DetectorConfig,
    build=Detector,
    targets=_detector_targets,
    loss=_boxes_loss,
    answers=lambda model, pictures: detector.peaks(*model(pictures)),
    judge=_judge_boxes,
    how=LearnConfig(),
)
SEGMENT = Lesson(
    name="segment",
    config=SegmenterConfig,
    build=Segmenter,
    targets=lambda scenes: np.stack([one.classes() for one in scenes]),
    loss=lambda model, pictures, wanted: segmenter.loss(model(pictures), wanted),
    answers=lambda model, pictures: jnp.argmax(model(pictures), axis=-1).astype(jnp.int32),
    judge=_judge_masks,
    how=LearnConfig(steps=800, batch=12),
)
LESSONS = {"detect": DETECT, "segment": SEGMENT}
