"""`marquee studio train` and `marquee studio eval`: the vision models trained, and judged on unseen scenes."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from streams.commands.options import config_option, json_option, print_json, settings_of

GOALS: Final = {
    "detect": ("map50", 0.9),
    "segment": ("iou_figures", 0.85),
    "track": ("clips_without_a_switch", 0.95),
    "reframe": ("safe", 0.98),
}
"""Of each judgement the figure that has a goal, and the goal: at least that."""


@click.command(epilog="Example: marquee studio train detect --out my-weights")
@click.argument("model", type=click.Choice(["detect", "segment"]))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Folder of checkpoint and weights; training that was broken off there goes on.",
)  # fmt: skip
@click.option(
    "--start", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="Folder of detector weights to begin with; by default a detector begins with nothing, a segmenter with ours.",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1, 1_000_000), default=None, help="By default those of our own weights.")
@click.option("--rate", type=click.FloatRange(1e-6, 0.1), default=None, help="Highest learning rate; by default 0.002.")
@click.option("--clutter", type=click.FloatRange(0, 1), default=None, help="Of the scenes; by default 0.5.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of weights and scenes.")
@click.option("--minutes", type=click.FloatRange(0.05), default=None, help="Stop after so long, to be gone on with.")
@click.option("--patience", type=click.IntRange(1), default=5, show_default=True,
              help="Judgements without a better score after which it ends.")  # fmt: skip
@config_option
@json_option
def train(
    model: str, out: Path, start: Path | None, steps: int | None, rate: float | None, clutter: float | None,
    seed: int, minutes: float | None, patience: int, config: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Train the detector, or the segmenter on from it, on generated scenes; weights, figures and a curve in --out."""
    vision_dir = _prepared(config)
    from models.vision.learning import LESSONS
    from streams.studio.eyes import folder_of, read_weights
    from streams.studio.vision_training import Pace, draw_curve
    from streams.studio.vision_training import train as learn

    lesson = LESSONS[model]
    told: dict[str, Any] = {"seed": seed, "steps": steps, "rate": rate, "clutter": clutter}
    how = dataclasses.replace(lesson.how, **{name: one for name, one in told.items() if one is not None})
    begun = None
    if model == "segment" or start is not None:
        folder = folder_of(str(start) if start is not None else vision_dir)
        read_weights(folder, "detect")  # whether they are what they should be
        begun = folder / "detect.safetensors"
    pace = Pace(patience=patience, seconds=None if minutes is None else minutes * 60)
    with _bar(model, how.steps, is_shown=not as_json) as at:
        story = learn(
            lesson, out, how, pace=pace, start=begun,
            heard=lambda step, loss, best: at(step, f"loss {loss:.3f} best {best:.3f}"),
        )  # fmt: skip
    draw_curve(story, model, out / f"{model}.png")
    told = {"model": model, "folder": out, "step": story.step, "is_done": story.is_done, "cpu_s": round(story.cpu_s, 1),
            "best": story.best, "best_step": story.best_step, "judged": story.judged}  # fmt: skip
    if as_json:
        print_json(told)
        return
    ended = f"done; weights in {out}" if story.is_done else "not done; the same command goes on"
    click.echo(f"{model}: step {story.step} of {how.steps}, best score {story.best:.4f} at {story.best_step}; {ended}")


@click.command(name="eval", epilog="Example: marquee studio eval detect")
@click.argument("what", type=click.Choice(sorted(GOALS)))
@click.option("--scenes", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Held-out scenes.")
@click.option("--clips", type=click.IntRange(1, 10_000), default=60, show_default=True, help="Held-out clips.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of scenes and clips.")
@click.option("--clutter", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of the scenes of detect.")
@click.option("--weights", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="A folder of weights; by default that of the settings, else our own.")  # fmt: skip
@config_option
@json_option
def evaluate(
    what: str, scenes: int, clips: int, seed: int, clutter: float, weights: Path | None, config: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Judge the vision models on generated scenes and clips that no training saw; the last line is JSON."""
    vision_dir = _prepared(config)
    from streams.studio import vision_eval
    from streams.studio.eyes import Eyes, described, folder_of

    folder = folder_of(str(weights) if weights is not None else vision_dir)
    eyes = Eyes(folder)
    total = {"detect": scenes, "segment": scenes + clips}.get(what, clips)
    hashes = {name: described(folder, name).sha256 for name in ("detect", "segment") if what in (name, "segment")
              or name == "detect"}  # fmt: skip
    with _bar(f"eval {what}", total, is_shown=not as_json) as at:
        heard: Callable[[int], None] = lambda done: at(done, "")  # noqa: E731 - short
        if what == "detect":
            figures = vision_eval.detect(eyes, scenes=scenes, seed=seed, clutter=clutter, heard=heard)
        elif what == "segment":
            figures = vision_eval.segment(eyes, scenes=scenes, clips=clips, seed=seed, heard=heard)
        else:
            figures = getattr(vision_eval, what)(eyes, clips=clips, seed=seed, heard=heard)
    name, goal = GOALS[what]
    if not as_json:
        for key, value in figures.items():
            click.echo(f"  {key:<26} {value:g}")
    print_json(
        {
            "name": f"{what}: {name}", "ours": figures[name], "goal": f"ours >= {goal}", "ok": figures[name] >= goal,
            "figures": figures, "seed": seed, "scenes": scenes, "clips": clips, "weights_sha256": hashes,
            "python": platform.python_version(),
            "versions": {one: importlib.metadata.version(one) for one in ("jax", "flax", "numpy")},
        }
    )  # fmt: skip


def _prepared(config: Path | None) -> str:
    """Caches and threads as for all of our learning; where weights lie by the settings."""
    from streams.kernel_cache import use_kernel_cache, use_program_cache
    from streams.processors import use_one_xla_thread

    settings = settings_of(config=config)
    use_one_xla_thread()
    use_kernel_cache(settings.cache_dir)
    use_program_cache(settings.cache_dir)
    return "" if settings.studio.vision_dir is None else str(settings.studio.vision_dir)


@contextmanager
def _bar(title: str, total: int, *, is_shown: bool) -> Iterator[Callable[[int, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), disable=not is_shown) as bars:
        task = bars.add_task(title, total=total)
        yield lambda done, words: bars.update(task, completed=done, description=f"{title} {words}".strip())
