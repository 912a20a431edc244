"""What the console costs beside the trainer: processor time an event, while 5,000 events/s and 1,000 slates/s flow by.

The trainer learns a past first, which gives its processor time an event; then the console, with a page open, watches
the flow through the same real Kafka. Processor time and not rates: those hold on a machine that does other
things as well.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench_learn import BATCH, SAMPLE
from benchmarks.engine import Engine, Role, engine, percentiles, say
from benchmarks.report import Figure, report
from benchmarks.synthetic import Platform, fill, interaction
from streams.contract import codec, topics
from streams.contract.events import AsOf, ModelRef, Slate, SlateItem
from streams.replay.player import KafkaSender

EVENTS_PER_S, SLATES_PER_S, K = 5_000, 1_000, 20
PAST, WARM = 20_000, 5_000
SECONDS, QUICK_SECONDS, SETTLE_S = 30.0, 5.0, 3.0
TIMEOUT_S = 600.0
TICK_S = 0.02


def trainer_us(kafka: Engine) -> float:
    """Processor time of the trainer for each event that it learns, microseconds."""
    tables = {"trainer": {"batch_size": BATCH, "evaluate_sample": SAMPLE}}
    with kafka.role("trainer", tables) as trainer:
        warmed = kafka.wait_until_learned(trainer, WARM, timeout_s=TIMEOUT_S, say=say)
        cpu_s = trainer.cpu_s()
        kafka.wait_until_learned(trainer, PAST, timeout_s=TIMEOUT_S, say=say)
        return (trainer.cpu_s() - cpu_s) / (PAST - warmed) * 1e6


def flow(kafka: Engine, platform: Platform, seconds: float) -> tuple[int, float]:
    """Produces events and slates at their pace; gives how many events, and the seconds that it took."""
    sender = KafkaSender(kafka.connection)
    count = int(seconds * EVENTS_PER_S)
    users, items = platform.choices(count, seed=1)
    places = [SlateItem(item_id=f"item-{at}", rank=at + 1, score=9.0 - at / 10, source="successor",
                        reasons=["often follows Title 1 of genre 1"]) for at in range(K)]  # fmt: skip
    began_s, sent = time.monotonic(), 0
    while sent < count:
        due = min(count, int((time.monotonic() - began_s) * EVENTS_PER_S))
        now_ms = time.time_ns() // 1_000_000
        for at in range(sent, due):
            event = interaction(f"live-{at}", int(users[at]), int(items[at]), now_ms)
            sender.send(topics.INTERACTIONS.name, key=event.user_id, value=codec.encode(event), timestamp_ms=now_ms)
            if at % (EVENTS_PER_S // SLATES_PER_S) == 0:
                slate = Slate(
                    request_id=f"r-{at}", user_id=event.user_id, generated_at_ms=now_ms, k=K, items=places,
                    as_of=AsOf(event_time_ms=now_ms, offsets={"0": at // 4, "1": at // 4, "2": at // 4, "3": at // 4}),
                    model=ModelRef(version=at, step=at, state_hash="bench"),
                )  # fmt: skip
                sender.send(topics.SLATES.name, key=event.user_id, value=codec.encode(slate), timestamp_ms=now_ms)
        sent = max(sent, due)
        sender.check()
        time.sleep(TICK_S)
    sender.settle()
    return count, time.monotonic() - began_s


@contextmanager
def page(port: int) -> Iterator[list[float]]:
    """An open page; gives the times at which its frames came, s."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("GET", "/api/live")
    response = line.getresponse()
    frames_s: list[float] = []

    def read() -> None:
        while told := response.readline():
            if told == b"event: now\n":
                frames_s.append(time.monotonic())

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        yield frames_s
    finally:
        if line.sock is not None:
            line.sock.shutdown(2)
        reading.join()
        line.close()


def port_of(words: Path, console: Role) -> int:
    """Where the console listens, once it says so."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while (found := re.search(r"http://127\.0\.0\.1:(\d+)/", words.read_text() if words.exists() else "")) is None:
        console.check()
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected the console's address, got {words.read_text()!r}")
        time.sleep(0.05)
    return int(found[1])


def main() -> None:
    """Learn, watch, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few seconds: to see that it runs")
    options = parser.parse_args()
    seconds = QUICK_SECONDS if options.quick else SECONDS
    platform = Platform(items_count=10_000, users_count=5_000)
    with engine() as kafka:
        fill(kafka, platform, interactions=PAST, end_ms=time.time_ns() // 1_000_000)
        learned_us = trainer_us(kafka)
        say(f"the trainer takes {learned_us:.0f} us of processor time an event")
        words = kafka.folder / "console.words"
        with kafka.role("console", {"console": {"port": 0}}, words=words) as console:
            port = port_of(words, console)
            time.sleep(SETTLE_S)  # the catalogue is read
            with page(port) as frames_s:
                flow(kafka, platform, SETTLE_S)
                cpu_s, frames_s[:] = console.cpu_s(), []
                count, taken_s = flow(kafka, platform, seconds)
                cpu_s = console.cpu_s() - cpu_s
                gaps_ms = [(later_s - first_s) * 1_000 for first_s, later_s in itertools.pairwise(frames_s)]
            console.check()
            memory_mib = console.rss_mib()
    ours_us = cpu_s / count * 1e6
    report(
        Figure(
            name=f"the console's processor time while {EVENTS_PER_S:,} events/s and {SLATES_PER_S:,} slates/s flow, "
            "beside the trainer's for the same events",
            ours=ours_us, limit=learned_us, unit="us an event", goal="ratio <= 0.03",
        ),
        Figure(name="between two frames of a page, p99", ours=percentiles(gaps_ms)["p99_ms"], unit="ms"),
        of_one_core=cpu_s / taken_s,
        events_per_s=count / taken_s,
        memory_mib=memory_mib,
    )  # fmt: skip


if __name__ == "__main__":
    main()
