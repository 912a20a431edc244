"""Slates with hard rules beside slates without: filters of requests, ages and regions of profiles.

A recommender's core in this process, one thread, 10,000 items with tags, creators, languages, ages, and half of them
with regions; batches of 64 requests of users with histories. Four kinds of batches take turns: without rules; every
request with a filter of its own, from three quarters of the catalogue down to about one per cent; every second request
with one of twenty filters, as pages of a platform ask; and users with limits of age and region. Every slate must be
full. Last, batches of the second kind for which no mask has been made yet.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.engine import say
from benchmarks.report import Figure, report
from models.recommend.state import ModelConfig
from streams.contract.events import Interaction, Item, Request, User
from streams.cores.announce import Announcer
from streams.cores.learn import Learner
from streams.cores.recommend import RecommendConfig, Recommender
from streams.cores.serving import Serving

BATCH, K, SEED = 64, 20, 0
START_MS = 1_700_000_000_000
LANGUAGES = ("en", "fr", "de", "es", "it")
REGIONS: tuple[list[str], ...] = ([], ["FR", "BE"], ["US"], [])


def catalogue(count: int) -> list[Item]:
    """Items whose tags, creators and the like follow from their number."""
    return [
        Item(
            item_id=f"item-{at}",
            title=f"Title {at}",
            tags=[f"tag {at % 10}", f"shelf {at % 4}"],
            creator=f"creator {at % 50}",
            language=LANGUAGES[at // 7 % 5],
            duration_s=60.0 * (at % 120),
            maturity=(0, 12, 18)[at // 3 % 3],
            regions=REGIONS[at // 11 % 4],
        )
        for at in range(count)
    ]  # fmt: skip


def recommender(items: int, users: int, events: int) -> Recommender:
    """A recommender that knows the catalogue and what the users did; every item was seen."""
    generator = np.random.default_rng(SEED)
    chosen = np.minimum(items * generator.random(events) ** 2, items - 1).astype(np.int64)
    chosen[:items] = np.arange(items)
    who = generator.integers(0, users, events)
    interactions = [
        Interaction(
            event_id=str(at),
            user_id=f"user-{user}",
            item_id=f"item-{item}",
            action="play",
            occurred_at_ms=START_MS + 1_000 * at,
        )
        for at, (user, item) in enumerate(zip(who.tolist(), chosen.tolist(), strict=True))
    ]  # fmt: skip
    learner = Learner(ModelConfig(evaluate_sample=0.01))
    listed = catalogue(items)
    learner.learn(listed)
    for at in range(0, events, 512):
        learner.learn(interactions[at : at + 512])
    serving = Serving(learner.config)
    for item in listed:
        serving.take_item(item.item_id, item)
    announced = Announcer(learner.config, fingerprint="bench").announce(learner.state, [], most=items)
    serving.take_states(announced.states)
    serving.take_weights(announced.weights)
    serving.use_newest()
    serving.take_interactions(interactions)
    made = Recommender(serving, RecommendConfig(explore_slots=0))
    made.refresh(START_MS + 1_000 * events)
    return made


def own_filters(batch: int, number: int) -> list[dict[str, Any]]:
    """One filter a request, no two alike in a batch: shares of the catalogue from 75 % to about 1 %."""
    kinds: list[list[dict[str, Any]]] = [
        [
            {"max_duration_s": 5_400.0 - at - batch * number},
            {"tags": [f"tag {at % 10}", f"tag {(at + 1 + number) % 10}"], "max_duration_s": 7_000.0 - at},
            {"language": LANGUAGES[at % 5], "max_duration_s": 6_900.0 - at},
            {"tags": f"tag {at % 10}", "language": LANGUAGES[at // 10 % 5], "max_duration_s": 3_000.0 + at},
        ]
        for at in range(batch)
    ]  # fmt: skip
    return [kind[at % 4] for at, kind in enumerate(kinds)]


def batches(users: int, count: int, filters: Callable[[int], Sequence[dict[str, object]]]) -> list[list[Request]]:
    """Batches of requests of users drawn anew each time, the same ones for every kind."""
    generator = np.random.default_rng(SEED + 1)
    return [
        [
            Request(request_id=f"{number}-{at}", user_id=f"user-{user}", k=K, filters=one)  # type: ignore[arg-type]
            for at, (user, one) in enumerate(
                zip(generator.integers(0, users, BATCH).tolist(), filters(number), strict=True)
            )
        ]
        for number in range(count)
    ]


def cpu_s(made: Recommender, batch: Sequence[Request], now_ms: int) -> float:
    """Processor time of one batch; the slates must be full."""
    started_s = time.process_time()
    slates = made.answer(batch, now_ms=now_ms, generated_at_ms=0, offsets={})
    took_s = time.process_time() - started_s
    short = [slate for slate in slates if len(slate.items) != K or slate.error]
    if short:
        raise RuntimeError(f"expected {K} items in every slate, got {len(short[0].items)} and {short[0].error}")
    return took_s


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer items and batches: figures of no worth")
    quick = parser.parse_args().quick
    items, users, events, rounds = (4_000, 500, 10_000, 5) if quick else (10_000, 2_000, 60_000, 40)
    made, now_ms = recommender(items, users, events), START_MS + 1_000 * events + 60_000
    say(f"learned {events:,} events on {items:,} items")
    pages: list[dict[str, Any]] = [
        {"tags": f"tag {at % 10}"} if at % 2 else {"language": LANGUAGES[at % 5]} for at in range(20)
    ]
    kinds = {
        "plain": batches(users, rounds, lambda _: [{}] * BATCH),
        "filters": batches(users, rounds, lambda number: own_filters(BATCH, number)),
        "pages": batches(
            users, rounds, lambda number: [pages[(at + number) % 20] if at % 2 else {} for at in range(BATCH)]
        ),
    }
    limits = [(age, region) for age in (0, 12, None) for region in ("FR", "US", "DE")]
    profiles = [User(user_id=f"user-{at}", maturity=limits[at % 9][0], region=limits[at % 9][1]) for at in range(users)]
    taken: dict[str, list[float]] = {name: [] for name in (*kinds, "profiles")}
    for name in kinds:
        cpu_s(made, kinds[name][0], now_ms)
    for number in range(rounds):
        for name, made_of in kinds.items():
            taken[name].append(cpu_s(made, made_of[number], now_ms))
        for profile in profiles:
            made.serving.take_user(profile)
        taken["profiles"].append(cpu_s(made, kinds["plain"][number], now_ms))
        made.serving.profiles.clear()
    del taken["profiles"][0]
    fresh_s = []
    for number in range(min(5, rounds)):
        made.serving.catalogue.version += 1  # as any record of the catalogue does: every mask is made anew
        fresh_s.append(cpu_s(made, kinds["filters"][number], now_ms))
    rates = {name: BATCH / statistics.median(each) for name, each in taken.items()}
    plain = rates["plain"]
    say(", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()) + " slates a second of CPU")

    def beside(name: str, what: str) -> Figure:
        return Figure(
            name=f"{what}, beside none, {items:,} items", ours=rates[name], limit=plain, unit="slates/s of CPU",
            goal="ratio >= 0.8",
        )  # fmt: skip

    report(
        beside("pages", "every second request with one of twenty filters"),
        beside("profiles", "limits of age and region for every user"),
        beside("filters", "a filter of its own in every request"),
        slates_per_s_masks_made_anew=BATCH / statistics.median(fresh_s),
        cpu_us_per_slate={name: 1e6 / rate for name, rate in rates.items()},
    )


if __name__ == "__main__":
    main()
