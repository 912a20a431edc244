"""What a file's rows mean: chosen by name, or told by the file itself; then each row becomes records of ours."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from streams.adapters import gorse, recbole, snowplow
from streams.adapters.metarank import MetarankTurn
from streams.contract.absent import Withdrawn
from streams.contract.codec import Rejected, Skipped
from streams.contract.events import Record
from streams.errors import LogFormatError, SettingsError
from streams.mapping.decoders import KINDS, decoder_of
from streams.mapping.paths import escaped, parse
from streams.mapping.shapes import InteractionShape, ItemShape, Mappings, Shape, mappings_of, names_of, shape_of
from streams.replay.mappings import BUILT_IN, MAX_BYTES, EventColumns, ItemColumns, load_mapping
from streams.replay.row_ids import RowIds
from streams.replay.rows import Reading, Rows, columns_of, read_rows, reading_of

Turned = Sequence[Record | Withdrawn] | Rejected | Skipped
Turn = Callable[[bytes], Turned]
FORMATS: Final = ("marquee", "cloudevents", "recbole", "gorse", "metarank", "snowplow")
"""Names of formats that are known by themselves; ``marquee`` is the contract's own."""
LOOKED_AT: Final = 20
"""Documents whose fields tell what a file is."""


class Format(NamedTuple):
    """What is known of a file.

    Attributes:
      name: of the format or the mapping. kind: of what its records are, of `KINDS`; "" where they say it themselves.
      shape: how they are read; None: as the contract has them. turns: another way than by a shape.
    """

    name: str
    kind: str
    shape: Shape | None = None
    turns: str = ""

    def reading(self, path: Path, before: Reading) -> Reading:
        """How the file is read, now that its format is known."""
        if self.turns == "snowplow":
            return Reading("jsonl")  # lines, which become documents below
        separator, columns = getattr(self.shape, "separator", ""), getattr(self.shape, "columns", [])
        return reading_of(path, separator=separator, columns=columns) if separator or columns else before

    def turn(self, ids: RowIds) -> Turn:
        """How a row becomes records."""
        if self.turns == "metarank":
            return MetarankTurn(ids)
        decode = decoder_of(KINDS[self.kind], self.shape, ids=ids)

        def by_shape(row: bytes) -> Turned:
            found = decode(row, -1)
            return found if isinstance(found, Rejected | Skipped) else (found,)

        def by_columns(row: bytes) -> Turned:
            document = snowplow.document(row)
            return document if isinstance(document, Rejected) else by_shape(document)

        return by_columns if self.turns == "snowplow" else by_shape


def format_of(path: Path, reading: Reading, *, mapping: str | None, name: str | None, kind: str | None) -> Format:
    """What the rows of a file mean.

    Args:
      mapping: a packaged mapping or a TOML file. name: of a format. kind: of `KINDS`, where the others leave it open.

    Raises:
      LogFormatError: nobody can tell, or what was named does not fit.
    """
    if mapping is not None and name not in (None, "snowplow"):
        raise LogFormatError("expected a mapping or a format, got both; leave one out")
    columns = None if name == "snowplow" else columns_of(path, reading)
    names = set(columns or ()) if reading.kind in ("parquet", "text") else _fields(path, reading)
    if mapping is not None:
        shape, chosen = _mapped(mapping, kind)
        return Format(mapping, chosen, fitted(shape, names), turns="snowplow" if name == "snowplow" else "")
    if name is None:
        name = _told(reading, columns or [], names)
    found = _known(name, names, kind, is_table=reading.kind in ("parquet", "text"))
    if found is None:
        raise LogFormatError(
            f"expected a file whose shape is known ({', '.join(FORMATS)}), got {path.name} with "
            f"{', '.join(sorted(names)[:20]) or 'no fields'}; `marquee map --sample {path.name}` proposes a mapping"
        )
    return found._replace(shape=fitted(found.shape, names))


def fitted(shape: Shape | None, there: Collection[str]) -> Shape | None:
    """A shape without the optional fields that a file does not have."""
    if not isinstance(shape, InteractionShape | ItemShape) or not shape.optional:
        return shape
    changes: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        value = getattr(shape, field.name)
        if field.type == str | list[str] and names_of(value):
            tops = {one.steps[0].name for one in map(parse, names_of(value)) if one.steps}
            if tops and not tops & set(there) and tops <= set(shape.optional):
                changes[field.name] = ""
    if changes.get("action") == "":
        changes["words"] = {}
    if changes.get("dwell_ms") == "":
        changes["duration_ms"] = ""
    return msgspec.structs.replace(shape, **changes)


def columns_wanted(shape: Shape | None, there: Sequence[str], *, where: str) -> list[str] | None:
    """The columns of a table that a shape needs; None: all.

    Raises:
      LogFormatError: one is missing.
    """
    if not isinstance(shape, InteractionShape | ItemShape):
        return None
    wanted: dict[str, None] = {}
    for texts in _paths(shape):
        tops = [path.steps[0].name for path in map(parse, texts) if path.steps]
        found = [top for top in tops if top in there]
        if tops and not found and not set(tops) <= set(shape.optional):
            raise LogFormatError(
                f"expected a column {' or '.join(tops)} in {where}, got {', '.join(there) or 'none'}; rename or add "
                "it, or name a mapping that fits"
            )
        wanted |= dict.fromkeys(found)
    return list(wanted)


def _paths(shape: InteractionShape | ItemShape) -> list[list[str]]:
    """All paths that a shape names, alternatives together."""
    found: list[list[str]] = []
    for field in msgspec.structs.fields(shape):
        value = getattr(shape, field.name)
        if field.type == str | list[str] and names_of(value):
            found.append(names_of(value))
    if isinstance(shape, InteractionShape):
        found += [[path] for path in shape.context.values()]
        found += [[path] for rule in shape.rules for path in rule.conditions]
    else:
        found += [[path] for path in shape.withdrawn]
    return found


def read_mappings(path: Path) -> Mappings | None:
    """The table ``[mapping]`` of a TOML file; None where it has none.

    Raises:
      LogFormatError: it is not TOML. SettingsError: the table says what cannot be followed.
    """
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise LogFormatError(f"expected a mapping of at most {MAX_BYTES} bytes, got more in {path}; is it one?")
        tables = tomllib.loads(content.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise LogFormatError(f"expected a mapping in TOML at {path}, got: {error}; mend it") from error
    return mappings_of(tables["mapping"], where=f"[mapping] in {path}") if "mapping" in tables else None


def _mapped(mapping: str, kind: str | None) -> tuple[Shape, str]:
    path = Path(mapping).expanduser()
    if mapping not in BUILT_IN and path.is_file() and (own := read_mappings(path)) is not None:
        there = [name for name in KINDS if getattr(own, name) is not None]
        chosen = kind or (there[0] if len(there) == 1 else "interactions")
        shape = getattr(own, chosen)
        if shape is None:
            raise LogFormatError(f"expected [mapping.{chosen}] in {path}, got {', '.join(there)}; name one of these")
        return shape, chosen
    log = load_mapping(mapping)
    if kind == "items":
        if log.items is None:
            raise LogFormatError(f"expected [items] in the mapping {mapping}, got none; add it")
        return _flat(log.items, "items"), "items"
    return _flat(log.events, "interactions"), "interactions"


def _flat(columns: EventColumns | ItemColumns, kind: str) -> Shape:
    """A mapping of columns as one of paths."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(columns):
        value: Any = getattr(columns, field.name)
        if field.name in ("files", "published_unit") and field.name == "files":
            continue
        if field.name in ("columns", "optional"):
            table[field.name] = list(value)
        elif field.name == "rules":
            table[field.name] = [
                {"action": rule.action}
                | ({"column": escaped(rule.column), "equals": rule.equals} if rule.column else {})
                for rule in value
            ]
        elif isinstance(value, tuple):
            table[field.name] = [escaped(name) for name in value]
        else:
            table[field.name] = dict(value) if isinstance(value, Mapping) else value
    found: Shape = shape_of(
        kind, {name: value for name, value in table.items() if value not in ([], {}, "")}, where=kind
    )
    return found


def _told(reading: Reading, columns: Sequence[str], names: set[str]) -> str | None:
    """The format that a file shows by itself."""
    if reading.is_typed:
        return "recbole"
    if reading.kind == "text" and len(columns) == len(snowplow.COLUMNS):
        return "snowplow"
    if "specversion" in names:
        return "cloudevents"
    if "event" in names and names & {"timestamp", "fields"} and not names & {"user_id", "item_id"}:
        return "metarank"
    if gorse.is_feedback(names) or gorse.is_items(names):
        return "gorse"
    return "marquee" if "item_id" in names or "user_id" in names else None


def _known(name: str | None, names: set[str], kind: str | None, *, is_table: bool) -> Format | None:
    if name == "metarank":
        return Format(name, "", turns="metarank")
    if name == "snowplow":
        return Format(name, "interactions", shape_of("interactions", snowplow.EVENTS, where=name), turns="snowplow")
    if name == "cloudevents":
        chosen = kind or "interactions"
        return Format(name, chosen, shape_of(chosen, {"envelope": "cloudevents"}, where=name))
    if name == "recbole":
        chosen = kind or ("interactions" if "user_id" in names else "items")
        return Format(
            name, chosen, shape_of(chosen, recbole.INTER if chosen == "interactions" else recbole.ITEM, where=name)
        )
    if name == "gorse":
        chosen = kind or ("interactions" if gorse.is_feedback(names) else "items")
        return Format(
            name, chosen, shape_of(chosen, gorse.FEEDBACK if chosen == "interactions" else gorse.ITEMS, where=name)
        )
    if name == "marquee":
        chosen = kind or (
            "interactions" if {"user_id", "item_id"} <= names else "items" if "item_id" in names else "users"
        )
        log = load_mapping("marquee")
        if chosen == "interactions" and "event_id" not in names:
            return Format(name, chosen, _flat(log.events, "interactions"))
        if chosen == "items" and log.items is not None and is_table:
            return Format(name, chosen, _flat(log.items, "items"))
        return Format(name, chosen, None)
    return None


def _fields(path: Path, reading: Reading) -> set[str]:
    """Names at the top of the first documents of a file."""
    found: set[str] = set()
    for row in next(iter(read_rows(path, reading)), Rows(1, ())).values[:LOOKED_AT]:
        try:
            value = None if isinstance(row, Rejected) else msgspec.json.decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(value, dict):
            found |= set(value)
    return found


__all__ = ["FORMATS", "Format", "SettingsError", "columns_wanted", "format_of", "read_mappings"]
