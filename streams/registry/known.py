"""Makes the schemas known that values need, before they are decoded; waits where waiting is right.

A registry that does not answer says nothing of a record, so records wait for it, however long. An id that it never
gave is a verdict on the record: a dead letter. Both kinds of knowledge are kept in a folder, so that a replay decides
as the first run did, with or without the registry.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from streams.contract import framed
from streams.contract.framed import Transcode
from streams.errors import SettingsError
from streams.registry import avro, protobuf
from streams.registry.client import AwayError, Client, Told
from streams.registry_settings import RegistrySettings
from streams.transport.backoff import Backoff

log = logging.getLogger(__name__)

GRACE_S: Final = (0.25, 0.5, 1.0)
"""An id may be younger than what a replica of the registry knows: it is asked again after these."""
REMIND_S: Final = 30.0
UNKNOWN: Final = "unknown"
"""File of the ids that the registry never gave, one a line."""
_KINDS: Final = {"AVRO": avro.transcoder, "PROTOBUF": protobuf.transcoder}


class Schemas:
    """What is known of one registry's ids.

    Args:
      client: asks it. folder: keeps what it said; made when needed.
    """

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._unknown: set[int] = set()
        with contextlib.suppress(OSError):
            lines = (folder / UNKNOWN).read_text(encoding="ascii").split()
            self._unknown = {int(line) for line in lines if line.isdecimal()}

    async def ensure(self, values: Iterable[bytes | None]) -> None:
        """Returns once every id in the headers of these values is known, for what it is or for none."""
        if not (ids := framed.unknown_ids(values)):
            return
        steps = self._steps(ids)
        while (wait_s := await asyncio.to_thread(next, steps, None)) is not None:
            await asyncio.sleep(wait_s)

    def ensure_now(self, values: Iterable[bytes | None]) -> None:
        """The same, where nothing else has to go on meanwhile."""
        for wait_s in self._steps(framed.unknown_ids(values)):
            time.sleep(wait_s)

    def _steps(self, ids: set[int]) -> Iterator[float]:
        """Asks; gives how long to wait before it asks again."""
        backoff, grace, said_s = Backoff(first_s=0.5, most_s=5.0), iter(GRACE_S), -REMIND_S
        while missing := sorted(ids - framed.KNOWN.keys()):
            try:
                for number in missing:
                    self._look_up(number)
            except AwayError as error:
                if time.monotonic() - said_s >= REMIND_S:
                    said_s = time.monotonic()
                    log.warning("the schema registry at %s does not answer (%s); records wait for schema %d",
                                self._client.where, error, missing[0])  # fmt: skip
                yield backoff.next_s()
                continue
            if missing := sorted(ids - framed.KNOWN.keys()):
                if (wait_s := next(grace, None)) is None:
                    self._give_up(missing)
                else:
                    yield wait_s

    def _look_up(self, number: int) -> None:
        """Makes an id known, if anybody knows it."""
        if number in self._unknown:
            framed.KNOWN[number] = _never(number)
            return
        path = self._folder / f"{number}.json"
        try:
            told = msgspec.json.decode(path.read_bytes(), type=Told)
        except (OSError, msgspec.DecodeError):
            found = self._client.schema(number)
            if found is None:
                return
            told = found
            self._keep(path, msgspec.json.encode(told))
        framed.KNOWN[number] = transcoder_of(number, told)

    def _give_up(self, numbers: list[int]) -> None:
        for number in numbers:
            framed.KNOWN[number] = _never(number)
        self._unknown |= set(numbers)
        self._keep(self._folder / UNKNOWN, "".join(f"{one}\n" for one in sorted(self._unknown)).encode())

    def _keep(self, path: Path, content: bytes) -> None:
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(content)
            aside.replace(path)
        except OSError as error:
            log.warning("what the schema registry said is not kept in %s: %s", path.parent, error.strerror)


def transcoder_of(number: int, told: Told) -> Transcode | str:
    """How values of a schema are read, or why they cannot be."""
    make = _KINDS.get(told.kind)
    if make is None:
        return f"expected schema {number} to be one of {', '.join(_KINDS)}, got {told.kind[:40]}"
    if told.references:
        return (
            f"expected schema {number} to be whole, got one that refers to others; register it with all that it needs"
        )
    found = make(told.schema)
    return f"schema {number}: {found}" if isinstance(found, str) else found


def _never(number: int) -> str:
    return f"expected a schema that the registry gave, got the id {number}, which it never gave"


_current: Schemas | None = None


def use_registry(settings: RegistrySettings, *, cache_dir: Path) -> None:
    """From now on readers of this process make schemas known before they hand out records; without an address, not.

    Raises:
      SettingsError: the libraries are missing, or the password's file cannot be read.
    """
    global _current
    if not settings.url:
        _current = None
        return
    missing = [name for name in ("fastavro", "grpc_tools", "google.protobuf") if not _is_there(name)]
    if missing:
        raise SettingsError(
            f"registry.url needs {', '.join(missing)}, which are not installed; pip install 'marquee[registry]'"
        )
    folder = cache_dir / "schemas" / hashlib.sha256(settings.url.rstrip("/").encode()).hexdigest()[:16]
    _current = Schemas(Client(settings), folder)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


async def ensure(values: Iterable[bytes | None]) -> None:
    """See `Schemas.ensure`; nothing where no registry is used."""
    if _current is not None:
        await _current.ensure(values)


def ensure_now(values: Iterable[bytes | None]) -> None:
    """See `Schemas.ensure_now`."""
    if _current is not None:
        _current.ensure_now(values)


def is_used() -> bool:
    """Whether there is a registry: who has records in hand asks this before looking at them."""
    return _current is not None
