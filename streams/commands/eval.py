"""`marquee eval`: progressive validation of a log on the engine's own core, with no broker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.options import config_option, json_option, print_json, settings_of

if TYPE_CHECKING:
    from streams.replay.prequential import Evaluation


@click.command(epilog="Example: marquee eval ml-100k --json")
@click.argument("log")
@click.option("--order", type=click.Choice(["file", "shuffled-ties"]), default="file", show_default=True,
              help="How events with the same timestamp are ordered.")  # fmt: skip
@click.option("--first", type=click.IntRange(min=1), help="Only the first N events.")
@config_option
@json_option
def eval(log: str, order: str, first: int | None, config: Path | None, as_json: bool) -> None:
    """Score each event of LOG against the whole catalogue, then learn it; figures beside simple baselines.

    LOG is a file or folder, or the name of a log that `marquee fetch` knows.
    """
    from streams.kernel_cache import use_kernel_cache

    settings = settings_of(config=config)
    use_kernel_cache(settings.cache_dir)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.recommend.metrics import Figures
    from streams.replay.fetch import locate
    from streams.replay.logs import read_log
    from streams.replay.prequential import evaluate
    from streams.roles.model_config import model_config_of
    from streams.text.choice import chosen_encoder
    from streams.text.installed import encoder_of, is_installed

    events = read_log(locate(log, cache_dir=settings.logs_dir))
    if order == "shuffled-ties":
        events = events.with_ties_shuffled(seed=settings.trainer.seed)
    if first is not None:
        events = events.head(first)
    text_encoder = chosen_encoder(settings.text_encoder, saved=None, is_there=is_installed(settings))
    model = model_config_of(settings, text_encoder=text_encoder)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    started_s = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as progress:
        task = progress.add_task(events.name, total=len(events))

        def show(done: int, figures: Figures) -> None:
            progress.update(task, completed=done, description=f"{events.name}  HR@10 {figures.hr_at_10[0]:.4f}")

        result = evaluate(
            events, model, batch_size=settings.trainer.batch_size, encode=encoder_of(settings, model), on_batch=show
        )  # fmt: skip
    elapsed_s = time.monotonic() - started_s
    if as_json:
        print_json(
            result.to_dict()
            | {"order": order, "text_encoder": text_encoder, "events_per_s": len(events) / max(elapsed_s, 1e-9)}
        )
    else:
        _print_table(result, text_encoder, elapsed_s)


def _print_table(result: Evaluation, text_encoder: str, elapsed_s: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("ranker", "HR@10", "NDCG@10", box=None, header_style="bold")
    for name, share in result.hr_at_10.items():
        table.add_row(name.replace("_", " "), f"{share:.4f}", f"{result.ndcg_at_10[name]:.4f}")
    console = Console()
    console.print(table)
    console.print(
        f"{result.scored:,} of {result.events:,} events scored (after the first tenth, repeats left out), "
        f"HR@10 +- {result.standard_error:.4f} standard error; {result.events / max(elapsed_s, 1e-9):,.0f} events/s; "
        f"text encoder: {text_encoder}",
        highlight=False,
    )
