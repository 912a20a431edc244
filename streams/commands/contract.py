"""`marquee contract`: what is on the topics, in formats that registries and code generators read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from streams.commands.options import config_option, settings_of


@click.command(epilog="Example: marquee contract --out schemas/ --prefix prod")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files: TOPIC.schema.json for each topic, asyncapi.json, and openapi.json of the door. "
    "Without it: standard output.",
)
@click.option(
    "--format",
    "only",
    type=click.Choice(["json-schema", "asyncapi", "openapi"]),
    help="One of them; by default all into a folder, and asyncapi to standard output.",
)
@click.option("--prefix", help="Before every topic name in the AsyncAPI document, with a dot.")
@config_option
def contract(out: Path | None, only: str | None, prefix: str | None, config: Path | None) -> None:
    """Write the contract: JSON Schema (2020-12) of every record, AsyncAPI 3.0 of all topics, OpenAPI 3.1 of the door.

    All are made of what the engine itself checks records by. Needs no broker.
    """
    from importlib.metadata import version

    from streams.contract import asyncapi, openapi, schemas

    settings = settings_of(config=config, prefix=prefix)
    of_topics, release = schemas.json_schemas(), version("marquee")
    whole = {
        "asyncapi": asyncapi.document(version=release, prefix=settings.prefix),
        "openapi": openapi.document(version=release),
    }
    if out is None:
        click.echo(_text(of_topics if only == "json-schema" else whole[only or "asyncapi"]), nl=False)
        return
    made: dict[str, Any] = {}
    if only in (None, "json-schema"):
        made |= {f"{name}.schema.json": schema for name, schema in of_topics.items()}
    made |= {f"{name}.json": found for name, found in whole.items() if only in (None, name)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, schema in made.items():
            (out / name).write_text(_text(schema), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"--out must be a folder that can be written, got {out}: {error.strerror}") from None
    click.echo(f"{len(made)} files in {out}")


def _text(whole: object) -> str:
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
