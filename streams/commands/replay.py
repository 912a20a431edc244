"""`marquee replay`: any event log into the topics."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.options import (
    broker_options,
    json_option,
    mapping_option,
    print_json,
    read_named_log,
    refuse_topics_of_others,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(epilog="Example: marquee replay movietweetings --broker 127.0.0.1:9092 --rate 1000x")
@click.argument("log")
@broker_options
@click.option(
    "--rate",
    default="max",
    show_default=True,
    metavar="max|10x|500/s",
    help="As fast as possible, so many times the speed of life, or so many events a second.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many events.")
@mapping_option
@json_option
def replay(
    log: str,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    rate: str,
    limit: int | None,
    mapping: str | None,
    as_json: bool,
) -> None:
    """Play LOG into items.v1 and interactions.v1, its items first.

    LOG is ml-100k, ml-1m or movietweetings (see `marquee fetch`), or a path: a .csv, .csv.gz, .tsv, .jsonl or .parquet
    file with user_id, item_id and timestamp (or a --mapping that says what its columns mean), a RecBole .inter file, or
    a folder of a known log. Records carry the events' own times.
    Ids are derived from the log, so what is played twice is learned once.
    """
    from streams.connect import connection_of
    from streams.replay.pace import Pace
    from streams.replay.player import play

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    refuse_topics_of_others(settings)
    pace = Pace.parse(rate)
    events = read_named_log(log, settings=settings, mapping=mapping)
    if limit is not None:
        events = events.head(limit)
    with _progress(len(events), is_shown=not as_json and sys.stderr.isatty()) as on_progress:
        played = play(events, connection_of(settings), prefix=settings.prefix, pace=pace, on_progress=on_progress)
    if as_json:
        print_json(played)
    else:
        per_second = played.interactions / max(played.elapsed_s, 1e-9)
        click.echo(
            f"delivered {played.interactions:,} interactions and {played.items:,} items to {settings.broker} "
            f"in {played.elapsed_s:.1f} s ({per_second:,.0f}/s)"
        )


def _progress(total: int, *, is_shown: bool) -> AbstractContextManager[Callable[[int], None]]:
    """A bar on the terminal that is told how many events have been sent."""

    @contextmanager
    def shown() -> Iterator[Callable[[int], None]]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("replaying", total=total)
            yield lambda sent: bar.update(task, completed=sent)

    @contextmanager
    def hidden() -> Iterator[Callable[[int], None]]:
        yield lambda _: None

    return shown() if is_shown else hidden()
