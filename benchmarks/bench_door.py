"""Slates per second through the HTTP door, and how long one request waits there, beside the same over the topics.

The engine of `bench_serve`: a real Kafka, a learned catalogue of 10,000 items, one recommender; and a door. The clients
are as cheap as they can be made, since they share the machine: a producer that asks as fast as it can beside
connections that ask again as soon as they have their slate; then both at a slow pace, for the waits.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.bench_serve import RATE_PER_S, SEED, TIMEOUT_S, K, latencies, learn, throughput
from benchmarks.engine import Role, engine, percentiles, say
from benchmarks.report import Figure, report
from benchmarks.synthetic import Platform

CONNECTIONS = 512
TOKEN = "a-token-of-the-benchmark"
DOOR = {"door": {"port": 0, "token": TOKEN, "rate_per_s": 1_000_000, "timeout_ms": 30_000}}
GOAL_PER_S, GOAL_SHARE = 500.0, 0.5


def port_of(words: Path, door: Role) -> int:
    """Where the door listens, once it says so."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while (found := re.search(r"http://127\.0\.0\.1:(\d+)/", words.read_text() if words.exists() else "")) is None:
        door.check()
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected the door's address, got {words.read_text()!r}")
        time.sleep(0.05)
    return int(found[1])


class Line:
    """A kept connection that asks for one slate after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def slate(self, user: int) -> None:
        """One slate of `K` items; raises RuntimeError for any other answer."""
        self._writer.write(
            b"GET /slates/user-%d?k=%d HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n\r\n"
            % (user, K, TOKEN.encode())
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"[Cc]ontent-[Ll]ength: (\d+)", head)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200") or body.count(b'"rank":') != K:
            raise RuntimeError(f"expected a slate of {K} items, got {head!r} {body[:300]!r}")

    def close(self) -> None:
        """Hangs up."""
        self._writer.close()


async def _open(port: int) -> Line:
    return Line(*await asyncio.open_connection("127.0.0.1", port))


async def rate(port: int, platform: Platform, count: int) -> float:
    """Slates per second while `CONNECTIONS` ask as fast as they are answered."""
    users = iter(np.random.default_rng(SEED).integers(0, platform.users_count, count).tolist())

    async def ask(line: Line) -> None:
        for user in users:
            await line.slate(user)

    lines = [await _open(port) for _ in range(CONNECTIONS)]
    began_s = time.perf_counter()
    await asyncio.gather(*map(ask, lines))
    taken_s = time.perf_counter() - began_s
    for line in lines:
        line.close()
    return count / taken_s


async def waits_ms(port: int, platform: Platform, seconds: float) -> list[float]:
    """Milliseconds a request at `RATE_PER_S`, arrivals as of a Poisson process, on connections that are kept."""
    generator = np.random.default_rng(SEED)
    count = int(seconds * RATE_PER_S)
    due_s = np.cumsum(generator.exponential(1 / RATE_PER_S, count)).tolist()
    users = generator.integers(0, platform.users_count, count).tolist()
    idle: list[Line] = []
    begin_s, waited_ms = time.perf_counter(), []

    async def ask(user: int) -> None:
        asked_s = time.perf_counter()
        line = idle.pop() if idle else await _open(port)
        await line.slate(user)
        waited_ms.append((time.perf_counter() - asked_s) * 1000)
        idle.append(line)

    async with asyncio.TaskGroup() as group:
        for due, user in zip(due_s, users, strict=True):
            await asyncio.sleep(max(0.0, begin_s + due - time.perf_counter()))
            group.create_task(ask(user))
    for line in idle:
        line.close()
    return waited_ms


def main() -> None:
    """Learn, ask both ways in turns, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small catalogue: to see that it runs")
    parser.add_argument("--interactions", type=int, default=100_000, help="learned beforehand")
    parser.add_argument("--requests", type=int, default=20_000, help="of each turn")
    options = parser.parse_args()
    platform = Platform(items_count=1_000 if options.quick else 10_000, users_count=500 if options.quick else 5_000)
    interactions, requests, seconds = options.interactions, options.requests, 60.0
    if options.quick:
        interactions, requests, seconds = 5_000, 2_000, 5.0
    by_topic, by_door, cpu_us = [], [], []
    with engine() as kafka:
        learn(kafka, platform, interactions)
        say(f"learned {interactions:,} interactions on {platform.items_count:,} items")
        words = kafka.folder / "door.words"
        with (
            kafka.role("recommender", {"recommender": {"push_slates": False}}) as recommender,
            kafka.role("door", DOOR, words=words) as door,
        ):
            port = port_of(words, door)
            throughput(kafka, recommender, platform, requests // 4, "warm")
            asyncio.run(rate(port, platform, requests // 4))
            for turn in range(3):
                by_topic.append(throughput(kafka, recommender, platform, requests, f"turn-{turn}")["slates_per_s"])
                cpu_s = door.cpu_s()
                by_door.append(asyncio.run(rate(port, platform, requests)))
                cpu_us.append((door.cpu_s() - cpu_s) / requests * 1e6)
                say(f"{by_topic[-1]:,.0f} slates/s over the topics, {by_door[-1]:,.0f} through the door, "
                    f"{cpu_us[-1]:.0f} us of its processor time each")  # fmt: skip
            topic_ms = percentiles(latencies(kafka, platform, seconds))
            door_ms = percentiles(asyncio.run(waits_ms(port, platform, seconds)))
            door.check()
    say(f"request to slate: over the topics {topic_ms}, through the door {door_ms}")
    ours, limit = statistics.median(by_door), statistics.median(by_topic)
    size = f"{platform.items_count:,} items"
    report(
        Figure(
            name=f"slates through the door, {size}, {CONNECTIONS} connections, beside over the topics",
            ours=ours, limit=limit, unit="slates/s",
            goal=f"ratio >= {GOAL_SHARE}" if GOAL_SHARE * limit > GOAL_PER_S else f"ours >= {GOAL_PER_S:g}",
        ),
        Figure(name=f"request to slate through the door, {RATE_PER_S:g} requests/s, p50", ours=door_ms["p50_ms"],
               limit=topic_ms["p50_ms"], unit="ms"),
        Figure(name=f"request to slate through the door, {RATE_PER_S:g} requests/s, p99", ours=door_ms["p99_ms"],
               limit=topic_ms["p99_ms"], unit="ms"),
        door_cpu_us_per_slate=statistics.median(cpu_us), by_door_per_s=by_door, by_topic_per_s=by_topic,
        most_ms=door_ms["max_ms"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
