"""One engine for the files that take something away from a running one: the broker, a topic's room, its records.

In the order of their names; the last one ends it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conftest import Kafka
from tests.faults.fed import Fed

PORTION = 200
REFUSALS = int(os.environ.get("REFUSALS", "1"))


@pytest.fixture(scope="package")
def fed(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    """Trainer and recommender that have learned a portion, and answer."""
    engine = Fed(kafka, tmp_path_factory.mktemp("fed"), most=PORTION * (9 + 2 * REFUSALS))
    try:
        engine.list_items(engine.items, at_ms=engine.start_ms)
        engine.act(*engine.portion(PORTION))
        engine.start()
        engine.wait_until_learned(engine.produced)
        engine.slate_that(lambda slate: bool(slate.items), "a slate", engine.events[0].user_id)
        yield engine
    finally:
        engine.close()
