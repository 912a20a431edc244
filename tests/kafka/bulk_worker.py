"""A worker process of the tests: counts what it is given, per partition, and stores count and place together.

Run as ``python bulk_worker.py '<JSON of Job>'``. Its values are decimal numbers that rise by one within a partition, so
that it can tell a lost record from a repeated or reordered one; what is wrong goes into the state as text.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from streams.transport.bulk import BytesChunk, bulk_agent, bulk_app, run_worker
from streams.transport.connection import Connection
from streams.transport.merge import Source
from streams.transport.reader import BulkConfig


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is to do."""

    bootstrap: str
    group: str
    topics: list[str]
    folder: str
    pause_ms: float = 0.0  # per chunk, as a slow learner
    save_every: int = 1  # chunks
    holds: bool = False  # hold and release partitions at random
    fault_after: int = 0  # raise at this many chunks; 0: never
    chunk_records: int = 100
    connection: dict[str, Any] = {}  # how to reach a broker that asks who we are


@dataclass
class Place:
    """The state of one partition: stored whole, or not at all."""

    offset: int = 0
    count: int = 0
    empty: int = 0
    last: int = -1
    wrong: list[str] = field(default_factory=list)


def main(job: Job) -> None:
    folder, places, chunks = Path(job.folder), dict[Source, Place](), 0
    rng = random.Random(os.getpid())

    def file(source: Source) -> Path:
        return folder / f"{source[0]}-{source[1]}.json"

    def load(assigned: frozenset[Source]) -> Mapping[Source, int]:
        places.clear()
        for source in assigned:
            places[source] = Place(**json.loads(file(source).read_text())) if file(source).exists() else Place()
        return {source: place.offset for source, place in places.items() if place.count or place.empty}

    def save(source: Source) -> None:
        aside = file(source).with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(asdict(places[source])))
        os.replace(aside, file(source))

    async def count(chunk: BytesChunk) -> None:
        nonlocal chunks
        chunks += 1
        if job.fault_after and chunks == job.fault_after:
            raise RuntimeError("a planted fault")
        await asyncio.sleep(job.pause_ms / 1000)
        if not app.reader.is_current(chunk):
            return
        place = places[chunk.source]
        for record in chunk.records:
            if record.value is None or not record.value.isdigit():
                place.empty += 1
                continue
            number = int(record.value)
            if number != place.last + 1:
                place.wrong.append(f"{number} came after {place.last}")
            place.last = number
            place.count += 1
        place.offset = chunk.next_offset
        if chunks % job.save_every == 0:
            for source in places:
                save(source)
        if job.holds:
            app.reader.release(app.reader.held)
            app.reader.hold(rng.sample(sorted(places), rng.randrange(len(places) + 1)))
            app.loop.call_later(0.02, app.reader.release, sorted(places))

    app = bulk_app(
        job.group,
        Connection(bootstrap=job.bootstrap, **job.connection),
        offsets=load,
        config=BulkConfig(chunk_records=job.chunk_records, session_timeout_s=3.0, heartbeat_s=0.5, buffer_chunks=4),
    )
    for topic in job.topics:
        bulk_agent(app, topic, count)

    @app.timer(0.1)
    async def save_all() -> None:
        for source in list(places):
            if source in app.reader.assigned:
                save(source)
        told = {"ready": app.reader.ready.is_set(), "assigned": sorted(app.reader.assigned)}
        aside = folder / f"aside-{os.getpid()}"
        aside.write_text(json.dumps(told))
        os.replace(aside, folder / f"ready-{os.getpid()}")

    run_worker(app, level="INFO")


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Job))
