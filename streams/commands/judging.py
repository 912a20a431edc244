"""What `marquee eval` and `marquee compare` share: the options of a judgement, and its progress on the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from models.recommend.metrics import Figures
    from models.recommend.state import ModelConfig
    from streams.cores.contents import Encode
    from streams.replay.evaluation import Heard
    from streams.replay.logs import EventLog
    from streams.settings import Settings

protocol_option = click.option(
    "--protocol", type=click.Choice(["prequential", "leave-one-out", "temporal"]), default="prequential",
    show_default=True, help="Judge each event, then learn it; or each user's last one; or the last tenth in time.",
)  # fmt: skip
order_option = click.option(
    "--order", type=click.Choice(["file", "shuffled-ties"]), default="file", show_default=True,
    help="How events with the same timestamp are ordered.",
)  # fmt: skip
repeats_option = click.option(
    "--repeats", type=click.Choice(["skip", "score"]), default="skip", show_default=True,
    help="Whether items that the user has had are ranked too, and events on them scored.",
)  # fmt: skip
first_option = click.option("--first", type=click.IntRange(min=1), help="Only the first N events.")
model_option = click.option(
    "--model", type=click.Choice(["collaborative", "content", "hybrid", "counts"]),
    help="Flavour of the model; by default the configuration's.",
)  # fmt: skip
resamples_option = click.option(
    "--resamples", type=click.IntRange(min=2), default=1_000, show_default=True,
    help="Resamples of the users that the intervals are taken from.",
)  # fmt: skip


def model_of(settings: Settings, *, flavour: str | None = None) -> tuple[ModelConfig, Encode | None]:
    """The configuration that a trainer without a snapshot would learn with, and what reads the catalogue's words.

    Args:
      flavour: of the towers, instead of the settings'.

    Raises:
      SettingsError: a value that the model refuses, or an encoder that is not on this machine.
    """
    from streams.roles.model_config import model_config_of
    from streams.text.choice import chosen_encoder
    from streams.text.installed import encoder_of, is_installed

    text_encoder = chosen_encoder(settings.text_encoder, saved=None, is_there=is_installed(settings))
    config = with_flavour(model_config_of(settings, text_encoder=text_encoder), flavour)
    return config, encoder_of(settings, config)


def with_flavour(config: ModelConfig, flavour: str | None) -> ModelConfig:
    """The same configuration with the towers of this flavour."""
    if flavour is None:
        return config
    return dataclasses.replace(config, towers=dataclasses.replace(config.towers, flavour=flavour))  # type: ignore[arg-type]


def part_of(log: EventLog, *, order: str, first: int | None, seed: int) -> EventLog:
    """The log in the order and length that was asked for."""
    if order == "shuffled-ties":
        log = log.with_ties_shuffled(seed=seed)
    return log if first is None else log.head(first)


@contextmanager
def progress(title: str, events: int, *, is_shown: bool) -> Iterator[Heard]:
    """Bars on standard error: one for the model with its figure so far, one for each baseline that plays by itself."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), disable=not is_shown) as bars:
        tasks: dict[str, TaskID] = {}

        def heard(who: str, done: int, figures: Figures | None) -> None:
            if who not in tasks:
                tasks[who] = bars.add_task(who, total=events)
            so_far = "" if figures is None or not figures.events else f"  HR@10 {figures.hr_at_10[0]:.4f}"
            bars.update(tasks[who], completed=done, description=f"{title if who == 'model' else who}{so_far}")

        yield heard
        for task in tasks.values():
            bars.update(task, completed=events)
