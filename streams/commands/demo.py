"""`marquee demo`: the engine on a broker of its own, learning a film log before your eyes."""

from __future__ import annotations

import click

from streams.commands.options import json_option, print_json

INTERRUPTED = 130


@click.command(epilog="Example: marquee demo --events 10000 --rate 300")
@click.option(
    "--events", type=click.IntRange(min=1_000), default=25_000, show_default=True, help="Interactions to stream."
)
@click.option(
    "--rate", type=click.FloatRange(min=1, max=100_000), default=350, show_default=True, help="Interactions a second."
)
@click.option("--user", help="Show this user's slates; otherwise those of whoever acted last.")
@click.option(
    "--keep/--no-keep", default=False, envvar="DEMO_KEEP", help="Serve on after the end, until Ctrl-C (DEMO_KEEP=1)."
)
@json_option
def demo(events: int, rate: float, user: str | None, keep: bool, as_json: bool) -> int:
    """Watch the engine learn a film log, live, on an embedded broker; needs no Kafka and leaves nothing behind.

    The log is MovieTweetings, which is part of Marquee. Exits with 0 only if everything produced was learned.
    """
    from rich.console import Console

    from streams.demo.run import run
    from streams.demo.show import Wish
    from streams.demo.summary import summary, to_json

    console = Console(stderr=as_json)
    wish = Wish(per_second=rate, follow=user, keeps=keep, has_screen=console.is_terminal)
    outcome = run(wish, events=events, console=console)
    if as_json:
        print_json(to_json(outcome))
    if not outcome.is_complete:
        console.print(summary(outcome), highlight=False, soft_wrap=True)
    if outcome.is_interrupted:
        return INTERRUPTED
    return 0 if outcome.is_complete else 1
