"""`marquee compare`: two configurations on one log, and whether what lies between them is more than chance."""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.judging import (
    first_option,
    model_of,
    order_option,
    part_of,
    progress,
    protocol_option,
    repeats_option,
    resamples_option,
)
from streams.commands.options import json_option, mapping_option, print_json, read_named_log, settings_of


@click.command(epilog="Example: marquee compare a.toml b.toml ml-100k")
@click.argument("first_config", metavar="A.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("second_config", metavar="B.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("log")
@protocol_option
@order_option
@repeats_option
@first_option
@resamples_option
@mapping_option
@json_option
def compare(
    first_config: Path,
    second_config: Path,
    log: str,
    protocol: str,
    order: str,
    repeats: str,
    first: int | None,
    resamples: int,
    mapping: str | None,
    as_json: bool,
) -> None:
    """Judge the configurations A.toml and B.toml on the same events of LOG: the paired difference, by users.

    Each file is a marquee.toml; its text_encoder and its [trainer] and [model] tables decide. LOG and the other options
    are those of `marquee eval`; the order of ties is drawn by A's seed.
    """
    from streams.kernel_cache import use_kernel_cache, use_program_cache
    from streams.processors import use_one_xla_thread

    settings = [settings_of(config=path) for path in (first_config, second_config)]
    use_one_xla_thread()
    use_kernel_cache(settings[0].cache_dir)
    use_program_cache(settings[0].cache_dir)
    from streams.replay.comparison import compared
    from streams.replay.evaluation import Asked, evaluate

    seed = settings[0].trainer.seed
    events = part_of(read_named_log(log, settings=settings[0], mapping=mapping), order=order, first=first, seed=seed)
    models = [model_of(each) for each in settings]
    names = [str(path) for path in (first_config, second_config)]
    made = []
    for name, each, (config, encode) in zip(names, settings, models, strict=True):
        asked = Asked(
            protocol=protocol, repeats=repeats == "score",  # type: ignore[arg-type]
            batch_size=each.trainer.batch_size, resamples=resamples, seed=seed,
        )  # fmt: skip
        with progress(f"{events.name}, {name}", len(events), is_shown=not as_json) as heard:
            made.append((name, evaluate(events, config, asked, encode=encode, heard=heard)))
    text_encoders = [config.towers.text_encoder for config, _ in models]
    comparison = compared(events, asked, *made)
    if as_json:
        print_json(comparison.to_dict() | {"order": order, "text_encoders": text_encoders})
    else:
        from rich.console import Console

        from streams.replay.tables import comparison_table

        console = Console()
        console.print(comparison_table(comparison))
        console.print(f"\ntext encoders: {', '.join(text_encoders)}", style="dim", highlight=False)
