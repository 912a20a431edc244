"""Values behind a schema registry's header: a zero byte, the schema's id in four (big-endian), then Avro or Protobuf.

Such a value means the JSON value that its schema turns it into; all rules are that one's. Which schema an id stands
for never changes, so what is known of ids is kept for as long as the process lives, and only ever added to. Who adds
is the shell (`streams/registry`), before a value of that id gets here: nothing is waited for while decoding.
"""

from collections.abc import Callable, Iterable
from typing import Final

MAGIC: Final = 0
HEADER_BYTES: Final = 5
Transcode = Callable[[bytes], bytes]
"""What stands behind the header -> JSON; raises `FrameError`."""


class FrameError(Exception):
    """Bytes that are no value of their schema; the text says why."""


KNOWN: Final[dict[int, Transcode | str]] = {}
"""Schema id -> how its values are read, or why they cannot be."""


def schema_id(payload: bytes) -> int | None:
    """The id in the header; None where there is no header."""
    if len(payload) < HEADER_BYTES or payload[0] != MAGIC:
        return None
    return int.from_bytes(payload[1:HEADER_BYTES], "big")


def unknown_ids(values: Iterable[bytes | None]) -> set[int]:
    """Ids in the headers of these values of which nothing is known yet."""
    headers = {value[:HEADER_BYTES] for value in values if value and value[0] == MAGIC}
    return {found for header in headers if (found := schema_id(header)) is not None and found not in KNOWN}


def json_of(payload: bytes) -> bytes | str:
    """The JSON value of a framed one, or the reason why there is none."""
    found = schema_id(payload)
    if found is None:
        return f"expected a schema registry's header of {HEADER_BYTES} bytes, got {len(payload)} bytes"
    transcode = KNOWN.get(found)
    if transcode is None:
        return f"expected plain JSON, got a schema registry's header (schema {found}): set registry.url or send JSON"
    if isinstance(transcode, str):
        return transcode
    try:
        return transcode(payload[HEADER_BYTES:])
    except FrameError as error:
        return f"expected a value of schema {found}: {error}"


def plain(payload: bytes) -> bytes:
    """A value as JSON, whether it has a header or not; itself where its schema is not known or it is none of it."""
    if payload[:1] != b"\0":
        return payload
    found = json_of(payload)
    return payload if isinstance(found, str) else found
