"""What a mapping may say, as data, and the reading of it out of TOML tables.

The words are those of the mappings of event logs (``docs/evaluation.md``), with paths where these name columns. Nothing
is compiled here: `interactions.py` and `entries.py` do that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec

from streams.contract import rules
from streams.errors import SettingsError
from streams.mapping.paths import parse

Names = str | list[str]
"""A path, or several of which the first that has a value is meant."""
TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]
Scalar = str | int | float | bool
S = TypeVar("S", bound="Shape")


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the tables.

    ``envelope``: "cloudevents" where records are CloudEvents, in either mode; the rest is about their data then.
    """

    envelope: Literal["none", "cloudevents"] = "none"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Records in which ``column`` equals ``equals``, and all of ``when`` (path -> value, or values), are ``action``.

    Without a condition, all are. ``action`` "" leaves them out.
    """

    action: str
    column: str = ""
    equals: Scalar | None = None
    when: dict[str, Scalar | list[Scalar]] = {}

    @property
    def conditions(self) -> dict[str, list[Scalar]]:
        """Path -> the values of which it must have one."""
        made = {path: value if isinstance(value, list) else [value] for path, value in self.when.items()}
        return made | ({self.column: [self.equals]} if self.column and self.equals is not None else {})


class InteractionShape(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[mapping.interactions]``: what an interaction is made of.

    Attributes:
      user, item, time: where these are; user and item are text or whole numbers. time_unit: of ``time``; "auto" is ISO
        8601 for text, milliseconds where the path ends with ``_ms``, else seconds.
      event_id: makes the action idempotent; where there is none, it is made of the record's bytes and timestamp.
      action, words: the path of the action and what its words mean here; other words than these and ours are left out,
        and so is what means "". rules: instead of ``action``; the first that fits wins, and a record that none fits is
        left out. With neither, records are of ``rate`` where ``value`` is mapped, else of ``click``.
      value, dwell_ms, completion, surface, request_id, position, asset_id: of the contract's fields of these names.
        duration_ms: gives completion as dwell time by duration. context: name -> path.
      dwell_unit, completion_unit, position_from: "s" for seconds, "percent" for 0 to 100, 0 where places count from 0.
      surface_prefix: put before each surface. constants: fields of ours that are the same in every record.
      columns, separator, optional: of a file: names where a text file has no header line, what is between its columns,
        and columns that may be missing; topics have no use for them.
    """

    user: Names
    item: Names
    time: Names
    time_unit: TimeUnit = "auto"
    event_id: Names = ""
    action: Names = ""
    words: dict[str, str] = {}
    rules: list[Rule] = []
    value: Names = ""
    dwell_ms: Names = ""
    dwell_unit: Literal["ms", "s"] = "ms"
    duration_ms: Names = ""
    completion: Names = ""
    completion_unit: Literal["share", "percent"] = "share"
    surface: Names = ""
    surface_prefix: str = ""
    request_id: Names = ""
    position: Names = ""
    position_from: Literal[0, 1] = 1
    asset_id: Names = ""
    context: dict[str, str] = {}
    constants: dict[str, Any] = {}
    columns: list[str] = []
    separator: str = ""
    optional: list[str] = []


class ItemShape(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[mapping.items]``: what an item is made of.

    Attributes:
      item: text or a whole number. tags, regions: arrays, or text with ``tags_separator`` between.
      creator_pattern: a regular expression; ``creator`` is then split like tags, the first part that matches is the
        creator, and no tag.
      published, available_from, available_until: times in ``time_unit``, or in ``published_unit`` the first of them.
      duration_s: in ``duration_unit``. withdrawn: path -> value, or values, with all of which an item is withdrawn; a
        record without a value withdraws the item of its key in any case.
    """

    item: Names
    title: Names = ""
    text: Names = ""
    tags: Names = ""
    tags_separator: str = "|"
    creator: Names = ""
    creator_pattern: str = ""
    language: Names = ""
    duration_s: Names = ""
    duration_unit: Literal["s", "ms"] = "s"
    published: Names = ""
    published_unit: Literal["auto", "s", "ms", "us", "ns", "iso", "year", "year-in-title"] = "auto"
    available_from: Names = ""
    available_until: Names = ""
    time_unit: TimeUnit = "auto"
    regions: Names = ""
    maturity: Names = ""
    withdrawn: dict[str, Scalar | list[Scalar]] = {}
    columns: list[str] = []
    separator: str = ""
    optional: list[str] = []


class Mappings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table ``[mapping]``: a table a topic, None where records have the contract's own shape.

    Users and requests can have an envelope alone.
    """

    interactions: InteractionShape | Shape | None = None
    items: ItemShape | Shape | None = None
    users: Shape | None = None
    requests: Shape | None = None


KINDS: Final[dict[str, type[Shape]]] = {
    "interactions": InteractionShape, "items": ItemShape, "users": Shape, "requests": Shape,
}  # fmt: skip
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`(.*)", re.DOTALL)


def mappings_of(tables: object, *, where: str) -> Mappings:
    """The mappings that a parsed ``[mapping]`` says.

    Args:
      where: begins every error, such as "[mapping] in marquee.toml".

    Raises:
      SettingsError: a name that is not known, or a value of the wrong kind.
    """
    if not isinstance(tables, Mapping):
        raise SettingsError(f"{where} must be a table, got {tables!r}; write [mapping.interactions]")
    for name in tables:
        if name not in KINDS:
            raise SettingsError(f"{where}: expected {', '.join(KINDS)}, got {name!r}; check the spelling")
    return Mappings(**{name: shape_of(name, table, where=f"{where}: {name}") for name, table in tables.items()})


def shape_of(name: str, table: object, *, where: str) -> Any:
    """One table, by the name of its kind; with nothing but an envelope it is a plain `Shape`."""
    kind = KINDS[name]
    if isinstance(table, Mapping) and set(table) <= {"envelope"}:
        kind = Shape
    try:
        shape = msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {_told(str(error), kind)}") from None
    _check_paths(shape, where)
    if isinstance(shape, InteractionShape):
        _check_interactions(shape, where)
    elif isinstance(shape, ItemShape):
        _check_items(shape, where)
    return shape


def names_of(value: Names) -> list[str]:
    """The paths; none for ""."""
    return ([value] if value else []) if isinstance(value, str) else list(value)


def _told(message: str, kind: type[Shape]) -> str:
    unknown = _UNKNOWN.fullmatch(message)
    if unknown is None:
        return f"{message}; mend it"
    near = difflib.get_close_matches(unknown[1], kind.__struct_fields__, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(kind.__struct_fields__)}"
    return f"got {unknown[1]!r}{unknown[2]}, which is no word of a mapping; {hint}"


def _check_paths(shape: Shape, where: str) -> None:
    for field in msgspec.structs.fields(shape):
        if field.type == Names:
            paths = names_of(getattr(shape, field.name))
            if not paths and field.required:
                raise SettingsError(f'{where}: expected a path in {field.name}, got ""; say where it is')
            for path in paths:
                try:
                    parse(path)
                except SettingsError as error:
                    raise SettingsError(f"{where}: {field.name}: {error}") from None


def _check_interactions(shape: InteractionShape, where: str) -> None:
    if bool(shape.action) + bool(shape.rules) + ("action" in shape.constants) > 1:
        raise SettingsError(f"{where}: expected one of action, rules and constants.action, got several; leave some out")
    meant = [rule.action for rule in shape.rules] + list(shape.words.values())
    if strange := sorted({word for word in meant if word} - rules.ACTION_WORDS):
        raise SettingsError(
            f"{where}: expected the actions {', '.join(sorted(rules.ACTION_WORDS))}, got {', '.join(strange)}; use "
            'these words, or "" to leave records out'
        )
    if shape.words and not shape.action:
        raise SettingsError(f"{where}: expected action, the path of the words, got words alone; add it")
    if shape.completion and shape.duration_ms:
        raise SettingsError(f"{where}: expected completion or duration_ms, got both; leave one out")
    if shape.duration_ms and not shape.dwell_ms:
        raise SettingsError(f"{where}: expected dwell_ms beside duration_ms, got none; completion is one by the other")
    for path in (*shape.context.values(), *(path for rule in shape.rules for path in rule.conditions)):
        parse(path)


def _check_items(shape: ItemShape, where: str) -> None:
    try:
        re.compile(shape.creator_pattern)
    except re.error as error:
        raise SettingsError(f"{where}: expected a regular expression in creator_pattern, got: {error}") from None
    if not shape.tags_separator:
        raise SettingsError(f'{where}: expected a tags_separator, got ""; leave it out for "|"')
    for path in shape.withdrawn:
        parse(path)
