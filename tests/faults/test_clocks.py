"""Producers whose clocks jump, back and far ahead: everything that keeps the contract is learned once and in one order.

``JUMPS`` says how many of a portion's interactions are stamped wrongly; `make faults` has two thousand.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import msgspec
import pytest

from streams.contract import codec, rules, topics
from streams.contract.events import Interaction
from tests.conftest import Kafka
from tests.faults.fed import Fed, told_by, verified

JUMPS = int(os.environ.get("JUMPS", "120"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + JUMPS // 4)]
CLEAN = 256
DAY_MS = 86_400_000
AHEAD_MS = 900 * DAY_MS
"""Years ahead of the log, and still in the broker's past: a broker refuses what is an hour ahead of its own clock."""


class Jumping(Fed):
    """An engine, and records whose two times are not what they should be."""

    refused = 0
    """Interactions that break the contract by their times."""

    def jump(self, events: list[Interaction], draw: random.Random) -> None:
        """Produces these with times that jump; notes how many of them have to be refused."""
        skews = (-30 * DAY_MS, -rules.MAX_CLOCK_SKEW_MS, 0, rules.MAX_CLOCK_SKEW_MS, rules.MAX_CLOCK_SKEW_MS + 1)
        records = []
        for event in events:
            stamp_ms = event.occurred_at_ms + draw.choice((-30 * DAY_MS, -1_000, 0, 0, 0, DAY_MS, AHEAD_MS))
            skew_ms = draw.choice(skews)
            made = msgspec.structs.replace(event, occurred_at_ms=stamp_ms + skew_ms)
            self.refused += skew_ms > rules.MAX_CLOCK_SKEW_MS
            records.append((made.user_id, codec.encode(made), stamp_ms))
        self.send(topics.INTERACTIONS, records)

    def settle(self) -> dict[str, float]:
        """Waits until all are learned but those that break the contract."""
        figures = self.wait_until_learned(self.produced - self.refused)
        assert figures["repeated"] == 0
        return figures


@pytest.fixture(scope="module")
def jumping(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jumping]:
    engine = Jumping(kafka, tmp_path_factory.mktemp("clocks"), most=CLEAN + 2 * JUMPS)
    try:
        engine.act(*engine.portion(CLEAN))
        engine.start("trainer")
        engine.settle()
        yield engine
    finally:
        engine.close()


def test_clocks_that_jump_lose_nothing_and_what_breaks_the_contract_is_a_letter(jumping: Jumping) -> None:
    jumping.jump(jumping.portion(JUMPS), random.Random(3))
    jumping.settle()
    jumping.kill("trainer")  # what it learns again has the same order
    jumping.jump(jumping.portion(JUMPS), random.Random(4))
    figures = jumping.settle()
    assert figures["skew_ms"] > 0
    places: set[object] = set()

    def letters() -> int:
        places.update(message.key() for message in jumping.letters.all())
        return len(places)

    jumping.wait(lambda: letters() >= jumping.refused, "a letter for each")
    assert letters() == jumping.refused > 0
    assert jumping.stop() == 0


def test_the_state_is_that_of_an_undisturbed_replay(jumping: Jumping) -> None:
    told = verified(jumping, "--from", "0")
    assert told["ok"], told
    assert told["learned"] == jumping.produced - jumping.refused


def test_a_moment_before_the_jumps_is_found_although_no_snapshot_is_known_to_be_before_it(jumping: Jumping) -> None:
    """Snapshots whose partitions have seen the future count as later than any past moment: the log is read instead."""
    last_ms = jumping.events[CLEAN - 1].occurred_at_ms
    slate = told_by(jumping, "recommend", jumping.events[0].user_id, "--as-of", f"ms:{last_ms}", "--k", "5")
    assert slate["model"]["version"] == CLEAN
    assert len(slate["items"]) == 5
