"""Training of the vision models as a piece of work that may stop at any time and goes on: files, figures, a curve.

What a step does is in `models.vision.learning`; this keeps its state in a folder, judges it now and then on scenes that
it does not learn from, stops when that gets no better, and writes weights with what is known of them.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.errors import ConfigError, StateError
from models.vision.learning import (
    WATCHED,
    LearnConfig,
    Learned,
    Lesson,
    Scenes,
    answerer,
    begin,
    filled,
    named,
    pictures_of,
    stepper,
)
from models.vision.pyramid import PyramidConfig
from models.vision.scenes import scene
from streams.studio.errors import EngineError
from streams.studio.store import sha256_of

SCENES_WATCHED: Final = 128
CHECKPOINT, STORY = "checkpoint.safetensors", "training.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """When training looks up from its work.

    Attributes:
      judge_every: steps between two judgements. patience: judgements without a better score after which it stops.
      seconds: of the clock after which this call stops, to be gone on with; None: when it is done.
    """

    judge_every: int = 200
    patience: int = 5
    seconds: float | None = None


@dataclasses.dataclass
class Story:
    """What happened so far; written beside the checkpoint.

    ``judged``: by step: score and the like, mean loss since the last, and processor seconds so far.
    """

    step: int = 0
    cpu_s: float = 0.0
    best: float = -1.0
    best_step: int = 0
    judged: list[dict[str, float]] = dataclasses.field(default_factory=list)
    is_done: bool = False


def train(
    lesson: Lesson, folder: Path, how: LearnConfig, *, pace: Pace | None = None, config: PyramidConfig | None = None,
    start: Path | None = None, heard: Callable[[int, float, float], None] | None = None,
) -> Story:  # fmt: skip
    """Learns until it is done, or for as long as this call may; weights are ``NAME.safetensors`` in the folder.

    Args:
      folder: of the checkpoint; one that is there is gone on with.
      start: weights of a network of ours to begin with, as far as names are the same; None: from nothing.
      heard: called after every step with its number, loss and the best score so far.

    Raises:
      EngineError: the checkpoint is of other settings, or damaged.
    """
    pace, config = pace or Pace(), config or lesson.config()
    folder.mkdir(parents=True, exist_ok=True)
    begun = None if start is None else load_file(start)
    graph, state = begin(lesson, config, how, start=begun)
    told = _told(lesson, config, how) | ({} if start is None else {"start_sha256": sha256_of(start)})
    story, state = _resumed(folder, told, state)
    step, answers, scenes = stepper(lesson, graph, how), answerer(lesson, graph), Scenes(how)
    watched = [
        scene((WATCHED, how.seed, at), width=how.side, height=how.side, clutter=how.clutter)
        for at in range(SCENES_WATCHED)
    ]
    began_s, cpu_before = time.monotonic(), story.cpu_s - time.process_time()
    losses: list[float] = []
    while not story.is_done:
        batch = scenes.batch(story.step)
        number = jnp.asarray(story.step, jnp.float32)
        state, loss = step(state, number, pictures_of(batch), lesson.targets(batch))
        losses.append(float(loss))
        if not np.isfinite(losses[-1]):
            raise EngineError(f"expected a finite loss, got {losses[-1]} in step {story.step}; lower the rate")
        story.step += 1
        is_last = story.step >= how.steps
        if is_last or story.step % pace.judge_every == 0:
            size = how.batch
            told_of = [
                one
                for at in range(0, len(watched), size)
                for one in _rows(answers(state.mean, pictures_of(watched[at : at + size])))
            ]
            figures = lesson.judge(watched, told_of)
            story.cpu_s = cpu_before + time.process_time()
            story.judged.append({"step": story.step, "loss": float(np.mean(losses)), "cpu_s": story.cpu_s, **figures})
            losses = []
            if figures["score"] > story.best:
                story.best, story.best_step = figures["score"], story.step
                save_file(named(state.mean), folder / f"{lesson.name}.safetensors")
            story.is_done = is_last or story.step - story.best_step >= pace.patience * pace.judge_every
            _keep(folder, told, story, state)
        if heard is not None:
            heard(story.step, losses[-1] if losses else float(loss), story.best)
        if pace.seconds is not None and time.monotonic() - began_s > pace.seconds:
            break
    story.cpu_s = cpu_before + time.process_time()
    _keep(folder, told, story, state)
    if story.is_done:
        watched_well = {"score": story.best, "scenes": SCENES_WATCHED}
        more = {"step": story.best_step, "watched": watched_well, "cpu_s": round(story.cpu_s, 1)}
        describe(lesson.name, folder, told | more)
    return story


def draw_curve(story: Story, name: str, path: Path) -> None:
    """Loss and score over steps, as a PNG.

    Raises:
      EngineError: there is no matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EngineError("expected matplotlib for the curve, got none; pip install 'marquee[eval]'") from error
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    steps = [one["step"] for one in story.judged]
    left.plot(steps, [one["loss"] for one in story.judged], color="tab:blue")
    right.plot(steps, [one["score"] for one in story.judged], color="tab:orange")
    left.set(xlabel="step", ylabel="loss (blue)", title=f"{name}: {story.cpu_s / 60:.1f} CPU minutes")
    right.set(ylabel="score on watched scenes (orange)", ylim=(0, 1))
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _told(lesson: Lesson, config: PyramidConfig, how: LearnConfig) -> dict[str, Any]:
    return {"model": lesson.name, "config": dataclasses.asdict(config), "learning": dataclasses.asdict(how)}


def _rows(answers: Any) -> list[Any]:
    """The answers to a batch, picture by picture."""
    leaves, shape = jax.tree.flatten(answers)
    columns = [np.asarray(leaf) for leaf in leaves]
    return [jax.tree.unflatten(shape, [column[row] for column in columns]) for row in range(len(columns[0]))]


def _keep(folder: Path, told: dict[str, Any], story: Story, state: Learned) -> None:
    """Both files whole or as they were: the story last, with the hash of the state that it belongs to."""
    aside = folder / f".{CHECKPOINT}"
    save_file(named(state), aside)
    words = {**told, "story": dataclasses.asdict(story), "checkpoint_sha256": sha256_of(aside)}
    text = folder / f".{STORY}"
    text.write_text(json.dumps(words, indent=1), encoding="utf-8")
    aside.replace(folder / CHECKPOINT)
    text.replace(folder / STORY)


def _resumed(folder: Path, told: dict[str, Any], state: Learned) -> tuple[Story, Learned]:
    path = folder / CHECKPOINT
    if not path.exists():
        return Story(), state
    again = f"remove {folder} to begin anew"
    try:
        words = json.loads((folder / STORY).read_text(encoding="utf-8"))
        story = Story(**words.pop("story"))
        hashed = words.pop("checkpoint_sha256")
        if words != json.loads(json.dumps(told)):
            raise EngineError(f"expected a checkpoint of the same settings in {folder}, got one of others; {again}")
        if hashed != sha256_of(path):
            raise EngineError(f"expected a whole checkpoint in {folder}, got one that was cut off; {again}")
        return story, filled(state, load_file(path))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError, StateError, ConfigError) as error:
        raise EngineError(f"expected a checkpoint in {folder}, got: {error}; {again}") from error


def describe(name: str, folder: Path, told: dict[str, Any]) -> None:
    """Writes what is known of weights beside them, with their hash: without it nobody takes them."""
    path = folder / f"{name}.safetensors"
    words = {"model": name, **told, "sha256": sha256_of(path), "bytes": path.stat().st_size}
    (folder / f"{name}.json").write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")
