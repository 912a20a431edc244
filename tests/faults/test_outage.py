"""The broker goes away under a running engine, by a crash and in order, and comes back: everybody goes on alone.

``OUTAGE`` says for how many seconds; `make faults` takes it away for a minute, after which roles give up and wait.
"""

from __future__ import annotations

import concurrent.futures
import os
import time

import pytest

from deploy.kafka import kafka_up
from streams.transport.patience import REMIND_S
from tests.faults.conftest import PORTION
from tests.faults.fed import Fed, has_taken, verified

OUTAGE_S = float(os.environ.get("OUTAGE", "5"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 6 * OUTAGE_S)]
ROLES = 2
MOST_LINES = 30
"""For an outage and all that follows from it; without patience the clients say hundreds a second."""


def go_through(engine: Fed, *, is_abrupt: bool) -> tuple[list[str], float]:
    """An outage with interactions under way before and during it.

    Returns:
      What was said until slates were back and all was learned, and how long that took, seconds.
    """
    said, began_s = len(engine.words()), time.monotonic()
    before, during = engine.portion(PORTION), engine.portion(PORTION)
    with concurrent.futures.ThreadPoolExecutor(1) as producing:
        under_way = producing.submit(engine.act, *before)
        kafka_up.stop(engine.kafka.options.data, is_abrupt=is_abrupt)
        pending = producing.submit(engine.act, *during)
        try:
            time.sleep(OUTAGE_S)
            assert not pending.done()
        finally:
            engine.kafka.start()  # others need it
        places = under_way.result() + pending.result()
    user_id = during[-1].user_id
    slate = engine.slate_that(lambda slate: has_taken(slate, places), "interactions of the outage taken", user_id)
    assert slate.items
    engine.wait_until_learned(engine.produced)
    return engine.since(said), time.monotonic() - began_s


@pytest.mark.parametrize("is_abrupt", [True, False], ids=["crash", "in order"])
def test_after_an_outage_slates_come_again_and_one_line_says_what_was(fed: Fed, is_abrupt: bool) -> None:
    lines, took_s = go_through(fed, is_abrupt=is_abrupt)
    words = "\n".join(lines)
    told = words.count("went away; waiting for it")
    assert told <= ROLES * (2 + took_s / REMIND_S)
    assert told or not is_abrupt  # the second outage may begin before the first one's next line is due
    assert "Traceback" not in words
    assert len(lines) <= MOST_LINES + took_s


def test_nothing_was_lost_and_the_states_are_those_of_an_undisturbed_replay(fed: Fed) -> None:
    figures = fed.wait_until_learned(fed.produced)
    assert figures["rejected"] == 0  # a producer that lost an answer may have sent a record twice: it is not learned
    told = verified(fed, "--from", "0")
    assert told["ok"], told
    assert told["learned"] == fed.produced
    assert told["compared"] == told["same"] > 0
