"""What a setting may be: a whole number in a range, a word out of a list, a secret. Checks values and reads text.

A configuration is a frozen, keyword-only dataclass whose fields are made here: `whole(256, least=1)` says type, default
and limits in one place. Such a class derives from `Checked` and so refuses a wrong value wherever it comes from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from streams.errors import SettingsError
from streams.store_url import EXPECTED, StoreUrl, store_of

KIND: Final = "kind"
"""Key of a field's metadata that holds its `Kind`."""
MAX_SECRET_BYTES: Final = 4_096
"""Longest file that is taken for a password."""
TRUE_WORDS: Final = ("true", "yes", "on", "1")
FALSE_WORDS: Final = ("false", "no", "off", "0")


class Secret:
    """A text that never shows itself: printed, logged or in an error it is ``***``; `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the client library that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of setting.

    Attributes:
      expected: what a value must be, in words that follow "must be".
      parse: text of an environment variable -> value; raises ValueError where it cannot be one.
      from_toml: value of a TOML file -> our value; raises ValueError where it cannot be one.
      accepts: True for a value of the right type and range.
      is_secret: no value may be shown.
      hides: True for a wrong value that may hold a secret.
    """

    expected: str
    parse: Callable[[str], Any]
    from_toml: Callable[[Any], Any]
    accepts: Callable[[Any], bool]
    is_secret: bool = False
    hides: Callable[[object], bool] = lambda _: False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checked:
    """Base of a configuration: every field made by a function of this module is checked when it is built."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            kind = field.metadata.get(KIND)
            value = getattr(self, field.name)
            if isinstance(kind, Kind) and not kind.accepts(value):
                raise SettingsError(
                    f"{type(self).__name__}.{field.name} must be {kind.expected}, got {shown(kind, value)}; "
                    f"leave it out for {shown(kind, field.default)}"
                )


def shown(kind: Kind, value: object) -> str:
    """A value as an error may show it."""
    return (
        "***"
        if kind.is_secret or kind.hides(value)
        else repr(str(value) if isinstance(value, Path | StoreUrl) else value)
    )


def whole(default: int, *, least: int, most: int | None = None) -> Any:
    """A whole number from ``least`` to ``most``, both allowed."""
    expected = f"a whole number >= {least}" if most is None else f"a whole number from {least} to {most}"
    top = math.inf if most is None else most
    return _field(
        default,
        Kind(
            expected=expected,
            parse=int,
            from_toml=_same,
            accepts=lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= top,
        ),
    )


def share(default: float) -> Any:
    """A number from 0 to 1."""
    return number(default, most=1.0)


def number(default: float, *, most: float) -> Any:
    """A number from 0 to ``most``, whole or not."""
    return _field(
        default,
        Kind(
            expected=f"a number from 0 to {most:g}",
            parse=float,
            from_toml=lambda value: float(value) if isinstance(value, int) and not isinstance(value, bool) else value,
            accepts=lambda value: isinstance(value, float) and 0.0 <= value <= most,
        ),
    )


def flag(default: bool) -> Any:
    """True or false; in the environment also yes, no, on, off, 1 and 0."""
    kind = Kind(expected="true or false", parse=_flag, from_toml=_same, accepts=lambda value: isinstance(value, bool))
    return _field(default, kind)


def text(default: str, *, expected: str, accepts: Callable[[str], bool] = lambda _: True) -> Any:
    """A text that ``accepts`` says yes to; ``expected`` says in words what that is."""
    kind = Kind(
        expected=expected, parse=str, from_toml=_same, accepts=lambda value: isinstance(value, str) and accepts(value)
    )
    return _field(default, kind)


def one_of(default: str, words: tuple[str, ...]) -> Any:
    """One word of a list."""
    return text(default, expected=f"one of {', '.join(words)}", accepts=lambda value: value in words)


def some_of(default: tuple[str, ...], words: tuple[str, ...]) -> Any:
    """Any number of words of a list; in the environment with commas between."""
    return _field(
        default,
        Kind(
            expected=f"a list of words out of {', '.join(words)}",
            parse=lambda value: tuple(word.strip() for word in value.split(",") if word.strip()),
            from_toml=lambda value: tuple(value) if isinstance(value, list) else value,
            accepts=lambda value: isinstance(value, tuple) and all(word in words for word in value),
        ),
    )


def several(default: tuple[str, ...], *, expected: str, accepts: Callable[[str], bool] = bool) -> Any:
    """Any number of texts that ``accepts`` says yes to; in the environment with commas between."""
    return _field(
        default,
        Kind(
            expected=expected,
            parse=lambda value: tuple(word.strip() for word in value.split(",") if word.strip()),
            from_toml=lambda value: tuple(value) if isinstance(value, list) else value,
            accepts=lambda value: (
                isinstance(value, tuple) and all(isinstance(one, str) and accepts(one) for one in value)
            ),
        ),
    )


def folder(default: str) -> Any:
    """A path; ``~`` is the home directory."""
    kind = Kind(
        expected="a path",
        parse=_path,
        from_toml=lambda value: _path(value) if isinstance(value, str) else value,
        accepts=lambda value: isinstance(value, Path),
    )
    return _field(_path(default), kind)


def folder_or_store(default: str) -> Any:
    """A path or the URL of an object store; one that may hold a secret is refused, and not shown."""
    kind = Kind(
        expected=EXPECTED,
        parse=store_of,
        from_toml=lambda value: store_of(value) if isinstance(value, str) else value,
        accepts=lambda value: isinstance(value, Path | StoreUrl),
        hides=lambda value: isinstance(value, str) and ":" in value,
    )
    return _field(store_of(default), kind)


def optional_file() -> Any:
    """A path, or nothing."""
    kind = Kind(
        expected="a path",
        parse=_path,
        from_toml=lambda value: _path(value) if isinstance(value, str) else value,
        accepts=lambda value: value is None or isinstance(value, Path),
    )
    return _field(None, kind)


def secret() -> Any:
    """A secret text, empty by default."""
    kind = Kind(
        expected="a text",
        parse=Secret,
        from_toml=lambda value: Secret(value) if isinstance(value, str) else value,
        accepts=lambda value: isinstance(value, Secret),
        is_secret=True,
    )
    return _field(Secret(""), kind)


def read_secret(path: Path) -> Secret:
    """The one line that a file holds.

    Raises:
      SettingsError: it cannot be read, or holds nothing, several lines, or no text; the text shows none of it.
    """
    try:
        with path.open("rb") as file:
            held = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"expected a readable file with the password at {path}, got: {error.strerror}; mend path or rights"
        ) from None
    line = held.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text or len(held) > MAX_SECRET_BYTES:
        raise SettingsError(
            f"expected one line of printable text in {path}, at most {MAX_SECRET_BYTES} bytes, got something else; "
            "write the password alone into it"
        )
    return Secret(text)


def _field(default: object, kind: Kind) -> Any:
    return dataclasses.field(default=default, metadata={KIND: kind})


def _same(value: Any) -> Any:
    return value


def _path(value: str) -> Path:
    if not value:
        raise ValueError("empty")
    return Path(value).expanduser()


def _flag(value: str) -> bool:
    word = value.strip().lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(word)
    return word in TRUE_WORDS
