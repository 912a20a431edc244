"""The demo's broker: on loopback only, gone afterwards; the transport works on it within its known limits.

A smoke test: offsets, rebalances and recovery are tested on a real Kafka alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from streams.contract.topics import INTERACTIONS, TOPICS, topic_name
from streams.transport import embedded
from streams.transport.admin import create_topics, find_topics, wait_for_broker
from streams.transport.broadcast import BroadcastReader
from streams.transport.errors import EmbeddedBrokerError
from streams.transport.offsets import Chunk
from streams.transport.publish import Out, Publisher

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("merge_worker.py")
WAIT_S = 40.0


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_command_line_names_loopback_twice():
    line = embedded.command(Path("/x/tansu"), 4711)
    assert line.count("tcp://127.0.0.1:4711") == 2
    assert line[:2] == ["/x/tansu", "broker"]


def test_a_program_that_ends_at_once_is_an_error_with_its_words(monkeypatch, tmp_path):
    program = tmp_path / "tansu"
    program.write_text("#!/bin/sh\necho no such engine >&2\nexit 4\n")
    program.chmod(0o755)
    monkeypatch.setattr(embedded, "find_program", lambda: program)
    with (
        pytest.raises(EmbeddedBrokerError, match="status is 4 and it said: 'no such engine"),
        embedded.embedded_broker(),
    ):
        pass


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_topics_publishing_merging_and_reading_work_and_nothing_is_left_behind(tmp_path):
    with embedded.embedded_broker() as connection:
        wait_for_broker(connection, print, timeout_s=20)
        assert len(create_topics(connection, TOPICS, prefix="demo")) == len(TOPICS)
        topic = topic_name("demo", INTERACTIONS.name)
        assert find_topics(connection, [topic])[topic].partitions == INTERACTIONS.partitions
        async with Publisher(connection) as publisher:
            await publisher.perform(
                Out(topic=topic, key=b"", value=str(n).encode(), timestamp_ms=1000 + n, partition=n % 4)
                for n in range(4000)
            )
            await publisher.flush()
        seen: list[int] = []

        async def note(chunk: Chunk[Any]) -> None:
            seen.extend(int(record.value) for record in chunk.records)

        reader = BroadcastReader([topic], connection)
        task = asyncio.create_task(reader.run(note))
        async with asyncio.timeout(WAIT_S):
            while len(seen) < 4000:
                await asyncio.sleep(0.02)
            await reader.caught_up.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert sorted(seen) == list(range(4000))
        command = [sys.executable, str(WORKER), connection.bootstrap, "group", topic, str(tmp_path), "4000"]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads((tmp_path / "order.json").read_text())["order"] == list(range(4000))
        port = int(connection.bootstrap.rpartition(":")[2])
        assert is_listening(port)
    assert not is_listening(port)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_the_broker_ends_with_a_killed_parent():
    code = (
        "import time\nfrom streams.transport.embedded import embedded_broker\n"
        "with embedded_broker() as connection:\n    print(connection.bootstrap, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().rpartition(":")[2])
        assert is_listening(port)
        parent.kill()
    deadline = time.monotonic() + WAIT_S
    while is_listening(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)
