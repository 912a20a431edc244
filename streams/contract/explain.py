"""Turns a parser's message into a reason that a producer's author can act on: what was expected, where, what came.

Only rejected records pay for this, and none pays more than ``EXPLAIN_BYTES`` allow.
"""

import functools
import re
import typing
from typing import Any, Final

import msgspec

from streams.contract import events, rules

EXPLAIN_BYTES: Final = 65_536
"""Longer values get the parser's message as it is: looking closer takes a second parse."""
MAX_SHOWN_CHARS: Final = 80
"""How much of the offending value a reason shows, characters."""
MAX_ENTRIES_TRIED: Final = rules.MAX_CONTEXT_KEYS
"""How many entries of a map are tried to find the one that is wrong."""
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")


class _Absent:
    """Nothing was found where the message points."""


def explain(event_type: type[events.Record], payload: bytes, message: str) -> str:
    """Readable reason for a value that is JSON and not an ``event_type``.

    Args:
      event_type: what was expected.
      payload: the record's value.
      message: msgspec's, such as "Expected `int` >= 0 - at `$.dwell_ms`".

    Returns:
      The message with the offending value, the map entry that holds it and the words that were allowed, as far as
      these can be told; at most ``rules.MAX_REASON_CHARS`` printable characters.
    """
    if len(payload) > EXPLAIN_BYTES:
        return readable(message)
    match = _MESSAGE.fullmatch(message)
    if match is None or match["path"] is None or match["key"]:
        return readable(message)
    what, path = match["what"], match["path"]
    if what.startswith("Invalid enum value"):
        what = f"Expected {_allowed(event_type, path)}"
    try:
        path, value = _find(event_type, msgspec.json.decode(payload), path, message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return readable(message)
    came = "" if value is _Absent or ", got " in what else f", got {shown(value)}"
    return readable(f"{what}{came} - at `${path}`")


def readable(text: str) -> str:
    """``text`` on one line: printable, and cut to ``rules.MAX_REASON_CHARS``."""
    cut = text if len(text) <= rules.MAX_REASON_CHARS else text[: rules.MAX_REASON_CHARS - 3] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def without_particulars(reason: str) -> str:
    """A reason without the values that differ from record to record, to count alike ones together.

    >>> without_particulars('Expected `int`, got "a" - at `$.tags[3]`')
    'Expected `int`, got "…" - at `$.tags[#]`'
    """
    return re.sub(r"\"[^\"]*\"|\d+", lambda match: '"…"' if match[0][0] == '"' else "#", reason)


def shown(value: object) -> str:
    """A value as a reason shows it: JSON, cut to `MAX_SHOWN_CHARS`."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}... ({len(text)} characters)"


@functools.lru_cache(maxsize=256)
def _allowed(event_type: type[events.Record], path: str) -> str:
    """The words of the ``Literal`` field at a path of one step; a general phrase where there is none."""
    for field in msgspec.structs.fields(event_type):
        if path == f".{field.encode_name}":
            words = [word for word in typing.get_args(field.type) if isinstance(word, str)]
            return "one of " + ", ".join(words)
    return "one of the words of the contract"


def _find(event_type: type[events.Record], root: Any, path: str, message: str) -> tuple[str, Any]:
    """The path with ``[...]`` replaced by the key it stands for, and the value there or ``_Absent``."""
    value, parent, said = root, None, ""
    for step in _STEP.finditer(path):
        key: str | int | None
        if step["field"] is not None:
            key = step["field"]
            said += f".{key}"
        elif step["index"] != "...":
            key = int(step["index"])
            said += f"[{key}]"
        else:
            key = _culprit(event_type, root, parent, value, message)
            said += "[...]" if key is None else f"[{shown(key)}]"
        try:
            parent, value = (value, key), value[key]
        except (KeyError, IndexError, TypeError):
            return said + path[step.end() :], _Absent
    return said, value


def _culprit(
    event_type: type[events.Record], root: Any, parent: tuple[Any, Any] | None, entries: Any, message: str
) -> str | None:
    """Key of the entry that gives ``message`` when it is the only one, in a value as decoded; None if not found."""
    if parent is None or not isinstance(entries, dict):
        return None
    holder, name = parent
    for key in list(entries)[:MAX_ENTRIES_TRIED]:
        holder[name] = {key: entries[key]}
        try:
            msgspec.convert(root, event_type)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return str(key)
        finally:
            holder[name] = entries
    return None
