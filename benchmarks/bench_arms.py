"""Slates that choose among assets beside slates that have none to choose from.

A recommender's core in this process, one thread, 10,000 items; batches of 64 requests of users with histories, told as
bytes. Four kinds of batches take turns: no item has an asset of the studio's; one in a hundred has a picture; every
item has two more pictures and a blurb in two languages, of viewers of five languages; and the same where the counts of
all items were told anew just before, so that every table of choices is made again.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence

from benchmarks.bench_rules import BATCH, LANGUAGES, START_MS, batches, recommender
from benchmarks.engine import say
from benchmarks.report import Figure, report
from streams.contract.arms import ItemArm, ItemArms
from streams.contract.events import Request, User
from streams.cores.recommend import Recommender


def arms_of(item_id: str, *, are_many: bool, luck: random.Random) -> ItemArms:
    """A picture beside the item's own; or two, and a blurb in each of two languages."""

    def arm(asset_id: str, **others: object) -> ItemArm:
        shown = luck.randrange(5, 2_000)
        taken = luck.randrange(shown // 5 + 1)
        return ItemArm(asset_id=asset_id, shown=shown, taken=taken, **others)  # type: ignore[arg-type]

    own = [arm("own:image", kind="image", control=True), arm(f"{item_id}-a", kind="image")]
    if are_many:
        own += [arm(f"{item_id}-b", kind="image"), arm("own:blurb", kind="blurb", language="en", control=True)]
        own += [arm(f"{item_id}-{word}", kind="blurb", language=word) for word in LANGUAGES[1:3]]
    return ItemArms(item_id=item_id, at_ms=START_MS, arms=own)


def cpu_s(made: Recommender, batch: Sequence[Request], now_ms: int) -> float:
    """Processor time of one batch, from requests to bytes."""
    started_s = time.process_time()
    made.told(batch, now_ms=now_ms, generated_at_ms=0, offsets={})
    return time.process_time() - started_s


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer items and batches: figures of no worth")
    quick = parser.parse_args().quick
    items, users, events, rounds = (4_000, 500, 10_000, 5) if quick else (10_000, 2_000, 60_000, 60)
    made, now_ms = recommender(items, users, events), START_MS + 1_000 * events + 60_000
    say(f"learned {events:,} events on {items:,} items")
    for at in range(users):
        made.serving.take_user(User(user_id=f"user-{at}", languages=[LANGUAGES[at % 5]]))
    luck, names = random.Random(0), [f"item-{at}" for at in range(items)]
    some = [arms_of(name, are_many=False, luck=luck) for name in names[::100]]
    all_of = [arms_of(name, are_many=True, luck=luck) for name in names]
    asked = batches(users, rounds, lambda _: [{}] * BATCH)
    taken: dict[str, list[float]] = {"none": [], "some": [], "all": [], "anew": []}
    for batch in asked:
        taken["none"].append(cpu_s(made, batch, now_ms))
        for record in some:
            made.showcase.take(record)
        cpu_s(made, batch, now_ms)  # makes the tables
        taken["some"].append(cpu_s(made, batch, now_ms))
        for record in all_of:
            made.showcase.take(record)
        taken["anew"].append(cpu_s(made, batch, now_ms))
        taken["all"].append(cpu_s(made, batch, now_ms))
        for name in names:
            made.showcase.forget(name)
    us = {name: 1e6 * statistics.median(each) / BATCH for name, each in taken.items()}
    say(", ".join(f"{name} {each:.1f}" for name, each in us.items()) + " us of CPU a slate")

    def beside(name: str, what: str) -> Figure:
        return Figure(
            name=f"{what}, beside none, {items:,} items", ours=1e6 / us[name], limit=1e6 / us["none"],
            unit="slates/s of CPU", goal="ratio >= 0.8",
        )  # fmt: skip

    report(
        beside("some", "one item in a hundred with a picture to choose"),
        beside("all", "every item with pictures and blurbs to choose"),
        cpu_us_per_slate=us,
    )


if __name__ == "__main__":
    main()
