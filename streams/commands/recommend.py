"""`marquee recommend`: one slate, asked for over the topics, or rebuilt as it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.options import broker_options, json_option, settings_of

if TYPE_CHECKING:
    from streams.contract.events import Slate
    from streams.settings import Settings


@click.command(epilog="Example: marquee recommend 4711 --k 10 --as-of 2026-11-24T20:15:00Z --broker 127.0.0.1:9092")
@click.argument("user")
@click.option("--k", type=click.IntRange(min=1), default=20, show_default=True, help="Length of the slate.")
@click.option("--timeout", "timeout_s", type=float, default=10.0, show_default=True, help="Seconds to wait.")
@click.option(
    "--as-of",
    metavar="MOMENT",
    help="The slate of then, rebuilt from snapshot and ledger: a step (120), a time (2026-11-24T20:15:00Z, ms:...), or "
    "a record that was just learned (interactions.v1/0:4711).",
)
@click.option("--request-id", help="With --as-of: of the request that was answered then; it decides what was explored.")
@broker_options
@json_option
def recommend(
    user: str,
    k: int,
    timeout_s: float,
    as_of: str | None,
    request_id: str | None,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    as_json: bool,
) -> None:
    """Ask for USER's slate over the topics and print it; with --as-of, the one that was served at a past moment."""
    settings = settings_of(config=config, broker=broker, prefix=prefix)
    if as_of is not None:
        slate = _past_slate(settings, user, k=k, as_of=as_of, request_id=request_id, is_shown=not as_json)
    else:
        from streams.connect import connection_of
        from streams.roles.ask import ask, new_request

        slate = ask(connection_of(settings), new_request(user, k=k), prefix=settings.prefix, timeout_s=timeout_s)
    if as_json:
        from streams.contract import codec

        click.echo(codec.encode(slate).decode())
    else:
        _print(slate)


def _past_slate(
    settings: Settings, user: str, *, k: int, as_of: str, request_id: str | None, is_shown: bool
) -> Slate:  # fmt: skip
    from streams.commands.rebuilding import prepare, progress

    prepare(settings)
    from streams.contract.events import Request
    from streams.roles.moments import Moment
    from streams.roles.past import recommender_at
    from streams.roles.rebuild import rebuild

    moment = Moment.parse(as_of, prefix=settings.prefix, names=settings.topic_names)
    with progress("rebuilding", is_shown=is_shown) as heard:
        rebuilt = rebuild(settings, moment, compares=False, heard=heard)
        past = recommender_at(settings, rebuilt)
    if is_shown:
        click.echo(
            f"rebuilt from the snapshot of step {rebuilt.start} to step {rebuilt.step}"
            + ("" if rebuilt.is_whole else "; the catalogue's topic was compacted since: not exactly what it was then")
        )
    return past.slate(Request(request_id=request_id or "as-of", user_id=user, k=k), now_ms=moment.time_ms)


def _print(slate: Slate) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streams.printable import printable

    title = f"{printable(slate.user_id)}: model step {slate.model.step}, as of {slate.as_of.event_time_ms} ms"
    table = Table("rank", "item", "score", "source", "why", title=Text(title), box=None, header_style="bold")
    for item in slate.items:
        why = Text(printable("; ".join(item.reasons)))
        table.add_row(str(item.rank), Text(printable(item.item_id)), f"{item.score:.3f}", item.source, why)
    console = Console()
    console.print(table)
    if slate.error:
        console.print(Text(printable(slate.error)))
