"""Where a field lies in a JSON document: dotted paths, and the one parser that picks all of them out at once.

``user.id`` is the field ``id`` of the object ``user``; ``items.0.id`` goes through the first entry of an array; a
backslash before a dot, or before a digit that is a name, takes it as it is. What begins with ``$`` lies beside the
document: ``$key``, ``$timestamp``, ``$header.NAME``, ``$ce.NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from streams.contract import rules
from streams.errors import SettingsError

MAX_STEPS: Final = 20
MAX_INDEX: Final = 100
"""Deepest path, and farthest entry of an array: a mapping names fields, it does not search."""
SPECIALS: Final = ("key", "timestamp", "header", "ce")
"""What lies beside a document; of the last two with a name behind a dot."""

Wanted = Any
"""A type for msgspec, None included: what may stand at the end of a path."""
ID: Wanted = (
    Annotated[str, Meta(min_length=1, max_length=rules.MAX_ID_CHARS)]
    | Annotated[int, Meta(ge=-rules.MAX_SAFE_INT, le=rules.MAX_SAFE_INT)]
    | None
)
"""An id: text, or a whole number, which becomes its digits."""
NUMBER: Wanted = Annotated[float, Meta(ge=-rules.MAX_MAGNITUDE, le=rules.MAX_MAGNITUDE)] | None
"""A number, or its text."""
TIME: Wanted = int | float | Annotated[str, Meta(max_length=64)] | None
SCALAR: Wanted = Annotated[str, Meta(max_length=rules.MAX_VALUE_CHARS)] | int | float | bool | None
CONTEXT: Wanted = (
    Annotated[str, Meta(max_length=rules.MAX_VALUE_CHARS)]
    | Annotated[int, Meta(ge=-rules.MAX_SAFE_INT, le=rules.MAX_SAFE_INT)]
    | Annotated[float, Meta(ge=-rules.MAX_MAGNITUDE, le=rules.MAX_MAGNITUDE)]
    | bool
    | None
)
ANY: Wanted = Any
_RANKS: Final = (ID, NUMBER, TIME, CONTEXT, SCALAR, ANY)
"""Where two fields come from one path the first of these holds for both; any other type before them."""

_STEP = re.compile(r"(?:\\.|[^.\\])+")


class Step(NamedTuple):
    """One step of a path: the name of a field, or the place ``at`` in an array."""

    name: str
    at: int | None


class Path(NamedTuple):
    """A path as written and as steps; ``special`` names what lies beside the document instead."""

    text: str
    steps: tuple[Step, ...]
    special: str = ""
    name: str = ""


def parse(text: str) -> Path:
    """The path that a text says.

    Raises:
      SettingsError: it says none.
    """
    parts = _STEP.findall(text)
    if not text or ".".join(parts) != text or len(parts) > MAX_STEPS:
        raise SettingsError(
            f"expected a path such as user.id, got {text[:100]!r}; put a backslash before a dot that belongs to a name"
        )
    if text.startswith("$"):
        special, _, name = text[1:].partition(".")
        if special not in SPECIALS or bool(name) != (special in ("header", "ce")):
            raise SettingsError(
                f"expected $key, $timestamp, $header.NAME or $ce.NAME, got {text[:100]!r}; write \\$ for a field whose "
                "name begins so"
            )
        return Path(text, (), special, name)
    steps = []
    for part in parts:
        index = int(part) if part.isdecimal() and part.isascii() and len(part) < 9 else None
        if index is not None and index > MAX_INDEX:
            raise SettingsError(f"expected a place in an array up to {MAX_INDEX}, got {text[:100]!r}")
        steps.append(Step(re.sub(r"\\(.)", r"\1", part), index))
    return Path(text, tuple(steps))


def escaped(name: str) -> str:
    r"""The path of a field of this name at the top of a document.

    >>> escaped("user.id")
    'user\\.id'
    """
    safe = name.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{safe}" if safe[:1] == "$" or safe.isdecimal() else safe


class Picked(NamedTuple):
    """What `Picker.build` gives.

    Attributes:
      document: a type for msgspec. pick: the values out of a decoded document, in the order in which they were asked
        for; raises AttributeError where the document has null in the middle of a path.
    """

    document: type[Any]
    pick: Callable[[Any], tuple[Any, ...]]


class Picker:
    """Collects paths; each gets a place in the tuple of values."""

    def __init__(self) -> None:
        self._places: dict[tuple[Step, ...], int] = {}
        self._texts: list[str] = []
        self._wanted: list[Wanted] = []

    def add(self, path: Path, wanted: Wanted) -> int:
        """The place of a path's value."""
        known = self._places.get(path.steps)
        if known is not None:
            self._wanted[known] = min(self._wanted[known], wanted, key=_rank)
            return known
        self._places[path.steps] = len(self._texts)
        self._texts.append(path.text)
        self._wanted.append(wanted)
        return len(self._texts) - 1

    def text(self, place: int) -> str:
        """The path of a place, as written."""
        return self._texts[place]

    def __len__(self) -> int:
        return len(self._texts)

    def build(self) -> Picked:
        """The parser's type and the function that reads its values.

        Raises:
          SettingsError: one path ends where another goes on, or goes by name where another counts.
        """
        tree: dict[Step, Any] = {}
        for steps, place in self._places.items():
            here = tree
            for step in steps[:-1]:
                here = here.setdefault(step, {})
                if not isinstance(here, dict):
                    raise self._conflict(place)
            if steps[-1] in here:
                raise self._conflict(place)
            here[steps[-1]] = place
        names: dict[int, str] = {}
        document = _struct(tree, self._wanted, names, "")
        getters = [names[place] for place in range(len(self))]
        if len(getters) == 1:
            only = attrgetter(getters[0])
            return Picked(document, lambda raw: (only(raw),))
        return Picked(document, attrgetter(*getters) if getters else lambda _: ())

    def _conflict(self, place: int) -> SettingsError:
        return SettingsError(
            f"expected paths that end in values, got {self._texts[place]!r}, which is a part of another path, or the "
            "other way round; name the values themselves"
        )


def _struct(tree: Mapping[Step, Any], wanted: list[Wanted], names: dict[int, str], before: str) -> type[Any]:
    """A frozen struct for one level of the tree; notes the attribute path of each place."""
    counted = [step for step in tree if step.at is not None]
    if counted and len(counted) != len(tree):
        raise SettingsError("expected a part of a document to be an array or an object, got paths that say both")
    fields: list[Any] = []
    ordered = sorted(tree, key=lambda step: step.at or 0)
    for step in ordered:
        if step.at is not None:
            fields += [(f"_{at}", Any, None) for at in range(len(fields), step.at)]
        attribute = f"f{len(fields)}"
        inner = tree[step]
        if isinstance(inner, dict):
            kind = _struct(inner, wanted, names, f"{before}{attribute}.")
            fields.append((attribute, kind | None, msgspec.field(name=step.name, default=kind())))
        else:
            names[inner] = f"{before}{attribute}"
            fields.append((attribute, wanted[inner], msgspec.field(name=step.name, default=None)))
    return msgspec.defstruct("Mapped", fields, frozen=True, gc=False, array_like=bool(counted))


def _rank(wanted: Wanted) -> int:
    return next((at for at, one in enumerate(_RANKS) if one is wanted), -1)
