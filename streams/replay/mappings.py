"""Mappings: what the columns of a log's files mean, as data.

A mapping is a TOML file; those that come with the package lie in ``data/mappings`` and are the examples to copy. This
file decides what a mapping may say and refuses the rest; `frames.py` applies it. ``docs/evaluation.md`` explains every
key.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_type_hints

from streams.contract import rules
from streams.errors import LogFormatError

MAPPINGS_DIR: Final = Path(__file__).parent / "data" / "mappings"
BUILT_IN: Final = ("movietweetings", "kuairand", "kuairand-impressions", "movielens", "movielens-csv", "marquee")
"""Names of the packaged mappings, in the order in which a folder is tried against them."""
OWN: Final = "marquee"
"""The mapping of our own column names."""
MAX_BYTES: Final = 100_000
"""Longest mapping file; a longer one is something else, named by mistake."""

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]
DateUnit = Literal["ms", "s", "year", "year-in-title"]
Names = tuple[str, ...]
"""Column names of which the first that is there is meant; () where the log has no such column."""
M = TypeVar("M")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """Rows whose ``column`` equals ``equals`` are events of ``action``; without a column, all rows are."""

    action: str
    column: str = ""
    equals: str | int | float | bool = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EventColumns:
    """What an event is made of.

    Attributes:
      user, item, time: where these are. time_unit: of ``time``; "auto" is milliseconds where the column's name ends in
        ``_ms``, ISO 8601 where it holds text, else seconds.
      action, words: the column of the action and what its words mean here. rules: instead of it, decided row by row;
        the first rule that fits wins, and a row that no rule fits is no event. With neither, events are of ``rate``
        where the log has a value and of ``click`` where it has none.
      value, dwell_ms, completion, surface: further columns. duration_ms: gives completion as dwell time by duration,
        and items their duration. surface_prefix: put before each surface.
      optional: columns that may be missing. columns: names for a file that has no header line.
      separator: between the columns of a text file; "" goes by the file's ending.
    """

    user: Names
    item: Names
    time: Names
    time_unit: TimeUnit = "auto"
    action: Names = ()
    words: Dict[str, str] = dataclasses.field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    value: Names = ()
    dwell_ms: Names = ()
    completion: Names = ()
    duration_ms: Names = ()
    surface: Names = ()
    surface_prefix: str = ""
    optional: Names = ()
    columns: Names = ()
    separator: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ItemColumns:
    """What an item of the catalogue is made of.

    Attributes:
      files: names of the file beside the events, the first that exists; ``{stem}`` and ``{ending}`` are those of the
        events' file. None there: the log describes no items.
      item, title, tags, creator, text, duration_s: columns. tags_separator: between tags in one text.
      creator_pattern: a regular expression; ``creator`` is then split like tags, the first part that matches is the
        creator, and no tag.
      published, published_unit: when the item came out.
      optional, columns, separator: as in `EventColumns`.
    """

    files: Names
    item: Names
    title: Names = ()
    tags: Names = ()
    tags_separator: str = "|"
    creator: Names = ()
    creator_pattern: str = ""
    text: Names = ()
    published: Names = ()
    published_unit: DateUnit = "ms"
    duration_s: Names = ()
    optional: Names = ()
    columns: Names = ()
    separator: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogMapping:
    """A whole mapping.

    Attributes:
      name: what it is called. events, items: the columns; ``items`` is None when the log describes none.
      files: file names, or patterns with ``*``, by which a folder with such a log is known.
    """

    name: str
    events: EventColumns
    items: ItemColumns | None = None
    files: Names = ()


def load_mapping(wanted: str) -> LogMapping:
    """The packaged mapping of this name, or the one in this TOML file.

    Raises:
      LogFormatError: no such mapping, or one that says something that we do not understand.
    """
    if wanted in BUILT_IN:
        return _read(MAPPINGS_DIR / f"{wanted}.toml", wanted)
    path = Path(wanted).expanduser()
    if path.suffix != ".toml" or not path.is_file():
        raise LogFormatError(
            f"expected a mapping, one of {', '.join(BUILT_IN)} or a .toml file, got {wanted!r}; check the spelling"
        )
    return _read(path, path.stem)


def mapping_of(table: Dict[str, Any], *, name: str) -> LogMapping:
    """The mapping that a parsed TOML document says.

    Raises:
      LogFormatError: an unknown key, a value of the wrong kind, or a necessary key that is missing.
    """
    unknown = sorted(set(table) - {"files", "events", "items"})
    if unknown or not isinstance(table.get("events"), dict):
        got = f"{', '.join(unknown)}" if unknown else "no table [events]"
        raise LogFormatError(f"expected files, [events] and [items] in the mapping {name}, got {got}; see the docs")
    events = _built(EventColumns, table["events"], f"{name}: [events]")
    items = _built(ItemColumns, table["items"], f"{name}: [items]") if "items" in table else None
    _check(events, items, name)
    return LogMapping(name=name, events=events, items=items, files=_names(table.get("files", []), f"{name}: files"))


def _read(path: Path, name: str) -> LogMapping:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise LogFormatError(f"expected a mapping of at most {MAX_BYTES} bytes, got more in {path}; is it one?")
        table = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise LogFormatError(f"expected a mapping in TOML at {path}, got: {error}; mend it") from error
    return mapping_of(table, name=name)


def _check(events: EventColumns, items: ItemColumns | None, name: str) -> None:
    if events.action and events.rules:
        raise LogFormatError(f"expected action or rules in the mapping {name}, got both; leave one out")
    strange = sorted({rule.action for rule in events.rules} - rules.ACTION_WORDS)
    strange += sorted(set(events.words.values()) - rules.ACTION_WORDS)
    if strange:
        raise LogFormatError(
            f"expected the actions {', '.join(sorted(rules.ACTION_WORDS))} in the mapping {name}, "
            f"got {', '.join(strange)}; use these words"
        )
    for separator in (events.separator, items.separator if items else ""):
        if len(separator.encode()) > 1:
            raise LogFormatError(
                f"expected a separator of one character in {name}, got {separator!r}; convert the file"
            )
    if items is None:
        return
    for file_name in items.files:
        if "/" in file_name or "\\" in file_name or file_name in {"", ".", ".."}:
            raise LogFormatError(
                f"expected names of files beside the events in {name}, got {file_name!r}; move it there"
            )
    try:
        re.compile(items.creator_pattern)
    except re.error as error:
        raise LogFormatError(f"expected a regular expression in creator_pattern of {name}, got: {error}") from error


def _built(cls: type[M], values: object, where: str) -> M:
    if not isinstance(values, dict):
        raise LogFormatError(f"expected a table {where}, got {values!r}; write it as a table of columns")
    hints = get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise LogFormatError(f"expected {', '.join(hints)} in {where}, got {', '.join(unknown)}; check the spelling")
    needed = {field.name for field in dataclasses.fields(cls) if _is_needed(field)}  # type: ignore[arg-type]
    if missing := sorted(needed - set(values)):
        raise LogFormatError(f"expected {', '.join(sorted(needed))} in {where}, got no {', '.join(missing)}; add it")
    return cls(**{key: _typed(value, hints[key], f"{where} {key}") for key, value in values.items()})


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _typed(value: object, kind: Any, where: str) -> object:
    if kind == Names:
        return _names(value, where)
    if kind == tuple[Rule, ...]:
        if not isinstance(value, list):
            raise LogFormatError(
                f"expected a list of rules in {where}, got {value!r}; see the packaged kuairand mapping"
            )
        return tuple(_built(Rule, one, where) for one in value)
    if kind == Dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(word, str) for word in value.values()):
            raise LogFormatError(
                f"expected a table of words in {where}, got {value!r}; write it as {{theirs = 'ours'}}"
            )
        return value
    if allowed := [word for word in get_args(kind) if isinstance(word, str)]:
        if value not in allowed:
            raise LogFormatError(f"expected one of {', '.join(allowed)} in {where}, got {value!r}; choose one of them")
        return value
    if not isinstance(value, get_args(kind) or kind):
        raise LogFormatError(f"expected text in {where}, got {value!r}; put it in quotes")
    return value


def _names(value: object, where: str) -> Names:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise LogFormatError(f"expected a name or a list of names in {where}, got {value!r}; write it so")
    return tuple(names)
