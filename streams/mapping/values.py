"""The values of all paths of one mapping, out of a record: from its document, and from what lies beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from streams.contract.codec import Headers
from streams.mapping.paths import Path, Picker, Wanted, parse
from streams.mapping.shapes import Names, names_of

CE: Final = "ce_"
"""Before the name of a CloudEvent's attribute where it travels as a header."""

Beside = Callable[[bytes | None, int, Headers], Any]


class Values:
    """Collects paths once, reads their values of many records.

    Args:
      wanted: paths, or several of which the first with a value is meant, and the type of what may be there.

    Attributes:
      document: the type to parse a record with; `read` takes what it gives.
    """

    def __init__(self, wanted: Sequence[tuple[Names, Wanted]]) -> None:
        picker, beside, found = Picker(), list[Beside](), dict[str, tuple[bool, int]]()
        for names, kind in wanted:
            for text in names_of(names):
                path = parse(text)
                if not path.special:
                    found[text] = (True, picker.add(path, kind))
                elif text not in found:
                    found[text] = (False, len(beside))
                    beside.append(_beside(path))
        self._beside = tuple(beside)
        self._at = {text: at if is_in else len(picker) + at for text, (is_in, at) in found.items()}
        self._several: list[tuple[int, ...]] = []
        self._places: dict[tuple[str, ...], int] = {}
        for names, _ in wanted:
            texts = tuple(names_of(names))
            if len(texts) > 1 and texts not in self._places:
                self._places[texts] = len(picker) + len(beside) + len(self._several)
                self._several.append(tuple(self._at[text] for text in texts))
        self.document, self._pick = picker.build()

    def at(self, names: Names) -> int:
        """Place of the value of these paths."""
        texts = tuple(names_of(names))
        return self._at[texts[0]] if len(texts) == 1 else self._places[texts]

    @property
    def read(self) -> Callable[[Any, bytes | None, int, Headers], tuple[Any, ...]]:
        """A function: (parsed document, key, timestamp, headers) -> all values, None where there is none.

        It raises AttributeError where the document has null in the middle of a path.
        """
        pick, beside, several = self._pick, self._beside, self._several
        if not beside and not several:
            return lambda raw, _key, _at_ms, _headers: pick(raw)

        def read(raw: Any, key: bytes | None, at_ms: int, headers: Headers) -> tuple[Any, ...]:
            values = (*pick(raw), *[one(key, at_ms, headers) for one in beside])
            for places in several:
                values += (next((values[at] for at in places if values[at] is not None), None),)
            return values

        return read

    @property
    def looks_beside(self) -> bool:
        """Whether anything but the document counts."""
        return bool(self._beside)


def filled(raw: Any) -> Any:
    """A parsed document with empty parts where it has null in the middle of a path."""
    made = {}
    for field in msgspec.structs.fields(type(raw)):
        value = getattr(raw, field.name)
        if isinstance(field.default, msgspec.Struct):
            made[field.name] = field.default if value is None else filled(value)
    return msgspec.structs.replace(raw, **made)


def _beside(path: Path) -> Beside:
    if path.special == "key":
        return lambda key, _at_ms, _headers: _text(key)
    if path.special == "timestamp":
        return lambda _key, at_ms, _headers: at_ms if at_ms >= 0 else None
    name = CE + path.name if path.special == "ce" else path.name
    return lambda _key, _at_ms, headers: _header(name, headers)


def _header(name: str, headers: Headers) -> str | None:
    """The last header of a name: as the contract takes its own."""
    found = None
    for one, value in headers or ():
        if one == name:
            found = value
    return _text(found)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
