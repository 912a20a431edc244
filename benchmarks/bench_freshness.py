"""From an interaction produced to a slate that reflects it, while 2,000 events/s flow through a real Kafka.

Trainer and recommender run as two processes. A slate reflects an interaction if its ``as_of`` covers the interaction's
offset, or if it is the one pushed because of it. Pushed slates are measured for every event of the flow; slates asked
for, for a few users who each ask right after they acted, and again at once while the answer does not reflect it.
"""

from __future__ import annotations

import argparse
import math
import threading
import time
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer

from benchmarks.engine import Engine, Role, Tables, engine, percentiles, say, value_of
from benchmarks.report import Figure, report
from benchmarks.synthetic import Platform, fill, interaction
from streams.contract import codec, ids, topics
from streams.contract.events import AsOf, Interaction, Request

EVENTS_PER_S, ASKED_PER_S, K = 2_000, 10, 20
WARM_S, SETTLE_S = 8.0, 10.0
TIMEOUT_S = 300.0
ASKER = "asker-"


class SlateHead(msgspec.Struct):
    """What we look at of a slate; the rest is skipped."""

    request_id: str
    user_id: str
    as_of: AsOf


@dataclass(kw_only=True)
class Acted:
    """One interaction that was produced, at a time of the monotonic clock, s; its place is known once acknowledged."""

    event: Interaction
    at_s: float
    partition: int = -1
    offset: int = -1


@dataclass(kw_only=True)
class Flow:
    """Produces the flow and the askers' interactions, and takes the slates; one thread does each."""

    kafka: Engine
    platform: Platform
    acted: list[Acted] = field(default_factory=list)
    seen: list[tuple[float, SlateHead]] = field(default_factory=list)
    asked: dict[str, Acted] = field(default_factory=dict)
    answers_count: int = 0
    answered_ms: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    events_per_s: int = EVENTS_PER_S
    is_enough: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        settings = self.kafka.connection.for_confluent() | {"partitioner": "murmur2_random", "linger.ms": 0}
        self.producer = Producer(settings)

    def act(self, event: Interaction) -> Acted:
        """Produce one interaction, noting when, and later where it went."""
        acted = Acted(event=event, at_s=time.monotonic())

        def note(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failures.append(error.str())
            acted.partition, acted.offset = int(message.partition() or 0), int(message.offset() or 0)

        self.producer.produce(topics.INTERACTIONS.name, codec.encode(event), event.user_id, on_delivery=note)
        return acted

    def ask(self, acted: Acted, attempt: int) -> None:
        """Produce a request of the user who acted."""
        request_id = f"ask-{acted.event.event_id}-{attempt}"
        self.asked[request_id] = acted
        request = Request(request_id=request_id, user_id=acted.event.user_id, k=K)
        self.producer.produce(topics.REQUESTS.name, codec.encode(request), request.user_id)

    def run(self, seconds: float, roles: list[Role]) -> None:
        """Keep the flow going for so long, or until it is enough, each event at its time."""
        count = int(seconds * self.events_per_s)
        users, items = self.platform.choices(count, seed=1)
        begin_s, sent, asked = time.monotonic(), 0, 0
        while sent < count and not self.is_enough.is_set():
            elapsed_s = time.monotonic() - begin_s
            due = min(count, int(elapsed_s * self.events_per_s))
            for at in range(sent, due):
                now_ms = time.time_ns() // 1_000_000
                self.acted.append(self.act(interaction(f"live-{at}", int(users[at]), int(items[at]), now_ms)))
            sent = max(sent, due)
            while asked < elapsed_s * ASKED_PER_S:
                event = interaction(f"asked-{asked}", 0, int(items[asked]), time.time_ns() // 1_000_000)
                self.ask(self.act(msgspec.structs.replace(event, user_id=f"{ASKER}{asked % 100}")), 0)
                asked += 1
            self.producer.poll(0)
            for role in roles:
                role.check()
            time.sleep(0.002)

    def take(self, consumer: Consumer) -> None:
        """Take slates until it is over; a slate asked for that does not reflect the interaction is asked for again."""
        decoder = msgspec.json.Decoder(SlateHead)
        while not self.is_over.is_set():
            for message in consumer.consume(500, timeout=0.005):
                now_s = time.monotonic()
                slate = decoder.decode(value_of(message))
                acted = self.asked.get(slate.request_id)
                if acted is None:
                    self.seen.append((now_s, slate))
                    continue
                self.answers_count += 1
                if reflects(slate, acted):
                    self.answered_ms.append((acted.at_s, (now_s - acted.at_s) * 1000))
                else:
                    self.ask(acted, self.answers_count)
                del self.asked[slate.request_id]


def reflects(slate: SlateHead, acted: Acted) -> bool:
    """Whether the slate's state had taken the interaction in."""
    event = acted.event
    if slate.request_id == ids.pushed_request_id(user_id=event.user_id, event_id=event.event_id):
        return True
    return 0 <= acted.offset < slate.as_of.offsets.get(str(acted.partition), 0)


def pushed_ms(flow: Flow, since_s: float, until_s: float = math.inf) -> tuple[list[float], int]:
    """Milliseconds from each event of a stretch of time to the first slate that reflects it; how many have none."""
    by_user: dict[str, list[tuple[float, SlateHead]]] = {}
    for at_s, slate in flow.seen:
        by_user.setdefault(slate.user_id, []).append((at_s, slate))
    waited_ms, missing = [], 0
    for acted in flow.acted:
        if not since_s <= acted.at_s < until_s:
            continue
        slates = by_user.get(acted.event.user_id, [])
        found = next((at_s for at_s, slate in slates if at_s >= acted.at_s and reflects(slate, acted)), None)
        if found is None:
            missing += 1
        else:
            waited_ms.append((found - acted.at_s) * 1000)
    return waited_ms, missing


def main() -> None:
    """Learn a past, let the flow run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small catalogue and few seconds: to see that it runs")
    options = parser.parse_args()
    platform = Platform(items_count=1_000 if options.quick else 10_000, users_count=500 if options.quick else 5_000)
    past, seconds = (5_000, 5.0) if options.quick else (60_000, 30.0)
    with engine() as kafka:
        fill(kafka, platform, interactions=past, end_ms=time.time_ns() // 1_000_000)
        tables: Tables = {"trainer": {"evaluate_sample": 0.05}, "recommender": {"push_interval_ms": 0, "push_k": K}}
        with kafka.role("trainer", tables) as trainer:
            kafka.wait_until_learned(trainer, past, timeout_s=TIMEOUT_S, say=say)
            with kafka.role("recommender", tables) as recommender, kafka.tail(topics.SLATES) as consumer:
                wait_for_a_slate(kafka, consumer)
                say(f"learned {past:,} interactions, serving; {EVENTS_PER_S:,} events/s for {seconds:g} s")
                flow = Flow(kafka=kafka, platform=platform)
                taking = threading.Thread(target=flow.take, args=(consumer,))
                taking.start()
                try:
                    begin_s = time.monotonic()
                    flow.run(WARM_S + seconds, [trainer, recommender])
                    flow.producer.flush(10)
                    flow.is_over.wait(SETTLE_S)  # what is under way still comes
                finally:
                    flow.is_over.set()
                    taking.join()
                    flow.producer.flush(10)
                learned = kafka.metrics("trainer")[-1][1].values["learned"]
    if flow.failures:
        raise RuntimeError(f"expected every record to be acknowledged, got {flow.failures[0]}")
    pushed, missing = pushed_ms(flow, begin_s + WARM_S)
    asked = [waited for at_s, waited in flow.answered_ms if at_s >= begin_s + WARM_S]
    if missing:
        say(f"{missing} interactions were reflected by no slate within {SETTLE_S:g} s after the flow")
    by_push, by_request = percentiles(pushed + [SETTLE_S * 1000] * missing), percentiles(asked)
    while_flowing = f"while {EVENTS_PER_S:,} events/s flow"
    goal = "ours <= 200"
    report(
        Figure(name=f"interaction to pushed slate, {while_flowing}, p99", ours=by_push["p99_ms"], unit="ms", goal=goal),
        Figure(name="the same, p50", ours=by_push["p50_ms"], unit="ms"),
        Figure(name="the same, most", ours=by_push["max_ms"], unit="ms"),
        Figure(name="interaction to slate by request, p99", ours=by_request["p99_ms"], unit="ms", goal=goal),
        Figure(name="the same, p50", ours=by_request["p50_ms"], unit="ms"),
        measured={"pushed": len(pushed), "by request": len(asked), "without slate": missing},
        answers_that_came_too_early=flow.answers_count - len(flow.answered_ms),
        slates_pushed_per_s=len(flow.seen) / (WARM_S + seconds),
        learned_beside_it_per_s=(learned - past) / (WARM_S + seconds + SETTLE_S),
    )


def wait_for_a_slate(kafka: Engine, consumer: Consumer) -> None:
    """Return once the recommender answers."""
    producer = Producer(kafka.connection.for_confluent() | {"partitioner": "murmur2_random"})
    for at in range(64):
        request = Request(request_id=f"warm-{at}", user_id=f"user-{at}", k=K)
        producer.produce(topics.REQUESTS.name, codec.encode(request), request.user_id)
    producer.flush(10)
    left = 64
    deadline_s = time.monotonic() + TIMEOUT_S
    while left > 0:
        left -= sum(message.error() is None for message in consumer.consume(500, timeout=1.0))
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected 64 slates within {TIMEOUT_S:.0f} s, got {64 - left}")


if __name__ == "__main__":
    main()
