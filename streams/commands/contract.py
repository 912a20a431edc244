"""`marquee contract`: what is on the topics, in formats that registries and code generators read."""

from __future__ import annotations

import json
from pathlib import Path

import click

from streams.commands.options import config_option, settings_of


@click.command(epilog="Example: marquee contract --out schemas/ --prefix prod")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files: TOPIC.schema.json for each topic, asyncapi.json, openapi.json of the door, "
    "TOPIC.avsc and marquee.proto of what you write. Without it: standard output.",
)
@click.option(
    "--format",
    "only",
    type=click.Choice(["json-schema", "asyncapi", "openapi", "avro", "protobuf"]),
    help="One of them; by default all into a folder, and asyncapi to standard output.",
)
@click.option("--prefix", help="Before every topic name in the AsyncAPI document, with a dot.")
@config_option
def contract(out: Path | None, only: str | None, prefix: str | None, config: Path | None) -> None:
    """Write the contract: JSON Schema (2020-12) of every record, AsyncAPI 3.0 of all topics, OpenAPI 3.1 of the door.

    And Avro and Protobuf of the records that you write. All are made of what the engine itself checks records by.
    Needs no broker.
    """
    from importlib.metadata import version

    from streams.contract import asyncapi, languages, openapi, schemas

    settings = settings_of(config=config, prefix=prefix)
    of_topics, release = schemas.json_schemas(), version("marquee")
    files = {
        "json-schema": {f"{name}.schema.json": _text(schema) for name, schema in of_topics.items()},
        "asyncapi": {"asyncapi.json": _text(asyncapi.document(version=release, prefix=settings.prefix))},
        "openapi": {"openapi.json": _text(openapi.document(version=release))},
        "avro": {f"{name}.avsc": _text(schema) for name, schema in languages.avro_schemas().items()},
        "protobuf": {"marquee.proto": languages.proto_file()},
    }
    if out is None:
        several = {"json-schema": of_topics, "avro": languages.avro_schemas()}
        wanted = only or "asyncapi"
        click.echo(_text(several[wanted]) if wanted in several else "".join(files[wanted].values()), nl=False)
        return
    made = {name: text for kind, found in files.items() if only in (None, kind) for name, text in found.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"--out must be a folder that can be written, got {out}: {error.strerror}") from None
    click.echo(f"{len(made)} files in {out}")


def _text(whole: object) -> str:
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
