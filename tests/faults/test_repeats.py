"""Producers that send the same event again: inside the dedupe window it is counted, beyond it it is learned again.

``REPEATS`` says how many rounds of each; `make faults` has fifty. A batch is the window's grain: an id is forgotten at
the end of the batch in which it fell out.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import msgspec
import pytest

from streams.contract.events import Interaction
from tests.conftest import Kafka
from tests.faults.fed import Fed, verified

REPEATS = int(os.environ.get("REPEATS", "2"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 10 * REPEATS)]
WINDOW, BATCH = 100, 64
FIRST = 300


@dataclasses.dataclass
class Repeating:
    """What was sent, and what has to become of it."""

    engine: Fed
    now_ms: int
    learned: int = 0
    repeated: int = 0
    sent: list[Interaction] = dataclasses.field(default_factory=list)

    def send(self, events: list[Interaction], *, is_learned: bool) -> None:
        """Produces these in order of time: whatever partition they go to, they are learned in this order."""
        stamped = []
        for event in events:
            self.now_ms += 1_000
            stamped.append(msgspec.structs.replace(event, occurred_at_ms=self.now_ms))
        self.engine.act(*stamped)
        self.sent += stamped
        self.learned += len(events) * is_learned
        self.repeated += len(events) * (not is_learned)
        figures = self.engine.wait_until_learned(self.learned)
        self.engine.wait(lambda: self.engine.learned().get("repeated") == self.repeated, "the repeats counted")
        assert figures["rejected"] == 0


@pytest.fixture(scope="module")
def repeating(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repeating]:
    engine = Fed(kafka, tmp_path_factory.mktemp("repeats"), most=FIRST + REPEATS * 2 * (WINDOW + BATCH))
    words = engine.config.read_text()
    engine.config.write_text(words.replace("[model.towers]", f"[model]\ndedupe_window = {WINDOW}\n[model.towers]"))
    try:
        made = Repeating(engine, engine.events[-1].occurred_at_ms)
        engine.start("trainer")
        made.send(engine.portion(FIRST), is_learned=True)
        yield made
    finally:
        engine.close()


def test_a_repeat_inside_the_window_is_counted_and_one_beyond_it_is_learned_again(repeating: Repeating) -> None:
    for _ in range(REPEATS):
        newest = repeating.sent[-WINDOW:]
        repeating.send(newest[:40], is_learned=False)  # the oldest that are known, and again
        repeating.send(newest[:40], is_learned=False)
        fresh = repeating.engine.portion(WINDOW + BATCH)
        repeating.send(fresh, is_learned=True)
        repeating.send(newest[:40], is_learned=True)  # more than a window of others came between
        repeating.send(repeating.engine.portion(WINDOW), is_learned=True)


def test_a_crash_forgets_no_id_of_the_window(repeating: Repeating) -> None:
    repeating.engine.kill("trainer")
    repeating.send(repeating.sent[-WINDOW:], is_learned=False)
    assert repeating.engine.stop() == 0


def test_the_ledger_learned_again_counts_the_same_repeats(repeating: Repeating) -> None:
    told = verified(repeating.engine, "--from", "0")
    assert told["ok"], told
    assert told["learned"] == repeating.learned
