"""Producers' side of a schema registry: values with its header, written by the libraries that producers use."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import fastavro
import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from streams.contract import codec, languages
from streams.contract.events import Record
from streams.contract.topics import TopicSpec


def header(number: int) -> bytes:
    """The magic byte and a schema's id."""
    return struct.pack(">bI", 0, number)


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON values."""
    told: dict[str, Any] = msgspec.json.decode(codec.encode(record))
    return told


def avro_body(schema: dict[str, Any], told: dict[str, Any]) -> bytes:
    """What stands behind the header."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas={}), told)
    return out.getvalue()


def avro(spec: TopicSpec, number: int, record: Record) -> bytes:
    """A record in Avro by our own schema of its topic."""
    return header(number) + avro_body(languages.avro_schema(spec), plain(record))


class Proto:
    """Messages of a .proto file."""

    def __init__(self, text: str, folder: Path) -> None:
        (folder / "a.proto").write_text(text)
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={folder}", "--include_imports"]
        subprocess.run([*command, f"--descriptor_set_out={folder / 'made'}", "a.proto"], cwd=folder, check=True)
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString((folder / "made").read_bytes()).file:
            pool.AddSerializedFile(file.SerializeToString())
        self._pool = pool

    def body(self, name: str, told: dict[str, Any]) -> bytes:
        """A message from JSON values."""
        kind = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))
        body: bytes = json_format.ParseDict(told, kind()).SerializeToString()
        return body


def register(url: str, subject: str, schema: str, kind: str = "AVRO") -> int:
    """Registers a schema; its id."""
    body = json.dumps({"schema": schema, "schemaType": kind}).encode()
    asked = urllib.request.Request(
        f"{url}/subjects/{subject}/versions", data=body,
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )  # fmt: skip
    with urllib.request.urlopen(asked, timeout=60) as answer:
        number: int = json.load(answer)["id"]
    return number
