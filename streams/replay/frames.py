"""From the files of an event log to frames with our column names, in file order, by a mapping.

Decides which mapping a path without one is read by, and how its columns become ours. The frames are complete (every
column present, null where the log has none) but not yet ordered or checked: that is `logs.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from streams.errors import LogFormatError
from streams.replay.mappings import BUILT_IN, OWN, EventColumns, ItemColumns, LogMapping, Names, load_mapping

EVENT_COLUMNS: Final = {
    "user_id": pl.String(),
    "item_id": pl.String(),
    "action": pl.String(),
    "value": pl.Float64(),
    "time_ms": pl.Int64(),
    "surface": pl.String(),
    "dwell_ms": pl.Int64(),
    "completion": pl.Float64(),
}
ITEM_COLUMNS: Final = {
    "item_id": pl.String(),
    "title": pl.String(),
    "tags": pl.List(pl.String),
    "creator": pl.String(),
    "text": pl.String(),
    "published_at_ms": pl.Int64(),
    "duration_s": pl.Float64(),
}
LATEST_EPOCH_S: Final = 100_000_000_000
"""Above this a number of seconds is past the year 5138: surely milliseconds."""
MS_PER_UNIT: Final = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
YEAR_IN_TITLE: Final = r"\((\d{4})\)\s*$"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """One log as read: ``events`` with `EVENT_COLUMNS` and ``items`` with `ITEM_COLUMNS`, both in file order."""

    events: pl.DataFrame
    items: pl.DataFrame


def read_frames(path: Path, mapping: LogMapping | None = None) -> Frames:
    """The frames of the log at ``path``; without a mapping, by what a folder holds or how a file's name ends.

    Raises:
      LogFormatError: nothing there, an unknown format, or a column missing or of the wrong kind.
    """
    if not path.exists():
        raise LogFormatError(f"expected an event log at {path}, got nothing there; `marquee fetch --help` lists logs")
    chosen = mapping or _fitting(path)
    file = _event_file(path, chosen) if path.is_dir() else path
    try:
        raw = _table(file, chosen.events)
        events = _events(raw, chosen.events, file)
        items = _items(raw, chosen, file)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise LogFormatError(f"expected a readable event log at {path}, got: {error}; is the file whole?") from error
    return Frames(events=events, items=items)


def _fitting(path: Path) -> LogMapping:
    if path.is_file():
        return load_mapping("movielens" if path.suffix == ".inter" else OWN)
    known = [load_mapping(name) for name in BUILT_IN]
    for mapping in known:
        if any(len(list(path.glob(pattern))) == 1 for pattern in mapping.files):
            return mapping
    patterns = dict.fromkeys(pattern for mapping in known for pattern in mapping.files)
    raise LogFormatError(
        f"expected one of {', '.join(patterns)} in {path}, got none of them; name a folder of a known log, or a file"
    )


def _event_file(folder: Path, mapping: LogMapping) -> Path:
    found = [file for pattern in mapping.files for file in sorted(folder.glob(pattern))]
    if not found:
        raise LogFormatError(
            f"expected {' or '.join(mapping.files) or 'the name of a file'} for the mapping {mapping.name}, got none "
            f"in the folder {folder}; name the file itself"
        )
    return found[0]


# --- events ------------------------------------------------------------------------------------------------------


def _events(raw: pl.DataFrame, columns: EventColumns, path: Path) -> pl.DataFrame:
    find = _finder(raw, columns.optional, path)
    user, item, time = (find(names, needed=True) for names in (columns.user, columns.item, columns.time))
    value, dwell, surface = find(columns.value), find(columns.dwell_ms), find(columns.surface)
    completion, duration = find(columns.completion), find(columns.duration_ms)
    watched_share = pl.lit(None, pl.Float64)
    if completion:
        watched_share = _number(completion)
    elif duration and dwell:
        share = (_number(dwell) / _number(duration)).clip(0.0, 1.0)
        watched_share = pl.when(_number(duration) > 0).then(share)
    made = {
        "user_id": _text(user),
        "item_id": _text(item),
        "action": _action(raw, columns, find, path, has_value=bool(value)),
        "value": _number(value),
        "time_ms": _time_ms(raw, time, columns.time_unit, path),
        "surface": _text(surface) if not columns.surface_prefix else pl.lit(columns.surface_prefix) + _text(surface),
        "dwell_ms": _number(dwell).round().cast(pl.Int64),
        "completion": watched_share,
    }
    events = _selected(raw, made, EVENT_COLUMNS, path)
    return events.filter(pl.col("action").is_not_null()) if columns.rules else events


Finder = Callable[..., str]


def _finder(raw: pl.DataFrame, optional: Names, path: Path) -> Finder:
    """A function: the first of these names that the table has; "" where none is wanted or all may be missing."""

    def find(names: Names, *, needed: bool = False) -> str:
        for name in names:
            if name in raw.columns:
                return name
        if needed or (names and not set(names) <= set(optional)):
            raise LogFormatError(
                f"expected a column {' or '.join(names)} in {path.name}, got {', '.join(raw.columns) or 'none'} "
                f"(without {' or '.join(names)}); rename or add it, or name a mapping that fits"
            )
        return ""

    return find


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String) if name else pl.lit(None, pl.String)


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64) if name else pl.lit(None, pl.Float64)


def _action(raw: pl.DataFrame, columns: EventColumns, find: Finder, path: Path, *, has_value: bool) -> pl.Expr:
    if columns.rules:
        chosen = pl.lit(None, pl.String)
        for rule in reversed(columns.rules):
            if not rule.column:
                chosen = pl.lit(rule.action)
                continue
            name = find((rule.column,), needed=True)
            same = pl.col(name) == _alike(raw[name], rule.equals, path)
            chosen = pl.when(same).then(pl.lit(rule.action)).otherwise(chosen)
        return chosen
    action = find(columns.action)
    if not action:
        return pl.lit("rate" if has_value else "click")
    return _text(action).replace(dict(columns.words))


def _alike(column: pl.Series, value: str | int | float | bool, path: Path) -> pl.Expr:
    """``value`` as the column would hold it: a text file's columns are all text."""
    if column.dtype == pl.String and not isinstance(value, str):
        return pl.lit(str(value).lower() if isinstance(value, bool) else str(value))
    if column.dtype != pl.String and isinstance(value, str):
        raise LogFormatError(
            f"expected text in the column {column.name} of {path.name}, which a rule compares with {value!r}, "
            f"got {column.dtype}; write the rule's value without quotes"
        )
    return pl.lit(value)


def _time_ms(raw: pl.DataFrame, name: str, unit: str, path: Path) -> pl.Expr:
    """Milliseconds since 1970 of numbers, text with numbers, ISO 8601 text, or date and time types."""
    column = raw[name]
    if column.dtype.is_temporal():
        return pl.col(name).cast(pl.Datetime("ms")).dt.epoch("ms")
    numbers = column.cast(pl.Float64, strict=False)
    is_text = numbers.null_count() > column.null_count()
    if unit == "iso" or (unit == "auto" and is_text):
        return pl.col(name).cast(pl.String).str.to_datetime(time_zone="UTC", time_unit="ms").dt.epoch("ms")
    if unit == "auto":
        unit = "ms" if name.endswith("_ms") else "s"
    latest = numbers.max()
    if unit == "s" and isinstance(latest, float) and latest > LATEST_EPOCH_S:
        raise LogFormatError(
            f"expected epoch seconds in the column {name} of {path.name}, got {latest:.0f}; "
            f"if these are milliseconds, call the column {name}_ms, or set time_unit in a mapping"
        )
    if unit == "ms" and not column.dtype.is_float():
        return pl.col(name).cast(pl.Int64, strict=False)
    return (pl.col(name).cast(pl.Float64) * MS_PER_UNIT[unit]).round().cast(pl.Int64)


# --- items -------------------------------------------------------------------------------------------------------


def _items(events: pl.DataFrame, mapping: LogMapping, event_file: Path) -> pl.DataFrame:
    described = _described(mapping.items, event_file)
    find = _finder(events, mapping.events.optional, event_file)
    duration = find(mapping.events.duration_ms)
    if not duration or described.is_empty():
        return described
    item = find(mapping.events.item, needed=True)
    seen = events.select(item_id=_text(item), seconds=_number(duration) / 1e3).filter(pl.col("seconds") > 0)
    known = described.join(seen.unique("item_id", keep="first"), on="item_id", how="left", maintain_order="left")
    return known.with_columns(duration_s=pl.coalesce("duration_s", "seconds")).drop("seconds")


def _described(columns: ItemColumns | None, event_file: Path) -> pl.DataFrame:
    ending = _ending(event_file)
    stem = event_file.name.removesuffix(ending)
    names = (
        [] if columns is None else [name.replace("{stem}", stem).replace("{ending}", ending) for name in columns.files]
    )
    path = next((beside for name in names if (beside := event_file.with_name(name)).is_file()), None)
    if columns is None or path is None:
        return pl.DataFrame(schema=ITEM_COLUMNS)
    raw = _table(path, columns)
    find = _finder(raw, columns.optional, path)
    item, tags, creator = find(columns.item, needed=True), find(columns.tags), find(columns.creator)
    words = _words(raw, tags, columns.tags_separator)
    named = _text(creator)
    if creator and columns.creator_pattern:
        matches = pl.element().str.contains(columns.creator_pattern)
        named = _words(raw, creator, columns.tags_separator).list.eval(pl.element().filter(matches)).list.first()
        words = words.list.eval(pl.element().filter(~matches))
    made = {
        "item_id": _text(item),
        "title": _text(find(columns.title)),
        "tags": words,
        "creator": named,
        "text": _text(find(columns.text)),
        "published_at_ms": _published(find(columns.published), columns.published_unit),
        "duration_s": _number(find(columns.duration_s)),
    }
    return _selected(raw, made, ITEM_COLUMNS, path)


def _words(raw: pl.DataFrame, name: str, separator: str) -> pl.Expr:
    if not name:
        return pl.lit([], pl.List(pl.String))
    words = pl.col(name)
    if raw[name].dtype == pl.String:
        words = words.fill_null("").str.split(separator)
    return words.list.eval(pl.element().filter(pl.element() != "")).fill_null([])


def _published(name: str, unit: str) -> pl.Expr:
    if not name:
        return pl.lit(None, pl.Int64)
    if unit in {"ms", "s"}:
        return (_number(name) * MS_PER_UNIT[unit]).round().cast(pl.Int64)
    text = _text(name)
    year = text.str.extract(YEAR_IN_TITLE, 1) if unit == "year-in-title" else text
    whole = year.cast(pl.Float64, strict=False).cast(pl.Int32, strict=False)
    return pl.datetime(whole, 1, 1, time_unit="ms", time_zone="UTC").dt.epoch("ms")


# --- files -------------------------------------------------------------------------------------------------------


def _table(path: Path, columns: EventColumns | ItemColumns) -> pl.DataFrame:
    """The table in a file, columns as named there; those of text files are text, so that ids keep their zeros."""
    ending = _ending(path)
    if ending == ".parquet":
        return pl.read_parquet(path)
    if ending == ".jsonl":
        return pl.read_ndjson(path, infer_schema_length=None)
    if ending in {".inter", ".item"}:
        frame = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)
        return frame.rename(lambda name: name.partition(":")[0])
    separator = columns.separator or {".csv": ",", ".csv.gz": ",", ".tsv": "\t"}.get(ending, "")
    if not separator:
        raise LogFormatError(
            f"expected a file ending in .inter, .csv, .csv.gz, .tsv, .jsonl or .parquet, got {path.name}; "
            "convert it, or name a mapping that says its separator"
        )
    if not columns.columns:
        return pl.read_csv(path, separator=separator, infer_schema=False)
    return pl.read_csv(
        path, separator=separator, infer_schema=False, has_header=False, new_columns=list(columns.columns)
    )


def _ending(path: Path) -> str:
    return ".csv.gz" if path.name.endswith(".csv.gz") else path.suffix


def _selected(raw: pl.DataFrame, made: dict[str, pl.Expr], columns: dict[str, pl.DataType], path: Path) -> pl.DataFrame:
    """Exactly these columns with these types."""
    try:
        return raw.select([made[name].cast(dtype).alias(name) for name, dtype in columns.items()])
    except pl.exceptions.InvalidOperationError as error:
        raise LogFormatError(f"expected numbers in the number columns of {path.name}, got: {error}") from error
