"""Slates per second from request topic to slate topic, and how long one request waits, on a real Kafka.

A synthetic catalogue of 10,000 items is learned from the topics by the trainer; then the recommender runs alone, with
users who have histories. The limit is the bare computation in this process: the user tower and an exact search of the
same vectors, 64 users a batch, with nothing read, filtered, explained, encoded or published. Both are exact.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer

from benchmarks.engine import Engine, Role, clean_environment, engine, percentiles, say, value_of
from benchmarks.report import Figure, report
from benchmarks.synthetic import Platform, fill
from streams.contract import codec, topics
from streams.contract.events import Request, Slate
from streams.kernel_cache import VARIABLE

BATCH, K, LIMIT_K = 64, 20, 100
"""Users a batch; items of a slate; items that the bare search finds, as many as the index is asked for and more."""
RATE_PER_S, SEED = 20.0, 0
TIMEOUT_S = 300.0
LIMIT_S = 4.0


def learn(kafka: Engine, platform: Platform, interactions: int) -> None:
    """Let the trainer learn the platform's past and announce every item; its snapshot stays."""
    fill(kafka, platform, interactions=interactions, end_ms=time.time_ns() // 1_000_000)
    with kafka.role("trainer", {"trainer": {"evaluate_sample": 0.05}}) as trainer:
        kafka.wait_until_learned(trainer, interactions, timeout_s=TIMEOUT_S, say=say)
        deadline_s = time.monotonic() + TIMEOUT_S
        while len({message.key() for message in kafka.read(topics.ITEM_STATES)}) < platform.items_count:
            trainer.check()
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"expected {platform.items_count} items announced within {TIMEOUT_S:.0f} s")
            time.sleep(1.0)


def bare_rate(items_count: int, dim: int) -> dict[str, float]:
    """Slates per second of user tower and exact search alone, over some seconds as ours, and CPU a slate."""
    os.environ[VARIABLE] = clean_environment()[VARIABLE]  # read when numba is imported
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from models.recommend import step
    from models.recommend.serving import augmented_dim
    from models.recommend.towers import TowerConfig, Towers

    config = TowerConfig(dim=dim)
    generator = np.random.default_rng(SEED)
    weights = nnx.state(Towers(config, rngs=nnx.Rngs(SEED)), nnx.Param)
    vectors = generator.standard_normal((items_count + 1, dim + 1), dtype=np.float32)
    table = jnp.asarray(generator.standard_normal((items_count + 1, augmented_dim(dim)), dtype=np.float32))
    rest = np.ones((BATCH, augmented_dim(dim) - dim), np.float32)
    item = generator.integers(1, items_count, (BATCH, config.window)).astype(np.int32)
    value, action, gap = (generator.integers(0, 4, item.shape).astype(np.int32) for _ in range(3))

    @jax.jit
    def search(states: jax.Array, table: jax.Array) -> tuple[jax.Array, jax.Array]:
        best, rows = jax.lax.top_k(jnp.concatenate([rest, states], axis=1) @ table.T, LIMIT_K)
        return rows, best

    def once() -> None:
        states = step.states_of_inputs(weights, vectors[item], item, value, action, gap, config=config)
        jax.device_get(search(states, table))

    once()
    rounds, started_s, started_cpu_s = 0, time.perf_counter(), time.process_time()
    while (taken_s := time.perf_counter() - started_s) < LIMIT_S:
        once()
        rounds += 1
    cpu_s = time.process_time() - started_cpu_s
    return {"slates_per_s": BATCH * rounds / taken_s, "cpu_us_per_slate": cpu_s / (BATCH * rounds) * 1e6}


def throughput(kafka: Engine, recommender: Role, platform: Platform, count: int, name: str) -> dict[str, float]:
    """Ask ``count`` times as fast as possible; the rate between the first slates and the last, and CPU a slate."""
    before, cpu_s = kafka.ends(topics.SLATES), recommender.cpu_s()
    producer = Producer(kafka.connection.for_confluent() | {"partitioner": "murmur2_random", "linger.ms": 5})
    users = np.random.default_rng(SEED).integers(0, platform.users_count, count).tolist()
    for at, user in enumerate(users):
        request = Request(request_id=f"{name}-{at}", user_id=f"user-{user}", k=K)
        producer.produce(topics.REQUESTS.name, codec.encode(request), request.user_id)
        producer.poll(0)
    producer.flush(60)
    deadline_s = time.monotonic() + TIMEOUT_S
    while kafka.ends(topics.SLATES) < before + count:
        recommender.check()
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected {count} slates within {TIMEOUT_S:.0f} s")
        time.sleep(0.1)
    cpu_s = recommender.cpu_s() - cpu_s
    mine, items, errors = [], 0, 0
    for message in kafka.read(topics.SLATES):
        slate = codec.decode(Slate, value_of(message), timestamp_ms=-1)
        if isinstance(slate, Slate) and slate.request_id.startswith(f"{name}-"):
            mine.append(message.timestamp()[1])
            items += len(slate.items)
            errors += slate.error is not None
    if errors or items != K * count:
        raise RuntimeError(f"expected {count} slates of {K} items, got {items} items and {errors} errors")
    mine.sort()
    first, last = len(mine) // 20, len(mine) - 1  # while the first ones came, the requests were still being written
    rate = (last - first) / (mine[last] - mine[first]) * 1000
    return {"slates_per_s": rate, "cpu_us_per_slate": cpu_s / count * 1e6}


def latencies(kafka: Engine, platform: Platform, seconds: float) -> list[float]:
    """Milliseconds from producing a request to having its slate, at `RATE_PER_S`, arrivals as of a Poisson process."""
    generator = np.random.default_rng(SEED)
    count = int(seconds * RATE_PER_S)
    due_s = np.cumsum(generator.exponential(1 / RATE_PER_S, count)).tolist()
    users = generator.integers(0, platform.users_count, count).tolist()
    producer = Producer(kafka.connection.for_confluent() | {"partitioner": "murmur2_random", "linger.ms": 0})
    asked_s: dict[str, float] = {}
    waited_ms: dict[str, float] = {}
    with kafka.tail(topics.SLATES) as consumer:
        consumer.poll(1.0)
        begin_s = time.perf_counter()
        for at, (due, user) in enumerate(zip(due_s, users, strict=True)):
            while (left_s := begin_s + due - time.perf_counter()) > 0:
                _take(consumer, min(left_s, 0.02), asked_s, waited_ms)
            request = Request(request_id=f"one-{at}", user_id=f"user-{user}", k=K)
            asked_s[request.request_id] = time.perf_counter()
            producer.produce(topics.REQUESTS.name, codec.encode(request), request.user_id)
            producer.poll(0)
        deadline_s = time.monotonic() + 30
        while len(waited_ms) < count and time.monotonic() < deadline_s:
            _take(consumer, 0.05, asked_s, waited_ms)
    producer.flush(10)
    if len(waited_ms) < count:
        raise RuntimeError(f"expected {count} answers, got {len(waited_ms)}")
    return list(waited_ms.values())


def _take(consumer: Consumer, timeout_s: float, asked_s: dict[str, float], waited_ms: dict[str, float]) -> None:
    message = consumer.poll(timeout_s)
    if message is None or message.error() is not None:
        return
    now_s = time.perf_counter()
    slate = codec.decode(Slate, value_of(message), timestamp_ms=-1)
    if isinstance(slate, Slate) and slate.request_id in asked_s and slate.request_id not in waited_ms:
        waited_ms[slate.request_id] = (now_s - asked_s[slate.request_id]) * 1000


def main() -> None:
    """Learn, ask, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small catalogue: to see that it runs")
    options = parser.parse_args()
    platform = Platform(items_count=1_000 if options.quick else 10_000, users_count=500 if options.quick else 5_000)
    interactions, requests, seconds = (5_000, 2_000, 5.0) if options.quick else (100_000, 20_000, 60.0)
    rates: list[dict[str, float]] = []
    bare: list[dict[str, float]] = []
    with engine() as kafka:
        learn(kafka, platform, interactions)
        say(f"learned {interactions:,} interactions on {platform.items_count:,} items")
        bare.append(bare_rate(platform.items_count, dim=64))
        with kafka.role("recommender", {"recommender": {"push_slates": False}}) as recommender:
            throughput(kafka, recommender, platform, requests // 4, "warm")
            for turn in range(3):
                rates.append(throughput(kafka, recommender, platform, requests, f"turn-{turn}"))
                say(f"{rates[-1]['slates_per_s']:,.0f} slates/s, {rates[-1]['cpu_us_per_slate']:.0f} us of CPU a slate")
            waited_ms = latencies(kafka, platform, seconds)
        bare.append(bare_rate(platform.items_count, dim=64))
    quantiles = percentiles(waited_ms)
    for rate in bare:
        say(f"bare: {rate['slates_per_s']:,.0f} slates/s, {rate['cpu_us_per_slate']:.0f} us of CPU a slate")
    say(f"request to slate: {quantiles}")
    ours = statistics.median(rate["slates_per_s"] for rate in rates)
    bare_per_s = [rate["slates_per_s"] for rate in bare]
    size = f"{platform.items_count:,} items"
    extras: dict[str, Any] = {
        "cpu_us_per_slate": statistics.median(rate["cpu_us_per_slate"] for rate in rates),
        "bare_cpu_us_per_slate": statistics.median(rate["cpu_us_per_slate"] for rate in bare),
    }
    report(
        Figure(
            name=f"request topic to slate topic, {size}, beside bare tower and search of {BATCH} users a batch",
            ours=ours, limit=statistics.median(bare_per_s), unit="slates/s", goal="ratio >= 0.5",
        ),
        Figure(name=f"request to slate, {RATE_PER_S:g} requests/s, p50", ours=quantiles["p50_ms"], unit="ms"),
        Figure(
            name=f"request to slate, {RATE_PER_S:g} requests/s, p99", ours=quantiles["p99_ms"], unit="ms",
            goal="ours <= 100",
        ),
        slates_per_s=[rate["slates_per_s"] for rate in rates], bare_per_s=bare_per_s, most_ms=quantiles["max_ms"],
        latencies_count=len(waited_ms), **extras,
    )  # fmt: skip


if __name__ == "__main__":
    main()
