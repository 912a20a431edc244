"""From settings to the model's configuration, and the fingerprint of the software and settings that make a state."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from models.errors import ModelError
from models.recommend.state import ModelConfig
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from streams.errors import SettingsError
from streams.settings import Settings

C = TypeVar("C")


def model_config_of(settings: Settings) -> ModelConfig:
    """The table ``[model]`` with ``[model.towers]`` and ``[model.training]``, and what the trainer's settings decide.

    Raises:
      SettingsError: an unknown name, or a value that the model refuses.
    """
    table = dict(settings.model)
    for name in ("evaluate_sample", "seed"):
        if name in table:
            raise SettingsError(f"model.{name} is no setting of its own; set trainer.{name}")
    towers = _built(TowerConfig, table.pop("towers", {}), "model.towers")
    training = _built(TrainingConfig, table.pop("training", {}), "model.training")
    table |= {"evaluate_sample": settings.trainer.evaluate_sample, "seed": settings.trainer.seed}
    config = _built(ModelConfig, table | {"towers": towers, "training": training}, "model")
    if config.history_most < settings.trainer.batch_size:
        raise SettingsError(
            f"model.history_most must be at least trainer.batch_size = {settings.trainer.batch_size}, "
            f"got {config.history_most}; raise it, or cut smaller batches"
        )
    return config


def _built(cls: type[C], values: object, table: str) -> C:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{table} must be a table of settings, got {values!r}")
    types: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in types:
            raise SettingsError(f"{table}.{name} is no setting; known are {', '.join(sorted(types))}")
        wanted: tuple[type, ...] = {"int": (int,), "float": (int, float)}.get(
            str(getattr(types[name], "__name__", types[name])), (object,)
        )
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise SettingsError(f"{table}.{name} must be {' or '.join(t.__name__ for t in wanted)}, got {value!r}")
        if get_origin(types[name]) is Literal and value not in get_args(types[name]):
            words = ", ".join(get_args(types[name]))
            raise SettingsError(f"{table}.{name} must be one of {words}, got {value!r}")
    try:
        return cls(**{name: float(value) if types[name] is float else value for name, value in values.items()})
    except (ModelError, TypeError) as error:
        raise SettingsError(f"{table}: {error}") from error


def fingerprint_of(config: ModelConfig) -> str:
    """Versions and configuration in one word: states with different fingerprints may differ bit by bit."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("marquee", "jax", "jaxlib", "numpy", "numba")]
    digest = hashlib.blake2b(repr(config).encode(), digest_size=8).hexdigest()
    return f"{', '.join(versions)}; config {digest}"
