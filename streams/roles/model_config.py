"""From settings to what they configure: the model, and what slates are made of.

And the fingerprint of the software and settings that make a state.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from models.errors import ModelError
from models.recommend.diversity import Mix
from models.recommend.heads import HeadConfig
from models.recommend.shortlist import ShortlistConfig
from models.recommend.state import ModelConfig
from models.recommend.towers import TEXT_DIMS, TextEncoder, TowerConfig
from models.recommend.training import TrainingConfig
from streams.errors import SettingsError
from streams.settings import Settings

C = TypeVar("C")


def model_config_of(settings: Settings, *, text_encoder: TextEncoder = "hashed") -> ModelConfig:
    """The table ``[model]`` with those under it, and what the trainer's settings decide.

    Args:
      text_encoder: what the setting of that name came to, see `streams.text.choice`; its numbers are added to the
        table's ``content_dim``. Only who reads the catalogue's words needs to know.

    Raises:
      SettingsError: an unknown name, or a value that the model refuses.
    """
    table = dict(settings.model)
    for name in ("evaluate_sample", "seed"):
        if name in table:
            raise SettingsError(f"model.{name} is no setting of its own; set trainer.{name}")
    towers = _towers(table.pop("towers", {}), text_encoder)
    training = _built(TrainingConfig, table.pop("training", {}), "model.training")
    shortlist = _built(ShortlistConfig, table.pop("shortlist", {}), "model.shortlist")
    heads = _built(HeadConfig, table.pop("heads", {}), "model.heads")
    table |= {"evaluate_sample": settings.trainer.evaluate_sample, "seed": settings.trainer.seed}
    parts = {"towers": towers, "training": training, "shortlist": shortlist, "heads": heads}
    config = _built(ModelConfig, table | parts, "model")
    if config.history_most < settings.trainer.batch_size:
        raise SettingsError(
            f"model.history_most must be at least trainer.batch_size = {settings.trainer.batch_size}, "
            f"got {config.history_most}; raise it, or cut smaller batches"
        )
    return config


def mix_of(settings: Settings) -> Mix:
    """The table ``[slates]``."""
    return Mix(**{field.name: getattr(settings.slates, field.name) for field in dataclasses.fields(Mix)})


def _towers(values: object, text_encoder: TextEncoder) -> TowerConfig:
    if isinstance(values, Mapping) and "text_encoder" in values:
        raise SettingsError("model.towers.text_encoder is no setting of its own; set text_encoder at the top")
    hashed = _built(TowerConfig, values, "model.towers")
    whole = {"content_dim": hashed.content_dim + TEXT_DIMS[text_encoder], "text_encoder": text_encoder}
    return _built(TowerConfig, dataclasses.asdict(hashed) | whole, "model.towers")


def _built(cls: type[C], values: object, table: str) -> C:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{table} must be a table of settings, got {values!r}")
    types: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in types:
            known = sorted(types.keys() - {"evaluate_sample", "seed", "text_encoder"})
            raise SettingsError(f"{table}.{name} is no setting; known are {', '.join(known)}")
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


def fingerprint_of(config: ModelConfig, *, repeats: bool = False, mapping: str = "") -> str:
    """Versions and configuration in one word: states with different fingerprints may differ bit by bit.

    ``mapping``: what decides how records are read, as a word; empty where they have the contract's own shape.
    """
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("marquee", "jax", "jaxlib", "numpy", "numba")]
    digest = hashlib.blake2b(repr((config, repeats)).encode(), digest_size=8).hexdigest()
    return (
        f"{', '.join(versions)}; text {config.towers.text_encoder}; config {digest}{mapping and f'; mapping {mapping}'}"
    )
