"""`marquee topics`: what the broker has, beside what the contract wants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.transport.admin import TopicDifference
    from streams.transport.connection import Connection


@click.command(epilog="Example: marquee topics create --broker 127.0.0.1:9092 --partitions 12")
@click.argument("action", type=click.Choice(["check", "create"]), default="check")
@broker_options
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    help="For `create`: partitions of the topics keyed by user; as many processes can share the work.",
)
@click.option(
    "--replication", type=click.IntRange(min=1), help="For `create`: copies of each partition; the broker's default."
)
@json_option
def topics(
    action: str,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    partitions: int | None,
    replication: int | None,
    as_json: bool,
) -> int:
    """Check the topics, or `create` those that are missing; prints all of them.

    Topics that are there are never changed. Exits with 1 when a topic is missing or Marquee can't run with it as it is.
    """
    from streams.connect import connection_of
    from streams.transport import admin

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=click.echo, timeout_s=0.0)
    created: list[str] = []
    specs = settings.topics.specs()
    if action == "create":
        created = admin.create_topics(
            connection,
            specs,
            prefix=settings.prefix,
            user_partitions=partitions or _partitions_of_theirs(settings, connection),
            replication=-1 if replication is None else replication,
        )
    names = [spec.named(settings.prefix) for spec in specs]
    found = admin.find_topics(connection, names)
    differences = admin.compare(specs, found, prefix=settings.prefix)
    rows: list[dict[str, Any]] = [
        {
            "topic": name,
            "key": spec.key,
            "carries": spec.event_type.__name__ if spec.event_type else "bytes",
            "partitions": found[name].partitions if name in found else None,
            "cleanup": found[name].config.get("cleanup.policy") if name in found else None,
            "retention_ms": found[name].config.get("retention.ms") if name in found else None,
        }
        for name, spec in zip(names, specs, strict=True)
    ]
    if as_json:
        print_json({"broker": settings.broker, "created": created, "topics": rows, "differences": differences})
    else:
        _print_table(rows, created, differences)
    return int(any(one.is_fatal for one in differences))


def _partitions_of_theirs(settings: Settings, connection: Connection) -> int | None:
    """As many as a topic of interactions that is read in place has: a user's topics meet in one process."""
    from streams.transport import admin

    name = settings.topics.interactions
    if not name:
        return None
    found = admin.find_topics(connection, [name])
    return found[name].partitions if name in found else None


def _print_table(rows: list[dict[str, Any]], created: list[str], differences: list[TopicDifference]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("topic", no_wrap=True)
    for title in ("key", "partitions", "clean-up", "retention", ""):
        table.add_column(title)
    for row in rows:
        mine = [one for one in differences if one.topic == row["topic"]]
        if row["partitions"] is None:
            table.add_row(row["topic"], row["key"] or "-", "-", "-", "-", "missing")
            continue
        state = "created" if row["topic"] in created else "ok"
        if mine:
            state = "wrong" if any(one.is_fatal for one in mine) else "differs"
        keeps = "-" if row["cleanup"] == "compact" else _duration(row["retention_ms"])
        table.add_row(row["topic"], row["key"] or "-", str(row["partitions"]), row["cleanup"], keeps, state)
    console = Console()
    console.print(table)
    for one in differences:
        if one.what != "existence":
            console.print(str(one), markup=False, highlight=False, soft_wrap=True)
    if missing := sum(one.what == "existence" for one in differences):
        console.print(f"{missing} topics are missing; make them with `marquee topics create`", highlight=False)


def _duration(retention_ms: str | None) -> str:
    """A retention in words that people read."""
    if retention_ms is None:
        return "unknown"
    hours = int(retention_ms) / 3_600_000
    return "for ever" if hours < 0 else f"{hours:,.0f} h" if hours < 48 else f"{hours / 24:,.0f} d"
