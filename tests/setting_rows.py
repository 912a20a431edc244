"""Every setting as rows of a table, in the words of ``docs/operations.md``: what that page must say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from models.recommend.heads import HeadConfig
from models.recommend.shortlist import ShortlistConfig
from models.recommend.state import ModelConfig
from models.recommend.towers import TowerConfig
from models.recommend.training import TrainingConfig
from streams.setting_kinds import KIND, Checked, Secret
from streams.settings import TABLES_OF_OTHERS, Settings, variable_of

MODEL_TABLES: dict[str, type[Any]] = {
    "model": ModelConfig,
    "model.towers": TowerConfig,
    "model.training": TrainingConfig,
    "model.shortlist": ShortlistConfig,
    "model.heads": HeadConfig,
}
SET_ELSEWHERE = {
    "model": {"towers", "training", "shortlist", "heads", "evaluate_sample", "seed"},
    "model.towers": {"text_encoder"},
}
"""Fields of a model's config that are tables of their own, or that other settings decide."""


def setting_rows() -> dict[str, list[list[str]]]:
    """By table ("" for the top): name, variable, default, what is allowed; in the order of the code."""
    tables: dict[str, list[list[str]]] = {"": []}
    for field in dataclasses.fields(Settings):
        if isinstance(field.default, Checked):
            tables[field.name] = [_row(inner, field.name) for inner in dataclasses.fields(type(field.default))]
        elif field.name not in TABLES_OF_OTHERS:
            tables[""].append(_row(field, ""))
    return tables


def model_rows() -> dict[str, list[list[str]]]:
    """By table of the model: name, default, type."""
    return {
        table: [
            [f"`{field.name}`", _default(field.default), _type(get_type_hints(config)[field.name])]
            for field in dataclasses.fields(config)
            if field.name not in SET_ELSEWHERE.get(table, ())
        ]
        for table, config in MODEL_TABLES.items()
    }


def _row(field: dataclasses.Field[Any], table: str) -> list[str]:
    expected = field.metadata[KIND].expected
    return [f"`{field.name}`", f"`{variable_of(table, field.name)}`", _default(field.default), expected]


def _default(value: Any) -> str:
    match value:
        case None:
            return "unset"
        case bool():
            return f"`{str(value).lower()}`"
        case Path():
            return f'`"{value}"`'.replace(str(Path.home()), "~")
        case Secret():
            return '`""`'
        case str():
            return f'`"{value}"`'
        case tuple():
            return "`[" + ", ".join(f'"{word}"' for word in value) + "]`"
        case _:
            return f"`{value}`"


def _type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    return {int: "whole number", float: "number"}[kind]
