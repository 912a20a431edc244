"""Rows of a table as interactions, a whole batch at once: for the plain mappings that most tables need.

Says nothing that `streams.mapping.interactions` does not: it takes the rows that it is sure of, and leaves the others,
with all that is wrong in them, to the decoder of single rows. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import polars as pl

from streams.contract import rules
from streams.mapping.actions import BY_WORD, same
from streams.mapping.paths import parse
from streams.mapping.shapes import InteractionShape, Names, names_of
from streams.replay.convert import FIRST_TIME_MS

INTEGERS: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_SURE: Final = "sure"


class Batch(NamedTuple):
    """For each row that is an event its place, and, where it is sure, JSON, user and time, ms.

    ``has_ids``: the JSON has the event id.
    """

    places: list[int]
    sure: list[bool]
    lines: list[bytes]
    users: list[str]
    times_ms: list[int]
    has_ids: bool


class _NotPlainError(Exception):
    """Something of a mapping or table that only the decoder of single rows knows."""


Plan = Callable[[pl.DataFrame], Batch]


def plan(shape: object, schema: pl.Schema) -> Plan | None:
    """What turns batches of a table into events; None: the mapping or a column is not plain enough."""
    if not isinstance(shape, InteractionShape) or shape.envelope != "none" or shape.context:
        return None
    if shape.request_id or shape.position or shape.asset_id or set(shape.constants) - {"action"}:
        return None
    try:
        made, sure = _columns(shape, schema)
        action = _action(shape, schema)
    except _NotPlainError:
        return None

    def run(frame: pl.DataFrame) -> Batch:
        found = frame.lazy().with_row_index("place").select(
            "place", action.alias("action"), pl.all_horizontal(sure).fill_null(False).alias(_SURE),
            *(one.alias(name) for name, one in made.items()),
        ).filter(pl.col("action").is_not_null()).collect()  # fmt: skip
        told = found.drop("place", _SURE).write_ndjson()
        users, times = found["user_id"].to_list(), found["occurred_at_ms"].to_list()
        return Batch(
            found["place"].to_list(),
            found[_SURE].to_list(),
            told.encode().splitlines(),
            users,
            times,
            bool(shape.event_id),
        )

    return run


def _columns(shape: InteractionShape, schema: pl.Schema) -> tuple[dict[str, pl.Expr], list[pl.Expr]]:
    """The fields in the order of the contract, and what makes a row a sure one."""
    made: dict[str, pl.Expr] = {}
    sure: list[pl.Expr] = []
    for name, names in (("event_id", shape.event_id), ("user_id", shape.user), ("item_id", shape.item)):
        if names:
            made[name] = _id(_one(names, schema), schema)
            sure.append(made[name].str.len_chars().is_between(1, rules.MAX_ID_CHARS))
    made["occurred_at_ms"] = _time(shape, schema)
    sure.append(made["occurred_at_ms"].is_between(FIRST_TIME_MS, rules.MAX_TIME_MS))
    if shape.value:
        made["value"] = _number(_one(shape.value, schema), schema)
        sure.append(_within(made["value"], _one(shape.value, schema), -rules.MAX_MAGNITUDE, rules.MAX_MAGNITUDE))
    dwell = None
    if shape.dwell_ms:
        column = _one(shape.dwell_ms, schema)
        dwell = _number(column, schema)
        whole = dwell * (1000.0 if shape.dwell_unit == "s" else 1.0)
        made["dwell_ms"] = whole.cast(pl.Int64, strict=False)
        sure.append(_within(whole, column, 0, rules.MAX_DWELL_MS) & (whole.is_null() | (whole == whole.floor())))
    if shape.completion:
        column = _one(shape.completion, schema)
        made["completion"] = _number(column, schema) * (0.01 if shape.completion_unit == "percent" else 1.0)
        sure.append(_within(made["completion"], column, 0.0, 1.0))
    elif shape.duration_ms and dwell is not None:
        column = _one(shape.duration_ms, schema)
        length = _number(column, schema)
        stay = dwell * (1000.0 if shape.dwell_unit == "s" else 1.0)
        made["completion"] = pl.when(length > 0).then((stay / length).clip(0.0, 1.0))
        sure.append(_within(length, column, -rules.MAX_MAGNITUDE, rules.MAX_MAGNITUDE))
    if shape.surface:
        column = _one(shape.surface, schema)
        text = _id(column, schema)
        made["surface"] = pl.when(text != "").then(pl.lit(shape.surface_prefix) + text)
        sure.append(text.is_null() | (text.str.len_chars() <= rules.MAX_LABEL_CHARS - len(shape.surface_prefix)))
    return made, sure


def _one(names: Names, schema: pl.Schema) -> str:
    """The one column that is there."""
    found = []
    for text in names_of(names):
        path = parse(text)
        if path.special or len(path.steps) != 1:
            raise _NotPlainError
        if path.steps[0].name in schema:
            found.append(path.steps[0].name)
    if len(found) != 1:
        raise _NotPlainError
    return found[0]


def _id(column: str, schema: pl.Schema) -> pl.Expr:
    if schema[column] != pl.String and schema[column] not in INTEGERS:
        raise _NotPlainError
    text = pl.col(column).cast(pl.String)
    if schema[column] in INTEGERS:  # beyond, it is no number for everybody
        return pl.when(pl.col(column).cast(pl.Int64).abs() <= rules.MAX_SAFE_INT).then(text)
    return text


def _number(column: str, schema: pl.Schema) -> pl.Expr:
    if schema[column] not in (*INTEGERS, pl.Float32, pl.Float64, pl.String):
        raise _NotPlainError
    if schema[column] == pl.Float32:  # its JSON has other digits
        raise _NotPlainError
    return pl.col(column).cast(pl.Float64, strict=False)


def _within(number: pl.Expr, column: str, least: float, most: float) -> pl.Expr:
    """Whether a number is there and in its range, or nothing is there."""
    return pl.col(column).is_null() | number.is_between(least, most)


def _time(shape: InteractionShape, schema: pl.Schema) -> pl.Expr:
    column = _one(shape.time, schema)
    unit = shape.time_unit
    if unit == "auto":
        unit = "ms" if " ".join(names_of(shape.time)).endswith("_ms") else "s"
    if schema[column] not in (*INTEGERS, pl.String) or unit not in ("ms", "s", "us"):
        raise _NotPlainError
    number = pl.col(column).cast(pl.Int64, strict=False)
    if schema[column] == pl.String:  # digits alone: what else may be a number is for the other decoder
        number = pl.when(pl.col(column).str.contains(r"^[0-9]{1,18}$")).then(number)
    if unit == "s":
        return pl.when(number <= rules.MAX_TIME_MS // 1000).then(number * 1000)
    return number // 1000 if unit == "us" else number


def _action(shape: InteractionShape, schema: pl.Schema) -> pl.Expr:
    if shape.rules:
        chosen: pl.Expr = pl.lit(None, pl.String)
        for rule in reversed(shape.rules):
            fits = [_is_one_of(_one(path, schema), values, schema) for path, values in rule.conditions.items()]
            told = pl.lit(rule.action or None, pl.String)
            chosen = pl.when(pl.all_horizontal(fits)).then(told).otherwise(chosen) if fits else told
        return chosen
    if shape.action:
        column = _one(shape.action, schema)
        if schema[column] != pl.String:
            raise _NotPlainError
        words = {**BY_WORD, **shape.words}
        found = pl.col(column).replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)
        return pl.when(found != "").then(found)
    return pl.lit(shape.constants.get("action") or ("rate" if shape.value else "click"))


def _is_one_of(column: str, values: list[Any], schema: pl.Schema) -> pl.Expr:
    kind = schema[column]
    wanted = same(values)
    if kind == pl.String:
        return pl.col(column).is_in([one for one in wanted if isinstance(one, str)]).fill_null(False)
    if kind in INTEGERS or kind == pl.Boolean:
        numbers = [int(one) for one in wanted if isinstance(one, int | float) and one == int(one)]
        return pl.col(column).cast(pl.Int64).is_in(numbers).fill_null(False)
    raise _NotPlainError
