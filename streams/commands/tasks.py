"""`marquee tasks`: what content would pay off next, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of

if TYPE_CHECKING:
    from streams.cores.lift_list import Standing
    from streams.cores.task_list import Listed
    from streams.settings import Settings

METRICS_MOST = 500_000
"""Newest records of metrics in which windows are looked for."""


@click.group(invoke_without_command=True, epilog="Example: marquee tasks ls --kind dub --broker 127.0.0.1:9092")
@click.pass_context
def tasks(context: click.Context) -> None:
    """What content would pay off next, and why: the planner's tasks, and what became of them."""
    if context.invoked_subcommand is None:
        context.invoke(ls)


@tasks.command(epilog="Example: marquee tasks ls --kind dub --limit 10 --broker 127.0.0.1:9092")
@click.option("--kind", type=click.Choice(["blurb", "image", "cut", "dub", "subtitles"]), help="Only this kind.")
@click.option("--all", "all_of", is_flag=True, help="Also those that are done, withdrawn or too old.")
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="How many at most.")
@broker_options
@json_option
def ls(
    kind: str | None = None, all_of: bool = False, limit: int = 30, config: Path | None = None,
    broker: str | None = None, prefix: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """List the tasks that stand, those with most to gain first."""
    found = _read(settings_of(config=config, broker=broker, prefix=prefix))
    wanted = [one for one in found if (all_of or one.state == "open") and kind in (None, one.task.kind)]
    if as_json:
        print_json({"tasks": [_plain(one) for one in wanted[:limit]], "count": len(wanted)})
        return
    from rich.console import Console
    from rich.table import Table

    from streams.cores.task_list import audience_words
    from streams.printable import printable

    table = Table(box=None, header_style="bold")
    table.add_column("task", no_wrap=True)
    for title in ("kind", "item", "for", "gain", "90 %", ""):
        table.add_column(title, justify="right" if title in ("gain", "90 %") else "left")
    for one in wanted[:limit]:
        gain = one.task.expected_gain
        table.add_row(
            one.task.task_id[:12], one.task.kind, printable(one.task.item_id), printable(audience_words(one.task)),
            f"{gain.value:.1f} {printable(gain.metric)}", f"{gain.interval[0]:.1f} to {gain.interval[1]:.1f}",
            one.state,
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"{len(wanted)} tasks, {min(limit, len(wanted))} shown", highlight=False)


@tasks.command(epilog="Example: marquee tasks show 3f2a9c --broker 127.0.0.1:9092")
@click.argument("task_id")
@broker_options
@json_option
def show(task_id: str, config: Path | None, broker: str | None, prefix: str | None, as_json: bool) -> None:
    """Everything that a task says; the first characters of its id are enough."""
    one = _find(settings_of(config=config, broker=broker, prefix=prefix), task_id)
    if as_json:
        print_json(_plain(one))
        return
    from streams.printable import printable

    for name, value in _plain(one).items():
        if isinstance(value, list):
            click.echo(f"{name}:")
            for part in value:
                click.echo("  " + printable(", ".join(f"{key} {what}" for key, what in part.items())))
        elif value not in (None, {}, ""):
            click.echo(f"{name}: {printable(str(value))}")


@tasks.command(epilog="Example: marquee tasks why 3f2a9c --broker 127.0.0.1:9092")
@click.argument("task_id")
@broker_options
@json_option
def why(task_id: str, config: Path | None, broker: str | None, prefix: str | None, as_json: bool) -> None:
    """The evidence of a task, in words."""
    from streams.cores.task_list import audience_words
    from streams.cores.task_list import why as reasons
    from streams.printable import printable

    one = _find(settings_of(config=config, broker=broker, prefix=prefix), task_id)
    words = reasons(one.task)
    if as_json:
        print_json({"task_id": one.task.task_id, "state": one.state, "why": words})
        return
    click.echo(printable(f"{one.task.kind} for {one.task.item_id}, for {audience_words(one.task)}: {one.state}"))
    for sentence in words:
        click.echo(printable(sentence))


@tasks.command(epilog="Example: marquee tasks lift film-42 --broker 127.0.0.1:9092")
@click.argument("item_id")
@broker_options
@json_option
def lift(item_id: str, config: Path | None, broker: str | None, prefix: str | None, as_json: bool) -> None:
    """What each asset of an item earns beside the item's own."""
    found = _lifts(settings_of(config=config, broker=broker, prefix=prefix), item_id)
    if as_json:
        import msgspec

        told = [msgspec.to_builtins(one.arm) | {"windows": msgspec.to_builtins(one.windows)} for one in found]
        print_json({"item_id": item_id, "arms": told})
        return
    from rich.console import Console
    from rich.table import Table

    from streams.cores.lift_list import lift_words
    from streams.printable import printable

    table = Table(box=None, header_style="bold")
    table.add_column("asset", no_wrap=True)
    for title in ("kind", "for", "chances", "taken", "rate", "lift (90 %)", "windows"):
        is_text = title in ("kind", "for")
        table.add_column(title, justify="left" if is_text else "right", no_wrap=not is_text)
    for arm, windows in found:
        whom = ", ".join([*([arm.language] if arm.language else []), *arm.devices]) or "everybody"
        table.add_row(
            printable(arm.asset_id), arm.kind, printable(whom), f"{arm.shown:.0f}", f"{arm.taken:.0f}",
            f"{arm.taken / arm.shown:.3f}" if arm.shown else "",
            "its own" if arm.control else lift_words(windows[-1]) if windows else "not told yet", str(len(windows)),
        )  # fmt: skip
    Console().print(table)


def _lifts(settings: Settings, item_id: str) -> list[Standing]:
    """The arms of an item with their windows, among the newest records of metrics."""
    from streams.connect import connection_of
    from streams.contract import topics
    from streams.contract.arms import ItemArms
    from streams.contract.codec import decode
    from streams.contract.events import Metric
    from streams.cores.arm_book import SERIES
    from streams.cores.lift_list import listed
    from streams.transport import admin
    from streams.transport.whole import edges_of, read_whole

    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=click.echo, timeout_s=0.0)
    arms: ItemArms | None = None
    for message in read_whole(connection, topics.topic_name(settings.prefix, topics.ITEM_ARMS.name)):
        key, value = message.key(), message.value()
        if key == item_id.encode():
            event = None if value is None else decode(ItemArms, value, timestamp_ms=-1)
            arms = event if isinstance(event, ItemArms) else None
    if arms is None or not arms.arms:
        raise click.ClickException(
            f"expected an item that has an asset of the studio's, got {item_id!r}; "
            "`marquee tasks ls --all` lists what was made"
        )
    name = topics.topic_name(settings.prefix, topics.METRICS.name)
    first = {at[1]: max(begin, end - METRICS_MOST) for at, (begin, end) in edges_of(connection, [name]).items()}
    metrics: list[Metric] = []
    for message in read_whole(connection, name, first=first):
        key, value = message.key(), message.value()
        if value is not None and key is not None and bytes(key).startswith(SERIES.encode()):
            metric = decode(Metric, value, timestamp_ms=-1)
            if isinstance(metric, Metric):
                metrics.append(metric)
    return listed(arms, metrics)


def _read(settings: Settings) -> list[Listed]:
    """Every task of these topics; records that break the contract are left out."""
    from streams.connect import connection_of
    from streams.contract import topics
    from streams.contract.codec import decode
    from streams.contract.events import ContentAsset, ContentTask
    from streams.cores.task_list import listed
    from streams.transport import admin
    from streams.transport.whole import read_whole

    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=click.echo, timeout_s=0.0)
    found: list[tuple[ContentTask, int]] = []
    for message in read_whole(connection, topics.topic_name(settings.prefix, topics.CONTENT_TASKS.name)):
        value = message.value()
        event = None if value is None else decode(ContentTask, value, timestamp_ms=-1)
        if isinstance(event, ContentTask):
            found.append((event, message.timestamp()[1]))
    assets: list[ContentAsset] = []
    for message in read_whole(connection, topics.topic_name(settings.prefix, topics.CONTENT_ASSETS.name)):
        value = message.value()
        asset = None if value is None else decode(ContentAsset, value, timestamp_ms=-1)
        if isinstance(asset, ContentAsset):
            assets.append(asset)
    return listed(found, assets)


def _find(settings: Settings, task_id: str) -> Listed:
    found = [one for one in _read(settings) if one.task.task_id.startswith(task_id)]
    if len(found) != 1:
        raise click.ClickException(
            f"expected one task whose id begins with {task_id!r}, got {len(found)}; `marquee tasks ls --all` lists them"
        )
    return found[0]


def _plain(one: Listed) -> dict[str, Any]:
    """A task as JSON values."""
    import msgspec

    plain: dict[str, Any] = {"state": one.state, **msgspec.to_builtins(one.task)}
    if one.asset is not None:
        plain["asset"] = msgspec.to_builtins(one.asset)
    return plain
