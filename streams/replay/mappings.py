"""From the files of known event logs to frames with our column names, in file order.

Decides which format a path holds, and what its columns mean. The frames are complete (every column present, null where
the format has none) but not yet ordered or checked: that is `logs.py`.

A generic file (.csv, .csv.gz, .jsonl, .parquet) needs ``user_id``, ``item_id`` and one time column: ``timestamp``
(epoch seconds, or ISO 8601 text, UTC unless it says otherwise) or ``timestamp_ms`` (epoch milliseconds). It may have
``action``, ``value``, ``surface``, ``dwell_ms`` and ``completion``. Without ``action`` every event is a ``rate`` when
there is a ``value`` column and a ``click`` otherwise. ``NAME.items.EXT`` beside ``NAME.EXT`` describes the items:
``item_id`` and any of ``title``, ``tags`` (a list, or text with | between), ``creator``, ``text``, ``published_at_ms``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from streams.errors import LogFormatError

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
}
ACTION_OF: Final = {"rating": "rate"}
"""Words of other logs for our actions."""
LATEST_EPOCH_S: Final = 100_000_000_000
"""Above this a number of seconds is past the year 5138: surely milliseconds."""
YEAR_IN_TITLE: Final = r"\((\d{4})\)\s*$"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """One log as read: ``events`` with `EVENT_COLUMNS` and ``items`` with `ITEM_COLUMNS`, both in file order."""

    events: pl.DataFrame
    items: pl.DataFrame


def read_frames(path: Path) -> Frames:
    """The frames of the log at ``path``, by what its folder holds or how its name ends.

    Raises:
      LogFormatError: nothing there, an unknown format, or a column missing or of the wrong kind.
    """
    try:
        return _reader_of(path)(path)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise LogFormatError(f"expected a readable event log at {path}, got: {error}; is the file whole?") from error


def _reader_of(path: Path) -> Callable[[Path], Frames]:
    if path.is_dir():
        if (path / "interactions.csv.gz").is_file():
            return _movietweetings
        if (path / "exposures.parquet").is_file():
            return _kuairand
        if len(list(path.glob("*.inter"))) == 1:
            return lambda folder: _recbole(next(folder.glob("*.inter")))
        raise LogFormatError(
            f"expected interactions.csv.gz, exposures.parquet or one .inter file in {path}, got none of them; "
            "name a folder of a known log, or a file"
        )
    if not path.is_file():
        raise LogFormatError(f"expected an event log at {path}, got nothing there; `marquee fetch --help` lists logs")
    if path.suffix == ".inter":
        return _recbole
    if _ending(path) in _GENERIC:
        return _generic
    raise LogFormatError(f"expected a file ending in .inter, {', '.join(_GENERIC)}, got {path.name}; convert it first")


def _recbole(path: Path) -> Frames:
    """MovieLens and others as RecBole writes them: tabs, ``name:type`` headers, ``.item`` beside ``.inter``."""
    events = _tab_separated(path)
    _need(events, path, "user_id", "item_id", "timestamp")
    events = events.with_columns(time_ms=_seconds_to_ms(events, path), action=_rate_or_click(events)).rename(
        {"rating": "value"}, strict=False
    )
    item_path = path.with_suffix(".item")
    items = _tab_separated(item_path) if item_path.is_file() else pl.DataFrame({"item_id": []})
    _need(items, item_path, "item_id")
    items = items.rename({"movie_title": "title", "class": "tags", "genre": "tags"}, strict=False)
    if "release_year" in items.columns:
        year = pl.col("release_year").cast(pl.Float64, strict=False).cast(pl.Int32, strict=False)
        items = items.with_columns(published_at_ms=_start_of_year_ms(year))
    return Frames(events=_shaped(events, EVENT_COLUMNS, path), items=_described(items, item_path, separator=" "))


def _movietweetings(folder: Path) -> Frames:
    """MovieTweetings: film ratings of 0..10, the year of a film in its title."""
    path, item_path = folder / "interactions.csv.gz", folder / "items.csv.gz"
    events = _comma_separated(path)
    _need(events, path, "user_id", "item_id", "event_type", "timestamp")
    events = events.with_columns(time_ms=_seconds_to_ms(events, path), action=pl.col("event_type").replace(ACTION_OF))
    items = _comma_separated(item_path)
    _need(items, item_path, "item_id", "title")
    year = pl.col("title").str.extract(YEAR_IN_TITLE, 1).cast(pl.Int32)
    items = items.with_columns(published_at_ms=_start_of_year_ms(year))
    return Frames(events=_shaped(events, EVENT_COLUMNS, path), items=_described(items, item_path, separator="|"))


def _kuairand(folder: Path) -> Frames:
    """KuaiRand's impressions: a row with a click is an event, the app's tab is its surface."""
    path, item_path = folder / "exposures.parquet", folder / "items.csv.gz"
    rows = pl.read_parquet(path)
    _need(rows, path, "user_id", "video_id", "time_ms", "is_click", "play_time_ms", "duration_ms", "tab")
    watched_share = (pl.col("play_time_ms") / pl.col("duration_ms")).clip(0.0, 1.0)
    events = rows.filter(pl.col("is_click") == 1).with_columns(
        item_id=pl.col("video_id"),
        action=pl.lit("click"),
        surface=pl.format("tab{}", "tab"),
        dwell_ms=pl.col("play_time_ms"),
        completion=pl.when(pl.col("duration_ms") > 0).then(watched_share),
    )
    items = _comma_separated(item_path)
    _need(items, item_path, "item_id", "tags")
    items = items.with_columns(
        creator=pl.col("tags").str.extract(r"(?:^|\|)(author\d+)(?:\||$)", 1),
        tags=pl.col("tags").str.replace(r"\|author\d+|^author\d+\|?", ""),
    )
    return Frames(events=_shaped(events, EVENT_COLUMNS, path), items=_described(items, item_path, separator="|"))


def _generic(path: Path) -> Frames:
    """Our own column names, in whichever of the general formats."""
    ending = _ending(path)
    events = _GENERIC[ending](path)
    _need(events, path, "user_id", "item_id")
    if "action" not in events.columns:
        events = events.with_columns(action=_rate_or_click(events))
    else:
        events = events.with_columns(pl.col("action").cast(pl.String).replace(ACTION_OF))
    if "timestamp_ms" in events.columns:
        events = events.with_columns(time_ms=pl.col("timestamp_ms").cast(pl.Int64))
    else:
        _need(events, path, "timestamp")
        events = events.with_columns(time_ms=_seconds_to_ms(events, path))
    item_path = path.with_name(path.name.removesuffix(ending) + ".items" + ending)
    items = _GENERIC[ending](item_path) if item_path.is_file() else pl.DataFrame({"item_id": []})
    _need(items, item_path, "item_id")
    return Frames(events=_shaped(events, EVENT_COLUMNS, path), items=_described(items, item_path, separator="|"))


def _comma_separated(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)  # ids keep their leading zeros: every column is text


def _tab_separated(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)
    return frame.rename(lambda name: name.partition(":")[0])


def _jsonl(path: Path) -> pl.DataFrame:
    return pl.read_ndjson(path, infer_schema_length=None)


_GENERIC: Final[dict[str, Callable[[Path], pl.DataFrame]]] = {
    ".csv": _comma_separated,
    ".csv.gz": _comma_separated,
    ".jsonl": _jsonl,
    ".parquet": pl.read_parquet,
}


def _ending(path: Path) -> str:
    return ".csv.gz" if path.name.endswith(".csv.gz") else path.suffix


def _need(frame: pl.DataFrame, path: Path, *columns: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise LogFormatError(
            f"expected the columns {', '.join(columns)} in {path.name}, got {', '.join(frame.columns) or 'none'} "
            f"(without {', '.join(missing)}); rename or add them"
        )


def _rate_or_click(events: pl.DataFrame) -> pl.Expr:
    return pl.lit("rate" if {"rating", "value"} & set(events.columns) else "click")


def _seconds_to_ms(events: pl.DataFrame, path: Path) -> pl.Expr:
    """Milliseconds of the column ``timestamp``: epoch seconds as numbers or text, or ISO 8601 text."""
    column = events["timestamp"]
    seconds = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else column
    if seconds.null_count() > column.null_count():
        return pl.col("timestamp").str.to_datetime(time_zone="UTC", time_unit="ms").dt.epoch("ms")
    latest = seconds.cast(pl.Float64).max()
    if isinstance(latest, float) and latest > LATEST_EPOCH_S:
        raise LogFormatError(
            f"expected epoch seconds in the column timestamp of {path.name}, got {latest:.0f}; "
            "if these are milliseconds, call the column timestamp_ms"
        )
    return (pl.col("timestamp").cast(pl.Float64) * 1000).round().cast(pl.Int64)


def _start_of_year_ms(year: pl.Expr) -> pl.Expr:
    return pl.datetime(year, 1, 1, time_unit="ms", time_zone="UTC").dt.epoch("ms")


def _shaped(frame: pl.DataFrame, columns: dict[str, pl.DataType], path: Path) -> pl.DataFrame:
    """Exactly these columns with these types; absent ones are null."""
    made = []
    for name, dtype in columns.items():
        if name not in frame.columns:
            made.append(pl.lit(None, dtype=dtype).alias(name))
        else:
            made.append(pl.col(name).cast(dtype))
    try:
        return frame.select(made) if frame.width else pl.DataFrame(schema=columns)
    except pl.exceptions.InvalidOperationError as error:
        raise LogFormatError(f"expected numbers in the number columns of {path.name}, got: {error}") from error


def _described(items: pl.DataFrame, path: Path, *, separator: str) -> pl.DataFrame:
    if "tags" in items.columns and items["tags"].dtype == pl.String:
        words = pl.col("tags").fill_null("").str.split(separator)
        items = items.with_columns(tags=words.list.eval(pl.element().filter(pl.element() != "")))
    shaped = _shaped(items, ITEM_COLUMNS, path)
    return shaped.with_columns(pl.col("tags").fill_null([]))
