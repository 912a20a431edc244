"""`marquee run`: the engine, one supervised process a role."""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.options import broker_options, settings_of

ROLES = ("trainer", "recommender", "planner")
"""What runs where nothing is said; the planner where it is enabled."""
ON_WISH = ("studio", "console", "door")
"""Roles that run where they are asked for."""


@click.command(epilog="Example: marquee run --broker 127.0.0.1:9092 --role trainer")
@broker_options
@click.option(
    "--role",
    type=click.Choice(ROLES + ON_WISH),
    multiple=True,
    help="Only this role; may be repeated. Studio, console and door run only where they are named.",
)
def run(config: Path | None, broker: str | None, prefix: str | None, role: tuple[str, ...]) -> int:
    """Run the engine: a process for each role, started again when one ends, until Ctrl-C.

    The planner is one of them where the settings say `[planner] enabled`, or with `--role planner`.
    """
    from streams.roles import app

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    usual = (*app.ROLES, "planner") if settings.planner.enabled else app.ROLES
    return app.run(role or usual, settings, config=config, say=lambda line: click.echo(line, err=True))
