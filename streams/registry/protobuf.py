"""Protobuf: a .proto text -> how its values become JSON. The text is compiled by protoc, in a process of its own.

Behind the registry's header stands which message of the file it is: a list of indices, in zigzag varints.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from streams.contract import rules
from streams.contract.framed import FrameError, Transcode
from streams.registry.plain_json import to_json

COMPILE_S: Final = 30.0
MOST_INDICES: Final = 16
FILE: Final = "value.proto"


def transcoder(text: str) -> Transcode | str:
    """How values of this file's messages are read, or why they cannot be."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

    described = _compiled(text)
    if isinstance(described, str):
        return described
    files = descriptor_pb2.FileDescriptorSet.FromString(described)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    whole = pool.FindFileByName(FILE)
    own = next(file for file in files.file if file.name == FILE)
    kinds: dict[tuple[int, ...], Any] = {}

    def kind_of(indices: tuple[int, ...]) -> Any:
        try:
            found = own.message_type[indices[0]]
            described = whole.message_types_by_name[found.name]
            for at in indices[1:]:
                found = found.nested_type[at]
                described = described.nested_types_by_name[found.name]
        except (IndexError, KeyError):
            raise FrameError(f"expected a message of the schema, got the indices {list(indices)}") from None
        return message_factory.GetMessageClass(described)

    def run(body: bytes) -> bytes:
        indices, start = _indices(body)
        if indices not in kinds:
            kinds[indices] = kind_of(indices)
        try:
            found = kinds[indices].FromString(body[start:])
        except (message.DecodeError, ValueError, UnicodeDecodeError) as error:
            raise FrameError(f"Protobuf cannot be read: {error}") from None
        return to_json(_plain(found))

    return run


def _compiled(text: str) -> bytes | str:
    """A ``FileDescriptorSet`` with all that the file needs, or why there is none."""
    with tempfile.TemporaryDirectory(prefix="marquee-proto-") as folder:
        (Path(folder) / FILE).write_text(text, encoding="utf-8")
        made = Path(folder) / "made"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={folder}", "--include_imports"]
        try:
            done = subprocess.run(
                [*command, f"--descriptor_set_out={made}", FILE], cwd=folder, capture_output=True, timeout=COMPILE_S,
                check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"expected protoc to read the schema within {COMPILE_S:g} s"
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return f"expected a .proto file that protoc reads, got: {' '.join(said[:3])}"[: rules.MAX_REASON_CHARS]
        return made.read_bytes()


def _indices(body: bytes) -> tuple[tuple[int, ...], int]:
    """Which message, and where it begins."""
    if body[:1] == b"\0":  # short for the first one
        return (0,), 1
    count, at = _varint(body, 0)
    if not 0 < count <= MOST_INDICES:
        raise FrameError(f"expected 1 to {MOST_INDICES} indices of a message, got {count}")
    found = []
    for _ in range(count):
        index, at = _varint(body, at)
        if index < 0:
            raise FrameError("expected indices of a message >= 0, got another")
        found.append(index)
    return tuple(found), at


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A zigzag number, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(body):
            break
        byte, at = body[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
    raise FrameError("expected a number of a message's index, got the end, or too long a number")


def _plain(found: Any) -> Any:
    """Fields that are there, by their names in the file; Struct, Timestamp and the like as Google's JSON has them."""
    from google.protobuf import json_format

    if found.DESCRIPTOR.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict(found)
    return {field.name: _value(field, value) for field, value in found.ListFields()}


def _value(field: Any, value: Any) -> Any:
    one = _single(field)
    if not field.is_repeated:
        return one(value)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        held = _single(entry.fields_by_name["value"])
        return {str(key): held(value[key]) for key in value}
    return [one(entry) for entry in value]


def _single(field: Any) -> Callable[[Any], Any]:
    if field.message_type is not None:
        return _plain
    if field.enum_type is not None:
        names = field.enum_type.values_by_number
        return lambda number: names[number].name if number in names else number
    if field.type == field.TYPE_BYTES:
        return lambda held: base64.b64encode(held).decode()
    return lambda held: held
