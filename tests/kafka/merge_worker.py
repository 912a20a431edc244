"""A worker process of the tests: bulk topics into the merger, as a trainer does it; writes the order that came out.

Run as ``python merge_worker.py BOOTSTRAP GROUP TOPIC FOLDER COUNT``: ends after COUNT records.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from streams.transport.bulk import BytesChunk, bulk_agent, bulk_app, run_worker
from streams.transport.connection import Connection
from streams.transport.merge import Merger, Source, Stamped


def main(bootstrap: str, group: str, topic: str, folder: Path, count: int) -> None:
    merger: Merger[bytes] = Merger(500)
    out: list[int] = []
    most_waiting = 0

    def now_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def begin(starts: Mapping[Source, int]) -> None:
        merger.clear()
        out.clear()  # nothing is committed, so a second assignment begins at the beginning again
        for source, at in starts.items():
            merger.position(source, at, None)

    async def offer(chunk: BytesChunk) -> None:
        nonlocal most_waiting
        records = [Stamped(chunk.source, r.timestamp, r.offset, r.value) for r in chunk.records]
        merger.offer(chunk.source, records, now_ms=now_ms())
        most_waiting = max(most_waiting, len(merger))

    app = bulk_app(group, Connection(bootstrap=bootstrap), on_start=begin)
    bulk_agent(app, topic, offer, marks_done=False)  # what waits in the merger is not done

    @app.task
    async def learn() -> None:
        while len(out) < count:
            for source in app.reader.assigned:
                merger.position(source, 0, app.reader.end(source))
            batch = merger.take(256, now_ms=now_ms())
            out.extend(int(record.value) for record in batch)
            app.reader.hold(merger.over_bound())
            app.reader.release(merger.under_bound())
            await asyncio.sleep(0 if batch else 0.005)
        found = {"order": out, "skew_ms": merger.max_skew_ms, "most_waiting": most_waiting}
        (folder / "order.json").write_text(json.dumps(found))
        os._exit(0)

    run_worker(app)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))
