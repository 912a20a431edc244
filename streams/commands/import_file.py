"""`marquee import`: a file of any shape into the topics."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, refuse_topics_of_others, settings_of
from streams.printable import printable

if TYPE_CHECKING:
    from streams.replay.importing import BadRow, Report

FORMATS = ("marquee", "cloudevents", "recbole", "gorse", "metarank", "snowplow")
KINDS = ("interactions", "items", "users", "requests")


@click.command("import", epilog="Example: marquee import plays.parquet --mapping plays.toml --broker 127.0.0.1:9092")
@click.argument("file", type=click.Path(path_type=Path))
@broker_options
@click.option(
    "--mapping",
    metavar="NAME|FILE.toml",
    help="What the fields mean: a packaged mapping (kuairand, kuairand-impressions, movietweetings, ...), or a file "
    "with [mapping.interactions] or [mapping.items], such as `marquee map` proposes.",
)
@click.option("--format", "name", type=click.Choice(FORMATS), help="The format, where the file does not show it.")
@click.option("--as", "kind", type=click.Choice(KINDS), help="What its rows are, where several are possible.")
@click.option("--bad", type=click.Path(path_type=Path), help="Write every refused row there, as JSON lines.")
@click.option("--dry-run", is_flag=True, help="Judge all rows and send none; needs no broker.")
@json_option
def import_file(
    file: Path,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    mapping: str | None,
    name: str | None,
    kind: str | None,
    bad: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Import FILE into interactions.v1, items.v1 or users.v1, row by row in its order; memory does not grow with it.

    FILE is .parquet, .csv, .tsv, .jsonl, .ndjson or .json, the text files also with .gz. Known without a mapping are
    our own names, RecBole's .inter and .item, Gorse's feedback and items, Metarank's events, Snowplow's enriched events
    and CloudEvents with our records. Records carry the events' own times; event ids that the file does not have are
    derived from its name and the row, so what is imported twice is learned once.

    Exits with 1 when a row was refused; all others are sent.
    """
    from streams.connect import connection_of
    from streams.errors import ReplayError
    from streams.replay.formats import columns_wanted, format_of
    from streams.replay.importing import import_rows
    from streams.replay.player import KafkaSender
    from streams.replay.row_ids import RowIds
    from streams.replay.rows import columns_of, count_rows, read_rows, reading_of

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    reading = reading_of(file)
    found = format_of(file, reading, mapping=mapping, name=name, kind=kind)
    reading = found.reading(file, reading)
    there = columns_of(file, reading)
    wanted = None if there is None or found.turns else columns_wanted(found.shape, there, where=file.name)
    sender = None
    if not dry_run:
        refuse_topics_of_others(settings)
        sender = KafkaSender(connection_of(settings))
        needed = [settings.topic_names[f"{one}.v1"] for one in ([found.kind] if found.kind else KINDS)]
        if missing := sender.missing(needed):
            raise ReplayError(f"expected the topics {', '.join(missing)}, got none; run `marquee topics create` first")
    ids = RowIds(file.name.split(".")[0])
    with _bad_rows(bad) as on_bad, _progress(count_rows(file, reading), is_shown=not as_json) as on_progress:
        report = import_rows(
            read_rows(file, reading, wanted=wanted), found.turn(ids), ids, sender, names=settings.topic_names,
            shape=found.shape, on_bad=on_bad, on_progress=on_progress,
        )  # fmt: skip
    if as_json:
        print_json(_plain(report, found.name))
    else:
        _print(report, found.name, where="nowhere, as asked" if dry_run else settings.broker)
    return int(report.bad > 0)


@contextmanager
def _bad_rows(path: Path | None) -> Iterator[Callable[[BadRow], None]]:
    """What to do with each refused row."""
    if path is None:
        yield lambda _: None
        return
    try:
        with path.open("w", encoding="utf-8") as file:

            def write(bad: BadRow) -> None:
                row = {"row": bad.row, "reason": bad.reason, "value": bad.value.decode("utf-8", "backslashreplace")}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

            yield write
    except OSError as error:
        raise click.ClickException(f"expected to write refused rows to {path}, got: {error.strerror}") from None


@contextmanager
def _progress(total: int | None, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal that is told how many rows have been read."""
    if not (is_shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("importing", total=total)
        yield lambda rows: bar.update(task, completed=rows)


def _plain(report: Report, name: str) -> dict[str, Any]:
    return {
        "format": name, "rows": report.rows, "sent": dict(report.sent), "skipped": report.skipped, "bad": report.bad,
        "by_reason": [{"reason": reason, "count": count} for reason, count in report.by_reason.most_common()],
        "first_bad": [
            {"row": one.row, "reason": one.reason, "value": one.value[:200].decode("utf-8", "backslashreplace")}
            for one in report.first_bad
        ],
        "elapsed_s": report.elapsed_s,
    }  # fmt: skip


def _print(report: Report, name: str, *, where: str) -> None:
    sent = ", ".join(f"{count:,} to {topic}" for topic, count in report.sent.items()) or "none"
    per_second = report.rows / max(report.elapsed_s, 1e-9)
    click.echo(
        f"{report.rows:,} rows as {name} in {report.elapsed_s:.1f} s ({per_second:,.0f}/s): {sent} at {where}, "
        f"{report.skipped:,} left out, {report.bad:,} refused"
    )
    for one in report.first_bad:
        value = printable(one.value[:120].decode("utf-8", "replace"))
        click.echo(f"  row {one.row}: {printable(one.reason, most=300)}: {value}")
    for reason, count in report.by_reason.most_common() if report.bad > len(report.first_bad) else ():
        click.echo(f"  {count:,} x {printable(reason, most=300)}")
