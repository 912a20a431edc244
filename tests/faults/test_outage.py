"""The broker goes away under a running engine, by a crash and in order, and comes back: everybody goes on alone.

``OUTAGE`` says for how many seconds; `make faults` takes it away for a minute, after which roles give up and wait.
"""

from __future__ import annotations

import concurrent.futures
import os
import time
from collections.abc import Iterator

import pytest

from deploy.kafka import kafka_up
from tests.conftest import Kafka
from tests.faults.fed import Fed, has_taken, learned_all

OUTAGE_S = float(os.environ.get("OUTAGE", "8"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 6 * OUTAGE_S)]
PORTION = 250
ROLES = 2
MOST_LINES = 30
"""For an outage and all that follows from it; without patience the clients say hundreds a second."""


@pytest.fixture(scope="module")
def fed(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    engine = Fed(kafka, tmp_path_factory.mktemp("outage"), most=PORTION * 6)
    try:
        engine.list_items(engine.items, at_ms=engine.start_ms)
        engine.act(*engine.portion(PORTION))
        engine.start()
        engine.wait_until_learned(engine.produced)
        engine.slate(engine.events[0].user_id)
        yield engine
    finally:
        engine.kafka.start()  # others use it too
        engine.close()


def go_through(engine: Fed, *, is_abrupt: bool) -> list[str]:
    """An outage with interactions under way before and during it; gives what was said until slates were back."""
    said = len(engine.words())
    before, during = engine.portion(PORTION), engine.portion(PORTION)
    with concurrent.futures.ThreadPoolExecutor(1) as producing:
        under_way = producing.submit(engine.act, *before)
        kafka_up.stop(engine.kafka.options.data, is_abrupt=is_abrupt)
        pending = producing.submit(engine.act, *during)
        time.sleep(OUTAGE_S)
        assert not pending.done()
        engine.kafka.start()
        places = under_way.result() + pending.result()
    user_id = during[-1].user_id
    slate = engine.slate_that(lambda slate: has_taken(slate, places), "interactions of the outage taken", user_id)
    assert slate.items
    engine.wait_until_learned(engine.produced)
    return engine.since(said)


@pytest.mark.parametrize("is_abrupt", [True, False], ids=["crash", "in order"])
def test_after_an_outage_slates_come_again_and_one_line_says_what_was(fed: Fed, is_abrupt: bool) -> None:
    lines = go_through(fed, is_abrupt=is_abrupt)
    words = "\n".join(lines)
    print(words)
    assert 1 <= words.count("went away; waiting for it") <= ROLES * (2 + OUTAGE_S / 10)
    assert "is back after" in words
    assert "Traceback" not in words
    assert len(lines) <= MOST_LINES + OUTAGE_S


def test_nothing_was_lost_and_the_state_is_that_of_an_undisturbed_replay(fed: Fed) -> None:
    assert learned_all(fed, fed.end_in_peace())
