"""`marquee eval`: a log judged on the engine's own core, with no broker."""

from __future__ import annotations

import time
from pathlib import Path

import click

from streams.commands.judging import (
    first_option,
    model_of,
    model_option,
    order_option,
    part_of,
    progress,
    protocol_option,
    repeats_option,
    resamples_option,
)
from streams.commands.options import (
    config_option,
    json_option,
    mapping_option,
    print_json,
    read_named_log,
    settings_of,
)


@click.command(epilog="Example: marquee eval ml-100k --baselines knn,ease --plot ml-100k.png")
@click.argument("log")
@protocol_option
@click.option("--baselines", metavar="NAME,...", default="",
              help="Play beside the two that always do: popularity, knn, ease, als, bpr.")  # fmt: skip
@model_option
@order_option
@repeats_option
@first_option
@resamples_option
@click.option("--slates", is_flag=True, help="Also what diversity, caps and the like cost, and yours in [slates].")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Also draw the figures, as a PNG.")
@mapping_option
@config_option
@json_option
def eval(
    log: str,
    protocol: str,
    baselines: str,
    model: str | None,
    order: str,
    repeats: str,
    first: int | None,
    resamples: int,
    slates: bool,
    plot: Path | None,
    mapping: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Score each event of LOG against the whole catalogue, then learn it; figures beside strong simple baselines.

    LOG is a file or folder, or the name of a log that `marquee fetch` knows. docs/evaluation.md says what each protocol
    means and whom it flatters.
    """
    from streams.kernel_cache import use_kernel_cache, use_program_cache
    from streams.processors import use_one_xla_thread

    settings = settings_of(config=config)
    use_one_xla_thread()
    use_kernel_cache(settings.cache_dir)
    use_program_cache(settings.cache_dir)
    from streams.replay.evaluation import Asked, evaluate
    from streams.replay.mixes import STANDARD
    from streams.replay.report import to_dict
    from streams.roles.model_config import mix_of

    if plot is not None:
        from streams.replay.plot import check_plotting

        check_plotting(plot)
    seed = settings.trainer.seed
    events = part_of(read_named_log(log, settings=settings, mapping=mapping), order=order, first=first, seed=seed)
    asked = Asked(
        protocol=protocol,  # type: ignore[arg-type]
        baselines=[name.strip() for name in baselines.split(",") if name.strip()],
        repeats=repeats == "score", batch_size=settings.trainer.batch_size, resamples=resamples, seed=seed,
        mixes=(*STANDARD, ("as set", mix_of(settings))) if slates else (),
    )  # fmt: skip
    judged, encode = model_of(settings, flavour=model)
    started_s = time.monotonic()
    with progress(events.name, len(events), is_shown=not as_json) as heard:
        result = evaluate(events, judged, asked, encode=encode, heard=heard)
    events_per_s = len(events) / max(time.monotonic() - started_s, 1e-9)
    if plot is not None:
        from streams.replay.plot import draw

        draw(result, plot)
    if as_json:
        told = {"order": order, "model": judged.towers.flavour, "text_encoder": judged.towers.text_encoder}
        print_json(to_dict(result) | told | {"events_per_s": events_per_s})
    else:
        from rich.console import Console

        from streams.replay.tables import evaluation_table

        console = Console()
        console.print(evaluation_table(result))
        drawn = f"; drawn in {plot}" if plot is not None else ""
        read = f"text encoder: {judged.towers.text_encoder}"
        console.print(
            f"\n{events_per_s:,.0f} events/s, everything included; {read}{drawn}", style="dim", highlight=False
        )
