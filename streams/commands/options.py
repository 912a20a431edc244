"""Options that several commands share, and how results are printed for people and for machines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from streams.replay.logs import EventLog
    from streams.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for machines.")
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; by default MARQUEE_CONFIG, else marquee.toml here if there is one.",
)

mapping_option = click.option(
    "--mapping",
    metavar="NAME|FILE.toml",
    help="What the log's columns mean: movielens, movielens-csv, movietweetings, kuairand, kuairand-impressions, "
    "marquee (our own names), or a file of yours; by default what the files' names say.",
)


def broker_options(command: Command) -> Command:
    """Adds ``--config``, ``--broker`` and ``--prefix``; read them with `settings_of`."""
    command = config_option(command)
    command = click.option("--prefix", help="Put before every topic name, with a dot.")(command)
    return click.option("--broker", metavar="HOST:PORT", help="Kafka's address; several with commas between.")(command)


def settings_of(*, config: Path | None, broker: str | None = None, prefix: str | None = None) -> Settings:
    """The settings of the environment and its file, with the command's own options over them.

    Raises:
      SettingsError: a name that is not known or a value that is not allowed.
    """
    from streams.settings import Settings

    settings = Settings.from_env(path=config)
    return dataclasses.replace(
        settings,
        broker=settings.broker if broker is None else broker,
        prefix=settings.prefix if prefix is None else prefix,
    )


def read_named_log(log: str, *, settings: Settings, mapping: str | None) -> EventLog:
    """The log of this name or path, by the mapping of this name or path, if one is named.

    Raises:
      ReplayError: there is no such log or mapping, or one does not fit the other.
    """
    from streams.replay.fetch import locate
    from streams.replay.logs import read_log
    from streams.replay.mappings import load_mapping

    path = locate(log, cache_dir=settings.logs_dir)
    return read_log(path, mapping=None if mapping is None else load_mapping(mapping))


def refuse_topics_of_others(settings: Settings) -> None:
    """For what writes events in the contract's shape: such records have no place on topics that others write.

    Raises:
      SettingsError: the configuration reads interactions or items from such topics.
    """
    from streams.errors import SettingsError
    from streams.mapping.shapes import InteractionShape, ItemShape

    theirs = [name for name in (settings.topics.interactions, settings.topics.items) if name]
    shapes = [settings.mapping.interactions, settings.mapping.items]
    if theirs or any(isinstance(shape, InteractionShape | ItemShape) for shape in shapes):
        raise SettingsError(
            f"expected to write records of the contract's own shape, got a configuration that reads "
            f"{', '.join(theirs) or 'its topics'} in another; use a --config without [topics] and [mapping], and a "
            "--prefix of its own"
        )


def print_json(result: object) -> None:
    """One JSON object on one line of the standard output; dataclasses become objects, paths text."""
    click.echo(json.dumps(result, default=_plain, ensure_ascii=False))


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"expected something that JSON can hold, got {type(value).__name__}")
