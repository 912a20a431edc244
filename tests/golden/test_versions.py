"""Old and new on the same topics: what an earlier version wrote still decodes, what a later one adds is passed over.

`released/` has the bytes of each version as it was released; nothing in it is rewritten from then on.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.contract import codec, events, topics
from tests.factories import NOW_MS
from tests.golden.cases import CASES
from tests.golden.regenerate import WIRE

ROOT = Path(__file__).resolve().parents[2]
RELEASED = Path(__file__).parent / "released"
FILES = sorted(RELEASED.glob("*/*.json"))
LATER: dict[str, Any] = {"added_later": {"deep": [1, {"er": None}]}, "zz": "text", "another": 0.5, "list": []}


def kind_of(path: Path) -> type[events.Record]:
    """The event type that a file's name begins with."""
    return type(CASES[max((name for name in CASES if path.stem.startswith(name)), key=len)])


def with_later_fields(value: Any) -> Any:
    """Every object of a record with fields more; maps whose keys are the sender's own are left as they are."""
    if isinstance(value, list):
        return [with_later_fields(one) for one in value]
    return value | LATER if isinstance(value, dict) else value


def records_of(kind: type[events.Record], value: dict[str, Any]) -> dict[str, Any]:
    """A record's JSON with later fields in it and in the records and lists of records that it holds."""
    made = dict(value)
    for field in msgspec.structs.fields(kind):
        if field.encode_name in made and "Record" not in str(field.type) and is_of_records(field.type):
            made[field.encode_name] = with_later_fields(made[field.encode_name])
    return made | LATER


def is_of_records(kind: Any) -> bool:
    """Whether a field's type is a record, perhaps none, or a list of records."""
    if isinstance(kind, type) and issubclass(kind, events.Record):
        return True
    parts = [part for part in getattr(kind, "__args__", ()) if part is not type(None)]
    return getattr(kind, "__origin__", None) is not dict and bool(parts) and all(map(is_of_records, parts))


def test_every_released_version_has_its_bytes_of_every_topic() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    told = re.findall(r"^## (\d+\.\d+)\.\d+", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert project.rpartition(".")[0] in told
    assert {path.name for path in RELEASED.iterdir()} == set(told)
    wanted = {spec.event_type for spec in topics.TOPICS if spec.event_type}
    for folder in RELEASED.iterdir():
        assert {kind_of(path) for path in folder.iterdir()} == wanted, folder


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_released_version_wrote_is_understood_and_means_the_same(path: Path) -> None:
    written = path.read_bytes()
    event = codec.decode(kind_of(path), written, timestamp_ms=NOW_MS)
    assert isinstance(event, kind_of(path)), event
    sent, now = json.loads(written), json.loads(codec.encode(event))
    assert {name: now.get(name, sent[name]) for name in sent} == sent  # a default is left out


@pytest.mark.parametrize("name", CASES)
def test_fields_that_a_later_version_adds_change_nothing(name: str) -> None:
    kind = type(CASES[name])
    value = records_of(kind, json.loads((WIRE / f"{name}.json").read_bytes()))
    assert codec.decode(kind, json.dumps(value).encode(), timestamp_ms=NOW_MS) == CASES[name]


def optional() -> Iterator[tuple[type[events.Record], str]]:
    for spec in topics.TOPICS:
        for field in msgspec.structs.fields(spec.event_type) if spec.event_type else ():
            if not field.required:
                assert spec.event_type is not None
                yield spec.event_type, field.name


@pytest.mark.parametrize(("kind", "name"), list(optional()), ids=lambda part: getattr(part, "__name__", part))
def test_an_earlier_version_may_leave_out_every_field_that_has_a_default(kind: type[events.Record], name: str) -> None:
    """And a case has each such field set, so that no field escapes the bytes that are kept."""
    field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    given = [case for case in CASES.values() if type(case) is kind and getattr(case, name) != default]
    assert given, f"no case of {kind.__name__} sets {name}: add one to tests/golden/cases.py"
    for case in given:
        value = json.loads(codec.encode(case))
        del value[field.encode_name]
        event = codec.decode(kind, json.dumps(value).encode(), timestamp_ms=NOW_MS)
        if isinstance(event, codec.Rejected):  # it belongs to another field, as weights do to their rows
            assert event.stage == codec.STAGE_RULE
        else:
            assert getattr(event, name) == default
