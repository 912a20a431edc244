"""`marquee recommend`: one slate, asked for over the topics."""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.options import broker_options, json_option, settings_of


@click.command(epilog="Example: marquee recommend 4711 --k 10 --broker 127.0.0.1:9092")
@click.argument("user")
@click.option("--k", type=click.IntRange(min=1), default=20, show_default=True, help="Length of the slate.")
@click.option("--timeout", "timeout_s", type=float, default=10.0, show_default=True, help="Seconds to wait.")
@broker_options
@json_option
def recommend(
    user: str, k: int, timeout_s: float, config: Path | None, broker: str | None, prefix: str | None, as_json: bool
) -> None:
    """Ask for USER's slate over the topics and print it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streams.connect import connection_of
    from streams.contract import codec
    from streams.printable import printable
    from streams.roles.ask import ask, new_request

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    slate = ask(connection_of(settings), new_request(user, k=k), prefix=settings.prefix, timeout_s=timeout_s)
    if as_json:
        click.echo(codec.encode(slate).decode())
        return
    title = f"{printable(user)}: model step {slate.model.step}, as of {slate.as_of.event_time_ms} ms"
    table = Table("rank", "item", "score", "source", "why", title=Text(title), box=None, header_style="bold")
    for item in slate.items:
        why = Text(printable("; ".join(item.reasons)))
        table.add_row(str(item.rank), Text(printable(item.item_id)), f"{item.score:.3f}", item.source, why)
    console = Console()
    console.print(table)
    if slate.error:
        console.print(Text(printable(slate.error)))
